"""What ends a line for Python and YAML ends one for servelint, and nothing else does; text in quotes stays."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import servelint
from servelint import edits
from servelint.finding import ExitStatus
from servelint.lint import Report, check
from servelint.project.config import Config
from servelint.project.text.source import SourceError, decode, split_lines

SOURCES = Path(servelint.__file__).parent
# They end a line for `str.splitlines`.
OTHERS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
HEAD = 'import torch\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = torch.load("m.pt")\n'
BLOCK = '''

@app.post("/scores")
async def scores(row):
    with torch.no_grad():
        prompt = """first{mark}
        second
      third"""
        hidden = model(prompt)
        found = model(hidden)
    return found
'''


def report(folder: Path, text: str | bytes) -> Report:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "app.py").write_bytes(data)
    return check([], Config(root=folder))


def fixed(folder: Path, text: str | bytes) -> str:
    """The file after all fixes."""
    outcome = edits.apply(report(folder, text), unsafe=True)
    assert not outcome.rejected
    return outcome.after[folder / "app.py"].decode()


def constants(text: str) -> list[object]:
    return [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]


def test_no_text_is_cut_where_only_str_sees_a_line() -> None:
    found = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in sorted(SOURCES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    ]
    # Of bytes, which end lines as Python does; and words of git, that are no file's.
    assert {place.partition(":")[0] for place in found} <= {
        "project/config.py",
        "project/listing/git.py",
        "manifests/deployed/relevance.py",
        "reports/html/changes.py",
    }


@given(st.lists(st.sampled_from(["a", "\n", "\r", "\r\n", *OTHERS]), max_size=12))
def test_lines_are_those_of_the_source(parts: list[str]) -> None:
    text = "".join(parts)
    source = decode(Path("/x/a.py"), text.encode())
    assert split_lines(text) == [source.line(number) for number in range(1, source.line_count + 1)]


@pytest.mark.parametrize("mark", [*OTHERS, ""], ids=ascii)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=repr)
def test_a_block_is_moved_whole_and_its_text_stays(tmp_path: Path, mark: str, newline: str) -> None:
    text = f'{HEAD}above = "{mark}"\n# {mark}{BLOCK.format(mark=mark)}'
    after = fixed(tmp_path, text.replace("\n", newline))
    assert set(constants(text)) <= set(constants(after))
    (inner,) = (n for n in ast.walk(ast.parse(after)) if getattr(n, "name", "") == "run_inference")
    (block,) = (n for n in ast.walk(inner) if isinstance(n, ast.With))
    assert len(block.body) == 3, "no statement has left its context"
    if newline != "\r":
        assert after.count(newline) == after.count("\n"), "the lines end as they did"


@pytest.mark.parametrize("mark", [*OTHERS, ""], ids=ascii)
@pytest.mark.parametrize("quoted", ['"one\\\n      {}two"', "f'''one\n  {}{{row}}'''", "('a{}'\n  'b')"])
def test_an_argument_with_text_of_several_lines(tmp_path: Path, mark: str, quoted: str) -> None:
    call = f"model(row, {quoted.format(mark)}, # {mark}\n        row)"
    text = f'{HEAD}\n\n@app.post("/p")\nasync def p(row):\n    return {call}\n'
    after = fixed(tmp_path, text)
    assert set(constants(text)) <= set(constants(after))


def test_lines_that_the_tokenizer_reads_in_another_way(tmp_path: Path) -> None:
    text = HEAD.replace("app =", "class A:\n    def \x0c__init__(self):\n        pass\napp =")
    after = fixed(tmp_path, text + BLOCK.format(mark=""))
    assert "def \x0c__init__" in after
    assert "        with torch.no_grad():" in after


def test_a_form_feed_in_the_indentation_is_not_moved(tmp_path: Path) -> None:
    text = HEAD + BLOCK.format(mark="").replace("        hidden", "\x0c        hidden")
    (first, *_) = report(tmp_path, text).findings
    assert first.fix is None
    assert "indented in different ways" in first.unfixable


LOSSY = {
    "cp932": "表".encode("cp932") + b" \xfa\x4a",
    "unicode_escape": b"",
    "raw_unicode_escape": b"\\u0041",
    "utf-7": b"+AGE-",
    "iso2022_jp_2": b"\x1b$B\x1b(B",
}


@pytest.mark.parametrize("encoding", sorted(LOSSY))
def test_an_encoding_that_does_not_give_back_its_bytes(tmp_path: Path, encoding: str) -> None:
    data = f"# coding: {encoding}\n# ".encode() + LOSSY[encoding] + f"\n{HEAD}".encode()
    found = report(tmp_path, data + b'\n@app.post("/p")\nasync def p(row):\n    return model(row)\n')
    (finding,) = found.findings
    assert finding.fix is None
    assert finding.unfixable.startswith(f"{encoding} does not give back the bytes of the file")
    outcome = edits.apply(found, unsafe=True)
    assert not outcome.after


@pytest.mark.parametrize("cookie", ["utf-8-sig", "utf_8_sig", "UTF8", "latin-1", "iso-8859-1-unix", "cp1252"])
def test_an_encoding_that_does(tmp_path: Path, cookie: str) -> None:
    head = f"#!/usr/bin/env python\r# coding: {cookie}\r# ".encode()
    letter = "é".encode("utf-8" if "8" in cookie[:5] else "latin-1")
    body = f'{HEAD}\n@app.post("/p")\nasync def p(row):\n    return model(row)\n'
    outcome = edits.apply(report(tmp_path, head + letter + f"\n{body}".encode()), unsafe=True)
    assert outcome.after[tmp_path / "app.py"].startswith(head + letter)


@pytest.mark.parametrize("cookie", ["rot13", "undefined", "idna", "zlib", "klingon"])
def test_an_encoding_that_is_none_is_refused(cookie: str) -> None:
    with pytest.raises(SourceError):
        decode(Path("/x/a.py"), f"# coding: {cookie}\n# é\nx = '..a'\n".encode())


def test_bytes_that_are_no_text_make_one_finding(tmp_path: Path) -> None:
    (tmp_path / "fine.py").write_text(HEAD + BLOCK.format(mark=""))
    found = report(tmp_path, f"{HEAD}# caf".encode() + b"\xe9\n")
    assert found.exit_status is ExitStatus.FINDINGS
    (broken,) = (item for item in found.findings if item.code == "SRV000")
    assert (broken.span.path.name, broken.span.line, broken.message) == ("app.py", 6, "is not utf-8")
    assert any(item.span.path.name == "fine.py" for item in found.findings)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app.py", b"import torch  # servelint: ignore[SRV101] why\n# caf\xe9\n"),
        ("app.py", b"# coding: cp932\n# \xfa\x4a\nimport torch  # servelint: ignore[SRV101] why\n"),
        ("Dockerfile", b"FROM x\n# servelint: ignore[SRV201] why\nCMD echo \xe9\n"),
        ("d.yaml", b"a: b # servelint: ignore[SRV202] why\nb: \xe9\n"),
    ],
)
def test_a_comment_in_such_a_file_is_not_removed(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = check([], Config(root=tmp_path, report_unused=True))
    idle = [item for item in found.findings if item.code == "SRV001"]
    assert [(item.span.path, item.fix) for item in idle] == [(path, None)]
    assert "does not give back the bytes" in idle[0].unfixable
    outcome = edits.apply(found, unsafe=True)
    assert not outcome.after
    assert not outcome.rejected


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.sampled_from("ab \t\"'\\" + OTHERS), max_size=6), min_size=1, max_size=4),
    quotes=st.sampled_from(['"""', "'''"]),
)
def test_whatever_stands_in_quotes_comes_back(tmp_path: Path, lines: list[str], quotes: str) -> None:
    inside = "\n".join(lines).replace(quotes[0], "`").replace("\\", "")
    text = f"{HEAD}\n\n@app.post('/p')\nasync def p(row):\n    with torch.no_grad():\n"
    text += f"        said = {quotes}{inside}{quotes}\n        return model(said)\n"
    found = report(tmp_path, text)
    for finding in found.findings:
        assert finding.fix is not None or finding.unfixable
    after = edits.apply(found, unsafe=True).after.get(tmp_path / "app.py", text.encode())
    assert set(constants(text)) <= set(constants(after.decode()))
