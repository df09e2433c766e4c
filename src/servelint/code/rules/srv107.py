"""SRV107 rebuilt-per-request: see `rules/SRV107.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import dotted
from servelint.code.judge.analysis import COMPUTED, Analysis, BlockingCall, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.judge.subjects import Rebuilt
from servelint.code.loop.bound import LoopBound
from servelint.code.names.frameworks import is_request
from servelint.code.rules.places import finding
from servelint.finding import Finding, Severity
from servelint.knowledge.types import Role, SyncRuns

CODE = "SRV107"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Expensive objects that an endpoint in a thread makes and throws away; SRV102 has the event loop."""
    for place in _threaded(analysis):
        blocking = analysis.judge.site(place.frame, place.site)
        # A loader known by its name alone may well keep what it has loaded; a download makes no object.
        if blocking is None or blocking.role is not Role.LOAD or not blocking.makes:
            continue
        if analysis.is_kept(place.frame, blocking) or not _serves(analysis, place):
            continue
        yield finding(
            analysis,
            CODE,
            place,
            f"`{dotted(place.site.call.function)}()` makes a {blocking.library} object for every request",
            severity=Severity.WARNING,
            confidence=blocking.confidence,
            library=blocking.library,
            subject=_rebuilt(place, blocking),
            unfixable="what it depends on decides where it belongs: build it once, outside of the request",
        )


def _rebuilt(place: Place, blocking: Blocking) -> Rebuilt:
    position, text = place.site.call.position, f"{dotted(place.site.call.function)}()"
    return Rebuilt(BlockingCall(place.caller, place.frame, position, blocking, place.site, text))


def _threaded(analysis: Analysis) -> Iterator[Place]:
    """The calls of the functions that a framework runs in a thread for every request."""
    outside = (found for path in analysis.paths for found in analysis.loop.called_from_outside(path))
    for module, index, facts in outside:
        points = analysis.loop.entry_points.of(module, index) if not facts.is_async else []
        served = [p for p in points if is_request(p) and p.sync is SyncRuns.THREAD]
        if not served or len(served) < len(points):
            continue
        frame = analysis.evaluator.frame(module, index)
        for site in facts.sites:
            yield Place(LoopBound(module, index, analysis.loop), frame, site)


def _serves(analysis: Analysis, place: Place) -> bool:
    """Whether the request uses a model, or gives what it makes to one that does: it is no request to load."""
    if place.caller.role == "dependency":
        return True
    judged = (analysis.judge.site(place.frame, site) for site in place.caller.facts.sites)
    return any(blocking is not None and blocking.role in COMPUTED for blocking in judged)
