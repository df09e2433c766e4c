"""Fixes that do not hold up are told from those that do by looking at their file a bounded number of times."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from servelint.code.fixes.verification import offered
from servelint.finding import Applicability, Confidence, Edit, Finding, Fix, Severity, Span

LINES = 200
PATH = Path("/project/app.py")
TEXT = "x = 1\n" * LINES


class Reading:
    """Gives the file, and counts how often it was asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path) -> bytes:
        assert path == PATH
        self.count += 1
        return TEXT.encode()


def finding(line: int, *, broken: bool) -> Finding:
    span = Span(PATH, line, 5, line, 6)
    fix = Fix(Applicability.SAFE, "two", (Edit(span, "(" if broken else "2"),), replaces=(span,))
    return Finding("SRV101", span, "one", Severity.ERROR, Confidence.HIGH, fix=fix)


def unfixed(broken: Collection[int]) -> tuple[set[int], int]:
    """The lines that have no fix, and how often the file was read."""
    read = Reading()
    found = offered.offered([finding(line, broken=line in broken) for line in range(1, LINES + 1)], read)
    return {one.span.line for one in found if one.fix is None}, read.count


@pytest.mark.parametrize("broken", [(), (1,), (LINES,), (3, 150)])
def test_the_few_that_do_not_hold_up_are_found(broken: tuple[int, ...]) -> None:
    lines, reads = unfixed(broken)
    assert lines == set(broken)
    assert reads <= offered.LOOKS


def test_of_many_none_is_offered_that_does_not_hold_up() -> None:
    lines, reads = unfixed(range(1, LINES, 3))
    assert lines >= set(range(1, LINES, 3))
    assert reads <= offered.LOOKS
    assert all(one.unfixable for one in offered.offered([finding(n, broken=True) for n in (1, 2)], Reading()))
