"""SRV104 executor-per-request: see `rules/SRV104.md`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from servelint.code.facts.facts import Name, Position
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.judge.subjects import RequestPool
from servelint.code.loop.bound import LoopBound
from servelint.code.rules.places import finding, names_called
from servelint.finding import Confidence, Finding, Severity

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
                yield finding(
                    analysis,
                    CODE,
                    place,
                    _message(place, usual.rpartition(".")[2]),
                    severity=Severity.WARNING,
                    confidence=Confidence.HIGH if certain else Confidence.MEDIUM,
                    subject=RequestPool(place, usual, _runs(analysis, place)),
                )
                break
    yield from _below(analysis)


def _below(analysis: Analysis) -> Iterator[Finding]:
    """Pools that are built in plain functions which a request calls on the event loop."""
    for path in analysis.paths:
        module = analysis.project.module(path)
        if module is None:
            continue
        for index, function in enumerate(module.facts.functions):
            if index and not function.is_async and not analysis.preloads.keeps(function):
                yield from _built_in(analysis, LoopBound(module, index, analysis.loop))


def _built_in(analysis: Analysis, caller: LoopBound) -> Iterator[Finding]:
    last_names = analysis.frameworks.executors.last_names()
    for site in caller.facts.sites:
        if site.use == "return" or not caller.module.may_call(site.call.function, last_names):
            continue
        place = Place(caller, analysis.evaluator.frame(caller.module, caller.index), site)
        for name, certain in names_called(analysis, place):
            usual = analysis.frameworks.usual(name)
            if not analysis.frameworks.executors.find(usual) or _is_stored(place):
                continue
            if _is_given_away(analysis, place) or caller.serves:
                continue
            if analysis.loop.is_called_on_loop(caller.module, caller.index):
                found = finding(
                    analysis,
                    CODE,
                    place,
                    _message(place, usual.rpartition(".")[2]),
                    severity=Severity.WARNING,
                    confidence=Confidence.HIGH if certain else Confidence.MEDIUM,
                    unfixable="make one pool for it when the service starts",
                )
                yield replace(found, role="")  # it is no framework that calls the function
                break


def _is_given_away(analysis: Analysis, place: Place) -> bool:
    """Whether the pool is an argument of something that is no offload, which may keep it."""
    return place.site.use == "argument" and not any(
        place.site.call in other.call.arguments and analysis.handoffs.of(place.frame, other.call) is not None
        for other in place.caller.facts.sites
    )


def _runs(analysis: Analysis, place: Place) -> dict[Position, Blocking]:
    """The inference that the function offloads to pools, by the position of the offload."""
    return {
        found.call.position: blocking
        for other, found in analysis.offloads
        if other.frame is place.frame and found.offload.pool is not None
        if (blocking := analysis.computed(other, found)) is not None
    }


def _is_kept(analysis: Analysis, place: Place) -> bool:
    """Whether the pool outlives the request: it is stored in a global, an attribute or a container."""
    return _is_stored(place) or _is_handed_over(analysis, place)


def _is_stored(place: Place) -> bool:
    facts = place.caller.facts
    return facts.guarded or any(
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
