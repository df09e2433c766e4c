"""What annotations say about values: objects of classes, unions, containers, aliases of types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from servelint.code.facts.facts import (
    Attribute,
    Choice,
    Expression,
    Mapping,
    Name,
    Narrowed,
    Sequence,
    Subscript,
    dotted,
)
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    Instance,
    LibraryObject,
    Literal,
    State,
    Value,
    Values,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator

MAXIMUM_RE_EXPORTS = 5
UNIONS = frozenset({"Optional", "Union"})
CONTAINERS = frozenset(
    {"list", "List", "set", "Set", "frozenset", "FrozenSet", "tuple", "Tuple", "deque", "Deque", "Collection"}
    | {"Sequence", "MutableSequence", "Iterable", "Iterator", "AsyncIterable", "AsyncIterator"}
    | {"Generator", "AsyncGenerator"}
)
MAPPINGS = frozenset(
    {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict"}
)
# They say what is drawn, not what drawing it costs.
LAZY_CONTAINERS = frozenset(
    {"Iterable", "Iterator", "Generator", "AsyncIterable", "AsyncIterator", "AsyncGenerator"}
)
INTERFACES = frozenset({"typing.Protocol", "typing_extensions.Protocol", "abc.ABC"})
# What an object of these is or holds, its maker knows better.
SAYS_NOTHING = frozenset(
    f"builtins.{name}" for name in ("object", "None", "type", "dict", "list", "tuple", "set", "frozenset")
)
TRANSPARENT = frozenset(
    {"ClassVar", "Final", "Required", "NotRequired", "ReadOnly", "Awaitable", "ContextVar"}
)


class Annotations:
    """The part of the evaluation that is about annotations."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def annotated(self, frame: Frame, annotation: Expression | None) -> Values:
        """Objects of the type that an annotation names."""
        match annotation:
            case Name() | Attribute():
                values = self.evaluator.evaluate(frame, annotation)
                if values or not isinstance(annotation, Name):
                    return union(self._object_of(value) for value in values)
                return union(self.annotated(*alias) for alias in self.aliased(frame, annotation.id))
            case Choice(options):
                return union(self.annotated(frame, option) for option in options)
            case Subscript(base, key):
                return self._generic(frame, dotted(base).rpartition(".")[2], base, key)
            case Sequence(items):
                return union(self.annotated(frame, item) for item in items)
        return ()

    def leaves_open(self, annotation: Expression | None, declared: Values) -> bool:
        """Whether objects of another class than the declared one may well be given: it is an interface."""
        if (
            isinstance(annotation, Subscript)
            and dotted(annotation.value).rpartition(".")[2] in LAZY_CONTAINERS
        ):
            return True
        return any(isinstance(value, Instance) and self._is_interface(value.cls) for value in declared)

    def _is_interface(self, cls: ClassReference) -> bool:
        lineage = self.evaluator.classes.lineage(cls)
        return any(isinstance(base, External) and base.name in INTERFACES for base in lineage)

    def declared(self, frame: Frame, annotation: Expression | None) -> Values:
        """Objects of the type that an annotation names, if that says more than an unknown class."""
        found = self.annotated(frame, annotation)
        return () if all(isinstance(value, ExternalObject) for value in found) else found

    def is_foreign(self, value: Value) -> bool:
        """Whether nothing is known of the value but a name outside the project."""
        catalogue = self.evaluator.catalogue
        match value:
            case External(name):
                return catalogue.functions.find(name) is None and catalogue.classes.find(name) is None
            case ExternalObject():
                return True
            case LibraryObject(type_name):  # an artefact: of whatever class was stored
                return catalogue.attribute(type_name, "*") == type_name and catalogue.is_open(type_name)
        return False

    def aliased(
        self, frame: Frame, name: str, re_exports: int = MAXIMUM_RE_EXPORTS
    ) -> Iterator[tuple[Frame, Subscript | Choice]]:
        """The type that a global name stands for (`Model = Annotated[...]`), and where it is spelled out."""
        module = self.evaluator.module(frame.module)
        for bound in module.bound(0, name):
            if isinstance(bound.binding.value, Subscript | Choice):
                yield self.evaluator.frames(module.path, 0), bound.binding.value
        for item in module.facts.body.imports:
            path = (
                self.evaluator.project.resolve(module, item.module, item.level)
                if item.local == name
                else None
            )
            other = self.evaluator.project.module(path) if path and item.name else None
            if other is not None and re_exports:
                yield from self.aliased(self.evaluator.frames(other.path, 0), item.name, re_exports - 1)

    def _generic(self, frame: Frame, name: str, base: Expression, key: Expression) -> Values:
        parts = key.items if isinstance(key, Sequence) else (key,)
        if name in UNIONS:
            return union(self.annotated(frame, part) for part in parts)
        if name == "Annotated" or name in TRANSPARENT:
            return self.annotated(frame, parts[0]) if parts else ()
        if name in CONTAINERS:
            held = parts[:1] if name.endswith("Generator") else parts
            if any(self.annotated(frame, part) for part in held):
                return (Literal(frame, Sequence(tuple(Narrowed(part) for part in held))),)
            return ()
        if name in MAPPINGS:
            held = parts[-1:] if self.annotated(frame, parts[-1]) else ()
            return tuple(Literal(frame, Mapping((Name(""),), (Narrowed(part),))) for part in held)
        if name in ("Type", "type"):
            return self.evaluator.evaluate(frame, parts[0])
        if name == "Coroutine":
            return self.annotated(frame, parts[-1])
        found = self.annotated(frame, base)
        if not any(isinstance(value, ExternalObject) for value in found):
            return found
        over = tuple(v for v in union(self.annotated(frame, p) for p in parts) if isinstance(v, Instance))
        return tuple(replace(v, over=over) if isinstance(v, ExternalObject) else v for v in found)

    def _object_of(self, value: Value) -> Values:
        match value:
            case ClassReference():
                return (Instance(value, exact=False),)
            case External(name):
                return self.object_of(name)
            case Literal(frame, expression):  # an alias: Model = Union[A, B]
                return self.annotated(frame, expression) if isinstance(expression, Subscript) else ()
        return ()

    def object_of(self, name: str) -> Values:
        """An object of the class with this qualified name."""
        known = self.evaluator.catalogue.classes.find(name)
        if known is not None:
            return (LibraryObject(known.name),)
        if name.startswith(("typing.", "collections.abc.")) or name in SAYS_NOTHING:
            return ()
        if name in self.evaluator.frameworks.state:
            return (State(),)
        return (ExternalObject(self.evaluator.frameworks.usual(name)),)
