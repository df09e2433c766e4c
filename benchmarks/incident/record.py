"""What has been measured, as it is kept in `results/results.json`, and what may be concluded from it.

A record is the JSON of one scenario: `conditions` (date, versions, what stood before the pod), `seconds` of a
run, `capacity` (one entry a round) and `runs`. Each scenario can be measured anew without the others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from .scenarios import FIXED

RESULTS = Path(__file__).parent / "results"

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
            if run["failed"] > 0.01:
                yield f"{scenario}: the fixed service failed {run['failed']:.1%} of the predictions"
            if run["restarts"]:
                yield f"{scenario}: the fixed service was restarted {run['restarts']} times"
