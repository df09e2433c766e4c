"""What the meter found, as `results.json` and `results.md` keep it, and the verdict that follows.

Every case has the values of each quantity, one of each process that was left alone: what a process measured
while others took the processors away says more of them than of the call, and is only counted.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.spread import spread

RESULTS = Path(__file__).parent / "results.json"
SIZES = ("one", "batch")
# The share of its time that a measurement may have waited for a processor.
DISTURBED = 0.15
LONG_MS = 1.0
# All long calls are free for so much at least, or for so much at most.
RELEASES, HOLDS = 2 / 3, 0.1

Result = dict[str, Any]
Results = dict[tuple[str, str], Result]

_COLUMNS = (
    ("ms", "ms", "{:.3g}"),
    ("gil_free", "GIL free", "{:.0%}"),
    ("two_threads", "two threads", "{:.2f}"),
    ("stall_direct", "stall on the loop, ms", "{:.0f}"),
    ("stall_offloaded", "stall offloaded, ms", "{:.0f}"),
)


def new(library: str, case: str, version: str, batch_of: str) -> Result:
    """A case of which nothing has been measured yet."""
    return {
        "library": library,
        "case": case,
        "version": version,
        "batch_of": batch_of,
        "two_threads_share_it": "same answers",
        "discarded": dict.fromkeys(SIZES, 0),
        **{size: {} for size in SIZES},
    }


def add(result: Result, run: dict[str, Any]) -> str:
    """Add what one process measured; return what became of it, for the terminal."""
    if run["two_threads_share_it"] != "same answers":
        result["two_threads_share_it"] = run["two_threads_share_it"]
    said = []
    for size in SIZES:
        disturbed = run[size]["disturbed"]
        kept = disturbed <= DISTURBED
        said.append(f"{size} {'kept' if kept else 'discarded'} ({disturbed:.0%} disturbed)")
        if not kept:
            result["discarded"][size] += 1
            continue
        for quantity, value in run[size].items():
            if value is not None:
                result[size].setdefault(quantity, []).append(round(value, 4))
    return ", ".join(said)


def read(path: Path = RESULTS) -> Results:
    """The cases by library and name; none if nothing was measured."""
    if not path.exists():
        return {}
    cases: list[Result] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return {(case["library"], case["case"]): case for case in cases}


def measured_on(path: Path = RESULTS) -> date:
    """The day of the latest measurement."""
    return date.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["date"])


def medians(cases: Iterable[Result]) -> Iterator[tuple[float, float]]:
    """Milliseconds and the free share of every call that was measured undisturbed."""
    for case in cases:
        for size in SIZES:
            if case[size]:
                yield statistics.median(case[size]["ms"]), statistics.median(case[size]["gil_free"])


def is_long(ms: float) -> bool:
    """Whether a call takes long enough for a verdict: nobody offloads what takes microseconds."""
    return ms >= LONG_MS


def verdict(cases: Iterable[Result]) -> str:
    """Whether a library `releases` the GIL, `holds` it, or is `mixed`, by its long calls.

    `unknown` without a long call that was measured undisturbed.
    """
    free = [free for ms, free in medians(cases) if is_long(ms)]
    if not free:
        return "unknown"
    if min(free) >= RELEASES:
        return "releases"
    return "holds" if max(free) <= HOLDS else "mixed"


def table(results: Sequence[Result], conditions: dict[str, Any]) -> Iterator[str]:
    """Markdown, a line at a time."""
    known = [column for column in _COLUMNS if any(column[0] in result["batch"] for result in results)]
    yield f"Measured {conditions['date']}, Python {conditions['python']}, {conditions['cpus']} CPUs."
    yield "One row / batch; medians, lowest and highest in brackets. Measurements that other processes"
    yield "disturbed are left out; `used` says how many are left.\n"
    titles = ["library", "call", "batch", *(title for _, title, _ in known), "shared by two threads", "used"]
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for result in results:
        cells = [f"{result['library']} {result['version']}", result["case"], result["batch_of"]]
        for quantity, _, form in known:
            spreads = (spread(result[size].get(quantity, ()), form.format) for size in SIZES)
            cells.append(" / ".join(each or "-" for each in spreads))
        used = {size: len(result[size].get("ms", ())) for size in SIZES}
        of = (f"{used[size]} of {used[size] + result['discarded'][size]}" for size in SIZES)
        yield f"| {' | '.join([*cells, result['two_threads_share_it'], ' / '.join(of)])} |"


def write(results: Results, order: Iterable[tuple[str, str]], conditions: dict[str, Any], path: Path) -> None:
    """Write the results as JSON and as a table beside it."""
    cases = [results[key] for key in order if key in results]
    path.write_text(json.dumps(conditions | {"cases": cases}, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text("\n".join(table(cases, conditions)) + "\n", encoding="utf-8")
