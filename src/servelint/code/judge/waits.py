"""Calls that hold their thread until another thread is done: `future.result()`, `thread.join()`.

A call of a plain function of the project waits when the function's body does; the answer is worked out
once for each way in which the function is entered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from servelint.code.facts.facts import Attribute, Call, Constant, Expression, Iteration, Name, Site, dotted
from servelint.code.judge.outcomes import Hop
from servelint.code.loop.futures import made_by
from servelint.code.loop.offloads import Handoffs
from servelint.code.names import evidence
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.memory import Memory
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    Partial,
    Value,
    plain,
)
from servelint.finding import Confidence

# What `submit` gives, whatever the pool is.
FUTURE = "concurrent.futures.Future"
MAXIMUM_HOPS = 40
# How many targets that do not wait there may be for one that does before nothing is said of the call.
MAXIMUM_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for another thread, and the way to it (the call itself first).

    `excuse` says why it does not hold the event loop, empty where it does.
    """

    confidence: Confidence
    excuse: str
    hops: tuple[Hop, ...]


class Waits:
    """Finds the waits of one project."""

    def __init__(self, evaluator: Evaluator, handoffs: Handoffs) -> None:
        self.evaluator = evaluator
        self.handoffs = handoffs
        self.frameworks = evaluator.frameworks
        self._iterated_names = self.frameworks.waits_iterated.last_names()
        self._last_names = self.frameworks.waits.last_names() | self._iterated_names
        self._consuming = self.frameworks.consumes.last_names() | self.frameworks.consuming_methods
        self._closing = evidence.load().closing
        self._own: dict[Frame, Wait | None] = {}
        self._holding: dict[tuple[Frame, str], bool] = {}
        self._summaries: Memory[Wait | None] = Memory(None, MAXIMUM_HOPS)

    def of(self, frame: Frame, site: Site) -> Wait | None:
        """The wait that the call is, or that a plain function of the project makes in it; None for none."""
        return self._direct(frame, site) or self._through(frame, site)

    def iteration(self, frame: Frame, iteration: Iteration) -> Wait | None:
        """The wait that going through a variable is: it holds results of a pool, which come one by one."""
        if not isinstance(iteration.iterable, Name) or not self._holds_results(frame, iteration.iterable):
            return None
        text = f"going through {dotted(iteration.iterable)} waits for another thread"
        return Wait(Confidence.HIGH, "", (Hop(frame.module, iteration.position, text),))

    def body(self, frame: Frame) -> Wait | None:
        """The first wait that the body of the frame's function makes itself."""
        if frame not in self._own:
            self._own[frame] = next(self._in_body(frame), None)
        return self._own[frame]

    # -- direct ----------------------------------------------------------------------------------

    def _direct(self, frame: Frame, site: Site) -> Wait | None:
        may_call = self.evaluator.module(frame.module).may_call
        function = site.call.function
        if may_call(function, self._last_names):
            for name, certain in self._names(frame, site.call):
                waits = self.frameworks.waits.find(name) or (
                    self.frameworks.waits_iterated.find(name) and self._is_gone_through(frame, site)
                )
                if waits:
                    return self._wait(frame, site, certain=certain)
        if may_call(function, self._consuming) and self._consumes_results(frame, site.call):
            return self._wait(frame, site, certain=True)
        return None

    def _names(self, frame: Frame, call: Call) -> Iterator[tuple[str, bool]]:
        """The usual names of what may be called outside the project, and whether each is certain."""
        if self._is_done(frame, call.function):
            return
        for name, certain in (*self._names_called(frame, call), *self._method_names(frame, call)):
            yield self.frameworks.usual(name), certain

    def _names_called(self, frame: Frame, call: Call) -> Iterator[tuple[str, bool]]:
        for value, certain in plain(self.evaluator.calls.callees(frame, call)):
            if isinstance(value, External):
                yield value.name, certain

    def _method_names(self, frame: Frame, call: Call) -> Iterator[tuple[str, bool]]:
        """The qualified names of a method of what this function has made: of a thread, or of a future.

        What makes a future is mostly a method: then its own name stands for what it gives.
        """
        function = call.function
        if not isinstance(function, Attribute):
            return
        for made in made_by(self.evaluator.facts(frame), function.value):
            makers = list(self._names_called(frame, made))
            for maker, certain in makers:
                yield f"{maker}.{function.name}", certain
            found = self.handoffs.of(frame, made)
            if found is None or found.offload.awaitable or found.offload.wraps:
                continue
            if not any(maker.rpartition(".")[2][:1].isupper() for maker, _ in makers):
                yield f"{FUTURE}.{function.name}", found.certain

    def _is_done(self, frame: Frame, function: Expression) -> bool:
        """Whether the function asks or waits for the future elsewhere: by `done()`, or as one of asyncio."""
        if not isinstance(function, Attribute):
            return False
        receiver = function.value
        return any(
            site.call.function == Attribute(receiver, "done")
            or (receiver in site.call.arguments and site.use in ("await", "assign", "argument"))
            for site in self.evaluator.facts(frame).sites
        )

    def _wait(self, frame: Frame, site: Site, *, certain: bool) -> Wait:
        text = f"{dotted(site.call.function)} waits for another thread"
        hop = Hop(frame.module, site.call.position, text)
        return Wait(_sure(certain=certain), self._excuse(frame, site), (hop,))

    def _excuse(self, frame: Frame, site: Site) -> str:
        if site.use in ("await", "async"):
            return "it is awaited"
        if site.is_off_loop:
            return "its branch is for other threads than the event loop's"
        if _does_not_wait(site.call):
            return "its arguments say that it does not wait"
        match site.call.function:
            case Attribute(Attribute(), _) if self._closes(frame):
                return "it closes what belongs to an object where the object ends"
        return ""

    def _closes(self, frame: Frame) -> bool:
        return bool(self._closing.intersection(evidence.split(self.evaluator.facts(frame).name)))

    # -- results that are waited for when they are gone through ----------------------------------

    def _is_gone_through(self, frame: Frame, site: Site) -> bool:
        if site.use == "iterate":
            return True
        return site.receiver is not None and self._consumes(frame, site.receiver)

    def _consumes_results(self, frame: Frame, call: Call) -> bool:
        """Whether the call goes through a variable that holds results: `list(results)`."""
        given = [a for a in call.arguments if isinstance(a, Name) and self._holds_results(frame, a)]
        return bool(given) and self._consumes(frame, call.function)

    def _consumes(self, frame: Frame, function: Expression) -> bool:
        if isinstance(function, Attribute) and function.name in self.frameworks.consuming_methods:
            return True
        values = plain(self.evaluator.evaluate(frame, function))
        return any(isinstance(v, External) and self.frameworks.consumes.find(v.name) for v, _ in values)

    def _holds_results(self, frame: Frame, variable: Name) -> bool:
        key = (frame, variable.id)
        if key not in self._holding:
            self._holding[key] = self._is_made_of_results(frame, variable)
        return self._holding[key]

    def _is_made_of_results(self, frame: Frame, variable: Name) -> bool:
        may_call = self.evaluator.module(frame.module).may_call
        return any(
            may_call(made.function, self._iterated_names)
            and any(self.frameworks.waits_iterated.find(name) for name, _ in self._names(frame, made))
            for made in made_by(self.evaluator.facts(frame), variable)
        )

    # -- through plain functions -----------------------------------------------------------------

    def _through(self, frame: Frame, site: Site) -> Wait | None:
        """The wait that a plain function of the project makes when the site calls it."""
        if site.use in ("await", "async") or (site.name and site.name in self.evaluator.facts(frame).awaited):
            return None
        if site.is_off_loop or not self.evaluator.branches.may_run(frame, site):
            return None
        found: list[Wait] = []
        others = 0
        for value, certain in plain(self.evaluator.calls.callees(frame, site.call)):
            inner = self._in_function(value, frame, site.call)
            if inner is None:
                others += 1
            else:
                found.append(inner if certain else replace(inner, confidence=Confidence.MEDIUM))
        if not found or others > MAXIMUM_OTHERS * len(found):
            return None
        hop = Hop(frame.module, site.call.position, f"calls {dotted(site.call.function)}")
        best = min(found, key=lambda wait: (-wait.confidence.rank, len(wait.hops)))
        excuse = "it is part of closing down" if self._closes(frame) else ""
        confidence = Confidence.MEDIUM if others else best.confidence
        return Wait(confidence, excuse, (hop, *best.hops))

    def _in_function(self, value: Value, frame: Frame, call: Call) -> Wait | None:
        match value:
            case FunctionReference():
                return self._entered(value, self.evaluator.calls.enter(value, frame, call))
            case Partial(FunctionReference() as function, arguments, keywords):
                entered = self.evaluator.calls.enter(function, frame, call, arguments, keywords)
                return self._entered(function, entered)
            case ClassReference():
                constructors: Iterator[Value] = iter(self.evaluator.classes.constructors(value))
            case Instance():
                constructors = iter(self.evaluator.classes.attribute(value, "__call__"))
            case _:
                return None
        waits = (self._in_function(one, frame, call) for one in constructors)
        return next((wait for wait in waits if wait is not None), None)

    def _entered(self, function: FunctionReference, entered: Frame) -> Wait | None:
        facts = self.evaluator.facts(function)
        if facts.is_async or facts.is_generator or self._closes(entered):
            return None
        return self._summaries.answer(entered, lambda: self._summary(entered))

    def _summary(self, frame: Frame) -> Wait | None:
        own = self.body(frame)
        if own is not None:
            return own
        waits = (self._through(frame, site) for site in self.evaluator.facts(frame).sites)
        return next((wait for wait in waits if wait is not None and not wait.excuse), None)

    def _in_body(self, frame: Frame) -> Iterator[Wait]:
        facts = self.evaluator.facts(frame)
        for site in facts.sites:
            wait = self._direct(frame, site) or self._leaving(frame, site)
            if wait is not None and not wait.excuse:
                yield wait
        for iteration in facts.iterations:
            wait = self.iteration(frame, iteration)
            if wait is not None:
                yield wait

    def _leaving(self, frame: Frame, site: Site) -> Wait | None:
        """Leaving `with` waits until the pool is empty."""
        if site.use != "enter":
            return None
        for name, certain in self._names_called(frame, site.call):
            if self.frameworks.waits.find(f"{self.frameworks.usual(name)}.__exit__"):
                text = f"leaving `with {dotted(site.call.function)}()` waits for its threads"
                hop = Hop(frame.module, site.call.position, text)
                return Wait(_sure(certain=certain), "", (hop,))
        return None


def _sure(*, certain: bool) -> Confidence:
    return Confidence.HIGH if certain else Confidence.MEDIUM


def _does_not_wait(call: Call) -> bool:
    """`shutdown(wait=False)`, `result(timeout=0)`, `get(block=False)`."""
    named = [value for key, value in call.keywords if key in ("wait", "timeout", "block")]
    constants = [v.value for v in (*call.arguments, *named) if isinstance(v, Constant)]
    return any(value is not None and not value for value in constants)
