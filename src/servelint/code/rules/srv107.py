"""SRV107 rebuilt-per-request: see `rules/SRV107.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from servelint.code.facts.facts import FunctionFacts, Name, Position, dotted, last_name
from servelint.code.judge.analysis import COMPUTED, Analysis, BlockingCall, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.judge.subjects import Rebuilt
from servelint.code.loop.bound import LoopBound
from servelint.code.names.frameworks import is_request
from servelint.code.rules.places import finding
from servelint.finding import Finding, Severity
from servelint.knowledge.types import Role, SyncRuns

CODE = "SRV107"
CONSTRUCTORS = ("__init__", "__new__")
_ONCE = re.compile(r"singleton|memoi[sz]e|cache", re.IGNORECASE)


def check(analysis: Analysis) -> Iterator[Finding]:
    """Expensive objects that an endpoint in a thread makes and throws away; SRV102 has the event loop."""
    for place in _threaded(analysis):
        blocking = analysis.judge.site(place.frame, place.site)
        # A loader known by its name alone may well keep what it has loaded; a download makes no object.
        if blocking is None or blocking.role is not Role.LOAD or not blocking.makes:
            continue
        if _is_kept(analysis, place, blocking) or not _serves(analysis, place):
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


def _is_kept(analysis: Analysis, place: Place, blocking: Blocking) -> bool:
    """Whether the object outlives the request: somewhere on the way it is cached, guarded or stored."""
    ways = [(place.frame.module, place.frame.function), *blocking.functions]
    for (path, index), hop in zip(ways, blocking.hops, strict=False):
        facts = analysis.evaluator.module(path).function(index)
        if analysis.preloads.keeps(facts) or _is_made_once(analysis, path, facts):
            return True
        if facts.name not in CONSTRUCTORS and _is_stored(facts, hop.position):
            return True
        if any(isinstance(b.target, Name) and b.target.id in facts.outer for b in facts.bindings):
            return True  # a function that replaces a global keeps what it makes for it
    return False


def _is_made_once(analysis: Analysis, path: str, facts: FunctionFacts) -> bool:
    """Whether the function makes an object of a class that gives the same object every time.

    That is one with a decorator that keeps results, or a decorator or metaclass that says so by its name.
    """
    if facts.name not in CONSTRUCTORS or facts.owner is None:
        return False
    cls = analysis.evaluator.module(path).facts.classes[facts.owner]
    names = {last_name(decorator) for decorator in cls.decorators}
    names |= {last_name(value) for key, value in cls.keywords if key == "metaclass"}
    return any(name in analysis.frameworks.caches or _ONCE.search(name) for name in names if name)


def _is_stored(facts: FunctionFacts, position: Position) -> bool:
    """Whether the value of the call at the position goes into a global, an attribute or a container."""
    stored = {
        binding.target.id
        for binding in facts.bindings
        if isinstance(binding.target, Name) and _is_call_at(binding.value, position)
    }
    return any(
        _is_call_at(binding.value, position)
        or (isinstance(binding.value, Name) and binding.value.id in stored)
        for binding in facts.bindings
        if not isinstance(binding.target, Name) or binding.target.id in facts.outer
    )


def _is_call_at(value: object, position: Position) -> bool:
    return getattr(value, "position", None) == position
