"""The rules about code, one module each: `check(analysis)` yields the rule's findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from servelint.boundary import Boundary
from servelint.code.judge.analysis import Analysis
from servelint.code.rules import (
    srv101,
    srv102,
    srv103,
    srv104,
    srv105,
    srv106,
    srv107,
    srv108,
    srv109,
    srv110,
)
from servelint.finding import Finding

RULES = (srv101, srv102, srv103, srv104, srv105, srv106, srv107, srv108, srv109, srv110)


def findings(analysis: Analysis) -> Iterator[Finding]:
    """The findings of every rule that the configuration selects.

    What goes wrong with one rule in one file is a problem of that file.
    """
    for rule in RULES:
        if analysis.config.selects(rule.CODE):
            for path in analysis.file_by_file():
                found: list[Finding] = []
                with Boundary(Path(path), rule.CODE, analysis.project.note):
                    for finding in rule.check(analysis):
                        found.append(finding)  # noqa: PERF402 - what was found before it went wrong is kept
                yield from found
