"""Objects of libraries that nobody has catalogued: models by how they are made or used, and applications.

What a service puts on its framework's objects is read from them: `app.model = load()`, `request.app.model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from typing import TYPE_CHECKING

from servelint.code.facts import scan
from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Expression,
    Listed,
    Mapping,
    Name,
    Opaque,
    Sequence,
    dotted,
    last_name,
)
from servelint.code.graph.project import Bound, Module
from servelint.code.names import evidence
from servelint.code.values.values import (
    External,
    ExternalObject,
    Frame,
    Instance,
    LibraryMethod,
    LibraryObject,
    Literal,
    Value,
    Values,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator
    from servelint.knowledge.types import Entry

# How deep lists in lists are looked into.
_DEEPEST = 2
# What gives the application of a request, of a task or of a command.
_REACHED_BY = frozenset({"app", "current_app", "application", "bot", "client", "g"})


class Models:
    """The part of the evaluation that is about objects of which nothing else is known."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.evidence = evidence.load()
        self._known = evaluator.catalogue.modules
        self._told: dict[str, tuple[tuple[str, int, Expression], ...]] = {}

    def made(self, called: External, frame: Frame, call: Call, found: Values) -> Values:
        """What a call gives of something that nobody has catalogued: `found`, or a model."""
        if any(not isinstance(value, ExternalObject) for value in found):
            return found
        if called.name.partition(".")[0] in self._known:
            return found
        owner, _, last = called.name.rpartition(".")
        if found:
            if any(key in self.evidence.elsewhere for key, _ in call.keywords):
                return tuple(replace(v, remote=True) for v in found if isinstance(v, ExternalObject))
            models = self._is_given_model(frame, call) or self._is_given_file(called.name, frame, call)
            return tuple(
                ExternalObject(v.name, of_model=models) for v in found if isinstance(v, ExternalObject)
            )
        if _is_class(owner):
            moved = self.evidence.moves(call, sure=called.of_model)
            if moved or (last in self.evidence.loads and not self.evidence.is_beside(owner)):
                return (ExternalObject(owner, of_model=True),)
        elif self.evidence.makes_model(last):
            return (ExternalObject(f"{called.name}()", of_model=True),)
        return found

    def shown(self, module: Module, bound: Bound, found: Values) -> Values:
        """What a binding gives: a model where a statement about it says so (`net.eval()`)."""
        target, value = bound.binding.target, bound.binding.value
        if any(isinstance(v, ExternalObject) and not v.of_model for v in found):
            if not self._is_told(module, bound, self.evidence.telling_statements):
                return found
            return tuple(replace(v, of_model=True) if isinstance(v, ExternalObject) else v for v in found)
        if found or value is None or isinstance(value, Constant | Opaque) or _is_of(value, target):
            return found
        told = self._is_told(module, bound, self.evidence.told_surely)
        return (ExternalObject(f"{dotted(target)}()", of_model=True),) if told else ()

    def _is_told(self, module: Module, bound: Bound, names: frozenset[str]) -> bool:
        """Whether the file has one of the statements about what the binding binds that only models know."""
        if module.path not in self._told:
            self._told[module.path] = tuple(self._telling(module))
        return any(
            name in names and held == bound.binding.target and self._is_same(module, bound, function)
            for name, function, held in self._told[module.path]
        )

    def _telling(self, module: Module) -> Iterator[tuple[str, int, Expression]]:
        """Such statements of the file: the method, the function in which it stands, what it is called on."""
        for name in sorted(self.evidence.telling_statements):
            for function, site in module.calls(name):
                if site.use == "discard" and self.evidence.tells(site.call):
                    yield name, function, _moved(site.call.function)

    def _is_same(self, module: Module, bound: Bound, function: int) -> bool:
        """Whether what is called like the binding's target in another function is what it binds."""
        if not isinstance(bound.binding.target, Name):
            return _owner(module, function) == _owner(module, bound.function)
        name, scope = bound.binding.target.id, function
        while True:
            facts = module.function(scope)
            here = module.bound(scope, name)
            if here or not scope or any(parameter.name == name for parameter in facts.parameters):
                return any(one is bound for one in here)
            scope = facts.parent or 0

    # -- what is put on them ---------------------------------------------------------------------

    def handed_on(self, holder: External | ExternalObject, name: str) -> Values:
        """What an object that is generic over another hands on of that: `net` of `RunContext[Deps]`'s `deps`.

        What the attribute is called that holds the other is not known: it has what is asked for.
        """
        having = holder.over if isinstance(holder, External) else ()
        found = self.evaluator.attributes(having, name) if having else ()
        return found if any(not isinstance(value, External) for value, _ in plain(found)) else ()

    def kept_by(self, store: str, key: str) -> Values:
        """What the project gives a framework's store under a key: `user_session.set("chain", chain)`."""
        return self.evaluator.remembered(("kept by", store, key), lambda: union(self._kept(store, key)))

    def _kept(self, store: str, key: str) -> Iterator[Values]:
        for module, index, site in self.evaluator.project.calls("set", (scan.encoded(key),)):
            match site.call:
                case Call(Attribute(holder, _), (Constant(str(named)), value, *_)) if named == key:
                    frame = self.evaluator.frame(module, index)
                    if External(store) in self.evaluator.evaluate(frame, holder):
                        yield self.evaluator.evaluate(frame, value)

    def put_on(self, holder: Value, name: str) -> Values:
        """What the project assigns to an attribute of a framework's object, or of the application."""
        if not isinstance(holder, External | ExternalObject) or not self.is_framework(holder.name):
            return ()
        # An application that is reached from something else may be any that the project has.
        of = holder.name if isinstance(holder, ExternalObject) else ""
        if not of and holder.name.rpartition(".")[2] not in _REACHED_BY:
            return ()
        return self.evaluator.remembered(("put on", of, name), lambda: union(self._put(of, name)))

    def _put(self, of: str, name: str) -> Iterator[Values]:
        for module, bound in self.evaluator.project.attributes(name):
            target = bound.binding.target
            if isinstance(target, Attribute) and bound.binding.value is not None:
                frame = self.evaluator.frame(module, bound.function)
                holders = plain(self.evaluator.evaluate(frame, target.value))
                if any(self._is(value, of) for value, _ in holders):
                    yield self.evaluator.bound(module, bound)

    def _is(self, value: Value, of: str) -> bool:
        """Whether something is the object meant: of the class, or else any application."""
        match value:
            case ExternalObject(name):
                return name == of or (not of and self.is_framework(name))
            case External(name):
                return self.is_framework(name) and name.rpartition(".")[2] in _REACHED_BY
        return False

    def is_framework(self, name: str) -> bool:
        """Whether the qualified name is of a framework."""
        return name.partition(".")[0] in self.evaluator.frameworks.distributions

    # -- what they are given ---------------------------------------------------------------------

    def given(self, frame: Frame, call: Call, found: Values) -> Values:
        """What a call gives of a library, told apart by what it is given: a store that embeds by itself."""
        if not call.position.line or not any(self._of_given(value) for value in found):
            return found
        arguments = (*call.arguments, *(value for _, value in call.keywords))
        kinds = [self._kinds(self.evaluator.evaluate(frame, given)) for given in arguments]
        return tuple(one for value in found for one in self._told_apart(value, kinds))

    def method_of_given(self, method: LibraryMethod, frame: Frame, call: Call) -> Entry | None:
        """The same method of what the call makes with its arguments: of a store that embeds by itself."""
        made = self.given(frame, call, (LibraryObject(method.type),))
        types = (value.type for value in made if isinstance(value, LibraryObject))
        others = (name for name in types if name != method.type)
        return next((self.evaluator.catalogue.method(name, method.method) for name in others), None)

    def _of_given(self, value: Value) -> MappingOf[str, str]:
        return self.evaluator.catalogue.given(value.type) if isinstance(value, LibraryObject) else {}

    def _told_apart(self, value: Value, kinds: Iterable[list[frozenset[str]]]) -> Values:
        """What an argument makes of the value; the value as well where the argument may be something else."""
        known = self._of_given(value)
        for alternatives in kinds:
            told = [next((name for of, name in known.items() if of in one), "") for one in alternatives]
            if any(told):
                return tuple(LibraryObject(name) if name else value for name in dict.fromkeys(told))
        return (value,)

    def _kinds(self, values: Values, depth: int = _DEEPEST) -> list[frozenset[str]]:
        """What each library object may be taken for; a list is what its elements are, to a depth."""
        found: list[frozenset[str]] = []
        for value, _ in plain(values):
            match value:
                case LibraryObject(type_name):
                    lineage = self.evaluator.catalogue.lineage(type_name)
                    found.append(frozenset(known.name for known in lineage))
                case Literal(made, (Sequence() | Listed()) as shown) if depth:
                    found.append(
                        frozenset().union(*self._kinds(self.evaluator.elements(made, shown), depth - 1))
                    )
                case Literal(made, Mapping(_, shown)) if depth:  # Chain(**options)
                    inside = union(self.evaluator.evaluate(made, one) for one in shown)
                    found.append(frozenset().union(*self._kinds(inside, depth - 1)))
        return found

    def _is_given_model(self, frame: Frame, call: Call) -> bool:
        """Whether one of the arguments is a model: `Predictor(build_model())`."""
        given = (*call.arguments, *(value for _, value in call.keywords))
        return any(self._is_model(frame, value) for value in given if self._may_be_model(value))

    def _is_given_file(self, name: str, frame: Frame, call: Call) -> bool:
        """Whether the file of a model, or a device that computes, is among the arguments of the class."""
        known, words = self.evidence, frozenset(evidence.split(name.rpartition(".")[2]))
        if words & (known.never | known.given_except):
            return False
        keywords = {key: value for key, value in call.keywords if key}
        devices = (
            self.evaluator.evaluate(frame, keywords[key]) for key in known.given_device & keywords.keys()
        )
        return not known.given_files.isdisjoint(keywords) or any(map(self._is_device, union(devices)))

    def _is_device(self, value: Value) -> bool:
        match value:
            case Literal(_, expression):
                return self.evidence.names_device(expression)
            case LibraryObject(type_name):
                return type_name.rpartition(".")[2] == "device"
            case External(name) | ExternalObject(name):
                return name.rpartition(".")[2] == "device"
        return False

    def _may_be_model(self, given: Expression) -> bool:
        return isinstance(given, Call) or (
            isinstance(given, Name | Attribute) and self.evidence.is_called(last_name(given))
        )

    def _is_model(self, frame: Frame, given: Expression) -> bool:
        return any(self._runs(value) for value, _ in plain(self.evaluator.evaluate(frame, given)))

    def _runs(self, value: Value) -> bool:
        """Whether a value is a model that runs in this process, and has methods of its own."""
        catalogue = self.evaluator.catalogue
        match value:
            case ExternalObject(_, of_model):
                return of_model
            case LibraryObject(type_name):  # an artefact may be anything
                return catalogue.is_open(type_name) and not catalogue.attribute(type_name, "*")
            case Instance(cls):
                return any(map(catalogue.is_open, self.evaluator.classes.library_types(cls)))
        return False


def _moved(called: Expression) -> Expression:
    """What a method is called on, through methods that give it back: `net` for `net.to(device).eval`."""
    held = called
    while isinstance(held, Attribute) and isinstance(held.value, Call):
        held = held.value.function
    return held.value if isinstance(held, Attribute) else held


def _is_of(value: Expression, target: Expression) -> bool:
    """Whether a value is made of what it is bound to: `net = net.to(device)`."""
    while isinstance(value, Call | Attribute):
        value = value.function if isinstance(value, Call) else value.value
        if value == target:
            return True
    return False


def _owner(module: Module, function: int) -> int | None:
    """The class in one of whose methods the function stands."""
    here: int | None = function
    while here is not None:
        facts = module.function(here)
        if facts.owner is not None:
            return facts.owner
        here = facts.parent
    return None


def _is_class(name: str) -> bool:
    """Whether a qualified name is that of a class or of an object, by how they are spelled."""
    return name.rpartition(".")[2][:1].isupper() or name.endswith("()")
