"""Writes what was measured into the catalogue: the line `gil:` of files in `rules/libraries/` that name us.

Everything in the note up to the first semicolon is written here; what people add after it stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from .results import Result, is_long, medians, verdict

_CLAIM = r'^gil: \{verdict: \w+, source: benchmarks/gil(?:, note: "(?P<note>.*)")?\}$'


def shares(found: Sequence[float]) -> str:
    """The lowest and the highest in per cent, once if they read alike."""
    low, high = f"{min(found) * 100:.0f}", f"{max(found) * 100:.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def measured(cases: Sequence[Result], day: date) -> str:
    """How much of the calls another thread can run through: the lowest and the highest median."""
    long = [free for ms, free in medians(cases) if is_long(ms)]
    short = [free for ms, free in medians(cases) if not is_long(ms)]
    said = [f"free for {shares(long)} of calls of a millisecond or more"] if long else []
    said += [f"for {shares(short)} of shorter ones"] if short else []
    version = f"{cases[0]['library']} {cases[0]['version'].partition('+')[0]}, {day:%B %Y}"
    return f"{', '.join(said) or 'other processes disturbed every measurement'} ({version})"


def written(text: str, cases: Sequence[Result], day: date) -> str:
    """The file of a library with the verdict and the note that follow from these cases."""

    def claim(found: re.Match[str]) -> str:
        _, mark, remark = (found["note"] or "").partition(";")
        note = measured(cases, day) + mark + remark
        return f'gil: {{verdict: {verdict(cases)}, source: benchmarks/gil, note: "{note}"}}'

    return re.sub(_CLAIM, claim, text, flags=re.MULTILINE)
