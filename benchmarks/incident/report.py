"""Results as JSON, as a table and as plots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.spread import spread

from .record import Record, by_variant, verdict
from .scenarios import SCENARIOS, Scenario
from .sweep import lines

_COLUMNS = (
    ("failed", "predictions failed", "{:.0%}"),
    ("gave_up", "of all: user gave up", "{:.0%}"),
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


def table(records: dict[str, Record]) -> Iterator[str]:
    """Markdown, a line at a time."""
    yield f"{verdict(records, records)} Medians of the runs, lowest and highest in brackets."
    yield "\n## The tipping point\n"
    yield from lines(records)
    for scenario in SCENARIOS:
        if scenario.name in records:
            yield from section(scenario, records[scenario.name])


def section(scenario: Scenario, record: Record) -> Iterator[str]:
    """One scenario: how it was measured, and a line for each variant."""
    given, variants = record["conditions"], by_variant(record)
    some = next(iter(variants.values()))
    users = spread([run["users"] for run in some], "{:.0f}".format)
    yield f"\n## {scenario.title}\n"
    yield f"{scenario.load:g} times the capacity, {users} users, {len(some)} runs of {record['seconds']:g} s."
    front = {"nginx": "nginx", "embedded": "the embedded front"}[given["ingress"]]
    yield f"Measured {given['date']}, Python {given['python']}, {given['cpus']} CPUs; in front: {front}."
    latency = spread([each["latency"] for each in record["capacity"]], "{:.0f} ms".format)
    rate = spread([each["rate"] for each in record["capacity"]], "{:.0f}".format)
    yield f"One pod on one CPU: {latency} a prediction, {rate} a second.\n"
    yield "| | " + " | ".join(title for _, title, _ in _COLUMNS) + " |"
    yield "|---" * (len(_COLUMNS) + 1) + "|"
    for name, runs in variants.items():
        cells = (spread([run.get(key) for run in runs], form.format) for key, _, form in _COLUMNS)
        yield f"| {name} | " + " | ".join(cells) + " |"


def without_nan(value: Any) -> Any:
    """The same value with null where there is no number: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if value != value else value


def write_report(records: dict[str, Record], out: Path) -> None:
    """Write `results.json`, `results.md` and the plots into the folder `out`."""
    from .plots import draw

    out.mkdir(parents=True, exist_ok=True)
    records = without_nan(records)
    (out / "results.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    (out / "results.md").write_text("\n".join(table(records)) + "\n", encoding="utf-8")
    draw(records, out)
