"""Calls that hold their thread until another thread is done: `future.result()`, `thread.join()`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Call, Constant, Expression, Name
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.names import evidence
from servelint.code.values.values import External, plain
from servelint.finding import Confidence

# What `submit` gives, whatever the pool is.
FUTURE = "concurrent.futures.Future"


class Wait(NamedTuple):
    """A wait for another thread; `excuse` says why it does not hold the event loop, empty where it does."""

    confidence: Confidence
    excuse: str


class Waits:
    """Finds the waits of one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._last_names = analysis.frameworks.waits.last_names()

    def of(self, place: Place) -> Wait | None:
        """The wait that the call is, by its name or by what has made the object; None where it is none."""
        if not place.caller.module.may_call(place.site.call.function, self._last_names):
            return None
        frameworks = self.analysis.frameworks
        for name, certain in (*_names_called(self.analysis, place), *_method_names(self.analysis, place)):
            if frameworks.waits.find(frameworks.usual(name)):
                return Wait(Confidence.HIGH if certain else Confidence.MEDIUM, _excuse(place))
        return None


def _excuse(place: Place) -> str:
    if place.site.use in ("await", "async"):
        return "it is awaited"
    if _does_not_wait(place.site.call):
        return "its arguments say that it does not wait"
    if _is_closing(place):
        return "it closes what belongs to an object where the object ends"
    return ""


def _names_called(analysis: Analysis, place: Place) -> Iterator[tuple[str, bool]]:
    """The qualified names that the call may have outside the project, and whether each is certain."""
    for value, certain in plain(analysis.evaluator.calls.callees(place.frame, place.site.call)):
        if isinstance(value, External):
            yield value.name, certain


def _is_closing(place: Place) -> bool:
    """Whether a pool that belongs to an object is shut down where the object ends: `self.pool.shutdown()`."""
    match place.site.call.function:
        case Attribute(Attribute(), _):
            return bool(evidence.load().closing.intersection(evidence.split(place.caller.facts.name)))
    return False


def _does_not_wait(call: Call) -> bool:
    """`shutdown(wait=False)`, `result(timeout=0)`."""
    named = [value for key, value in call.keywords if key in ("wait", "timeout")]
    constants = [v.value for v in (*call.arguments, *named) if isinstance(v, Constant)]
    return any(value is not None and not value for value in constants)


def _method_names(analysis: Analysis, place: Place) -> Iterator[tuple[str, bool]]:
    """The qualified name of a method of what an offload in this function has made, such as a future."""
    function = place.site.call.function
    if not isinstance(function, Attribute) or _is_done(place, function.value):
        return
    for made in _made_by(place, function.value):
        found = analysis.handoffs.of(place.frame, made)
        if found is None or found.offload.awaitable or found.offload.wraps:
            continue
        classes = [
            value.name
            for value, _ in plain(analysis.evaluator.calls.callees(place.frame, made))
            if isinstance(value, External) and value.name.rpartition(".")[2][:1].isupper()
        ]
        for cls in classes or [FUTURE]:
            yield f"{cls}.{function.name}", found.certain or bool(classes)


def _made_by(place: Place, receiver: Expression) -> Iterator[Call]:
    """The calls that may have made the receiver, as far as this function shows."""
    match receiver:
        case Call():
            yield receiver
        case Name(id):
            for binding in place.caller.facts.bindings:
                if binding.target == Name(id) and isinstance(binding.value, Call):
                    yield binding.value


def _is_done(place: Place, receiver: Expression) -> bool:
    """Whether the function asks or waits for the future elsewhere: by `done()`, or as an asyncio future."""
    return any(
        site.call.function == Attribute(receiver, "done")
        or (receiver in site.call.arguments and site.use in ("await", "assign", "argument"))
        for site in place.caller.facts.sites
    )
