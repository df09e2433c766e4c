"""Fixes that do not hold up: which are tried again, how often, and what a second run does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest
from conftest import Project

from servelint import edits, lint
from servelint.edits import Outcome
from servelint.finding import Applicability, Confidence, Edit, Finding, Fix, Severity, Span
from servelint.lint import Analysed
from servelint.project.config import Config

Judge: TypeAlias = Callable[[Sequence[str]], Sequence[Finding]]


class Planted:
    """A project of one file whose findings are what `judge` makes of its lines; `checks` counts."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        self.project = project
        self.path = project.root / "app.py"
        self.checks = 0
        self.judge: Judge = lambda _: ()
        project.write({"app.py": text})
        monkeypatch.setattr(lint, "analyse", self._analyse)

    def _analyse(self, tree: object, _config: object) -> Analysed:
        self.checks += 1
        text = tree.read(self.path).decode()  # type: ignore[attr-defined]
        return Analysed(tuple(self.judge(text.splitlines())), (), tuple)

    def finding(
        self, number: int, old: str, new: str, head: str = "", function: str = "", title: str = ""
    ) -> Finding:
        """A finding on line `number`, whose fix writes `new` there and `head` on top of the file."""
        span = Span(self.path, number, 1, number, len(old) + 1)
        changed = (Edit(Span(self.path, 1, 1, 1, 1), head),) if head else ()
        fix = Fix(
            Applicability.SAFE,
            title or f"do it in line {number}",
            (*changed, Edit(span, new)),
            replaces=(span,),
        )
        identity = (function or "all alike",)
        return Finding(
            "SRV101", span, "", Severity.ERROR, Confidence.HIGH, function, fix=fix, identity=identity
        )

    def fix(self) -> Outcome:
        outcome = edits.apply(lint.check([], Config(self.project.root)), unsafe=False)
        list(edits.write(outcome))
        return outcome


def test_one_fix_that_is_taken_back_does_not_keep_its_siblings_from_being_tried(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted(project, monkeypatch, "bad\nfirst\nlast\n")
    planted.judge = lambda lines: [
        # those that hold up are in the way of each other
        planted.finding(number, line, "bad" if line == "bad" else "0", f"# {line}\n" * (line != "bad"))
        for number, line in enumerate(lines, start=1)
        if line in ("first", "bad", "last")
    ]
    outcome = planted.fix()
    assert outcome.after[planted.path] == b"# last\n# first\nbad\n0\n0\n"
    assert [item.finding.span.line for item in outcome.rejected] == [3]
    assert not planted.fix().after


def test_findings_that_are_alike_are_told_by_their_own_lines(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted(project, monkeypatch, "x\nx\nx\n")
    planted.judge = lambda lines: [
        # each adds another line on top, so that they are in the way of each other
        planted.finding(number, "x", "0", f"# {lines.count('x')}.{number}\n")
        for number, line in enumerate(lines, start=1)
        if line == "x"
    ]
    outcome = planted.fix()
    assert outcome.after[planted.path].endswith(b"\n0\n0\n0\n")
    assert [item.span.line for item in outcome.applied] == [1, 2, 3]


def test_a_fix_that_another_makes_possible_is_tried_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted(project, monkeypatch, "late\nearly\n")

    def judge(lines: Sequence[str]) -> list[Finding]:
        found = []
        for number, line in enumerate(lines, start=1):
            if line == "late" or (line == "1" and "early" in lines):
                found.append(planted.finding(number, line, "1", "# late\n", "late"))
            if line == "early":
                found.append(planted.finding(number, line, "0", "# early\n", "early"))
        return found

    planted.judge = judge
    outcome = planted.fix()
    assert outcome.after[planted.path] == b"# late\n# early\n1\n0\n"
    assert not outcome.rejected
    assert not planted.fix().after


def test_fixes_that_do_not_hold_up_are_not_looked_for_without_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted(project, monkeypatch, "bad\n" * 400)
    planted.judge = lambda lines: [
        planted.finding(number, "bad", "bad") for number, _ in enumerate(lines, start=1)
    ]
    outcome = planted.fix()
    assert not outcome.after
    assert len(outcome.rejected) == 400
    assert outcome.rejected[0].reason == "the finding would remain"
    assert outcome.rejected[-1].reason == "it was not tried: too many other fixes did not hold up"
    assert planted.checks < 100


def test_of_those_that_do_the_same_few_are_tried(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Planted(project, monkeypatch, "bad\n" * 400 + "good\n")
    planted.judge = lambda lines: [
        planted.finding(number, line, "0" if line == "good" else line, function=line, title=line)
        for number, line in enumerate(lines, start=1)
        if line in ("bad", "good")
    ]
    outcome = planted.fix()
    assert outcome.after[planted.path] == b"bad\n" * 400 + b"0\n"
    assert len(outcome.rejected) == 400
    told = [item.reason for item in outcome.rejected]
    assert told.count("the finding would remain") == 5
    assert told[-1] == "it was not tried: others of the file that do the same did not hold up"
    assert planted.checks < 40


def test_nor_anew_after_each_that_does(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Planted(project, monkeypatch, "good\n" * 20 + "bad\n" * 200)
    planted.judge = lambda lines: [
        # those that hold up are in the way of each other: one a round
        planted.finding(
            number, line, "0" if line == "good" else line, f"# {number}\n" * (line == "good"), line
        )
        for number, line in enumerate(lines, start=1)
        if line in ("good", "bad")
    ]
    outcome = planted.fix()
    assert outcome.after[planted.path].count(b"0\n") >= 20
    assert len(outcome.rejected) == 200
    assert planted.checks < 130


def test_what_would_remain_is_told_from_the_rest_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted(project, monkeypatch, "good\n" * 200 + "bad\n")
    planted.judge = lambda lines: [
        planted.finding(number, line, "0" if line == "good" else line, function=line)
        for number, line in enumerate(lines, start=1)
        if line in ("good", "bad")
    ]
    outcome = planted.fix()
    assert outcome.after[planted.path] == b"0\n" * 200 + b"bad\n"
    assert planted.checks <= 6


def test_numbers_of_workers_in_code_are_repaired_as_far_as_they_hold_up(project: Project) -> None:
    starts = "".join(f"def start{n}():\n    uvicorn.run('app:app', workers=4)\n\n\n" for n in range(3))
    project.write({"app.py": f"import uvicorn\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n\n{starts}"})
    report = lint.check([], Config(project.root))
    assert [item.code for item in report.findings] == ["SRV201"] * 3
    outcome = edits.apply(report, unsafe=True)
    assert outcome.after[project.root / "app.py"].count(b"workers=1") == 3
    assert not outcome.rejected
