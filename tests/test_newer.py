"""Python that is newer than the interpreter is read at the same places, or is the syntax error that it was."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Project
from hypothesis import given, settings
from hypothesis import strategies as st

from servelint import edits, lint
from servelint.code.facts.extract import extract
from servelint.code.fixes.verification.check import fault
from servelint.finding import Edit, Span
from servelint.project.config import Config
from servelint.project.text import newer
from servelint.project.text.parsing import parse

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("src", "tests", "examples") for path in (ROOT / folder).rglob("*.py"))


def flat(tree: ast.AST) -> Iterator[tuple[object, ...]]:
    """All nodes with their places; of an f-string only where it stands, for 3.11 misplaces what is in it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        fields = (value for _, value in ast.iter_fields(node) if not isinstance(value, list | ast.AST))
        places = (
            getattr(node, name, None) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")
        )
        yield type(node).__name__, *fields, *places
        if not isinstance(node, ast.JoinedStr):
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", FILES[::7], ids=lambda path: path.name)
def test_what_needs_no_other_words_is_the_same(path: Path) -> None:
    told = newer.older(path.read_bytes())
    assert told is not None
    assert sorted(map(repr, flat(told.tree()))) == sorted(map(repr, flat(ast.parse(path.read_bytes()))))


# What an expression or a statement may be; `@` is a call whose text says which one it is.
EXPRESSIONS = (
    "@",
    'f"{@}"',
    'f"{@} of {@!r:>{@}}"',
    'f"é {d["k"]} {@ = }"',
    "rf'''\n{@} {'''x'''}\né {\n@ # }\n}'''",
    'f"{f"{f"{@}"}"}" "x" f"{"\\n".join(@)}"',
    '"é" f"{@}"',
    't"{@} and {@:{@}}"',
    'f"{"#"}{@}"',
    'f"{{}}" + f"" + f"{{{@}}}"',
    'f"{@, *@, x!r}{"x", @}"',
    "lambda x: @",
    "x if @ else @",
)
STATEMENTS = (
    "type X = @",
    "type  Pair[T: (int, str), *Ts, **P] = @; @",
    "if 1: type X[T = int] = @",
    "type X[\n  T, # é ]\n] = @",
    "def f[T](x=@): return @",
    "async def f[\n    T, # )\n](x): await @",
    "class A[T: int](@): x = @",
    "class A[\nT]: x = @",
    "class A [T] : x = @",
    "try: @\nexcept A, B: @",
    "try: @\nexcept  (A) , @,: @",
    "try: @\nexcept* A.b, C: @",
    "lazy import x; @",
    "lazy from a import (b,\n c); @",
    "é = @",
    "x = (@,\n    @)",
    "with @ as y, @: @",
)


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A program, and the calls in it in the order of the text."""
    calls: list[str] = []
    lines: list[str] = []
    for number, statement in enumerate(draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4))):
        parts = statement.split("@")
        line = parts[0]
        for place, part in enumerate(parts[1:]):
            written = draw(st.sampled_from(EXPRESSIONS)).split("@")
            names = [f"call_{number}_{place}_{index}(é, 'x')" for index in range(len(written) - 1)]
            calls += names
            inside = written[0] + "".join(map(str.__add__, names, written[1:]))
            line += (f"({inside})" if inside not in names else inside) + part
        lines.append(line)
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return "\n".join(lines).replace("\n", end) + end, calls


@settings(max_examples=150)
@given(texts())
def test_every_call_stands_where_it_is_written(program: tuple[str, list[str]]) -> None:
    text, calls = program
    tree = parse(text.encode())
    lines = text.encode().splitlines(keepends=True)
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id.startswith("call_")
        ):
            assert node.lineno == node.end_lineno
            found.append(lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode())
    assert sorted(found) == sorted(calls)
    sites = [site for function in extract(text.encode()).functions for site in function.sites]
    known = [getattr(site.call.function, "id", "") for site in sites]
    assert sorted(name for name in known if name.startswith("call_")) == sorted(
        call.partition("(")[0] for call in calls
    )


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("type X = list[int]\n", "X   = list[int]     \n"),
        ("def f[T](x: T) -> T: return g(x)\n", "def f   (x: T) -> T: return g(x)\n"),
        ("class A[T: int](B[T]): x = g()\n", "class A        (B[T]): x = g()\n"),
        ("try: f()\nexcept A, B: g()\n", "try: f()\nexcept(A,B): g()\n"),
        ("lazy import a.b as c\n", "import a.b as c     \n"),
    ],
)
def test_facts_are_those_of_the_words_that_every_python_knows(written: str, same: str) -> None:
    def shown(text: str) -> list[object]:
        return [(f.name, f.parameters, f.imports, [b.target for b in f.bindings]) for f in facts(text)]

    def facts(text: str) -> tuple:  # type: ignore[type-arg]
        return extract(text.encode()).functions

    assert shown(written) == shown(same)


@pytest.mark.parametrize(
    "text",
    [
        "type X = \n",
        "def f[T(x): pass\n",
        "def f[T](x): return )\n",
        'x = f"{"a"\n',
        "type\\\nX = int\n",
        "lazy = \n",
        "\x00type X = int\n",
        "",
    ],
)
def test_what_is_no_python_at_all_is_the_error_that_it_was(text: str) -> None:
    if text:
        with pytest.raises((SyntaxError, ValueError)) as first:
            ast.parse(text.encode())
        with pytest.raises((SyntaxError, ValueError)) as second:
            parse(text.encode())
        assert str(first.value) == str(second.value)
    else:
        assert parse(b"").body == []


@pytest.mark.parametrize(
    "text",
    [
        "type X = int\n" + "(" * 50_000 + ")" * 50_000,
        "type X = int\n" + "-" * 50_000 + "x",
        "type X = int\nx" + "()" * 50_000,
        "type X = int\n" + "lambda a, b: " * 50_000 + "x",
        "type X = int\n[" + "x for x in y, x " * 50_000 + "]",
        "type X = int\nif x: pass\n" + "elif x: pass\n" * 50_000,
        'type X = int\nt"{' + "(" * 50_000 + "1" + ")" * 50_000 + '}"',
        "type X = int\nf'{" + "-" * 50_000 + "1}'",
        "type X = int\nmatch x:\n    case " + '{"k":' * 40 + "a" + "}" * 40 + ": pass\n",
    ],
    ids=["brackets", "signs", "calls", "lambdas", "loops", "branches", "t-string", "f-string", "pattern"],
)
def test_what_is_nested_without_end_is_not_read_and_takes_no_time(text: str) -> None:
    start = time.perf_counter()
    assert newer.older(text) is None
    assert time.perf_counter() - start < 5


SERVICE = '''\
"""é"""
import joblib
from fastapi import FastAPI

type Row = dict[str, float]

app = FastAPI()
model = joblib.load("model")


def first[T](items: list[T]) -> T:
    return items[0]


@app.post("/predict")
async def predict(row: Row) -> str:
    label = first(model.predict([row["é"]]))
    return f"é {row["name"]} is {first(model.predict([row["b"]]))!r:>{row["width"]}}"
'''


def test_a_service_is_checked_and_fixed_in_its_own_words(project: Project) -> None:
    project.write({"app.py": SERVICE})
    config = Config(project.root)
    report = lint.check([], config)
    assert report.problems == ()
    columns = [(f.code, f.span.line, f.span.column) for f in report.findings]
    lines = SERVICE.splitlines()
    assert columns == [
        ("SRV101", 17, lines[16].index("model.") + 1),
        ("SRV101", 18, lines[17].index("model.") + 1),
    ]
    outcome = edits.apply(report, unsafe=False)
    after = outcome.after[project.root / "app.py"].decode()
    assert outcome.report.findings == ()
    assert outcome.rejected == ()
    assert "type Row = dict[str, float]\n" in after
    assert "def first[T](items: list[T]) -> T:\n" in after
    assert 'return f"é {row["name"]} is {first(' in after
    assert ')!r:>{row["width"]}}"\n' in after


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("items[0]", "items[1]", "something else would change"),
        (" of the row", " of  the row", "something else would change"),
        ("    return first", "    await first", "would not compile"),
    ],
)
def test_what_a_fix_breaks_is_seen_in_newer_python_too(old: str, new: str, told: str) -> None:
    text = 'type X = int\n\n\ndef f[T](items):\n    return first(items[0], f"{items["a"]} of the row")\n'
    path, start = Path("app.py"), text.index(old)
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    edit = Edit(Span(path, line, column, line, column + len(old)), new)
    assert told in fault(path, text.encode(), [edit], [])
    same = Edit(Span(path, line, column, line, column + len(old)), old)
    assert fault(path, text.encode(), [same], []) == ""


def test_what_this_python_cannot_write_is_read_everywhere(project: Project) -> None:
    nested = "f'{" * 4 + "'{}'" + "}'" * 4
    settings = f"class A(Base[{nested}]):\n    workers: int = 4\n"
    asked = (
        f"def f():\n    if kept[{nested}] is None:\n        kept[1] = 2\n        return model.predict(kept)\n"
    )
    head = "import joblib\nimport uvicorn\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = joblib.load('m')\nkept = {}\n"
    tail = "@app.get('/')\nasync def get():\n    return f()\n\nuvicorn.run('app:app', workers=A().workers)\n"
    project.write({"app.py": f"{head}\n\n{settings}\n\n{asked}\n\n{tail}"})
    found = lint.check([], Config(project.root)).findings
    assert {finding.code for finding in found} >= {"SRV101"}
    assert "SRV000" not in {finding.code for finding in found}
