"""The rules about code, one module each: `check(analysis)` yields the rule's findings."""

from __future__ import annotations

from collections.abc import Iterator

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
    """The findings of every rule that the configuration selects."""
    for rule in RULES:
        if analysis.config.selects(rule.CODE):
            yield from rule.check(analysis)
