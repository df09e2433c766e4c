"""Whether a call blocks the thread that makes it, and the way from the call to the library.

A call is judged by what it may call. A function of the project blocks when its body makes a blocking
call; the answer is worked out once for each way in which the function is entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Element,
    Expression,
    FunctionFacts,
    Name,
    Operated,
    Position,
    Read,
    Site,
    dotted,
    last_name,
)
from servelint.code.graph.reach import Reach
from servelint.code.judge.conditions import Conditions
from servelint.code.judge.implicit import Implicit
from servelint.code.judge.names import ModelBases, Names, goes_to_model
from servelint.code.judge.outcomes import (
    COROUTINE,
    HARMLESS,
    UNKNOWN,
    Blocking,
    Hop,
    Outcome,
    is_worst,
    less_sure,
    preference,
    written,
)
from servelint.code.judge.waits import Waits
from servelint.code.loop.offloads import Handoffs
from servelint.code.values.calls import CALLERS, argument, role_in_call
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
    LibraryMethod,
    LibraryObject,
    Offloaded,
    Partial,
    Pending,
    Value,
    plain,
)
from servelint.finding import Confidence
from servelint.knowledge.types import Entry, Role, Verdict, name_index

MAXIMUM_HOPS = 40


class Judge:
    """Judges the calls of one project."""

    def __init__(
        self, evaluator: Evaluator, reach: Reach, own_calls: Iterable[str] = (), *, of_library: bool = False
    ) -> None:
        """With `of_library` functions are judged by what they do as a rule, as somebody who reads them would.

        The first call than which none is worse stands for a function, what it does on demand is left out,
        and one of several targets is never certain.
        """
        self.evaluator = evaluator
        self.catalogue = evaluator.catalogue
        self.frameworks = evaluator.frameworks
        self.reach = reach
        self.names = Names(evaluator, reach)
        self.of_frameworks = ModelBases(evaluator)
        self.own_calls = name_index(own_calls)
        self.handoffs = Handoffs(evaluator)
        self.waits = Waits(evaluator, self.handoffs)
        self.implicit = Implicit(self)
        self.conditions = Conditions(self)
        self._in_library = of_library
        self._summaries: Memory[Blocking | None] = Memory(None, MAXIMUM_HOPS)

    # -- sites -----------------------------------------------------------------------------------

    def site(self, frame: Frame, site: Site) -> Blocking | None:
        """The blocking that the call at the site does on its own thread, if any."""
        if site.use in ("await", "async") or site.is_off_loop:
            return None
        if not self.evaluator.branches.may_run(frame, site):
            return None
        if site.lacking and frame.argument(site.lacking):
            return None  # done for want of what the caller gives
        if self._in_library and not self.conditions.is_usual(frame, site):
            return None
        streamed = self.implicit.is_streamed(frame, site.call.position)
        if streamed and site.use != "iterate":
            return None
        found = self.call(frame, site.call, site)
        if found is None:
            found = self._implied(frame, site, streamed=streamed)
            found = replace(found, implied=True) if found is not None else None
        if (
            found is not None
            and "." in site.lacking
            and self.conditions.is_set_when_made(frame, site.lacking, found)
        ):
            return None
        return found

    def _implied(self, frame: Frame, site: Site, *, streamed: bool) -> Blocking | None:
        """The blocking that the language does beside the call: by reading what is called, with its result."""
        found = self.implicit.read_to_call(frame, site.call)
        goes_through = site.use == "iterate" or self.implicit.is_given_away(frame, site)
        if found is None and not streamed and goes_through:
            result = self.evaluator.evaluate(frame, site.call)
            found = self.implicit.consumed(frame, result, site.call.position, site.call)
        if found is None and site.use == "enter":
            found = self.implicit.entered(frame, site.call)
        if found is None and site.use == "discard":
            found = self.implicit.dropped(frame, site.call)
        return found

    def call(self, frame: Frame, call: Call, site: Site | None = None) -> Blocking | None:
        """The blocking that a call does; `site` tells whether its result is awaited."""
        values = self.evaluator.calls.callees(frame, call)
        if site is not None and self._is_awaited_later(frame, site):
            # `if isawaitable(result): await result` runs functions that are none of its kind as well.
            values = tuple(value for value in values if self._is_plain(value, frame, call))
            found = self.weighed([(v, self.outcome(v, frame, call), sure) for v, sure in plain(values)])
            return found if found is not None and found.library else None
        judged = [(value, self.outcome(value, frame, call), certain) for value, certain in plain(values)]
        found = self.weighed(judged)
        if found is not None or any(outcome.harmless for _, outcome, _ in judged):
            return found
        return self.names.blocking(frame, call, values) or self._by_method(frame, call)

    def weighed(self, judged: Sequence[tuple[Value | None, Outcome, bool]]) -> Blocking | None:
        """The worst of what several targets may do, each with its outcome and whether it is certain."""
        if any(outcome.coroutine for _, outcome, _ in judged):
            return None  # an object that is one of several is used as the asynchronous one
        found = [
            outcome.blocking if certain else less_sure(outcome.blocking)
            for _, outcome, certain in judged
            if outcome.blocking is not None
        ]
        if not found:
            return None
        known = [value for value, outcome, _ in judged if outcome.harmless and self.is_known(value)]
        harmless = written(known)
        best = min(found, key=preference)
        if self._in_library and any(outcome.harmless for _, outcome, _ in judged):
            best = less_sure(best)
        return less_sure(best, among=harmless / len(found)) if harmless else best

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
                return self.of_method(LibraryMethod(type_name, "__call__"), frame, call)
            case LibraryMethod():
                return self.of_method(value, frame, call)
            case External(name):
                return self._of_external(name, frame, call)
            case ExternalObject(name):
                return self._of_external(f"{name}.__call__", frame, call)
            case Partial(External(name), _, _) if name in CALLERS:
                return self._of_caller(value, frame, call)
            case Partial(FunctionReference() as function, arguments, keywords):
                entered = self.evaluator.calls.enter(function, frame, call, arguments, keywords)
                return self._of_frame(function, entered, frame, call)
            case Partial(function, _, _):
                return self.outcome(function, frame, call)
            case Offloaded():
                return HARMLESS
        return UNKNOWN

    def _of_caller(self, made: Partial, frame: Frame, call: Call) -> Outcome:
        """What `methodcaller("run")(value)` does: the method is called, or an attribute is read."""
        special = self.evaluator.special
        if made.function == External("operator.methodcaller"):
            bare = call._replace(arguments=(), keywords=())
            found = (self.outcome(value, frame, bare) for value in special.targets(made, frame, call))
            return next((outcome for outcome in found if outcome.blocking is not None), HARMLESS)
        if made.function != External("operator.attrgetter"):
            return HARMLESS
        reads = (Attribute(value, name) for value in call.arguments[:1] for name in special.named(made))
        read = (self.implicit.read(frame, Read(one, call.position, endless=False)) for one in reads)
        return Outcome(next((blocking for blocking in read if blocking is not None), None), harmless=True)

    def _of_function(self, function: FunctionReference, frame: Frame, call: Call) -> Outcome:
        if self.own_calls or self.frameworks.own_offloads:
            name = self.evaluator.qualified(function)
            if self.own_calls.find(name):
                return Outcome(self._sink(Role.INFERENCE, "", name, frame, call))
            if self.frameworks.own_offloads.find(name):
                return HARMLESS
        given = self._surely_given(function, frame, call)
        return self._of_frame(function, self.entered(function, frame, given), frame, call)

    def entered(self, function: FunctionReference, frame: Frame, call: Call) -> Frame:
        """The way in which the call enters the function."""
        return self.evaluator.calls.enter(function, frame, call)

    def _surely_given(self, function: FunctionReference, frame: Frame, call: Call) -> Call:
        """The call without what may be None, if the function does something for want of an argument."""
        facts = self.evaluator.facts(function)
        named = {parameter.name for parameter in facts.parameters}
        if not frame.module or not any(site.lacking in named for site in facts.sites):
            return call
        optional = {p.name for p in self.evaluator.facts(frame).parameters if p.default == Constant(None)}

        def sure(value: Expression) -> Expression:
            return Constant(None) if isinstance(value, Name) and value.id in optional else value

        keywords = tuple((key, sure(value)) for key, value in call.keywords)
        return call._replace(arguments=tuple(map(sure, call.arguments)), keywords=keywords)

    def _of_frame(self, function: FunctionReference, entered: Frame, frame: Frame, call: Call) -> Outcome:
        facts = self.evaluator.facts(function)
        filled = self.of_frameworks.filled(function, frame, call)
        if filled is not None:
            return Outcome(filled)
        if facts.is_async or facts.is_generator:
            return HARMLESS
        if facts.stub:
            return UNKNOWN
        inner = self.summary(entered)
        if inner is None:
            return HARMLESS
        return Outcome(self.through(frame, call.position, call.function, inner, entered))

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
            return self.of_method(value, frame, call)
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

    def of_method(self, method: LibraryMethod, frame: Frame, call: Call) -> Outcome:
        """What calling the method of a library does."""
        entry = self.catalogue.method(method.type, method.method)
        if entry is not None and entry.returns == "self" and entry.role is Role.REMOTE:
            entry = self.evaluator.models.method_of_given(method, frame, call) or entry
        if entry is None:
            return UNKNOWN if self.catalogue.is_open(method.type) else HARMLESS
        if self.catalogue.attribute(method.type, "*") and self.names.evidence.is_short(call):
            return HARMLESS  # an artefact is anything that somebody stored, and so is what it holds
        return self._of_entry(entry, method.type, frame, call)

    def _of_external(self, name: str, frame: Frame, call: Call) -> Outcome:
        if self.own_calls.find(name):
            return Outcome(self._sink(Role.INFERENCE, "", name, frame, call))
        last = name.rpartition(".")[2]
        if self.frameworks.offload.find(name, last) or self.frameworks.on_loop.find(name, last):
            return HARMLESS
        runs = self.frameworks.runs.find(name)
        function = argument(call, runs.position, runs.keyword) if runs is not None else None
        if runs is not None and (function is not None or runs.position is not None):
            return self._running(function, frame, call)
        if runs is not None and call.arguments:
            ordering = self.implicit.ordering(frame, call.arguments[0], call.position)
            if ordering is not None:
                return Outcome(ordering)
        if self.frameworks.runs_when_iterated.find(name) or self.frameworks.draws.find(name):
            return HARMLESS
        if self.frameworks.consumes.find(name):
            return self._consuming(frame, call)
        operator = self.frameworks.operates.find(name)
        if operator is not None:
            operated = Operated(last if operator == "*" else operator, call.arguments)
            found = self.implicit.operated(frame, operated, call.position)
            if found is not None:
                return Outcome(found)
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
            return self.of_method(method, frame, call)
        return HARMLESS if name.startswith("builtins.") else UNKNOWN

    def _of_entry(self, entry: Entry, type_name: str, frame: Frame, call: Call) -> Outcome:
        role = role_in_call(entry, call)
        if entry.of_model is not None and self.names.is_of_model(frame, call):
            return Outcome(less_sure(self._sink(entry.of_model, entry.library, entry.name, frame, call)))
        if not role.blocks:
            return COROUTINE if role is Role.COROUTINE else HARMLESS
        if entry.addressed and not goes_to_model(self.evaluator, frame, call):
            return UNKNOWN
        if entry.between_rows and all(self.names.is_row(frame, value) for value in call.arguments[:2]):
            return HARMLESS
        known = self.catalogue.types.get(type_name)
        library = known.library if known is not None else entry.library
        name = f"{type_name}.{entry.name}" if type_name and "." not in entry.name else entry.name
        made = type_name if known is not None and entry is known.construct else entry.returns
        found = self._sink(role, library, name, frame, call)
        sure = min(found.confidence, entry.confidence, key=lambda confidence: confidence.rank)
        if entry.thread_safe:
            found = replace(found, thread_safe=True)
        return Outcome(replace(found, makes=made, chain=entry.chain, confidence=sure))

    def _running(self, function: Expression | None, frame: Frame, call: Call) -> Outcome:
        """A call that calls its argument at once, or makes the calls in it: `map(model.predict, batches)`."""
        if function is None:
            return HARMLESS
        others = (a for a in call.arguments if a is not function and not isinstance(a, Constant))
        given = next(others, None)
        by_key = given is not None and function not in call.arguments
        inner = Call(function, (Element(given),) if by_key and given is not None else (), (), call.position)
        called = [value for value, _ in plain(self.evaluator.evaluate(frame, function))]
        calls = [value for value, _ in plain(self.evaluator.elements(frame, function))]
        called += [value.function for value in calls if isinstance(value, Pending) and value.offloaded]
        found = [self.outcome(value, frame, inner) for value in called]
        return next((outcome for outcome in found if outcome.blocking is not None), HARMLESS)

    def _consuming(self, frame: Frame, call: Call) -> Outcome:
        single = last_name(call.function) not in ("min", "max") or len(call.arguments) == 1
        for value in call.arguments if single else ():
            values = self.evaluator.evaluate(frame, value)
            found = self.implicit.consumed(frame, values, call.position, call.function)
            if found is not None:
                return Outcome(found)
        return HARMLESS

    def _by_method(self, frame: Frame, call: Call) -> Blocking | None:
        """What a method that iterates its argument on any receiver does: `", ".join(results)`."""
        match call.function:
            case Attribute(_, name) if name in self.frameworks.consuming_methods:
                return self._consuming(frame, call).blocking
            case Attribute(held, name) if name in self.frameworks.runs.methods:
                run = self.frameworks.runs.methods[name]
                function = argument(call, run.position, run.keyword)
                if function is None and run.position is None:
                    return self.implicit.ordering(frame, held, call.position)
                return self._running(function, frame, call).blocking
            case Attribute(_, "enter_context") if call.arguments:
                return self.implicit.operated(frame, Operated("with", call.arguments[:1]), call.position)
            case Attribute(base, "send" | "throw" | "__next__"):
                values = self.evaluator.evaluate(frame, base)
                generators = tuple(value for value in values if isinstance(value, Generator))
                return self.implicit.consumed(frame, generators, call.position, call.function)
        return None

    # -- functions -------------------------------------------------------------------------------

    def summary(self, frame: Frame) -> Blocking | None:
        """The worst blocking that running the body of the frame's function does, if any."""
        return self._summaries.answer(frame, lambda: self.in_body_of(frame))

    def in_body_of(self, frame: Frame) -> Blocking | None:
        """The same, worked out anew."""
        found: list[Blocking] = []
        for blocking in self._in_body(frame, self.evaluator.facts(frame)):
            found.append(blocking)
            if self._in_library and is_worst(blocking):
                return blocking
        return min(found, key=preference, default=None)

    def _in_body(self, frame: Frame, facts: FunctionFacts) -> Iterator[Blocking]:
        for site in facts.sites:
            found = self.site(frame, site)
            if found is not None:
                yield found
        yield from (found for _, found in self.implicit.in_body(frame, facts))
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

    # -- what is known of what is called ---------------------------------------------------------

    def is_known(self, value: Value | None) -> bool:
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

    def _is_plain(self, value: Value, frame: Frame, call: Call) -> bool:
        """Whether the value is a function of the project that gives nothing to be awaited."""
        if not isinstance(value, FunctionReference) or self.evaluator.facts(value).is_async:
            return False
        given = self.evaluator.calls.returned(value, frame, call)
        return not any(isinstance(made, Pending | Offloaded) for made, _ in plain(given))

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
        return self.made(role, library, name, (hop,))

    def made(self, role: Role, library: str, name: str, hops: tuple[Hop, ...]) -> Blocking:
        """The blocking that a library does by what is called so."""
        known = self.catalogue.libraries.get(library)
        verdict = known.may_share(role) if known else Verdict.UNKNOWN
        safe = verdict == Verdict.YES if verdict in (Verdict.YES, Verdict.NO) else None
        return Blocking(role, library, name, Confidence.HIGH, hops, safe)

    def through(
        self, frame: Frame, position: Position, what: Expression, inner: Blocking, entered: Frame
    ) -> Blocking:
        """The blocking of a function's body, where the function is called."""
        hop = Hop(frame.module, position, f"calls {dotted(what)}")
        functions = ((entered.module, entered.function), *inner.functions)
        return replace(inner, hops=(hop, *inner.hops), functions=functions)


def _is_builtin(value: Value) -> bool:
    return isinstance(value, External) and value.name.startswith("builtins.")
