"""Whether a call blocks the thread that makes it, and the way from the call to the library.

A call is judged by what it may call. A function of the project blocks when its body makes a blocking
call; the answer is worked out once for each way in which the function is entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Expression,
    FunctionFacts,
    Iteration,
    Listed,
    Position,
    Read,
    Site,
    dotted,
)
from servelint.code.graph.reach import Reach
from servelint.code.judge import addresses
from servelint.code.judge.hops import Hop
from servelint.code.judge.names import Names
from servelint.code.judge.outcomes import (
    COROUTINE,
    HARMLESS,
    UNKNOWN,
    Blocking,
    Outcome,
    less_sure,
    preference,
)
from servelint.code.judge.waits import Waits
from servelint.code.loop.offloads import Handoffs
from servelint.code.values.calls import argument, role_in_call
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.memory import Memory
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    FunctionReference,
    Generator,
    Instance,
    LazyResult,
    LibraryMethod,
    LibraryObject,
    Offloaded,
    Partial,
    Pending,
    Value,
    Values,
    plain,
)
from servelint.finding import Confidence
from servelint.knowledge.types import Entry, Role, Verdict, name_index

MAXIMUM_HOPS = 40


class Judge:
    """Judges the calls of one project."""

    def __init__(self, evaluator: Evaluator, reach: Reach, own_calls: Iterable[str] = ()) -> None:
        self.evaluator = evaluator
        self.catalogue = evaluator.catalogue
        self.frameworks = evaluator.frameworks
        self.reach = reach
        self.names = Names(evaluator, reach)
        self.own_calls = name_index(own_calls)
        self.handoffs = Handoffs(evaluator)
        self.waits = Waits(evaluator, self.handoffs)
        self._streaming: dict[tuple[str, int], tuple[Position, ...]] = {}
        self._summaries: Memory[Blocking | None] = Memory(None, MAXIMUM_HOPS)

    # -- sites -----------------------------------------------------------------------------------

    def site(self, frame: Frame, site: Site) -> Blocking | None:
        """The blocking that the call at the site does on its own thread, if any."""
        if site.use in ("await", "async"):
            return None
        streamed = self._is_streamed(frame, site.call.position)
        if streamed and site.use != "iterate":
            return None
        found = self.call(frame, site.call, site)
        if found is None and site.use == "iterate" and not streamed:
            found = self._consumed(
                frame, self.evaluator.evaluate(frame, site.call), site.call.position, site.call
            )
        if found is None and site.use == "enter":
            found = self._entered(frame, site.call)
        return found

    def _entered(self, frame: Frame, call: Call) -> Blocking | None:
        """The blocking that entering a context manager of the project does: up to `yield`, or `__enter__`."""
        values = self.evaluator.evaluate(frame, call)
        found = self._consumed(frame, values, call.position, call.function)
        if found is not None:
            return found
        for value, _ in plain(values):
            for method in self.evaluator.attribute(value, "__enter__") if isinstance(value, Instance) else ():
                outcome = self.outcome(method, frame, call._replace(arguments=(), keywords=()))
                if outcome.blocking is not None:
                    return outcome.blocking
        return None

    def iteration(self, frame: Frame, iteration: Iteration) -> Blocking | None:
        """The blocking that iterating a variable does: the variable holds a lazy result."""
        if isinstance(iteration.iterable, Call):
            return None  # judged as a call site
        if self._is_streamed(frame, iteration.position):
            return None
        values = self.evaluator.evaluate(frame, iteration.iterable)
        return self._consumed(frame, values, iteration.position, iteration.iterable)

    def read(self, frame: Frame, read: Read) -> Blocking | None:
        """The blocking that reading an attribute does: it is a property of the project."""
        if read.attribute.name not in self.evaluator.project.properties:
            return None
        for value, certain in plain(self.evaluator.evaluate(frame, read.attribute.value)):
            getter = self.evaluator.classes.getter(value, read.attribute.name)
            inner = self.summary(getter) if getter is not None else None
            if getter is not None and inner is not None:
                hop = Hop(frame.module, read.position, f"reads {dotted(read.attribute)}")
                functions = ((getter.module, getter.function), *inner.functions)
                found = replace(inner, hops=(hop, *inner.hops), functions=functions)
                return found if certain else less_sure(found)
        return None

    def _is_streamed(self, frame: Frame, position: Position) -> bool:
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

    def call(self, frame: Frame, call: Call, site: Site | None = None) -> Blocking | None:
        """The blocking that a call does; `site` tells whether its result is awaited."""
        if site is not None and self._is_awaited_later(frame, site):
            return None
        values = self.evaluator.calls.callees(frame, call)
        judged = [(value, self.outcome(value, frame, call), certain) for value, certain in plain(values)]
        outcomes = [(outcome, certain) for _, outcome, certain in judged]
        if any(outcome.coroutine for outcome, _ in outcomes):
            return None  # an object that is one of several is used as the asynchronous one
        found = [
            outcome.blocking if certain else less_sure(outcome.blocking)
            for outcome, certain in outcomes
            if outcome.blocking is not None
        ]
        if found:
            harmless = sum(outcome.harmless and self._is_known(value) for value, outcome, _ in judged)
            best = min(found, key=preference)
            return less_sure(best, among=harmless / len(found)) if harmless else best
        if any(outcome.harmless for outcome, _ in outcomes):
            return None
        return self._by_name(frame, call, values) or self._by_method(frame, call)

    # -- values ----------------------------------------------------------------------------------

    def outcome(self, value: Value, frame: Frame, call: Call) -> Outcome:
        """What calling the value does."""
        match value:
            case FunctionReference():
                return self._of_function(value, frame, call)
            case ClassReference():
                return self._of_class(value, frame, call)
            case Instance():
                return self._of_instance(value, frame, call)
            case LibraryObject(type_name):
                return self._of_method(LibraryMethod(type_name, "__call__"), frame, call)
            case LibraryMethod():
                return self._of_method(value, frame, call)
            case External(name):
                return self._of_external(name, frame, call)
            case ExternalObject(name):
                return self._of_external(f"{name}.__call__", frame, call)
            case Partial(FunctionReference() as function, arguments, keywords):
                entered = self.evaluator.calls.enter(function, frame, call, arguments, keywords)
                return self._of_frame(function, entered, frame, call)
            case Partial(function, _, _):
                return self.outcome(function, frame, call)
            case Offloaded():
                return HARMLESS
        return UNKNOWN

    def _of_function(self, function: FunctionReference, frame: Frame, call: Call) -> Outcome:
        if self.own_calls or self.frameworks.own_offloads:
            name = self.evaluator.qualified(function)
            if self.own_calls.find(name):
                return Outcome(self._sink(Role.INFERENCE, "", name, frame, call))
            if self.frameworks.own_offloads.find(name):
                return HARMLESS
        return self._of_frame(function, self.evaluator.calls.enter(function, frame, call), frame, call)

    def _of_frame(self, function: FunctionReference, entered: Frame, frame: Frame, call: Call) -> Outcome:
        facts = self.evaluator.facts(function)
        if facts.is_async or facts.is_generator:
            return HARMLESS
        if facts.stub:
            return UNKNOWN
        inner = self.summary(entered)
        if inner is None:
            return HARMLESS
        return Outcome(self._through(frame, call.position, call.function, inner, entered))

    def _of_class(self, cls: ClassReference, frame: Frame, call: Call) -> Outcome:
        for constructor in self.evaluator.classes.constructors(cls):
            outcome = self._of_function(constructor, frame, call)
            if outcome.blocking is not None:
                return outcome
        for type_name in self.evaluator.classes.library_types(cls):
            construct = self.catalogue.types[type_name].construct
            if construct is not None and construct.role.blocks:
                return self._of_entry(construct, type_name, frame, call)
        return HARMLESS

    def _of_instance(self, instance: Instance, frame: Frame, call: Call) -> Outcome:
        for value in self.evaluator.classes.attribute(instance, "__call__"):
            if not isinstance(value, LibraryMethod):
                return self.outcome(value, frame, call)
            through = self._overridden(instance, value, frame, call)
            if through is not None:
                return through
            return self._of_method(value, frame, call)
        return UNKNOWN

    def _overridden(
        self, instance: Instance, method: LibraryMethod, frame: Frame, call: Call
    ) -> Outcome | None:
        """A library method that runs a method of the project's subclass: `model(x)` runs `forward`."""
        for known in self.catalogue.lineage(method.type):
            for overridden, caller in known.override_means.items():
                if caller != method.method:
                    continue
                for value in self.evaluator.classes.attribute(instance, overridden):
                    if isinstance(value, FunctionReference):
                        outcome = self._of_function(value, frame, call)
                        if outcome.blocking is not None:
                            return outcome
        return None

    def _of_method(self, method: LibraryMethod, frame: Frame, call: Call) -> Outcome:
        entry = self.catalogue.method(method.type, method.method)
        if entry is None:
            return UNKNOWN if self.catalogue.is_open(method.type) else HARMLESS
        return self._of_entry(entry, method.type, frame, call)

    def _of_external(self, name: str, frame: Frame, call: Call) -> Outcome:
        if self.own_calls.find(name):
            return Outcome(self._sink(Role.INFERENCE, "", name, frame, call))
        last = name.rpartition(".")[2]
        if self.frameworks.offload.find(name, last) or self.frameworks.on_loop.find(name, last):
            return HARMLESS
        runs = self.frameworks.runs.find(name)
        if runs is not None:
            return self._running(argument(call, runs.position, runs.keyword), frame, call)
        if self.frameworks.consumes.find(name):
            return self._consuming(frame, call)
        return self._of_library(name, frame, call)

    def _of_library(self, name: str, frame: Frame, call: Call) -> Outcome:
        entry = self.catalogue.functions.find(name)
        if entry is not None:
            return self._of_entry(entry, "", frame, call)
        known = self.catalogue.classes.find(name)
        if known is not None:
            if known.construct is None:
                return HARMLESS
            return self._of_entry(known.construct, known.name, frame, call)
        method = self.evaluator.calls.class_method(name)
        if method is not None:
            return self._of_method(method, frame, call)
        return HARMLESS if name.startswith("builtins.") else UNKNOWN

    def _of_entry(self, entry: Entry, type_name: str, frame: Frame, call: Call) -> Outcome:
        role = role_in_call(entry, call)
        if not role.blocks:
            return COROUTINE if role is Role.COROUTINE else HARMLESS
        if entry.addressed and not addresses.is_of_model(self.evaluator, frame, call):
            return UNKNOWN
        known = self.catalogue.types.get(type_name)
        library = known.library if known is not None else entry.library
        name = f"{type_name}.{entry.name}" if type_name and "." not in entry.name else entry.name
        made = type_name if known is not None and entry is known.construct else entry.returns
        return Outcome(replace(self._sink(role, library, name, frame, call), makes=made))

    def _running(self, function: Expression | None, frame: Frame, call: Call) -> Outcome:
        """A call that calls its argument at once, or makes the calls in it: `map(model.predict, batches)`."""
        if function is None:
            return HARMLESS
        inner = Call(function, (), (), call.position)
        called = [value for value, _ in plain(self.evaluator.evaluate(frame, function))]
        calls = [value for value, _ in plain(self.evaluator.elements(frame, function))]
        called += [value.function for value in calls if isinstance(value, Pending) and value.offloaded]
        found = [self.outcome(value, frame, inner) for value in called]
        return next((outcome for outcome in found if outcome.blocking is not None), HARMLESS)

    def _consuming(self, frame: Frame, call: Call) -> Outcome:
        for value in call.arguments:
            found = self._consumed(frame, self.evaluator.evaluate(frame, value), call.position, call.function)
            if found is not None:
                return Outcome(found)
        return HARMLESS

    def _by_method(self, frame: Frame, call: Call) -> Blocking | None:
        """What a method that iterates its argument on any receiver does: `", ".join(results)`."""
        match call.function:
            case Attribute(_, name) if name in self.frameworks.consuming_methods:
                return self._consuming(frame, call).blocking
        return None

    def _consumed(
        self, frame: Frame, values: Values, position: Position, what: Expression
    ) -> Blocking | None:
        """The blocking that iterating the values does on the thread that iterates."""
        for value, certain in plain(values):
            found: Blocking | None = None
            match value:
                case Generator(function, made) if not self.evaluator.facts(function).is_async:
                    entered = made or self.evaluator.frames(function.module, function.function)
                    inner = self.summary(entered)
                    if inner is not None:
                        found = self._through(frame, position, what, inner, entered)
                case LazyResult(name, library, role):
                    hop = Hop(frame.module, position, f"iterating {dotted(what)} runs {name} ({library})")
                    found = replace(self._blocking(role, library, name, (hop,)), drawn=True)
                case LibraryObject(type_name):
                    call = Call(what, (), (), position)
                    found = self._of_method(LibraryMethod(type_name, "__iter__"), frame, call).blocking
                    found = replace(found, drawn=True) if found is not None else None
            if found is not None:
                return found if certain else less_sure(found)
        return None

    # -- functions -------------------------------------------------------------------------------

    def summary(self, frame: Frame) -> Blocking | None:
        """The worst blocking that running the body of the frame's function does, if any."""
        return self._summaries.answer(frame, lambda: self._summary(frame))

    def _summary(self, frame: Frame) -> Blocking | None:
        return min(self._in_body(frame, self.evaluator.facts(frame)), key=preference, default=None)

    def _in_body(self, frame: Frame, facts: FunctionFacts) -> Iterator[Blocking]:
        for site in facts.sites:
            found = self.site(frame, site)
            if found is not None:
                yield found
        for iteration in facts.iterations:
            found = self.iteration(frame, iteration)
            if found is not None:
                yield found
        for read in facts.reads:
            found = self.read(frame, read)
            if found is not None:
                yield found
        yield from self._waited_for(frame, facts)

    def _waited_for(self, frame: Frame, facts: FunctionFacts) -> Iterator[Blocking]:
        """What the body runs on other threads while it waits: that takes its caller as long."""
        wait = self.waits.body(frame)
        if wait is None:
            return
        for site in facts.sites:
            handed = self.handoffs.of(frame, site.call)
            if handed is None or handed.offload.awaitable or handed.offload.wraps:
                continue
            found = self.call(frame, Call(handed.callable, (), (), site.call.position))
            if found is not None:
                hop = replace(wait.hops[0], text=f"waits for {dotted(handed.callable)}")
                yield replace(found, hops=(hop, *found.hops))

    # -- evidence by name ------------------------------------------------------------------------

    def _by_name(self, frame: Frame, call: Call, values: Values) -> Blocking | None:
        role = self.names.role(frame, call, values)
        if role is None:
            return None
        text = f"{dotted(call.function)} looks like {role.value} by its name"
        hop = Hop(frame.module, call.position, text)
        return Blocking(role, "", dotted(call.function), Confidence.MEDIUM, (hop,))

    def _is_known(self, value: Value) -> bool:
        """Whether something that was found harmless is known to be: nothing in it calls what nobody knows."""
        if not isinstance(value, FunctionReference):
            return True
        frame = self.evaluator.frame(self.evaluator.module(value.module), value.function)
        calls = (site.call for site in self.evaluator.facts(value).sites)
        return all(
            any(
                isinstance(called, FunctionReference | ClassReference | LibraryMethod) or _is_builtin(called)
                for called, _ in plain(self.evaluator.calls.callees(frame, call))
            )
            for call in calls
        )

    def _is_awaited_later(self, frame: Frame, site: Site) -> bool:
        """Whether the result is handed to something that awaits it: the callee is no plain function."""
        if site.name and site.name in self.evaluator.facts(frame).awaited:
            return True
        if site.receiver is None:
            return False
        values = self.evaluator.evaluate(frame, site.receiver)
        return any(isinstance(v, External) and self.frameworks.awaits.find(v.name) for v, _ in plain(values))

    # -- making --------------------------------------------------------------------------------

    def _sink(self, role: Role, library: str, name: str, frame: Frame, call: Call) -> Blocking:
        shown = f" ({library})" if library else ""
        hop = Hop(frame.module, call.position, f"{dotted(call.function)} is {name}{shown}")
        return self._blocking(role, library, name, (hop,))

    def _blocking(self, role: Role, library: str, name: str, hops: tuple[Hop, ...]) -> Blocking:
        known = self.catalogue.libraries.get(library)
        verdict = known.may_share(role) if known else Verdict.UNKNOWN
        safe = verdict == Verdict.YES if verdict in (Verdict.YES, Verdict.NO) else None
        return Blocking(role, library, name, Confidence.HIGH, hops, safe)

    def _through(
        self, frame: Frame, position: Position, what: Expression, inner: Blocking, entered: Frame
    ) -> Blocking:
        hop = Hop(frame.module, position, f"calls {dotted(what)}")
        functions = ((entered.module, entered.function), *inner.functions)
        return replace(inner, hops=(hop, *inner.hops), functions=functions)


def _is_builtin(value: Value) -> bool:
    return isinstance(value, External) and value.name.startswith("builtins.")
