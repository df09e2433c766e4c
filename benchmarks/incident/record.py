"""What has been measured, as it is kept in `results/results.json`, and what may be concluded from it.

A record is the JSON of one scenario: `conditions` (date, versions, what stood before the pod), `seconds` of a
run, `capacity` (one entry a round) and `runs`. Each scenario can be measured anew without the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from .scenarios import FIXED, SCENARIOS, UNFIXED

RESULTS = Path(__file__).parent / "results"
# The heaviest load once more, with `--front nginx --out` of this folder.
NGINX_RESULTS = RESULTS / "nginx"

Record = dict[str, Any]
Run = dict[str, Any]


def read(out: Path = RESULTS) -> dict[str, Record]:
    """The records in the folder `out` by the name of their scenario; none if nothing was measured."""
    path = out / "results.json"
    records: dict[str, Record] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return records


def by_variant(record: Record) -> dict[str, list[Run]]:
    """The runs of a scenario by variant, in the order measured."""
    found: dict[str, list[Run]] = {}
    for run in record["runs"]:
        found.setdefault(run["variant"], []).append(run)
    return found


def disappointments(records: dict[str, Record], measured: Collection[str]) -> Iterator[str]:
    """What the fixed service must not do on any machine, however slow, one line each.

    Only the scenarios named in `measured` are judged; one without a run of the fixed service is a line, too.
    """
    for scenario in measured:
        runs = by_variant(records.get(scenario, {"runs": []})).get(FIXED.name, [])
        if not runs:
            yield f"{scenario}: the fixed service was not measured"
        for run in runs:
            if not run["requests"]:
                yield f"{scenario}: nobody asked the fixed service anything"
            # How long users had to wait is a matter of the machine; that they were turned away is not.
            if (failed := run["failed"] - run["gave_up"]) > 0.01:
                yield f"{scenario}: the fixed service failed {failed:.1%} of the predictions"
            if run["restarts"]:
                yield f"{scenario}: the fixed service was restarted {run['restarts']} times"


def verdict(records: dict[str, Record], measured: Collection[str]) -> str:
    """One sentence about the heaviest of the measured loads under which both services were seen.

    Of several runs it takes the worst of the fixed service and the best of the other.
    """
    for scenario in sorted(SCENARIOS, key=lambda each: -each.load):
        runs = by_variant(records[scenario.name]) if scenario.name in measured else {}
        if UNFIXED.name in runs and FIXED.name in runs:
            unfixed = min(runs[UNFIXED.name], key=lambda run: run["failed"])
            fixed = max(runs[FIXED.name], key=lambda run: run["failed"])
            return _judged(f"At {scenario.load:g} times the capacity", unfixed, fixed)
    return "No load was measured with both services: there is nothing to compare."


def _judged(load: str, unfixed: Run, fixed: Run) -> str:
    compared = (
        f"the unfixed service fails {_share(unfixed['failed'])} of the predictions and its slowest /health "
        f"takes {_seconds(unfixed['health_worst'])}; what `servelint fix` leaves behind fails "
        f"{_share(fixed['failed'])}, and its slowest /health takes {_seconds(fixed['health_worst'])}."
    )
    if fixed["failed"] > 0.01 or unfixed["failed"] < 10 * max(fixed["failed"], 0.01):
        return f"It does not show here: {load[0].lower()}{load[1:]} {compared}"
    return f"{load} {compared}"


def _share(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"


def _seconds(milliseconds: float | None) -> str:
    if milliseconds is None or math.isnan(milliseconds):
        return "for ever"
    return f"{milliseconds / 1000:.1f} s"
