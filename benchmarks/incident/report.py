"""Results as JSON, as a table and as plots."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .plots import draw, of
from .scenarios import SCENARIOS

_COLUMNS = (
    ("failed", "predictions failed", "{:.0%}"),
    ("answered_a_second", "answered a second", "{:.0f}"),
    ("p50", "p50 ms", "{:,.0f}"),
    ("p95", "p95 ms", "{:,.0f}"),
    ("health_p50", "/health p50 ms", "{:,.0f}"),
    ("health_p95", "/health p95 ms", "{:,.0f}"),
    ("health_worst", "/health worst ms", "{:,.0f}"),
    ("loop_lag", "loop lag ms", "{:,.0f}"),
    ("unready_seconds", "unready s", "{:.0f}"),
    ("restarts", "restarts", "{:.0f}"),
    ("memory", "memory MB", "{:.0f}"),
    ("elsewhere", "CPUs busy elsewhere", "{:.1f}"),
)


def cell(values: list[float], form: str) -> str:
    """The median, and the lowest and highest of the runs where they read differently."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return ""
    low, middle, high = (form.format(v) for v in (known[0], statistics.median(known), known[-1]))
    return middle if low == high else f"{middle} ({low} to {high})"


def table(results: dict[str, Any]) -> Iterator[str]:
    """Markdown, a line at a time."""
    given, able = results["conditions"], results["capacity"]
    yield f"Measured {given['date']}, Python {given['python']}, {given['cpus']} CPUs, {given['ingress']}."
    latency = cell([each["latency"] for each in able], "{:.0f}")
    rate = cell([each["rate"] for each in able], "{:.0f}")
    yield f"One pod on one CPU: {latency} ms a prediction, {rate} a second."
    yield "Medians of the runs, lowest and highest in brackets."
    for scenario in SCENARIOS:
        variants = of(results["runs"], scenario.name)
        if not variants:
            continue
        some = next(iter(variants.values()))
        users = cell([run["users"] for run in some], "{:.0f}")
        length = f"{len(some)} runs of {scenario.seconds:g} s"
        yield f"\n## {scenario.title}\n"
        yield f"{scenario.load:g} times the capacity, {users} users, {length}.\n"
        yield "| | " + " | ".join(title for _, title, _ in _COLUMNS) + " |"
        yield "|---" * (len(_COLUMNS) + 1) + "|"
        for name, runs in variants.items():
            cells = (cell([run[key] for run in runs], form) for key, _, form in _COLUMNS)
            yield f"| {name} | " + " | ".join(cells) + " |"


def without_nan(value: Any) -> Any:
    """The same value with null where there is no number: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if value != value else value


def write_report(results: dict[str, Any], out: Path) -> None:
    """Write `results.json`, `results.md` and the plots into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    results = without_nan(results)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "results.md").write_text("\n".join(table(results)) + "\n", encoding="utf-8")
    draw(results["runs"], out)
