"""However the code is laid out and named: bytes show no less than the tree, and what is not parsed is no loss.

Python lets white space, comments, backslashes and form feeds stand between almost any two tokens, and takes
several spellings of an identifier for one.
"""

from __future__ import annotations

import ast
import keyword
import warnings
from typing import cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from listed import ROOT, Listing

from servelint.code import rules
from servelint.code.facts import scan
from servelint.code.facts.extract import extract
from servelint.code.facts.facts import Attribute, Constant, ModuleFacts, Name, Subscript, last_name
from servelint.code.facts.plain import plain, plain_text
from servelint.code.judge.analysis import Analysis
from servelint.project.config import Config
from servelint.project.listing.files import Tree

WORDS = (
    "import",
    "from",
    "as",
    "class",
    "def",
    "async",
    "for",
    "in",
    "lazy",
    "type",
    "case",
    "torch",
    "x",
    "b1",
)
SCRIPTS = (
    "é",
    "e\N{COMBINING ACUTE ACCENT}",
    "ﬁ",
    "\N{FULLWIDTH LATIN SMALL LETTER T}orch",
    "größe",
    "数",
    "ª",
    "\N{BLACK-LETTER CAPITAL H}",
    "क\N{DEVANAGARI SIGN VIRAMA}ष",
)


names = (
    st.lists(st.sampled_from((*WORDS, *SCRIPTS, "_")), min_size=1, max_size=3)
    .map("".join)
    .filter(lambda name: name.isidentifier() and not keyword.iskeyword(name))
)
# What may stand between two tokens: where it need not, where something must, and inside of brackets.
GAPS = {
    "~": ("", "", " ", "\t", " \f", "\\\n", " \\\n  "),
    "_": (" ", " ", "\t", "\f ", "\\\n ", " \\\n\\\n\t"),
    "^": ("", "", " ", "\n", "\n    ", " # not ) this\n  ", "#import x\n", " # it's\n", "\\\n", "\n\n\t"),
}
# `$` is a name, and the gaps are as above.
SIMPLE = (
    "import_$~.~$_as_$~,~$",
    "import_$",
    "from_$~.~$_import_$_as_$~,~$",
    "from~.~.~$_import~(^$^,^$^as^ $^,^)",
    "from~.~import_$",
    "from~.~import~(^$^)",
    "from_$_import_$",
    "from_$_import~(^$^)",
    "$~=~$~(^$^)",
    "$~.~$~=~$~.~$~(^$~=~1^)~(^)",
    "$~.~$~,~$~[~'k'~]~=~$",
    "(^$^.^$^,^$^)~=~$~,~1",
    "$~.~$~:~$~[^$^]~=~1",
    "$~=~$~.~$~=~1",
    "$~[^'a key'^]~=~1",
    '$~[^"it\'s"^]~=~$~(^)',
    "$~[^'a'^'b'^]~=~1",
    "$~[^'''q'''^]~=~1",
    "$~[^'\\x61'^]~=~$~[^'ﬁ é'^]~=~2",
    "(^$^)~(^$^(^)^)",
    "$~=~'import x; from y import z # \\\n'",
    "$~=~'''\nimport x\n  from y import (\n'''",
    "$~=~[^$^(^$^)^for_$_in_$^if_$^]",
    "$~=~lambda_$~:~$~(^$^)",
    "[^$^,^$^]~=~$~=~1~,~2",
    "$~(^)~.~$~=~1",
    "del_$",
)
COMPOUND = (
    "def_$~(^$^=^$^(^)^,^)~:",
    "async_def_$~(^*^$^)~->~$~:",
    "class_$~:",
    "class_$~(^)~:",
    "class_$~(^$^.^$^,^# : $\n^$^=^1^)~:",
    "class_$~(^$^[^1^:^2^]^,^$^)~:",
    "class_$~(^$^(^lambda:^0^)^,^$^)~:",
    "@~$~.~$~(^$^=^1^)\n%class_$~(^$^)~:",
    "@~$\n%@~$~(^)~.~$\n%def_$~(^)~:",
    "@~(^$^.^$^)\n%async_def_$~(^)~:",
    "@~property\n%def_$~(^)~:",
    "@~(^$^.^property^)\n%@~$\n%async_def_$~(^)~:",
    "if_$~==~1~:",
    "for_$~.~$_in_$~:",
    "for_$~,~(^$^,^$^)_in_$~:",
    "with_$~(^)_as_$~.~$~,~$_as_(^$^)~:",
    "while_$~(^$^)~:",
    "try~:",
)


@st.composite
def laid_out(draw: st.DrawFn, template: str, indent: str) -> str:
    """A template with names and gaps in it."""
    out: list[str] = []
    for character in template:
        if character == "$":
            out.append(draw(names))
        elif character == "%":
            out.append(indent)
        else:
            out.append(draw(st.sampled_from(GAPS[character])) if character in GAPS else character)
    return "".join(out)


@st.composite
def blocks(draw: st.DrawFn, indent: str = "", depth: int = 0) -> list[str]:
    """Statements that are indented so far."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        simple = [
            draw(laid_out(draw(st.sampled_from(SIMPLE)), indent)) for _ in range(draw(st.integers(1, 2)))
        ]
        joined = draw(st.sampled_from((";", " ; ", ";\\\n "))).join(simple)
        if depth < 3 and draw(st.booleans()):
            head = draw(laid_out(draw(st.sampled_from(COMPOUND)), indent))
            follows = f"\n{indent}finally: pass" if head.startswith("try") else ""
            if draw(st.integers(0, 3)) == 0:
                lines.append(f"{indent}{head} {joined}{follows}")
            else:
                deeper = indent + draw(st.sampled_from(("    ", "\t", " ")))
                inner = "\n".join(draw(blocks(deeper, depth + 1)))
                comment = draw(st.sampled_from(("", " # : x", "\n\n    # y")))
                lines.append(f"{indent}{head}{comment}\n{inner}{follows}")
        else:
            lines.append(f"{indent}{joined}{draw(st.sampled_from(('', '  # import y', ' # (')))}")
    return lines


ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "cookie")
texts = blocks().map("\n".join)


def encoded(text: str, encoding: str, end: str) -> bytes:
    """The text in an encoding as Python has to be told of it, or in UTF-8 where it does not fit in that."""
    name = "utf-8" if encoding == "cookie" else encoding
    cookie = f"# -*- coding: {name} -*-\n" if encoding in ("latin-1", "cookie") else ""
    try:
        return (cookie + text + "\n").replace("\n", end).encode(name)
    except UnicodeEncodeError:
        return (text + "\n").replace("\n", end).encode()


def parsed(data: bytes) -> tuple[bytes, ast.Module, ModuleFacts]:
    """The bytes as they are scanned, and what the tree shows; what is no Python is none of our inputs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError:
        assume(False)
        raise
    return plain(data), tree, extract(data)


programs = st.builds(
    encoded, texts, st.sampled_from(ENCODINGS), st.sampled_from(("\n", "\n", "\r\n", "\r"))
).map(parsed)


@settings(max_examples=100)
@given(programs)
def test_imports(program: tuple[bytes, ast.Module, ModuleFacts]) -> None:
    data, tree, _ = program
    found = {(item.module, item.level, name) for item in scan.imports(data) for name in item.names or ("",)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {(item.name, 0, "") for item in node.names} <= found
        elif isinstance(node, ast.ImportFrom):
            assert {(node.module or "", node.level, item.name) for item in node.names} <= found
            assert {item.name for item in node.names if item.asname} <= scan.renamed(data)


@settings(max_examples=100)
@given(programs)
def test_definitions_and_calls(program: tuple[bytes, ast.Module, ModuleFacts]) -> None:
    data, tree, facts = program
    definitions = [*facts.functions, *facts.classes]
    assert {f.name for f in facts.functions if f.name.isidentifier()} <= scan.defined(data)
    assert scan.has_coroutines(data) or not any(function.is_async for function in facts.functions)
    decorators = {last_name(one) for thing in definitions for one in thing.decorators}
    assert decorators - {""} <= scan.decorators(data)
    assert {
        f.name for f in facts.functions if any(last_name(one) == "property" for one in f.decorators)
    } <= scan.properties(data)
    inherited = {(child, base) for child, bases in scan.classes(data) for base in bases}
    assert {(c.name, last_name(b)) for c in facts.classes for b in c.bases if last_name(b)} <= inherited
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {
        f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, ast.Name | ast.Attribute)
    }
    assert called <= scan.called(data)
    callers: dict[str, set[str]] = {}
    for function in facts.functions:
        for site in function.sites if function.name.isidentifier() else ():
            callers.setdefault(last_name(site.call.function), set()).add(function.name)
    for name, expected in callers.items():
        assert not name or expected <= set(scan.functions_calling(data, {name}))


@settings(max_examples=150)
@given(programs)
def test_what_is_bound(program: tuple[bytes, ast.Module, ModuleFacts]) -> None:
    data, _, facts = program
    keys = scan.item_keys(data)
    for function in facts.functions:
        for binding in function.bindings:
            match binding.target:
                case Attribute(_, name):
                    assert scan.assigns_attribute(data, name)
                    assert name in scan.attributes(data)
                case Subscript(_, Constant(str(key))):
                    assert plain_text(key) in keys or scan.ANY_KEY in keys
    children = [cls for cls in facts.classes if cls.bases]
    held = {*(name for cls in children for name in (*cls.methods, *cls.classes))}
    held |= {b.target.id for cls in children for b in cls.bindings if isinstance(b.target, Name)}
    assert held <= scan.members(data)


def findings(contents: dict[str, bytes], *, everything: bool) -> set[object]:
    tree = cast("Tree", Listing(contents))
    return set(rules.findings(Analysis(tree, Config(ROOT), everything=everything)))


LOADER = """\
import°joblib
class°Base~:
    def°{method}~(^self^,^x^)~:
        raise°NotImplementedError
def°{function}~(^)~:
    return°joblib~.~load~(^'m'^)
"""
CLASS = """\
from°{module}°import~(^{function}^,^Base^)
class°{cls}~(^Base^)~:
    def°__init__~(^self^)~:~self~.~{attribute}~=~{function}~(^)
    def°{method}~(^self^,^x^)~:
        return°self~.~{attribute}~.~predict~(^x^)
"""
SERVICE = """\
import°fastapi
from°{other}°import°{cls}
app~=~fastapi~.~FastAPI~(^)
instance~=~{cls}~(^)
@~app~.~get~(^'/'^)
async°def°endpoint~(^x^)~:
    return°instance~.~{method}~(^x^)
"""


@st.composite
def services(draw: st.DrawFn) -> dict[str, bytes]:
    """A service of three files: a model, a class around it, an endpoint; names and layout are drawn."""
    drawn = draw(st.lists(names, min_size=6, max_size=6, unique_by=lambda name: plain(name.encode())))
    named = dict(zip(("module", "other", "function", "method", "attribute", "cls"), drawn, strict=True))
    gaps = {"°": GAPS["_"], "~": GAPS["~"], "^": GAPS["^"]}
    files = {}
    for name, template in ((named["module"], LOADER), (named["other"], CLASS), ("main", SERVICE)):
        laid = [draw(st.sampled_from(gaps[c])) if c in gaps else c for c in template]
        text = "".join(laid).format(**named)
        files[f"{plain(name.encode()).decode()}.py"] = encoded(text, draw(st.sampled_from(ENCODINGS)), "\n")
    return files


@settings(max_examples=40)
@given(services())
def test_a_service_in_any_layout(files: dict[str, bytes]) -> None:
    found = findings(files, everything=False)
    assert found == findings(files, everything=True)
    assert {finding.span.path.name for finding in found} == {"main.py"}


@settings(max_examples=60)
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from(ENCODINGS))
def test_what_is_not_parsed_would_not_have_mattered(modules: list[str], encoding: str) -> None:
    contents = {
        f"{name}.py": encoded(f"import joblib\n{text}" if number else text, encoding, "\n")
        for number, (name, text) in enumerate(zip(("torch_x", "x", "b1"), modules, strict=False))
    }
    assert findings(contents, everything=False) == findings(contents, everything=True)


CODE = "import torch\nmodel = torch.load('é')\n\n\nasync def predict(x):\n    return model(x)\n"


@pytest.mark.parametrize(
    "data",
    [
        CODE.encode("utf-8-sig"),
        f"# -*- coding: latin-1 -*-\n{CODE}".encode("latin-1"),
        f"#!/usr/bin/python\r\n# vim: set fileencoding=cp1252 :\r\n{CODE}".encode("cp1252"),
        CODE.replace("\n", "\r").encode(),
        b"\x0c" + CODE.encode(),
        CODE.replace("import torch", "import \\\n  torch").encode(),
        CODE.replace("import torch", "import \N{FULLWIDTH LATIN SMALL LETTER T}orch").encode(),
    ],
    ids=["mark", "latin-1", "cp1252", "carriage-returns", "form-feed", "continued", "full-width"],
)
def test_the_same_service_in_other_bytes(data: bytes) -> None:
    assert {finding.code for finding in findings({"app.py": data}, everything=False)} == {"SRV101"}


def test_what_python_cannot_read_is_told_and_not_passed_over() -> None:
    analysis = Analysis(cast("Tree", Listing({"app.py": CODE.encode("utf-16")})), Config(ROOT))
    assert list(rules.findings(analysis)) == []
    assert [problem.path.name for problem in analysis.project.problems.values()] == ["app.py"]
