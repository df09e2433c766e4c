"""Measure how much of a call other Python threads can run through, for each library that is installed.

    pip install -e '.[example]' -r benchmarks/gil/requirements.txt
    python -m benchmarks.gil                    # all, three runs, about ten minutes
    python -m benchmarks.gil --library shap     # one library

Wants two CPUs with nothing else to do. Every case runs in a process of its own, with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .cases import CASES, Case
from .meter import measure, shared_by_threads

HERE = Path(__file__).parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
COLUMNS = (
    "library",
    "call",
    "batch",
    "ms",
    "GIL free",
    "two threads",
    "stall on the loop, ms",
    "stall offloaded, ms",
    "shared by two threads",
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gil", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="processes for each case (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each loop (default: 0.5)")
    parser.add_argument("--library", action="append", help="only this one (may be repeated)")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)  # what the process of one case is given
    return parser.parse_args()


def same(one: Any, other: Any) -> bool:
    """Whether two answers are equal, up to rounding where they are numbers."""
    import numpy as np

    try:
        return bool(np.allclose(np.asarray(one, dtype=float), np.asarray(other, dtype=float), rtol=1e-4))
    except (TypeError, ValueError):  # not numbers, or not of one shape
        return bool(one == other)


def run_case(case: Case, seconds: float) -> dict[str, Any]:
    """Measure in this process."""
    warnings.simplefilter("ignore")
    calls = case.build()
    return {
        "one": asdict(measure(calls.one, seconds)),
        "batch": asdict(measure(calls.batch, seconds)),
        "batch_of": calls.size,
        "two_threads_share_it": shared_by_threads(calls.one, same),
    }


def idle_share(seconds: float) -> float:
    """Which share of all processor time nobody used in the next so many seconds."""

    def times() -> list[int]:
        return [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split()[1:9]]

    before = times()
    time.sleep(seconds)
    spent = [after - then for then, after in zip(before, times(), strict=True)]
    return spent[3] / sum(spent)


def wait_for_quiet(seconds: float = 300.0) -> float:
    """Wait until next to nothing else runs here, at most so long; return the share that is idle."""
    deadline = time.monotonic() + seconds
    while (idle := idle_share(1.0)) < 0.95 and time.monotonic() < deadline:
        pass
    return idle


def run_apart(index: int, seconds: float) -> dict[str, Any] | str:
    """Measure in a process of its own; return why not, where that failed."""
    idle = wait_for_quiet()
    command = [sys.executable, "-m", "benchmarks.gil", "--case", str(index), "--seconds", str(seconds)]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=300)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result | {"idle_before": idle}


def summary(case: Case, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the runs, with the lowest and the highest."""

    def of(size: str) -> dict[str, Any]:
        values = {
            key: sorted(run[size][key] for run in runs)
            for key in runs[0][size]
            if all(run[size][key] is not None for run in runs)
        }
        return {
            key: {
                "median": round(statistics.median(each), 3),
                "low": round(each[0], 3),
                "high": round(each[-1], 3),
            }
            for key, each in values.items()
        }

    shared = {run["two_threads_share_it"] for run in runs}
    return {
        "library": case.library,
        "case": case.name,
        "version": importlib.metadata.version(case.package) if case.package else platform.python_version(),
        "one": of("one"),
        "batch": of("batch"),
        "batch_of": runs[0]["batch_of"],
        "idle_before": [round(run["idle_before"], 2) for run in runs],
        "two_threads_share_it": min(shared - {"same answers"}, default="same answers"),
    }


def table(results: dict[str, Any]) -> Iterator[str]:
    """Markdown, a line at a time."""

    def pair(result: dict[str, Any], key: str, form: str) -> str:
        known = (result[size].get(key) for size in ("one", "batch"))
        return " / ".join(format(each["median"], form) if each else "raises" for each in known)

    yield f"Measured {results['date']}, Python {results['python']}, {results['cpus']} CPUs."
    yield "One row / batch; medians of the runs.\n"
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for result in results["cases"]:
        yield (
            f"| {result['library']} {result['version']} | {result['case']} | {result['batch_of']} "
            f"| {pair(result, 'ms', '.3g')} | {pair(result, 'gil_free', '.0%')} "
            f"| {pair(result, 'two_threads', '.2f')} | {pair(result, 'stall_direct', '.0f')} "
            f"| {pair(result, 'stall_offloaded', '.0f')} | {result['two_threads_share_it']} |"
        )


def main() -> None:
    chosen = options()
    if chosen.case is not None:
        print(json.dumps(run_case(CASES[chosen.case], chosen.seconds)))
        return
    measured: list[dict[str, Any]] = []
    for index, case in enumerate(CASES):
        if chosen.library and case.library not in chosen.library:
            continue
        runs = [run_apart(index, chosen.seconds) for _ in range(chosen.runs)]
        good = [run for run in runs if not isinstance(run, str)]
        if len(good) < len(runs):
            print(f"{case.library}: {case.name}: not measured: {next(r for r in runs if isinstance(r, str))}")
            continue
        measured.append(summary(case, good))
        print(f"{case.library}: {case.name}: done", flush=True)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "cases": measured,
    }
    chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    chosen.out.with_suffix(".md").write_text("\n".join(table(results)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
