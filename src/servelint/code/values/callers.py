"""What parameters get: from the calls in the project, from decorators, from a framework that injects."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from servelint.code.facts.facts import (
    Call,
    Closure,
    Constant,
    Expression,
    FunctionFacts,
    Name,
    Parameter,
    Sequence,
    Site,
    Spread,
    Subscript,
    dotted,
)
from servelint.code.graph.project import Module
from servelint.code.values.calls import argument
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Generator,
    Partial,
    Values,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator

# How many call sites are asked for what a parameter may be.
MAXIMUM_CALL_SITES = 40


# A function that is run, by file and index.
_Run: TypeAlias = tuple[str, int]


class Callers:
    """The part of the evaluation that looks from a function to those who run it."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        # How many files are looked into for what they pass for one parameter: where there may be more, none.
        self.most_files: int | None = None
        self._left_out: dict[tuple[str, int, str], bool] = {}
        # The calls by a name that are left to go through, and the functions that those before run.
        self._called: dict[tuple[str, str, bool], tuple[Iterator[set[_Run]], set[_Run]]] = {}

    def arguments_passed(self, frame: Frame, parameter: Parameter) -> Values:
        """What the project's calls of the frame's function pass for a parameter."""
        return union(self._arguments_passed(frame, parameter.name))

    def _arguments_passed(self, frame: Frame, name: str) -> Iterator[Values]:
        facts = self.evaluator.facts(frame)
        for number, (caller, call) in enumerate(self._passing_sites(frame)):
            if number >= MAXIMUM_CALL_SITES:
                return
            receiver = self.evaluator.classes.receiver(frame, facts)
            reference = FunctionReference(frame.module, frame.function, receiver)
            yield dict(self.evaluator.calls.given({name}, reference, caller, call, (), ())).get(name, ())
        yield from self._from_providers(frame, facts, name)
        first = 0 if facts.owner is None else 1  # of a method, what comes after the object
        if name in (parameter.name for parameter in facts.parameters[first : first + 1]):
            yield from self._decorated_by(frame)

    def _from_providers(self, frame: Frame, facts: FunctionFacts, name: str) -> Iterator[Values]:
        """What providers of a container give to the constructor: `Factory(Service, model=model)`."""
        cls = self._constructed(frame, facts)
        if cls is None:
            return
        for provider in sorted(self.evaluator.frameworks.injects.names.last_names()):
            for module, function, site in self.evaluator.project.calls_beside(provider, frame.module):
                where, given = self.evaluator.frame(module, function), dict(site.call.keywords).get(name)
                made = site.call.arguments[:1]
                if given is None or not made or cls not in self.evaluator.evaluate(where, made[0]):
                    continue
                if self._injects(where, site.call.function):
                    values = self.evaluator.evaluate(where, given) or self._beside(module, site, given)
                    yield tuple(v for v in values if not isinstance(v, Partial))
                    yield self._provided(tuple(v for v in values if isinstance(v, Partial)))

    def _beside(self, module: Module, site: Site, given: Expression) -> Values:
        """What a name is in the body of the class that binds what the call makes."""
        for number, cls in enumerate(module.facts.classes):
            if isinstance(given, Name) and any(b.value == site.call for b in cls.bindings):
                return self.evaluator.attributes((ClassReference(module.path, number),), given.id)
        return ()

    def is_never_given(self, frame: Frame, parameter: Parameter) -> bool:
        """Whether the project constructs the object, and each time without what is optional here."""
        facts = self.evaluator.facts(frame)
        if not _is_optional(facts, parameter):
            return False
        return self._is_left_out(frame, parameter) and any(True for _ in self._passing_sites(frame))

    def _is_left_out(self, frame: Frame, parameter: Parameter) -> bool:
        """Whether no call of the constructor gives the parameter, directly or for another constructor."""
        key = (frame.module, frame.function, parameter.name)
        if key not in self._left_out:
            self._left_out[key] = False  # a cycle says nothing
            positional = [p.name for p in self.evaluator.facts(frame).parameters if p.kind == "positional"]
            after = positional.index(parameter.name) - 1 if parameter.name in positional else None
            calls = list(islice(self._passing_sites(frame), MAXIMUM_CALL_SITES + 1))
            self._left_out[key] = len(calls) <= MAXIMUM_CALL_SITES and all(
                self._leaves_out(caller, call, after, parameter.name) for caller, call in calls
            )
        return self._left_out[key]

    def _leaves_out(self, caller: Frame, call: Call, position: int | None, keyword: str) -> bool:
        if any(key is None for key, _ in call.keywords) or any(isinstance(a, Spread) for a in call.arguments):
            return False
        match argument(call, position, keyword):
            case None | Constant(None):
                return True
            case Name(id):
                facts = self.evaluator.facts(caller)
                handed_on = next((p for p in facts.parameters if p.name == id), None)
                if handed_on is None or not _is_optional(facts, handed_on):
                    return False
                is_set = any(binding.target == Name(id) for binding in facts.bindings)
                return not is_set and self._is_left_out(caller, handed_on)
        return False

    def _decorated_by(self, frame: Frame) -> Iterator[Values]:
        """What the frame's function is applied to as a decorator, or as what a decorator factory returns."""
        facts = self.evaluator.facts(frame)
        module = self.evaluator.module(frame.module)
        names = [facts.name, *([module.function(facts.parent).name] if facts.parent else [])]
        for name in names:
            for other, thing in self.evaluator.project.decorated(name):
                scope = self.evaluator.frame(other, thing.scope)
                for value, _ in plain(self.evaluator.evaluate(scope, thing.decorator)):
                    match value:
                        case FunctionReference(frame.module, frame.function):
                            yield self._undecorated(scope, thing.value)

    def _undecorated(self, scope: Frame, value: Expression) -> Values:
        match value:
            case Closure(number):
                return (FunctionReference(scope.module, number),)
        return self.evaluator.evaluate(scope, value)

    def call_sites(self, frame: Frame) -> Iterator[tuple[Frame, Call]]:
        """The calls in the project that run the frame's function, with the frames that make them."""
        facts = self.evaluator.facts(frame)
        named = self.evaluator.project.calls_beside(facts.name, frame.module, self._beside_calls(facts))
        return self._running(frame, self._constructed(frame, facts), named)

    def is_called(self, frame: Frame) -> bool:
        """Whether a call in the project runs the frame's function.

        Calls by one name are gone through once for all the functions of a file that have it.
        """
        facts = self.evaluator.facts(frame)
        if self._constructed(frame, facts) is not None:
            return next(self.call_sites(frame), None) is not None
        key = (facts.name, frame.module, facts.is_async)
        if key not in self._called:
            named = self.evaluator.project.calls_beside(facts.name, frame.module, self._beside_calls(facts))
            self._called[key] = (map(self._run_by, named), set())
        left, found = self._called[key]
        while (frame.module, frame.function) not in found:
            run = next(left, None)
            if run is None:
                return False
            found |= run
        return True

    def _run_by(self, named: tuple[Module, int, Site]) -> set[_Run]:
        """The functions that a call runs, by file and index."""
        module, function, site = named
        callees = self.evaluator.calls.callees(self.evaluator.frame(module, function), site.call)
        return {(v.module, v.function) for v, _ in plain(callees) if isinstance(v, FunctionReference)}

    def _passing_sites(self, frame: Frame) -> Iterator[tuple[Frame, Call]]:
        """Those of them in files that know the function's file: the others are told nothing new by it."""
        facts = self.evaluator.facts(frame)
        words = self._beside_calls(facts)
        named = self.evaluator.project.calls_above(facts.name, frame.module, words, most=self.most_files)
        return self._running(frame, self._constructed(frame, facts), named)

    def _beside_calls(self, facts: FunctionFacts) -> Collection[bytes]:
        """The words of which one is in every file that calls the function to run it; none for any file."""
        return self.evaluator.frameworks.coroutine_words if facts.is_async else ()

    def _constructed(self, frame: Frame, facts: FunctionFacts) -> ClassReference | None:
        """The class that is constructed when the function runs."""
        is_constructor = facts.name in ("__init__", "__new__")
        return self.evaluator.classes.owner(frame, facts) if is_constructor else None

    def _running(
        self, frame: Frame, constructed: ClassReference | None, named: Iterator[tuple[Module, int, Site]]
    ) -> Iterator[tuple[Frame, Call]]:
        if constructed is not None:
            named = self._constructions(constructed, self.evaluator.classes.family(constructed))
        for module, function, site in named:
            caller = self.evaluator.frame(module, function)
            if self._runs(caller, site.call, frame, constructed):
                yield caller, site.call

    def constructing(self, cls: ClassReference) -> Iterator[tuple[Frame, Call]]:
        """The calls in the project that make an object of the class, with the frames that make them."""
        for number, (module, function, site) in enumerate(self._constructions(cls, (cls,))):
            if number >= MAXIMUM_CALL_SITES:
                return
            frame = self.evaluator.frame(module, function)
            if any(value == cls for value, _ in plain(self.evaluator.calls.callees(frame, site.call))):
                yield frame, site.call

    def _constructions(
        self, cls: ClassReference, family: tuple[ClassReference, ...]
    ) -> Iterator[tuple[Module, int, Site]]:
        """The calls that may make objects of the classes: by name, and where they are at home."""
        for name in dict.fromkeys(self.evaluator.classes.facts(one).name for one in family):
            yield from self.evaluator.project.calls_beside(name, cls.module)
        homes = sorted({one.module for one in family})
        for name in ("cls", "__init__"):
            yield from self.evaluator.project.calls_in(homes, name)

    def _runs(self, caller: Frame, call: Call, frame: Frame, constructed: ClassReference | None) -> bool:
        for value, _ in plain(self.evaluator.calls.callees(caller, call)):
            match value:
                case FunctionReference(frame.module, frame.function):
                    return True
                case ClassReference() if constructed is not None:
                    return constructed in self.evaluator.classes.lineage(value)
        return False

    # -- injection -------------------------------------------------------------------------------

    def injected(self, frame: Frame, parameter: Parameter) -> Values:
        """What a framework passes for a parameter declared as a dependency."""
        candidates = list(self._metadata(frame, parameter.annotation))
        if parameter.default is not None:
            candidates.insert(0, (frame, parameter.default, parameter.annotation))
        for where, candidate, declared in candidates:
            found: Values = ()
            match candidate:
                case Call():
                    found = self._injection(where, candidate, declared)
                case Subscript(base, key) if self._injects(where, base):  # `model=Provide[Container.model]`
                    found = self._provided(self.evaluator.evaluate(where, key))
            if found:
                return found
        return ()

    def _injects(self, frame: Frame, expression: Expression) -> bool:
        names = self.evaluator.frameworks.injects.names
        values = plain(self.evaluator.evaluate(frame, expression))
        return any(isinstance(v, External) and names.find(v.name) is not None for v, _ in values)

    def _metadata(
        self, frame: Frame, annotation: Expression | None
    ) -> Iterator[tuple[Frame, Expression, Expression | None]]:
        """The extras of `Annotated[declared, extra, ...]`, with the frame in which they mean something."""
        match annotation:
            case Subscript(base, Sequence((first, *rest))) if dotted(base).rpartition(".")[2] == "Annotated":
                yield from ((frame, item, first) for item in rest)
            case Name(id):  # ModelDependency = Annotated[Model, Depends(get_model)]
                for where, value in self.evaluator.annotations.aliased(frame, id):
                    yield from self._metadata(where, value)

    def _injection(self, frame: Frame, call: Call, declared: Expression | None) -> Values:
        for value in self.evaluator.calls.callees(frame, call):
            entry = (
                self.evaluator.frameworks.injects.names.find(value.name)
                if isinstance(value, External)
                else None
            )
            if entry is None:
                continue
            provider = argument(call, entry.position, entry.keyword)
            if provider is None:
                return self.evaluator.annotations.annotated(frame, declared)
            return self._provided(self.evaluator.evaluate(frame, provider))
        return ()

    def _provided(self, providers: Values) -> Values:
        found: list[Values] = []
        for provider in providers:
            results = self.evaluator.calls.result_of(provider)
            found += [self.evaluator.calls.yielded(r) if isinstance(r, Generator) else (r,) for r in results]
        return union(found)


def _is_optional(facts: FunctionFacts, parameter: Parameter) -> bool:
    """Whether an object can be constructed without it."""
    return facts.name == "__init__" and facts.owner is not None and parameter.default == Constant(None)
