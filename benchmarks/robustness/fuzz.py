"""The long fuzz: mutated fixtures, one after the other, until the time is over."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .ledger import Ledger, key
from .mutations import Case, make
from .oracles import Failure, Verdict
from .pool import Limits, Pair, Worker
from .projects import Project, fixtures
from .shrinking import shrink

_BOTH_EVERY = 8
_TOLD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and with what: `jobs` cases at a time, `shrinking` seconds for each new failure."""

    seconds: float
    seed: int
    jobs: int
    limits: Limits
    shrinking: float


def fuzz(plan: Plan, folder: Path) -> Ledger:
    """Try one case after the other; failing inputs are kept in the folder."""
    ledger = Ledger(folder)
    numbers = itertools.count()
    start = time.monotonic()
    with ThreadPoolExecutor(plan.jobs) as threads:
        running = [threads.submit(_series, plan, numbers, start, ledger) for _ in range(plan.jobs)]
        for series in running:
            series.result()
    return ledger


def _series(plan: Plan, numbers: itertools.count[int], start: float, ledger: Ledger) -> None:
    known = fixtures()
    told = start
    with Worker(plan.limits, hash_seed=1) as one, Worker(plan.limits, hash_seed=2) as other:
        pair = Pair(one, other)
        while (now := time.monotonic()) < start + plan.seconds:
            number = next(numbers)
            case = make(plan.seed, number, known)
            both = number % _BOTH_EVERY == 0
            verdict = _compared(pair, case, case.project, both=both)
            for failure in ledger.note(verdict):
                print(f"case {number}: {failure['kind']}: {failure['place']}", flush=True)
                _keep(plan, pair, case, number, failure, ledger)
            if number % plan.jobs == 0 and now - told > _TOLD_SECONDS:
                told = now
                print(f"{now - start:.0f} s: {ledger.inputs:,} inputs", flush=True)


def _compared(pair: Pair, case: Case, project: Project, *, both: bool) -> Verdict:
    return pair.compare(project, unsafe=case.unsafe, configured=case.configured, both=both)


def _keep(plan: Plan, pair: Pair, case: Case, number: int, failure: Failure, ledger: Ledger) -> None:
    """Make the input smaller as long as the same fails, and write it down."""
    both = failure["place"] == "between processes"

    def fails(project: Project) -> bool:
        verdict = _compared(pair, case, project, both=both)
        return any(key(found) == key(failure) for found in verdict["failures"])

    small = shrink(case.project, fails, plan.shrinking)
    about: dict[str, object] = {
        "seed": plan.seed,
        "case": number,
        "recipe": case.recipe,
        "unsafe": case.unsafe,
        "configured": case.configured,
    }
    ledger.keep(failure, small, about)
