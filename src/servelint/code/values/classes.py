"""Classes of the project: lineage, methods, attributes, and what `self` and `super()` are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from servelint.code.facts.facts import Attribute, Call, ClassFacts, Expression, FunctionFacts, Name
from servelint.code.values.calls import argument
from servelint.code.values.members import Members, decorators_of, is_property
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    LibraryMethod,
    LibraryObject,
    Super,
    Value,
    Values,
    guessed,
    plain,
    union,
)
from servelint.knowledge.types import Role

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator


class Classes:
    """The part of the evaluation that is about classes."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._lineages: dict[ClassReference, tuple[ClassReference | External, ...]] = {}
        self._subclasses: dict[ClassReference, tuple[ClassReference, ...]] = {}
        self._unfinished: set[ClassReference] = set()
        self._circular = False
        self.members = Members(self)

    def facts(self, cls: ClassReference) -> ClassFacts:
        """The facts of a class."""
        return self.evaluator.module(cls.module).facts.classes[cls.number]

    def body(self, cls: ClassReference) -> Frame:
        """The frame in which what a class body says means something."""
        return self.evaluator.frames(cls.module, self.facts(cls).parent)

    def lineage(self, cls: ClassReference) -> tuple[ClassReference | External, ...]:
        """The class and its bases in the order in which Python asks them; outside the project by name.

        Where there is no such order (what a base is may depend on a condition), depth first, each once.
        """
        if cls in self._unfinished:
            self._circular = True
            return (cls,)  # a class that inherits from itself ends here
        known, waiting = self._lineages, [cls]
        try:
            while cls not in known:
                top = waiting[-1]
                self._unfinished.add(top)
                bases = self._bases(top)
                above = next((b for b in bases if b not in known and b not in self._unfinished), None)
                if above is not None:
                    waiting.append(above)
                    continue
                known[top] = self._joined(top)
                self._unfinished.discard(waiting.pop())
        finally:
            self._unfinished.difference_update(waiting)
        return known[cls]

    def _bases(self, cls: ClassReference) -> Iterator[ClassReference]:
        """The project's classes among the bases of the class."""
        return (base for base in self._all_bases(cls) if isinstance(base, ClassReference))

    def _all_bases(self, cls: ClassReference) -> Iterator[ClassReference | External]:
        frame = self.body(cls)
        for base in self.facts(cls).bases:
            for value, _ in plain(self.evaluator.evaluate(frame, base)):
                if isinstance(value, ClassReference | External):
                    yield value

    def _joined(self, cls: ClassReference) -> tuple[ClassReference | External, ...]:
        """The lineage of a class whose bases' lineages are known, or under way where it is a circle."""
        bases = tuple(dict.fromkeys(self._all_bases(cls)))
        lineages = [
            self._lineages.get(base, (base,)) if isinstance(base, ClassReference) else (base,)
            for base in bases
        ]
        self._circular |= any(base in self._unfinished for base in self._bases(cls))
        if len(lineages) == 1 and not self._circular:
            return (cls, *lineages[0])
        merged = None if self._circular else _merged([*lineages, bases])
        if merged is not None:
            return (cls, *merged)
        return tuple(dict.fromkeys((cls, *(above for lineage in lineages for above in lineage))))

    def subclasses(self, cls: ClassReference) -> tuple[ClassReference, ...]:
        """The project's classes that inherit from `cls`, directly or not, each once."""
        found = self._subclasses.get(cls)
        if found is None:
            found = tuple(self._find_subclasses(cls))
            if not self._unfinished:  # else a lineage may have been cut short
                self._subclasses[cls] = found
        return found

    def _find_subclasses(self, cls: ClassReference) -> Iterator[ClassReference]:
        seen, waiting = {cls}, [cls]  # code that is not run may have classes that inherit from each other
        while waiting:
            base = waiting.pop()
            for module, number in self.evaluator.project.families.inheriting(self.facts(base).name):
                child = ClassReference(module.path, number)
                if child not in seen and base in self.lineage(child):
                    seen.add(child)
                    waiting.append(child)
                    yield child

    def _overriding(self, cls: ClassReference, name: str) -> Iterator[ClassReference]:
        """Those of them that may put something else in the place of an attribute."""
        for module, number in self.evaluator.project.families.overriding(self.facts(cls).name, name):
            child = ClassReference(module.path, number)
            if child != cls and cls in self.lineage(child):
                yield child

    def library_types(self, cls: ClassReference) -> Iterator[str]:
        """The catalogue types that the class inherits from."""
        for base in self.lineage(cls):
            if isinstance(base, External):
                known = self.evaluator.catalogue.classes.find(base.name)
                if known is not None:
                    yield known.name

    # -- self, cls, super ------------------------------------------------------------------------

    def owner(self, frame: Frame, function: FunctionFacts) -> ClassReference | None:
        """The class whose method the function is."""
        return None if function.owner is None else ClassReference(frame.module, function.owner)

    def receiver(self, frame: Frame, function: FunctionFacts) -> Value | None:
        """What a method's first parameter is when nothing is known of the call."""
        owner = self.owner(frame, function)
        if owner is None or "staticmethod" in decorators_of(function):
            return None
        if "classmethod" in decorators_of(function) or function.name in ("__new__", "__init_subclass__"):
            return owner
        return Instance(owner, exact=False)

    def own(self, frame: Frame, function: FunctionFacts) -> Values:
        """What the first parameter of a method is in the frame."""
        owner = self.owner(frame, function)
        if owner is not None and function.name == "__init_subclass__":
            return self.subclasses(owner)
        receiver = frame.receiver or self.receiver(frame, function)
        return () if receiver is None else (receiver,)

    def super_of(self, frame: Frame) -> Values:
        """`super()` in the frame."""
        here: Frame | None = frame
        while here is not None:
            function = self.evaluator.facts(here)
            owner = self.owner(here, function)
            if owner is not None:
                receiver = here.receiver or self.receiver(here, function)
                return () if receiver is None else (Super(owner, receiver),)
            here = here.parent
        return ()

    def family(self, cls: ClassReference) -> tuple[ClassReference, ...]:
        """The class and its subclasses: what is constructed when a constructor of the class runs."""
        return (cls, *self.subclasses(cls))

    # -- construction ----------------------------------------------------------------------------

    def constructed(self, cls: ClassReference) -> Values:
        """What calling the class gives."""
        made = Instance(cls)
        for method, _ in plain(self._from_lineage(made, "__new__", self.lineage(cls))):
            if isinstance(method, FunctionReference):
                frame = self.evaluator.frames(method.module, method.function, receiver=method.receiver)
                given = (value for value, _ in plain(self.evaluator.calls.returns(frame)))
                others = tuple(v for v in given if isinstance(v, Instance) and cls not in self.lineage(v.cls))
                return others or (made,)
        return (made,)

    def given_back(self, frame: Frame, call: Call, callees: Values) -> Values:
        """The project's object that a library's method gives back, or makes of a class: `Net().eval()`.

        What nobody knows makes an object of a class by its name: `Net.from_pretrained(path)`.
        """
        match call.function:
            case Attribute(base, name) if all(map(self._gives_self, callees)):
                if callees or name.startswith(("from_", "load_from_")):
                    own = plain(self.evaluator.evaluate(frame, base))
                    return union(
                        self._object_of(value, certain, known=bool(callees)) for value, certain in own
                    )
        return ()

    def _gives_self(self, callee: Value) -> bool:
        if not isinstance(callee, LibraryMethod):
            return False
        entry = self.evaluator.catalogue.method(callee.type, callee.method)
        return entry is not None and entry.returns == "self" and entry.role is not Role.LAZY

    def _object_of(self, value: Value, certain: bool, *, known: bool) -> Values:
        match value:
            case Instance() if known:
                return (value,) if certain else guessed((value,))
            case ClassReference():
                return (Instance(value),) if certain else guessed((Instance(value),))
        return ()

    def constructors(self, cls: ClassReference) -> Iterator[FunctionReference]:
        """The methods of the project that run when the class is called."""
        yield from self.members.makers(cls)
        for name in ("__new__", "__init__", "__post_init__", "model_post_init"):
            for method, _ in plain(self._from_lineage(Instance(cls), name, self.lineage(cls))):
                if isinstance(method, FunctionReference):
                    yield method

    # -- attributes ------------------------------------------------------------------------------

    def attribute(self, value: Instance | ClassReference | Super, name: str) -> Values:
        """What an attribute of an object, a class or `super()` may be."""
        key = ("attribute", value, name)
        return self.evaluator.remembered(key, lambda: self._attribute(value, name))

    def _attribute(self, value: Instance | ClassReference | Super, name: str) -> Values:
        match value:
            case Super(cls, receiver):
                lineage = self.lineage(_class_of(receiver) or cls)
                after = lineage[lineage.index(cls) + 1 :] if cls in lineage else self.lineage(cls)[1:]
                return self._from_lineage(receiver, name, after)
            case ClassReference():
                found = self._from_lineage(value, name, self.lineage(value))
                return found or self.of_metaclass(value, name)
            case Instance(cls, exact):
                found = self._from_lineage(value, name, self.lineage(cls))
                found = found if exact else self._with_overrides(cls, name, found)
                return found or self.members.otherwise(value, name)

    def of_metaclass(self, cls: ClassReference, name: str) -> Values:
        """What an attribute of a class is that its metaclass has: a method gets the class."""
        found: list[Value] = []
        for meta in self.members.metaclasses(cls):
            for value, _ in plain(self._from_lineage(Instance(meta), name, self.lineage(meta))):
                own = isinstance(value, FunctionReference) and value.receiver == Instance(meta)
                found.append(self._with_receiver(value, cls) if own else value)
        return tuple(found)

    def _with_receiver(self, value: Value, receiver: Value) -> Value:
        return replace(value, receiver=receiver) if isinstance(value, FunctionReference) else value

    def _with_overrides(self, cls: ClassReference, name: str, found: Values) -> Values:
        """Add what subclasses put in place of an attribute; a stub gives way to them."""
        overrides = union(
            self._from_lineage(Instance(child), name, (child,)) for child in self._overriding(cls, name)
        )
        if not overrides and all(self.is_stub(v) for v in found) and self._is_protocol(cls):
            overrides = self._implementations(cls, name)
        if not overrides:
            return found
        return union((tuple(v for v in found if not self.is_stub(v)), overrides))

    def is_stub(self, value: Value) -> bool:
        """Whether the value is a method that only declares itself."""
        return isinstance(value, FunctionReference) and self.evaluator.facts(value).stub

    def _is_protocol(self, cls: ClassReference) -> bool:
        return any(isinstance(b, External) and b.name.endswith(".Protocol") for b in self.lineage(cls))

    def _implementations(self, cls: ClassReference, name: str) -> Values:
        """What classes that have all methods of a protocol, each as async as there, put for one of them."""
        found: list[Values] = []
        for module, number in self.evaluator.project.defining(name):
            other = ClassReference(module.path, number)
            if other != cls and self._implements(other, cls):
                found.append(self._from_lineage(Instance(other), name, (other,)))
        return union(found)

    def _implements(self, cls: ClassReference, protocol: ClassReference) -> bool:
        theirs, wanted = self.facts(cls).methods, self.facts(protocol).methods
        if self._is_protocol(cls):
            return False
        one, other = self.evaluator.module(cls.module), self.evaluator.module(protocol.module)
        return all(
            name in theirs and one.function(theirs[name]).is_async == other.function(number).is_async
            for name, number in wanted.items()
        )

    def _from_lineage(
        self, receiver: Value, name: str, lineage: tuple[ClassReference | External, ...]
    ) -> Values:
        assigned: list[Values] = []
        for base in lineage:
            if isinstance(base, External):
                continue
            method = self._method(receiver, base, name)
            if method:
                return union((method, *assigned))
            assigned += self._assigned(receiver, base, name)
        found = union(assigned)
        if found:
            return found
        return self._from_libraries(name, lineage)

    def _method(self, receiver: Value, cls: ClassReference, name: str) -> Values:
        facts = self.facts(cls)
        if name in facts.classes:
            return (ClassReference(cls.module, facts.classes[name]),)
        number = facts.methods.get(name)
        if number is None:
            return ()
        module = self.evaluator.module(cls.module)
        function = module.function(number)
        kinds = decorators_of(function)
        if is_property(kinds):
            frame = self.evaluator.frames(cls.module, number, receiver=receiver)
            return self.evaluator.calls.returns(frame) if isinstance(receiver, Instance) else ()
        values = self.evaluator.decorators.decorated(self.body(cls), number)
        return tuple(self._bind(value, receiver, function, kinds) for value in values)

    def _bind(self, value: Value, receiver: Value, function: FunctionFacts, kinds: frozenset[str]) -> Value:
        if not isinstance(value, FunctionReference) or "staticmethod" in kinds:
            return value
        if "classmethod" in kinds or function.name == "__new__":
            return FunctionReference(
                value.module, value.function, _class_of(receiver) or receiver, value.frame
            )
        if isinstance(receiver, ClassReference):
            return value  # `Model.predict`: the caller passes the object
        return FunctionReference(value.module, value.function, receiver, value.frame)

    def _assigned(self, receiver: Value, cls: ClassReference, name: str) -> Iterator[Values]:
        """What `self.name = ...` in the class's methods and `name = ...` in its body give."""
        module = self.evaluator.module(cls.module)
        body = self.body(cls)
        for binding in self.facts(cls).bindings:
            if isinstance(binding.target, Name) and binding.target.id == name:
                found = self.members.held(receiver, cls, name, body, binding)
                declared = self.evaluator.annotations.annotated(body, binding.annotation)
                yield found or declared
                open_ = not declared or self.evaluator.annotations.leaves_open(binding.annotation, declared)
                if binding.annotation is not None and open_:
                    yield from self._given_to_field(cls, name)
        for bound in module.attributes(name):
            if self.is_of(module.path, bound.function, bound.binding.target, cls):
                made = receiver.made if isinstance(receiver, Instance) else None
                here = made is not None and (made.module, made.function) == (module.path, bound.function)
                yield self.evaluator.bound(module, bound, made if here else None)

    def _given_to_field(self, cls: ClassReference, name: str) -> Iterator[Values]:
        """What calls of a class without a constructor of its own, such as a dataclass, give for a field."""
        if "__init__" in self.facts(cls).methods:
            return
        fields = [
            b.target.id
            for b in self.facts(cls).bindings
            if isinstance(b.target, Name) and b.annotation is not None
        ]
        for frame, call in self.evaluator.callers.constructing(cls):
            given = argument(call, fields.index(name), name)
            if given is not None:
                yield self.evaluator.evaluate(frame, given)

    def is_of(self, path: str, function: int, target: Expression, cls: ClassReference) -> bool:
        """Whether the assignment's target is an attribute of an object or of the class `cls`."""
        if not isinstance(target, Attribute):
            return False
        module = self.evaluator.module(path)
        here: int | None = function
        while here is not None:
            facts = module.function(here)
            first = facts.parameters[0].name if facts.parameters else ""
            if facts.owner is not None:
                if isinstance(target.value, Name) and target.value.id == first:
                    return facts.owner == cls.number
                break
            here = facts.parent
        if isinstance(target.value, Name) and target.value.id == self.facts(cls).name:
            return True
        values = self.evaluator.evaluate(self.evaluator.frame(module, function), target.value)
        return any(_class_of(value) == cls for value, _ in plain(values))

    def _from_libraries(self, name: str, lineage: tuple[ClassReference | External, ...]) -> Values:
        catalogue = self.evaluator.catalogue
        for base in lineage:
            if not isinstance(base, External):
                continue
            known = catalogue.classes.find(base.name)
            if known is not None:
                if catalogue.method(known.name, name) is not None:
                    return (LibraryMethod(known.name, name),)
                held = catalogue.attribute(known.name, name)
                if held:
                    return (LibraryObject(held),)
            elif name in self.evaluator.frameworks.state:
                return self.evaluator.attributes((), name)
        return ()


def _merged(
    lineages: list[tuple[ClassReference | External, ...]],
) -> tuple[ClassReference | External, ...] | None:
    """The order of bases: each before its own, and in the order of each list; None where there is none.

    It is the C3 linearization: https://docs.python.org/3/howto/mro.html
    """
    rest = [list(lineage[::-1]) for lineage in lineages if lineage]
    found: list[ClassReference | External] = []
    while rest:
        behind = {base for lineage in rest for base in lineage[:-1]}
        first = next((lineage[-1] for lineage in rest if lineage[-1] not in behind), None)
        if first is None:
            return None
        found.append(first)
        for lineage in rest:
            if lineage[-1] == first:
                lineage.pop()
        rest = [lineage for lineage in rest if lineage]
    return tuple(found)


def _class_of(value: Value) -> ClassReference | None:
    match value:
        case ClassReference():
            return value
        case Instance(cls):
            return cls
        case Super(cls):
            return cls
    return None
