"""Measure how much of a call other Python threads can run through, for each library that is installed.

    pip install -e '.[example]' -r benchmarks/gil/requirements.txt
    python -m benchmarks.gil                    # all, three runs, about ten minutes
    python -m benchmarks.gil --library shap     # one library

Wants Linux and two CPUs. Every case runs in a process of its own, with OMP_NUM_THREADS=1.
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
    "disturbed",
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gil", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="processes for each case (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each round (default: 0.05)")
    parser.add_argument("--library", action="append", help="only this one (may be repeated)")
    parser.add_argument(
        "--wait", type=float, default=60, help="seconds at most for a quiet machine (default: 60)"
    )
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
    shared = shared_by_threads(calls.one, same)
    threads = shared in {"same answers", "other answers"}
    return {
        "one": asdict(measure(calls.one, seconds, threads=threads)),
        "batch": asdict(measure(calls.batch, seconds, threads=threads)),
        "batch_of": calls.size,
        "two_threads_share_it": shared,
    }


def idle_share(seconds: float) -> float:
    """Which share of all processor time nobody used in the next so many seconds."""

    def times() -> list[int]:
        return [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split()[1:9]]

    before = times()
    time.sleep(seconds)
    spent = [after - then for then, after in zip(before, times(), strict=True)]
    return spent[3] / sum(spent)


def wait_for_quiet(seconds: float) -> None:
    """Wait until next to nothing else runs here, at most so long."""
    deadline = time.monotonic() + seconds
    while idle_share(0.5) < 0.9 and time.monotonic() < deadline:
        pass


def run_apart(index: int, seconds: float) -> dict[str, Any] | str:
    """Measure in a process of its own; return why not, where that failed."""
    command = [sys.executable, "-m", "benchmarks.gil", "--case", str(index), "--seconds", str(seconds)]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=600)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def summary(case: Case, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the runs, with the lowest and the highest."""

    def of(size: str) -> dict[str, Any]:
        values = {
            key: [run[size][key] for run in runs if run[size][key] is not None] for key in runs[0][size]
        }
        return {
            key: {
                "median": round(statistics.median(each), 3),
                "low": round(min(each), 3),
                "high": round(max(each), 3),
            }
            for key, each in values.items()
            if each
        }

    shared = {run["two_threads_share_it"] for run in runs}
    return {
        "library": case.library,
        "case": case.name,
        "version": importlib.metadata.version(case.package) if case.package else platform.python_version(),
        "one": of("one"),
        "batch": of("batch"),
        "batch_of": runs[0]["batch_of"],
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
            f"| {pair(result, 'stall_offloaded', '.0f')} | {result['two_threads_share_it']} "
            f"| {pair(result, 'disturbed', '.0%')} |"
        )


def write(measured: dict[int, list[dict[str, Any]]], out: Path) -> None:
    """Write what has been measured so far, as JSON and as a table beside it."""
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "cases": [summary(CASES[index], measured[index]) for index in sorted(measured)],
    }
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text("\n".join(table(results)) + "\n", encoding="utf-8")


def main() -> None:
    chosen = options()
    if chosen.case is not None:
        print(json.dumps(run_case(CASES[chosen.case], chosen.seconds)))
        return
    measured: dict[int, list[dict[str, Any]]] = {}
    # All cases once, then all again: a busy hour of the machine spoils one run of each, and not all of one.
    for _ in range(chosen.runs):
        for index, case in enumerate(CASES):
            if chosen.library and case.library not in chosen.library:
                continue
            wait_for_quiet(chosen.wait)
            result = run_apart(index, chosen.seconds)
            if isinstance(result, str):
                print(f"{case.library}: {case.name}: not measured: {result}", flush=True)
                continue
            measured.setdefault(index, []).append(result)
            disturbed = max(result["one"]["disturbed"], result["batch"]["disturbed"])
            print(f"{case.library}: {case.name}: done, {disturbed:.0%} disturbed", flush=True)
            write(measured, chosen.out)


if __name__ == "__main__":
    main()
