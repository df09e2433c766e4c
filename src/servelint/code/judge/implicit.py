"""What code runs without a call being written: iterating, reading an attribute, operators, `with`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from servelint.code.facts.facts import (
    Attribute,
    Call,
    ClassValue,
    Constant,
    Element,
    Expression,
    FunctionFacts,
    Iteration,
    Listed,
    Name,
    Operated,
    Operation,
    Position,
    Read,
    Site,
    dotted,
    last_name,
)
from servelint.code.judge.outcomes import HARMLESS, Blocking, Hop, Outcome, less_sure
from servelint.code.values.special import Run
from servelint.code.values.values import (
    ClassReference,
    Drawn,
    External,
    ExternalObject,
    Frame,
    Generator,
    Instance,
    LazyResult,
    LibraryMethod,
    LibraryObject,
    Partial,
    Values,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.judge.blocking import Judge

MAXIMUM_ITERATORS = 3  # an iterator that gives an iterator that ...


def implicit(facts: FunctionFacts) -> Iterator[Iteration | Read | Operation]:
    """What a body runs without calling it."""
    yield from facts.iterations
    yield from facts.reads
    yield from facts.operations


class Implicit:
    """The part of the judgement that is about what the language calls by itself."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.evaluator = judge.evaluator
        self.frameworks = judge.frameworks
        self._streaming: dict[tuple[str, int], tuple[Position, ...]] = {}
        self._looked_up: dict[str, bool] = {}
        self._depth = 0

    def in_body(
        self, frame: Frame, facts: FunctionFacts
    ) -> Iterator[tuple[Iteration | Read | Operation, Blocking]]:
        """What a body runs in this way, and how it blocks."""
        for subject in implicit(facts):
            found = self.of(frame, subject)
            if found is not None:
                yield subject, found

    def of(self, frame: Frame, subject: Iteration | Read | Operation) -> Blocking | None:
        """The blocking that one of them does."""
        match subject:
            case Iteration():
                return self.iteration(frame, subject)
            case Read():
                return self.read(frame, subject)
            case Operation(operated, position, _):
                return self.operated(frame, operated, position)

    # -- attributes ------------------------------------------------------------------------------

    def read(self, frame: Frame, read: Read) -> Blocking | None:
        """The blocking that reading an attribute does: of a property, or of what code looks up."""
        attribute = read.attribute
        return self._accessed(frame, attribute, "get", (), read.position, f"reads {dotted(attribute)}")

    def read_to_call(self, frame: Frame, call: Call) -> Blocking | None:
        """The blocking that reading what is called does, or what `getattr` is told to read."""
        match call.function, call.arguments:
            case Attribute() as attribute, _:
                return self.read(frame, Read(attribute, call.position, endless=False))
            case Name("getattr"), (holder, Constant(str(name)), *_):
                return self.read(frame, Read(Attribute(holder, name), call.position, endless=False))
        return None

    def _accessed(
        self,
        frame: Frame,
        attribute: Attribute,
        kind: str,
        given: tuple[Expression, ...],
        at: Position,
        text: str,
    ) -> Blocking | None:
        if not self._may_run(attribute.name, kind):
            return None
        members = self.evaluator.classes.members
        for value, certain in plain(self.evaluator.evaluate(frame, attribute.value)):
            for function in members.accessors(value, attribute.name, kind):
                call = Call(attribute, given, (), at)
                found = self.judge.outcome(function, frame, call).blocking
                if found is not None:
                    found = replace(found, hops=(Hop(frame.module, at, text), *found.hops[1:]))
                    return found if certain else less_sure(found)
        return None

    def _may_run(self, name: str, kind: str) -> bool:
        """Whether reaching an attribute may run code: a property has its name, or some class looks it up."""
        project = self.evaluator.project
        if kind not in self._looked_up:
            self._looked_up[kind] = any(map(project.defines, _LOOKED_UP[kind]))
        return self._looked_up[kind] or name in project.properties

    # -- operators -------------------------------------------------------------------------------

    def operated(self, frame: Frame, operated: Operated, position: Position) -> Blocking | None:
        """The blocking that an operation does through the methods of its operands' classes."""
        match operated:
            case Operated("setattr" | "delattr" as operator, (holder, Constant(str(name)), *given)):
                kind = "set" if operator == "setattr" else "delete"
                target = Attribute(holder, name)
                return self._accessed(frame, target, kind, tuple(given), position, dotted(operated))
            case Operated("raise", (raised,)):
                return self._raised(frame, raised, position)
            case Operated("class", (ClassValue(number),)):
                return self._defined(frame, number, position)
            case Operated("unpack", (value,)):
                values = self.evaluator.evaluate(frame, value)
                values = tuple(v for v in values if isinstance(v, Generator | Drawn | Instance | LazyResult))
                return self.consumed(frame, values, position, value)
            case Operated("with", (value,)) if generators := self._generators(frame, value):
                return self.consumed(frame, generators, position, value)
            case Operated("contains", (container, _)) if not self.evaluator.special.defines("contains"):
                return self._searched(frame, container, position)
        runs = self.evaluator.special.runs(frame, operated, position)
        judged = [(run.method, self._run(frame, run), run.certain) for run in runs]
        found = self.judge.weighed(judged)
        if found is None and operated.operator == "contains" and not any(method for method, _, _ in judged):
            return self._searched(frame, operated.operands[0], position)
        return found

    def _run(self, frame: Frame, run: Run) -> Outcome:
        if run.method is None:
            return HARMLESS
        outcome = self.judge.outcome(run.method, frame, run.call)
        if outcome.blocking is not None or last_name(run.call.function) not in _WAITED_FOR:
            return outcome
        values = self.evaluator.calls.returned(run.method, frame, run.call)
        return Outcome(self.consumed(frame, values, run.call.position, run.call.function), harmless=True)

    def ordering(self, frame: Frame, container: Expression, position: Position) -> Blocking | None:
        """What putting the elements of a container in order does: they are compared, each with another."""
        if not self.evaluator.special.defines("lt"):
            return None
        compared = Operated("lt", (Element(container), Element(container)))
        return self.operated(frame, compared, position)

    def _searched(self, frame: Frame, container: Expression, position: Position) -> Blocking | None:
        """What `in` does with an object that does not say what it contains: it goes through it."""
        values = self.evaluator.evaluate(frame, container)
        return self.consumed(frame, tuple(v for v in values if isinstance(v, Instance)), position, container)

    def _raised(self, frame: Frame, raised: Expression, position: Position) -> Blocking | None:
        classes = [
            v for v, _ in plain(self.evaluator.evaluate(frame, raised)) if isinstance(v, ClassReference)
        ]
        call = Call(raised, (), (), position)
        return self.judge.weighed([(cls, self.judge.outcome(cls, frame, call), True) for cls in classes])

    def _defined(self, frame: Frame, number: int, position: Position) -> Blocking | None:
        """What making a class does: its bases are told."""
        cls = ClassReference(frame.module, number)
        call = Call(Name(self.evaluator.classes.facts(cls).name), (), (), position)
        told = self.evaluator.classes.members.making(cls)
        return self.judge.weighed([(one, self.judge.outcome(one, frame, call), True) for one in told])

    def entered(self, frame: Frame, call: Call) -> Blocking | None:
        """The blocking that entering and leaving a context manager of the project does."""
        return self.operated(frame, Operated("with", (call,)), call.position)

    def _generators(self, frame: Frame, expression: Expression) -> Values:
        values = self.evaluator.evaluate(frame, expression)
        return tuple(value for value in values if isinstance(next(plain((value,)))[0], Generator))

    # -- iterating -------------------------------------------------------------------------------

    def iteration(self, frame: Frame, iteration: Iteration) -> Blocking | None:
        """The blocking that iterating a variable does: the variable holds a lazy result."""
        if isinstance(iteration.iterable, Call):
            return None  # judged as a call site
        if self.is_streamed(frame, iteration.position):
            return None
        values = self.evaluator.evaluate(frame, iteration.iterable)
        return self.consumed(frame, values, iteration.position, iteration.iterable)

    def is_streamed(self, frame: Frame, position: Position) -> bool:
        """Whether the position is in a generator expression that a streaming response iterates later."""
        return any(
            outer.line <= position.line
            and position.end_line <= outer.end_line
            and outer != position
            and (outer.line, outer.column) < (position.line, position.column)
            for outer in self._streams(frame)
        )

    def _streams(self, frame: Frame) -> tuple[Position, ...]:
        """The calls in the frame's function that iterate a generator expression later."""
        key = (frame.module, frame.function)
        if key not in self._streaming:
            self._streaming[key] = tuple(
                site.call.position
                for site in self.evaluator.facts(frame).sites
                if any(isinstance(given, Listed) and given.lazy for given in site.call.arguments)
                and any(
                    isinstance(value, External) and self.frameworks.streams.find(value.name)
                    for value, _ in plain(self.evaluator.calls.callees(frame, site.call))
                )
            )
        return self._streaming[key]

    def consumed(self, frame: Frame, values: Values, position: Position, what: Expression) -> Blocking | None:
        """The blocking that iterating the values does on the thread that iterates."""
        for value, certain in plain(values):
            found: Blocking | None = None
            match value:
                case Generator(function, made) if not self.evaluator.facts(function).is_async:
                    entered = made or self.evaluator.frames(function.module, function.function)
                    inner = self.judge.summary(entered)
                    if inner is not None:
                        found = self.judge.through(frame, position, what, inner, entered)
                case LazyResult(name, library, role):
                    hop = Hop(frame.module, position, f"iterating {dotted(what)} runs {name} ({library})")
                    found = replace(self.judge.made(role, library, name, (hop,)), drawn=True)
                case LibraryObject(type_name):
                    call = Call(what, (), (), position)
                    found = self.judge.of_method(LibraryMethod(type_name, "__iter__"), frame, call).blocking
                    found = replace(found, drawn=True) if found is not None else None
                case Instance() | ClassReference():
                    found = self._iterated(frame, value, position, what)
                case Drawn():
                    found = self._drawn(frame, value, position, what)
            if found is not None:
                return found if certain else less_sure(found)
        return None

    def dropped(self, frame: Frame, call: Call) -> Blocking | None:
        """The work of a lazy result that nobody takes: an older release of the library did it at once.

        So did Piper's `voice.synthesize(text, wav_file)` up to 1.2; nobody would write it otherwise.
        """
        callees = plain(self.evaluator.calls.callees(frame, call))
        if not any(isinstance(value, LibraryMethod) for value, _ in callees):
            return None
        values = self.evaluator.evaluate(frame, call)
        lazy = tuple(value for value in values if isinstance(value, LazyResult))
        return less_sure(self.consumed(frame, lazy, call.position, call.function))

    def is_given_away(self, frame: Frame, site: Site) -> bool:
        """Whether an iterator is given to something outside the project, which is taken to go through it."""
        if site.use != "argument" or site.receiver is None:
            return False
        if not any(isinstance(v, Drawn) for v, _ in plain(self.evaluator.evaluate(frame, site.call))):
            return False
        kept = (self.frameworks.consumes, self.frameworks.draws, self.frameworks.streams)
        return not any(
            not isinstance(value, External | ExternalObject | LibraryMethod | LibraryObject)
            or any(names.find(getattr(value, "name", "")) for names in kept)
            or self.frameworks.passes.names.find(getattr(value, "name", ""))
            or self.frameworks.runs_when_iterated.names.find(getattr(value, "name", ""))
            for value, _ in plain(self.evaluator.evaluate(frame, site.receiver))
        )

    def _drawn(self, frame: Frame, value: Drawn, position: Position, what: Expression) -> Blocking | None:
        """What going through `map(function, values)` does: the function runs for each of them."""
        called = Partial(value.function, value.arguments)
        found = self.judge.outcome(called, frame, Call(what, (), (), position)).blocking
        return found or self.consumed(frame, value.sources, position, what)

    def _iterated(
        self, frame: Frame, value: Instance | ClassReference, position: Position, what: Expression
    ) -> Blocking | None:
        """What going through an object of the project does, in the order in which the language asks it."""
        if self._depth >= MAXIMUM_ITERATORS or not any(map(self.evaluator.project.defines, _ITERATING)):
            return None
        self._depth += 1
        try:
            special = self.evaluator.special
            starting = special.method(value, "__iter__")
            found = self._first(frame, starting, "__iter__", position, what)
            if found is not None:
                return found
            made = [self.evaluator.calls.returned(m, frame, Call(what, (), (), position)) for m in starting]
            for iterator, _ in plain(union(made) if starting else (value,)):
                if isinstance(iterator, Instance):
                    drawing = special.method(iterator, "__next__") or special.method(iterator, "__getitem__")
                    found = self._first(frame, drawing, "__next__", position, what)
                else:
                    found = self.consumed(frame, (iterator,), position, what)
                if found is not None:
                    return found
        finally:
            self._depth -= 1
        return None

    def _first(
        self, frame: Frame, methods: Values, name: str, position: Position, what: Expression
    ) -> Blocking | None:
        call = Call(Attribute(what, name), (), (), position)
        return self.judge.weighed(
            [(m, self.judge.outcome(m, frame, call), sure) for m, sure in plain(methods)]
        )


_ITERATING = ("__iter__", "__next__", "__getitem__")
# What these give is gone through at once.
_WAITED_FOR = frozenset({"__await__"})
_LOOKED_UP = {
    "get": ("__get__", "__getattr__", "__getattribute__"),
    "set": ("__set__", "__setattr__"),
    "delete": ("__delete__", "__delattr__"),
}
