"""Measure how much of a call other Python threads can run through, for each library that is installed.

    pip install -e '.[example]' -r benchmarks/gil/requirements.txt
    python -m benchmarks.gil                    # all, three runs, about half an hour
    python -m benchmarks.gil --library shap     # one library; the others are kept
    python -m benchmarks.gil --add --runs 1     # one more run of all, added to those that there are

Wants Linux and two CPUs. Every case runs in a process of its own, with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .cases import CASES, Case
from .meter import measure, shared_by_threads
from .results import RESULTS, add, new, read, write

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gil", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="processes for each case (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each round (default: 0.05)")
    parser.add_argument("--library", action="append", help="only this one (may be repeated)")
    parser.add_argument(
        "--wait", type=float, default=60, help="seconds at most for a quiet machine (default: 60)"
    )
    parser.add_argument("--add", action="store_true", help="keep earlier measurements of the same versions")
    parser.add_argument("--out", type=Path, default=RESULTS)
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


def version_of(case: Case) -> str:
    """Of the package, or of Python for the references."""
    return importlib.metadata.version(case.package) if case.package else platform.python_version()


def conditions() -> dict[str, Any]:
    """What the results depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
    }


def main() -> None:
    chosen = options()
    if chosen.case is not None:
        print(json.dumps(run_case(CASES[chosen.case], chosen.seconds)))
        return
    results = read(chosen.out)
    now: set[tuple[str, str]] = set()
    # All cases once, then all again: a busy hour of the machine spoils one run of each, and not all of one.
    for _ in range(chosen.runs):
        for index, case in enumerate(CASES):
            if chosen.library and case.library not in chosen.library:
                continue
            wait_for_quiet(chosen.wait)
            run = run_apart(index, chosen.seconds)
            if isinstance(run, str):
                print(f"{case.library}: {case.name}: not measured: {run}", flush=True)
                continue
            key, version = (case.library, case.name), version_of(case)
            known = results.get(key)
            if known is None or known["version"] != version or not (chosen.add or key in now):
                results[key] = new(case.library, case.name, version, run["batch_of"])
            now.add(key)
            used = add(results[key], run)
            print(f"{case.library}: {case.name}: {used}", flush=True)
            write(results, [(each.library, each.name) for each in CASES], conditions(), chosen.out)


if __name__ == "__main__":
    main()
