"""Which calls behind a call nobody can judge, and how servelint is taught what they do.

A call that is not found to block is one of two: all that it runs is known, or some of it is not. The judge
treats both alike; whoever asks why there is no finding wants to know which it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Call, Position, dotted
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.words import Words
from servelint.code.names import evidence
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    LibraryMethod,
    Partial,
    Value,
    plain,
)

# How many ways of entering functions are looked into for what is not known.
MAXIMUM_FRAMES = 400
# The methods of the language's own texts, numbers and containers: what is called like one is taken for it.
_OF_THE_LANGUAGE = frozenset(
    name for kind in (str, bytes, int, float, list, tuple, dict, set) for name in dir(kind)
)


class Unknown(NamedTuple):
    """A call of which nothing is known: its file and position, what it calls, and how to teach it."""

    path: str
    position: Position
    callee: str
    lesson: str


class Unknowns:
    """Looks for what is not known behind calls that are not found to block."""

    def __init__(self, analysis: Analysis, words: Words) -> None:
        self.evaluator = analysis.evaluator
        self.judge = analysis.judge
        self.reach = analysis.reach
        self.known_modules = analysis.catalogue.modules | analysis.frameworks.modules
        self.words = words
        self.unread = analysis.unread

    def behind(self, frame: Frame, call: Call) -> tuple[Unknown, ...]:
        """The calls of which nothing is known: the call itself, or those in the functions that it runs."""
        seen: set[Frame] = set()
        found: dict[tuple[str, Position], Unknown] = {}
        waiting = [(frame, call)]
        while waiting and len(seen) < MAXIMUM_FRAMES:
            caller, made = waiting.pop(0)
            for unknown in self._unknown(caller, made):
                found.setdefault((unknown.path, unknown.position), unknown)
            for entered in self._entered(caller, made):
                if entered not in seen:
                    seen.add(entered)
                    sites = self.evaluator.facts(entered).sites
                    waiting += [(entered, site.call) for site in sites if site.use not in ("await", "async")]
        return tuple(found.values())

    def _unknown(self, frame: Frame, call: Call) -> Iterator[Unknown]:
        """What the call itself may call and nobody knows."""
        values = tuple(plain(self.evaluator.calls.callees(frame, call)))
        if not values and not self._is_of_the_language(call):
            yield self._without_value(frame, call)
        outcomes = ((value, self.judge.outcome(value, frame, call)) for value, _ in values)
        lessons = (
            (self.words.value(value), self._lesson(value))
            for value, outcome in outcomes
            if not outcome.harmless and outcome.blocking is None and not self._is_catalogued(value)
        )
        # One is enough: to know of another what it does would not settle what the call does.
        for callee, lesson in islice(lessons, 1):
            yield Unknown(frame.module, call.position, callee, lesson)

    def _without_value(self, frame: Frame, call: Call) -> Unknown:
        function = call.function
        receiver = function.value if isinstance(function, Attribute) else function
        values = self.evaluator.evaluate(frame, receiver)
        if values and isinstance(function, Attribute):
            lesson = (
                f"`{dotted(receiver)}` is {self.words.values(values)}, of which no `{function.name}` is found"
            )
        else:
            lesson = f"nothing says what `{dotted(receiver)}` is; an annotation that names its class would"
        return Unknown(frame.module, call.position, f"{dotted(function)}()", f"{lesson}{self._around(frame)}")

    def _around(self, frame: Frame) -> str:
        """How the configuration tells of a call without a name of its own: by the function that makes it."""
        facts = self.evaluator.facts(frame)
        if not frame.function or facts.is_async or facts.is_lambda:
            return ""
        name = self.evaluator.qualified(FunctionReference(frame.module, frame.function))
        return f"; if it blocks, name the function that it is called in: {_setting(name)}"

    def _lesson(self, value: Value) -> str:
        """How the configuration tells what calling the value does."""
        match value:
            case External(name):
                outside = self.unread(name) or f"`{name.partition('.')[0]}` is not in servelint's catalogue"
                return f"{outside}; if it blocks, name it: {_setting(name)}"
            case LibraryMethod(type_name, method) if outside := self.unread(type_name):
                return f"{outside}; if it blocks, name it: {_setting(f'{type_name}.{method}')}"
            case Partial(function, _, _):
                return self._lesson(function)
            case FunctionReference() if self.evaluator.facts(value).stub:
                name = self.evaluator.qualified(value)
                return f"its body is a stub, and nobody is found who fills it; if it blocks: {_setting(name)}"
            case Instance():
                return "its class has no `__call__` that is found"
        return "it is not found to be something that can be called"

    def _is_catalogued(self, value: Value) -> bool:
        """Whether the value is of a library or framework that is known, and what blocks in it is listed."""
        if not isinstance(value, External):
            return False
        return self.reach.is_ordinary(value.name) or value.name.partition(".")[0] in self.known_modules

    def _is_of_the_language(self, call: Call) -> bool:
        name = call.function.name if isinstance(call.function, Attribute) else ""
        return name in _OF_THE_LANGUAGE and not evidence.may_tell(name)

    def _entered(self, frame: Frame, call: Call) -> Iterator[Frame]:
        """The functions of the project that the call runs, as it enters them."""
        for value, _ in plain(self.evaluator.calls.callees(frame, call)):
            yield from self._run_by(value, frame, call)

    def _run_by(self, value: Value, frame: Frame, call: Call) -> Iterator[Frame]:
        enter = self.evaluator.calls.enter
        match value:
            case FunctionReference():
                yield from self._body(enter(value, frame, call))
            case Partial(FunctionReference() as function, arguments, keywords):
                yield from self._body(enter(function, frame, call, arguments, keywords))
            case ClassReference():
                for constructor in self.evaluator.classes.constructors(value):
                    yield from self._body(enter(constructor, frame, call))
            case Instance():
                for method in self.evaluator.classes.attribute(value, "__call__"):
                    if isinstance(method, FunctionReference):
                        yield from self._body(enter(method, frame, call))

    def _body(self, entered: Frame) -> Iterator[Frame]:
        """The frame, if a call runs its function's body at once."""
        facts = self.evaluator.facts(entered)
        if not (facts.is_async or facts.is_generator or facts.stub):
            yield entered


def _setting(name: str) -> str:
    return f'`blocking-calls = ["{name}"]`'
