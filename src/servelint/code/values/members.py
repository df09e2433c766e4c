"""What reaching an attribute of an object does: descriptors, `__getattr__`, enumerations, metaclasses.

The order is that of the language reference:
https://docs.python.org/3/howto/descriptor.html#overview-of-descriptor-invocation
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servelint.code.facts import scan
from servelint.code.facts.facts import (
    Binding,
    Call,
    Closure,
    Constant,
    Expression,
    FunctionFacts,
    Name,
    dotted,
    last_name,
)
from servelint.code.values.calls import NO_ARGUMENTS, argument
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Generator,
    Instance,
    Literal,
    ModuleReference,
    Partial,
    Super,
    Value,
    Values,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.classes import Classes

PROPERTIES = frozenset({"property", "cached_property", "functools.cached_property", "hybrid_property"})
# What describes a field of a class and names its default, or a function that makes it.
FIELDS = frozenset({"field", "Field", "attrib", "ib", "PrivateAttr"})
DEFAULT_MAKERS = ("default_factory", "factory")
ENUMERATIONS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})
# What an operation on an attribute runs of a descriptor, and which argument of `property()`.
ACCESSORS = {"get": ("__get__", 0), "set": ("__set__", 1), "delete": ("__delete__", 2)}
# What it runs of the object itself, whatever the attribute is.
DYNAMIC = {"get": "__getattribute__", "set": "__setattr__", "delete": "__delattr__"}


class Members:
    """The part of `Classes` that is about reaching attributes."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self.evaluator = classes.evaluator

    # -- what a class body holds -----------------------------------------------------------------

    def held(self, receiver: Value, cls: ClassReference, name: str, body: Frame, binding: Binding) -> Values:
        """What an attribute is that a class body binds to a value, seen from an object or the class."""
        methods = self.classes.facts(cls).methods
        match binding.value:
            case Name(id) if id in methods:
                return self.evaluator.attribute(receiver, id)
            case Call(function, (Name(id), *rest), keywords) if last_name(function) == "partialmethod":
                given = tuple(self.evaluator.evaluate(body, value) for value in rest)
                named = tuple((key, self.evaluator.evaluate(body, value)) for key, value in keywords if key)
                method = self.evaluator.attribute(receiver, id) if id in methods else ()
                return tuple(Partial(value, given, named) for value in method)
            case Call(Name("property"), _) as made if isinstance(receiver, Instance):
                getters = self._accessor(receiver, cls, made, "get")
                return union(map(self.evaluator.calls.result_of, getters))
            case Call(Name("staticmethod"), (function,)):
                return self.evaluator.evaluate(body, function)
            case Call(Name("classmethod"), (function,)):
                return self._bound(self.evaluator.evaluate(body, function), _class_of(receiver))
            case Call(function, _, keywords) if last_name(function) in FIELDS:
                return self._default(body, dict(keywords))
        values = self.evaluator.evaluate(body, binding.value)
        if self._is_member(cls, binding):
            return (Instance(cls, member=name),)
        if isinstance(receiver, Instance):
            values = self._bound(values, receiver)
        return union(self._got(receiver, value) for value in values)

    def _bound(self, values: Values, receiver: Value | None) -> Values:
        """Functions become methods."""
        return tuple(self._bind(value, receiver) for value in values)

    def _bind(self, value: Value, receiver: Value | None) -> Value:
        match value:
            case FunctionReference(module, function, None, frame):
                return FunctionReference(module, function, receiver, frame)
            case Partial(FunctionReference() as function, arguments, keywords):
                facts = self.evaluator.facts(function)
                if facts.owner is not None:  # `partialmethod`
                    return Partial(self._bind(function, receiver), arguments, keywords)
        return value

    def _got(self, receiver: Value, value: Value) -> Values:
        """What a descriptor in a class gives for an object; other values are what they are."""
        methods = self.evaluator.special.method(value, "__get__") if isinstance(value, Instance) else ()
        if not methods:
            return (value,)
        call = self.evaluator.calls
        return union(call.returned(Partial(m, ((receiver,),)), self._nowhere, NO_ARGUMENTS) for m in methods)

    def _default(self, body: Frame, keywords: dict[str | None, Expression]) -> Values:
        maker = next((keywords[name] for name in DEFAULT_MAKERS if name in keywords), None)
        if maker is not None:
            return union(map(self.evaluator.calls.result_of, self.evaluator.evaluate(body, maker)))
        return self.evaluator.evaluate(body, keywords.get("default"))

    @property
    def _nowhere(self) -> Frame:
        return self.evaluator.frames("", 0)

    def bound(self, cls: ClassReference, name: str) -> Iterator[tuple[tuple[str, int], Expression | None]]:
        """What the class, its bases and its subclasses bind to an attribute, and the function that does."""
        for base in (*self.classes.lineage(cls), *self.classes.subclasses(cls)):
            if isinstance(base, ClassReference):
                for binding in self.classes.facts(base).bindings:
                    if isinstance(binding.target, Name) and binding.target.id == name and binding.value:
                        yield (base.module, 0), binding.value
                for bound in self.evaluator.module(base.module).attributes(name):
                    if self.classes.is_of(base.module, bound.function, bound.binding.target, base):
                        yield (base.module, bound.function), bound.binding.value

    # -- enumerations, named tuples, containers --------------------------------------------------

    def is_enumeration(self, cls: ClassReference) -> bool:
        """Whether the class is an enumeration."""
        lineage = self.classes.lineage(cls)
        return any(isinstance(b, External) and b.name.rpartition(".")[2] in ENUMERATIONS for b in lineage)

    def _is_member(self, cls: ClassReference, binding: Binding) -> bool:
        return (
            binding.value is not None
            and binding.annotation is None
            and not isinstance(binding.value, Closure)
            and self.is_enumeration(cls)
        )

    def _value_of(self, member: Instance) -> Values:
        """What `value` of a member of an enumeration is."""
        body = self.classes.body(member.cls)
        bindings = self.classes.facts(member.cls).bindings
        named = [b for b in bindings if isinstance(b.target, Name) and member.member in ("", b.target.id)]
        return union(self.evaluator.evaluate(body, binding.value) for binding in named)

    def element(self, value: Instance | ClassReference) -> Values:
        """What iterating an object, or a class, gives."""
        iterators = self._results(value, "__iter__")
        if iterators:
            return union(self._drawn(iterator) for iterator in iterators)
        if isinstance(value, ClassReference):
            return (Instance(value),) if self.is_enumeration(value) else ()
        return self._results(value, "__next__") or self._results(value, "__getitem__")

    def _drawn(self, iterator: Value) -> Values:
        match iterator:
            case Instance():
                return self._results(iterator, "__next__")
            case Literal(frame, expression):
                return self.evaluator.elements(frame, expression)
        return self.evaluator.calls.yielded(iterator) or (
            () if isinstance(iterator, Generator) else (iterator,)
        )

    def item(self, value: Instance, key: Expression) -> Values:
        """What an object gives for a key: what its class says, or the field of a tuple with names."""
        found = self._results(value, "__getitem__") or self._results(value, "__missing__")
        match key:
            case Constant(int(number)) if not found:
                names = self.fields(value.cls)
                return (
                    self.classes.attribute(value, names[number]) if -len(names) <= number < len(names) else ()
                )
        return found

    def parameterised(self, cls: ClassReference, key: Expression) -> Values:
        """What `cls[key]` is: what a metaclass says, a member of an enumeration, or the class itself."""
        found = self._results(cls, "__getitem__")
        if found:
            return found
        if self.is_enumeration(cls):
            name = key.value if isinstance(key, Constant) and isinstance(key.value, str) else ""
            return (Instance(cls, member=name),)
        return (cls,)

    def fields(self, cls: ClassReference) -> list[str]:
        """The fields that a class declares, in their order."""
        bindings = self.classes.facts(cls).bindings
        return [b.target.id for b in bindings if isinstance(b.target, Name) and b.annotation is not None]

    def _results(self, value: Value, name: str) -> Values:
        return union(map(self.evaluator.calls.result_of, self.evaluator.special.method(value, name)))

    # -- classes of classes ----------------------------------------------------------------------

    def metaclasses(self, cls: ClassReference) -> Iterator[ClassReference]:
        """The project's classes of which the class is an object."""
        for base in self.classes.lineage(cls):
            if isinstance(base, ClassReference):
                named = dict(self.classes.facts(base).keywords).get("metaclass")
                frame = self.classes.body(base)
                for value, _ in plain(self.evaluator.evaluate(frame, named)):
                    if isinstance(value, ClassReference):
                        yield value

    def makers(self, cls: ClassReference) -> Iterator[FunctionReference]:
        """The functions that run when an object is made, beside the constructors: of metaclass and fields."""
        for method, _ in plain(self.classes.of_metaclass(cls, "__call__")):
            if isinstance(method, FunctionReference):
                yield method
        for base in self.classes.lineage(cls):
            if isinstance(base, ClassReference):
                body = self.classes.body(base)
                for binding in self.classes.facts(base).bindings:
                    yield from self._field_makers(body, binding)

    def _field_makers(self, body: Frame, binding: Binding) -> Iterator[FunctionReference]:
        match binding.value:
            case Call(function, _, keywords) if last_name(function) in FIELDS:
                for maker in (value for name, value in keywords if name in DEFAULT_MAKERS):
                    for value, _ in plain(self.evaluator.evaluate(body, maker)):
                        if isinstance(value, FunctionReference):
                            yield value

    def making(self, cls: ClassReference) -> Iterator[FunctionReference]:
        """The functions that run when the class itself is made."""
        for name in ("__new__", "__init__"):
            for method, _ in plain(self.classes.of_metaclass(cls, name)):
                if isinstance(method, FunctionReference):
                    yield method
        for method, _ in plain(self.classes.attribute(Super(cls, cls), "__init_subclass__")):
            if isinstance(method, FunctionReference):
                yield method

    # -- reading, setting, deleting --------------------------------------------------------------

    def accessors(self, receiver: Value, name: str, kind: str) -> Iterator[Value]:
        """The functions that reading, setting or deleting (`kind`) an attribute of an object runs."""
        match receiver:
            case Instance(cls):
                yield from self._dynamic(receiver, DYNAMIC[kind])
                yield from self._described(receiver, self.classes.lineage(cls), name, kind)
                if kind == "get" and not self._has(cls, name):
                    yield from self._asked(receiver, name)
            case ClassReference():
                yield from self._described(receiver, self.classes.lineage(receiver), name, kind)
                for meta in self.metaclasses(receiver):
                    yield from self._described(Instance(meta), self.classes.lineage(meta), name, kind)
            case Super(cls, inner) if isinstance(inner, Instance):
                lineage = self.classes.lineage(inner.cls)
                after = lineage[lineage.index(cls) + 1 :] if cls in lineage else ()
                yield from self._described(inner, after, name, kind)
            case ModuleReference(path) if kind == "get":
                if not self._in_module(path, name):
                    yield from self._module_getter(path, name)

    def _described(
        self, receiver: Value, lineage: tuple[ClassReference | External, ...], name: str, kind: str
    ) -> Iterator[Value]:
        """What the first class that has the attribute says of it: a property, or another descriptor."""
        for base in lineage:
            if not isinstance(base, ClassReference):
                continue
            facts, module = self.classes.facts(base), self.evaluator.module(base.module)
            number = facts.methods.get(name)
            if number is not None or (kind != "get" and module.accessor(base.number, name, kind) is not None):
                function = None if number is None else module.function(number)
                if function is None or is_property(decorators_of(function)):
                    used = number if kind == "get" else module.accessor(base.number, name, kind)
                    if used is not None and isinstance(receiver, Instance):
                        yield FunctionReference(base.module, used, receiver)
                elif function.decorators:
                    values = self.evaluator.decorators.decorated(self.classes.body(base), number or 0)
                    yield from self._descriptors(receiver, values, kind)
                return
            for binding in facts.bindings:
                if isinstance(binding.target, Name) and binding.target.id == name:
                    yield from self._in_body(receiver, base, binding, kind)
                    return

    def _in_body(self, receiver: Value, cls: ClassReference, binding: Binding, kind: str) -> Iterator[Value]:
        match binding.value:
            case Call(Name("property")) as made:
                if isinstance(receiver, Instance):
                    yield from self._accessor(receiver, cls, made, kind)
            case Call() | Name():
                values = self.evaluator.evaluate(self.classes.body(cls), binding.value)
                yield from self._descriptors(receiver, values, kind)

    def _accessor(self, receiver: Instance, cls: ClassReference, made: Call, kind: str) -> Values:
        """The function that `property(getter, setter, deleter)` was given, bound to the object."""
        match argument(made, ACCESSORS[kind][1], f"f{kind.removesuffix('ete')}"):
            case Name(id) if id in self.classes.facts(cls).methods:
                return self.evaluator.attribute(receiver, id)
            case function:
                return self._bound(self.evaluator.evaluate(self.classes.body(cls), function), receiver)

    def _descriptors(self, receiver: Value, values: Values, kind: str) -> Iterator[Value]:
        for value, _ in plain(values):
            if isinstance(value, Instance) and (kind == "get" or isinstance(receiver, Instance)):
                for method in self.evaluator.special.method(value, ACCESSORS[kind][0]):
                    yield Partial(method, ((receiver,),))

    def _dynamic(self, receiver: Instance, name: str) -> Iterator[Value]:
        if self.evaluator.project.defines(name):
            yield from self.evaluator.special.method(receiver, name)

    def _has(self, cls: ClassReference, name: str) -> bool:
        """Whether an object of the class has the attribute, as far as its classes say."""
        for base in self.classes.lineage(cls):
            if isinstance(base, ClassReference):
                facts = self.classes.facts(base)
                bound = (b.target.id for b in facts.bindings if isinstance(b.target, Name))
                if name in facts.methods or name in facts.classes or name in bound:
                    return True
                if self.evaluator.module(base.module).attributes(name):
                    return True
        return False

    def _asked(self, receiver: Instance, name: str) -> Iterator[Value]:
        """`__getattr__`, which is asked for an attribute that is not there."""
        if name.startswith("__") or not self.evaluator.project.defines("__getattr__"):
            return
        for method in self.evaluator.special.method(receiver, "__getattr__"):
            if isinstance(method, FunctionReference):
                yield self._named(method, name, 1)

    def _module_getter(self, path: str, name: str) -> Iterator[Value]:
        module = self.evaluator.project.module(path)
        if module is not None and self.evaluator.project.defines("__getattr__"):
            for value in self.evaluator.member(module, "__getattr__"):
                if isinstance(value, FunctionReference):
                    yield self._named(value, name, 0)

    def _in_module(self, path: str, name: str) -> bool:
        return bool(self.evaluator.module_member(path, name, dynamic=False))

    def _named(self, function: FunctionReference, name: str, position: int) -> Value:
        """The function as it is asked for an attribute of this name."""
        parameters = self.evaluator.facts(function).parameters
        if len(parameters) <= position:
            return function
        text = (Literal(self._nowhere, Constant(name)),)
        given = ((parameters[position].name, text),)
        frame = self.evaluator.frames(
            function.module, function.function, given, function.frame, function.receiver, called=True
        )
        return FunctionReference(function.module, function.function, function.receiver, frame)

    def otherwise(self, value: Instance, name: str) -> Values:
        """What an attribute of an object is that no class of it mentions."""
        if name == "__class__":
            return (value.cls,)
        if name in ("value", "_value_") and self.is_enumeration(value.cls):
            return self._value_of(value)
        set_ = union(self._set(value, name))
        if set_ or self._has(value.cls, name):
            return set_
        return union(map(self.evaluator.calls.result_of, self._asked(value, name)))

    def _set(self, value: Instance, name: str) -> Iterator[Values]:
        """What `setattr(object, "name", value)` puts there."""
        for module, index, site in self.evaluator.project.calls("setattr", (scan.encoded(name),)):
            match site.call.arguments:
                case (holder, Constant(str(text)), given) if text == name:
                    frame = self.evaluator.frame(module, index)
                    holders = plain(self.evaluator.evaluate(frame, holder))
                    if any(_class_of(held) == value.cls for held, _ in holders):
                        yield self.evaluator.evaluate(frame, given)

    def of_module(self, path: str, name: str) -> Values:
        """What the `__getattr__` of a module gives for a name that it does not have."""
        return union(map(self.evaluator.calls.result_of, self._module_getter(path, name)))


def is_property(kinds: frozenset[str]) -> bool:
    """Whether a function with these decorators is called where the attribute is read."""
    return bool(kinds & PROPERTIES) or any(kind.endswith("_property") for kind in kinds)


def decorators_of(function: FunctionFacts) -> frozenset[str]:
    """The decorators of a function as they are written."""
    return frozenset(dotted(decorator) for decorator in function.decorators)


def _class_of(value: Value) -> ClassReference | None:
    match value:
        case Instance(cls):
            return cls
        case ClassReference():
            return value
    return None
