"""From findings to findings with fixes: what each is about decides who plans its fix."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from servelint.boundary import with_fix
from servelint.code.facts.facts import dotted
from servelint.code.fixes.handoffs import LeftAloneError
from servelint.code.fixes.offload import OffloadPlanner
from servelint.code.fixes.text.imports import NameTakenError
from servelint.code.fixes.verification.offered import offered
from servelint.code.judge.analysis import Analysis, BlockingCall, deep_recursion
from servelint.code.judge.subjects import (
    EagerOffload,
    LostContext,
    LostOffload,
    OnDefaultExecutor,
    Rebuilt,
    RequestPool,
)
from servelint.finding import Finding, Fix

SUBJECTS = (BlockingCall, EagerOffload, RequestPool, LostOffload, Rebuilt, LostContext, OnDefaultExecutor)


def planned(analysis: Analysis, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, each with its fix, or with the reason why it has none."""
    planner = OffloadPlanner(analysis)

    def read(path: Path) -> bytes | None:
        try:
            return analysis.tree.read(path)
        except FileNotFoundError:
            return None

    with deep_recursion():
        return offered([_with_fix(planner, finding) for finding in findings], read)


def _with_fix(planner: OffloadPlanner, finding: Finding) -> Finding:
    if not isinstance(finding.subject, SUBJECTS):
        return finding
    return with_fix(finding, partial(_plan, planner, finding.subject))


def _plan(planner: OffloadPlanner, subject: object) -> tuple[Fix | None, str]:
    """The fix, or None and why there is none."""
    try:
        fix, reason = _planned(planner, subject)
    except LeftAloneError as error:
        return None, str(error)
    except NameTakenError as taken:
        return None, f"the file uses the name `{taken.name}` for something else"
    return (planner.kept.judged(fix) if fix is not None else None), reason


def _planned(planner: OffloadPlanner, subject: object) -> tuple[Fix | None, str]:
    """The same; raises `LeftAloneError` and `NameTakenError` where there is none."""
    handoffs = planner.handoffs
    match subject:
        case BlockingCall():
            return planner.plan(subject)
        case EagerOffload(place, position, blocking):
            return handoffs.eager(place, position, blocking), ""
        case RequestPool(place, name, runs):
            if not planner.pools.is_of_threads(name):
                raise LeftAloneError("make one pool for it when the service starts")
            return handoffs.shared(place, runs), ""
        case LostOffload(place, handoff, runs_when):
            if runs_when == "awaited":
                called = dotted(handoff.callable)
                raise LeftAloneError(f"await `{called}` itself, or offload the blocking call in it")
            if runs_when:
                raise LeftAloneError("offload a function that reads the generator to its end")
            return handoffs.lost(place, handoff), ""
        case Rebuilt(call):
            return planner.start_up.plan_in_threads(call)
        case LostContext(place, handoff, blocking):
            return handoffs.inside(place, handoff, blocking), ""
        case OnDefaultExecutor(place, handoff, blocking):
            return handoffs.dedicated(place, handoff, blocking), ""
    return None, ""
