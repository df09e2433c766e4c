"""The tipping point: the points of the sweep that were measured, as a table and as curves."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.spread import spread

from .record import Record, Run, by_variant
from .scenarios import SWEEP, SWEPT

_COLUMNS = (
    ("failed", "predictions failed", "{:.0%}"),
    ("gave_up", "of all: user gave up", "{:.0%}"),
    ("answered_a_second", "answered a second", "{:.0f}"),
    ("health_p95", "/health p95 ms", "{:,.0f}"),
    ("unready_seconds", "unready s", "{:.0f}"),
    ("restarts", "restarts", "{:.0f}"),
)


def _measured(records: Mapping[str, Record]) -> Iterator[tuple[float, str, list[Run]]]:
    """Load, variant and runs of each point that was measured with what the sweep compares."""
    for point in SWEEP:
        variants = by_variant(records.get(point.name, {"runs": []}))
        for variant in SWEPT:
            if runs := variants.get(variant.name):
                yield point.load, variant.name, runs


def lines(records: Mapping[str, Record]) -> Iterator[str]:
    """A Markdown table with a line for each load and variant."""
    yield "| times the capacity | | " + " | ".join(title for _, title, _ in _COLUMNS) + " |"
    yield "|---" * (len(_COLUMNS) + 2) + "|"
    for load, name, runs in _measured(records):
        cells = (spread([run.get(key) for run in runs], form.format) for key, _, form in _COLUMNS)
        yield f"| {load:g} | {name} | " + " | ".join(cells) + " |"


class Point(NamedTuple):
    """How much fails under a load: the median of the runs, the lowest and the highest, as shares."""

    load: float
    median: float
    lowest: float
    highest: float


def curves(records: Mapping[str, Record]) -> dict[str, list[Point]]:
    """The points of each variant, for variants with two at least."""
    found: dict[str, list[Point]] = {}
    for load, name, runs in _measured(records):
        shares = [run["failed"] for run in runs]
        point = Point(load, statistics.median(shares), min(shares), max(shares))
        found.setdefault(name, []).append(point)
    return {name: points for name, points in found.items() if len(points) > 1}


def apart(heights: Sequence[float], least: float) -> list[float]:
    """The heights in their order, moved up where two are closer than `least`."""
    moved: dict[int, float] = {}
    below = float("-inf")
    for index in sorted(range(len(heights)), key=heights.__getitem__):
        below = moved[index] = max(heights[index], below + least)
    return [moved[index] for index in range(len(heights))]
