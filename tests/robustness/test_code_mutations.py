"""Whatever is done to the code of the fixtures: no failure, positions inside the file, findings that repeat."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from listed import ROOT, Listing

from servelint.code import analyze
from servelint.finding import Span
from servelint.project.config import Config
from servelint.project.listing.files import Tree
from servelint.project.text.source import decode

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "code").rglob("*.py"))
PIECES = (
    "(", ")", "[", "]", "{", "}", ":", ",", ".", "=", "*", "**", "@", "->", ":=", "\\", "\t", "\n", "\f", "\r",
    "'", '"""', "f'{", "}'", "#", "0x", "1e400", "é", "\u2028", "\ufeff", "\0", "async ", "await ", "lambda: ",
    "yield ", "not ", "if ", "elif ", "else", "with ", "try:", "for x in ", "import *", "global x", "class A(A): ",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of a fixture with pieces put in, taken out, doubled or moved."""
    text = draw(st.sampled_from(FIXTURES)).read_text(encoding="utf-8")
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from((*PIECES, "", text[start:end] * 2, text[end : end + 30])))
        text = text[:start] + piece + text[end:]
    return text


@settings(max_examples=80)
@given(mutated())
def test_mutated_fixtures(text: str) -> None:
    path = ROOT / "app.py"
    data = text.encode("utf-8", "surrogatepass")
    result = analyze(cast("Tree", Listing({"app.py": data})), Config(ROOT))
    for problem in result.problems:
        assert "please report" not in problem.message
        assert 0 <= problem.line <= data.count(b"\n") + data.count(b"\r") + 1
    findings = result.with_fixes(result.findings)
    spans = [span for f in findings for span in (f.span, *(step.span for step in f.trace))]
    spans += [edit.span for f in findings for edit in (f.fix.edits if f.fix is not None else ())]
    for span in spans:
        assert _is_inside(span, path, data)
    assert not any(f.unfixable.startswith("planning the fix") for f in findings)


def _is_inside(span: Span, path: Path, data: bytes) -> bool:
    if span.path != path:  # a file that the fix makes
        return (span.line, span.column, span.end_line, span.end_column) == (1, 1, 1, 1)
    source = decode(path, data)
    return source.offset(span.line, span.column) <= source.offset(span.end_line, span.end_column)
