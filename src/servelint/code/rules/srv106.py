"""SRV106 lost-offload: see `rules/SRV106.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.facts.facts import Call, Expression, FunctionFacts, Position, dotted
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.judge.subjects import LostOffload
from servelint.code.loop.offloads import Handoff
from servelint.code.rules.places import finding, names_called
from servelint.code.values.values import Frame, FunctionReference, Offloaded, Partial, plain
from servelint.finding import Confidence, Finding, Severity
from servelint.knowledge.types import Offload

CODE = "SRV106"
# How many lambdas may stand between an offload and what runs in it.
MAXIMUM_LAMBDAS = 8
# What is called on the result of `sync_to_async(f)`: the work begins when somebody awaits it.
_WRAPPED = Offload()


class _Idle(NamedTuple):
    """A function whose call alone runs none of its body: its name, what it is, and when it runs."""

    name: Expression
    kind: str
    runs_when: str


def check(analysis: Analysis) -> Iterator[Finding]:
    """Offloads that offload nothing, or whose end nobody sees."""
    for place, found in analysis.offloads:
        if not found.offload.awaitable or found.offload.wraps:
            continue
        idle = _idle(analysis, place.frame, found.callable)
        if idle is not None:
            call, name = f"`{dotted(place.site.call.function)}()`", f"`{dotted(idle.name)}`"
            message = (
                f"{call} offloads nothing: {name} is {idle.kind}, which only runs when it is {idle.runs_when}"
            )
            named = Handoff(found.call, found.offload, idle.name, found.certain, found.dispatched)
            yield _finding(analysis, place, message, named, idle.runs_when)
        elif place.site.use == "discard" and not found.dispatched:
            yield _unawaited(analysis, place, found)
    for place in analysis.places:
        lost = _lost(analysis, place) if place.site.use == "discard" else None
        if lost is not None and place.caller.serves:
            yield _unawaited(analysis, place, lost)


def _finding(analysis: Analysis, place: Place, message: str, found: Handoff, runs_when: str = "") -> Finding:
    starts = found.offload.starts and not runs_when
    return finding(
        analysis,
        CODE,
        place,
        message,
        severity=Severity.WARNING if starts else Severity.ERROR,
        confidence=Confidence.HIGH if found.certain else Confidence.MEDIUM,
        subject=LostOffload(place, found, runs_when),
    )


def _unawaited(analysis: Analysis, place: Place, found: Handoff) -> Finding:
    call, function = f"`{dotted(place.site.call.function)}()`", f"`{dotted(found.callable)}`"
    if found.offload.starts:
        message = f"nobody awaits {call}: what goes wrong in {function} is never seen"
    else:
        message = f"nobody awaits {call}: {function} never runs"
    return _finding(analysis, place, message, found)


# -- offloads that somebody else would have to await ------------------------------------------------------


def _lost(analysis: Analysis, place: Place) -> Handoff | None:
    """The offload that is lost with the result of a call that is none itself: `gather`, a wrapped call."""
    call = place.site.call
    module = place.caller.module
    if module.may_call(call.function, analysis.frameworks.gathers.names.last_names()):
        for name, certain in names_called(analysis, place):
            gathers = analysis.frameworks.gathers.names.find(name)
            if gathers is not None:
                return _gathered(analysis, place, starts=gathers.starts, certain=certain)
    values = list(plain(analysis.evaluator.calls.callees(place.frame, call)))
    if not values or not all(isinstance(value, Offloaded) for value, _ in values):
        return None
    wrapped = call.function.arguments if isinstance(call.function, Call) else ()
    function = wrapped[0] if wrapped else call.function
    return Handoff(call, _WRAPPED, function, certain=all(certain for _, certain in values))


def _gathered(analysis: Analysis, place: Place, *, starts: bool, certain: bool) -> Handoff | None:
    """The first offload among the arguments of a call that gathers awaitables."""
    for other, found in analysis.offloads:
        inside = other.frame is place.frame and _is_inside(found.call.position, place.site.call.position)
        if inside and found.offload.awaitable and not found.offload.wraps:
            offload = found.offload._replace(starts=starts or found.offload.starts)
            return Handoff(place.site.call, offload, found.callable, certain and found.certain)
    return None


def _is_inside(inner: Position, outer: Position) -> bool:
    begins = (outer.line, outer.column) < (inner.line, inner.column)
    return begins and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)


# -- functions whose call runs nothing --------------------------------------------------------------------


def _idle(analysis: Analysis, frame: Frame, function: Expression, lambdas: int = 0) -> _Idle | None:
    """What the callable is, through lambdas and partials, if calling it runs none of the body."""
    found: list[_Idle] = []
    for value in analysis.evaluator.evaluate(frame, function):
        bound = isinstance(value, Partial)
        reference = value.function if isinstance(value, Partial) else value
        if not isinstance(reference, FunctionReference):
            return None
        name = function.arguments[0] if bound and isinstance(function, Call) else function
        facts = analysis.evaluator.facts(reference)
        one = _kind(facts, name)
        if one is None and facts.is_lambda and lambdas < MAXIMUM_LAMBDAS:
            one = _in_lambda(analysis, reference, facts, lambdas)
        if one is None:
            return None
        found.append(one)
    return found[0] if found and len({one.kind for one in found}) == 1 else None


def _kind(facts: FunctionFacts, name: Expression) -> _Idle | None:
    if facts.is_generator:
        return _Idle(name, "a generator function", "iterated")
    return _Idle(name, "a coroutine function", "awaited") if facts.is_async else None


def _in_lambda(
    analysis: Analysis, reference: FunctionReference, facts: FunctionFacts, lambdas: int
) -> _Idle | None:
    """The function that a lambda does nothing but call."""
    match facts.returns:
        case (Call(function, _, _, _),):
            inside = analysis.evaluator.frame(analysis.evaluator.module(reference.module), reference.function)
            return _idle(analysis, inside, function, lambdas + 1)
    return None
