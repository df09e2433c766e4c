"""SRV104 executor-per-request: see `rules/SRV104.md`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from servelint.code.facts.facts import Name
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.rules.places import finding, names_called, planned
from servelint.code.rules.runs import inference
from servelint.finding import Confidence, Finding, Fix, Severity

CODE = "SRV104"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Pools that are built while a request is served."""
    last_names = analysis.frameworks.executors.last_names()
    for place in analysis.places:
        if not place.caller.module.may_call(place.site.call.function, last_names):
            continue
        for name, certain in names_called(analysis, place):
            usual = analysis.frameworks.usual(name)
            if not analysis.frameworks.executors.find(usual) or not place.caller.serves:
                continue
            if not _is_kept(analysis, place):
                fix, unfixable = _fix(analysis, place, usual)
                yield finding(
                    analysis,
                    CODE,
                    place,
                    _message(place, usual.rpartition(".")[2]),
                    severity=Severity.WARNING,
                    confidence=Confidence.HIGH if certain else Confidence.MEDIUM,
                    fix=fix,
                    unfixable=unfixable,
                )
                break


def _fix(analysis: Analysis, place: Place, name: str) -> tuple[Fix | None, str]:
    """The fix that uses the service's own pool of threads for inference."""
    if not analysis.offload_planner.pools.is_of_threads(name):
        return None, "make one pool for it when the service starts"
    runs = {
        found.call.position: blocking
        for other, found in analysis.offloads
        if other.frame is place.frame and found.offload.pool is not None
        if (blocking := inference(analysis, other, found)) is not None
    }
    return planned(partial(analysis.offload_planner.handoffs.shared, place, runs))


def _is_kept(analysis: Analysis, place: Place) -> bool:
    """Whether the pool outlives the request: it is stored in a global, an attribute or a container."""
    facts = place.caller.facts
    if facts.guarded or _is_handed_over(analysis, place):
        return True
    return any(
        binding.value is place.site.call
        and (not isinstance(binding.target, Name) or binding.target.id in facts.outer)
        for binding in facts.bindings
    )


def _is_handed_over(analysis: Analysis, place: Place) -> bool:
    """Whether the pool is given to something that is no offload: a server, the loop's own executor."""
    if place.site.use != "argument":
        return False
    return not any(
        offloading.frame is place.frame and place.site.call in offloading.site.call.arguments
        for offloading, _ in analysis.offloads
    )


def _message(place: Place, name: str) -> str:
    if place.site.use == "enter":
        return (
            f"a {name} is built for this request, and leaving `with` holds the event loop until it is empty"
        )
    return f"a {name} is built for this request: its workers start anew, and nothing bounds their number"
