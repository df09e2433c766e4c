"""What a fingerprint survives, and what a baseline must not hide."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from servelint.finding import Confidence, Finding, Severity, Span
from servelint.project.reported import baseline

ROOT = Path("/project")
TEXT = b"async def a():\n    model.predict(x)\n"


def finding(name: str = "app.py", line: int = 2, **values: object) -> Finding:
    span = Span(ROOT / name, line, 5, line, 21)
    made = Finding("SRV101", span, "blocks", Severity.ERROR, Confidence.HIGH, function="a")
    return replace(made, **values)  # type: ignore[arg-type]


def fingerprint(item: Finding, read: Callable[[Path], bytes]) -> str:
    (only,) = baseline.plain_fingerprints([item], read)
    return only


def test_lines_and_file_names_do_not_matter() -> None:
    moved = b"\n\n" + TEXT
    plain = fingerprint(finding(), lambda _: TEXT)
    assert fingerprint(finding(line=4), lambda _: moved) == plain
    assert fingerprint(finding("renamed.py"), lambda _: TEXT) == plain


def test_formatting_does_not_matter() -> None:
    split = b"async def a():\n    model.predict(\n        x,\n    )\n"
    wide = finding(span=Span(ROOT / "app.py", 2, 5, 4, 6))
    assert fingerprint(wide, lambda _: split) == fingerprint(finding(), lambda _: TEXT)


def test_rule_function_and_call_matter() -> None:
    prints = {
        fingerprint(finding(), lambda _: TEXT),
        fingerprint(finding(code="SRV102"), lambda _: TEXT),
        fingerprint(finding(function="b"), lambda _: TEXT),
        fingerprint(finding(), lambda _: TEXT.replace(b"(x)", b"(y)")),
        fingerprint(finding(identity=("given",)), lambda _: TEXT),
    }
    assert len(prints) == 5


def test_no_two_findings_of_a_report_share_a_fingerprint() -> None:
    prints = baseline.fingerprints([finding(), finding(), finding()], lambda _: TEXT)
    assert len(set(prints)) == 3
    assert prints[1] == f"{prints[0]}-2"


def compared(found: list[Finding], known: list[Finding]) -> baseline.Comparison:
    entries = baseline.entries(known, ROOT, lambda _: TEXT)
    return baseline.compare(found, entries, ROOT, lambda _: TEXT)


def test_a_second_copy_is_new_and_it_is_the_added_one() -> None:
    outcome = compared([finding("copy.py"), finding("app.py")], [finding("app.py")])
    assert [item.span.path.name for item in outcome.new] == ["copy.py"]
    assert [item.span.path.name for item in outcome.known] == ["app.py"]


def test_a_renamed_file_is_known() -> None:
    outcome = compared([finding("renamed.py")], [finding("app.py")])
    assert not outcome.new
    assert not outcome.stale


def test_what_is_gone_is_stale() -> None:
    outcome = compared([], [finding()])
    assert [entry.path for entry in outcome.stale] == ["app.py"]


def test_a_file_comes_back(tmp_path: Path) -> None:
    entries = baseline.entries([finding("b.py"), finding("a.py"), finding("a.py")], ROOT, lambda _: TEXT)
    path = tmp_path / "baseline.json"
    path.write_text(baseline.dump(entries))
    assert baseline.load(path) == entries
    assert len(path.read_text().splitlines()) == 6, "one finding a line"
    path.write_text(baseline.dump(()))
    assert baseline.load(path) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            json.dumps({"version": 2, "findings": []}),
            "has version 2, this servelint reads version 1; upgrade",
        ),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1}', "is damaged"),
        ('{"version": 1, "findings": [{"code": "SRV101"}]}', "is damaged"),
        (
            '{"version": 1, "findings": [{"fingerprint": 1, "code": "", "path": "", "message": ""}]}',
            "is damaged",
        ),
        ("\x80", "is damaged"),
    ],
)
def test_a_baseline_that_cannot_be_used_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(baseline.BaselineError, match=message):
        baseline.load(path)
