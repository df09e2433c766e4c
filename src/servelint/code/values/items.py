"""What containers hold: displays, what is put into them elsewhere, and what objects give for a key."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Element,
    Expression,
    Listed,
    Mapping,
    Name,
    Sequence,
    Slice,
    Spread,
    Subscript,
    last_name,
)
from servelint.code.facts.nodes import bounds, picked
from servelint.code.graph.project import Module, held_by
from servelint.code.values.calls import NO_ARGUMENTS, argument
from servelint.code.values.values import (
    ClassReference,
    Drawn,
    External,
    ExternalObject,
    Frame,
    Generator,
    Guess,
    Instance,
    LazyResult,
    LibraryObject,
    Literal,
    ModuleReference,
    Packed,
    Partial,
    Record,
    State,
    Value,
    Values,
    guessed,
    plain,
    union,
)
from servelint.knowledge.types import Offload

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator

# What gives the elements that it is given, in another order or another container.
_SAME_ELEMENTS = frozenset({"sorted", "reversed", "list", "tuple", "set", "frozenset", "iter"})
# How many items of lists that are put together are told apart.
MAXIMUM_ITEMS = 50


class Items:
    """The part of the evaluation that is about containers."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._sliced: dict[tuple[int, Slice], Expression] = {}
        self._names: dict[str, Constant] = {}
        self._taken: dict[int, Listed] = {}

    def item(self, frame: Frame, container: Expression, key: Expression) -> Values:
        """What `container[key]` may be."""
        # Both are parts of a file's facts, which live as long as the evaluation: their identity will do.
        asked = ("item of", frame, id(container), id(key))
        return self.evaluator.remembered(asked, lambda: self._item(frame, container, key))

    def named(self, frame: Frame, container: Expression, name: str) -> Values:
        """What `container["name"]` may be, where nobody wrote it like that."""
        return self.item(frame, container, self._names.setdefault(name, Constant(name)))

    def _item(self, frame: Frame, container: Expression, key: Expression) -> Values:
        match container, key:
            case Element(Call(Attribute(base, "items"), _, _, _)), Constant(1):
                return self.elements(frame, base)
            case Element(Call(Name("enumerate"), (base, *_), _, _)), Constant(1):
                return self.elements(frame, base)
            case Element(Call(Name("zip"), bases, _, _)), Constant(int(number)) if number < len(bases):
                return self.elements(frame, bases[number])
            case ((Attribute(holder, "__dict__") | Call(Name("vars"), (holder,), _, _)), _):
                held = self.evaluator.evaluate(frame, holder)
                return self.evaluator.chosen.attribute(frame, held, key)
            case Call(Name("globals"), (), _, _), _:
                holders: Values = (ModuleReference(frame.module),)
                return self.evaluator.chosen.attribute(frame, holders, key)
        found = [self._item_of(frame, value, key) for value in self.evaluator.evaluate(frame, container)]
        held = union((*found, *self._filled(frame, container, key)))
        match container:
            case Call(Name(name), (base, *_), _, _) if name in _SAME_ELEMENTS and not held:
                return self.elements(frame, base)  # `list(filter(wanted, engines))[0]`
        return held

    def elements(self, frame: Frame, container: Expression) -> Values:
        """What iterating the container gives."""
        asked = ("elements of", frame, id(container))
        return self.evaluator.remembered(asked, lambda: self._elements(frame, container))

    def _elements(self, frame: Frame, container: Expression) -> Values:
        match container:
            case Call(Attribute(base, "values" | "copy"), _, _, _):
                return self.elements(frame, base)
            case Call(Name(name), (base, *_), _, _) if name in _SAME_ELEMENTS:
                return self.elements(frame, base)
            case Call(Attribute(base, "__subclasses__"), (), _, _):
                bases = (value for value, _ in plain(self.evaluator.evaluate(frame, base)))
                classes = (value for value in bases if isinstance(value, ClassReference))
                return union(self.evaluator.classes.subclasses(cls) for cls in classes)
        found = [self._item_of(frame, value, None) for value in self.evaluator.evaluate(frame, container)]
        return union((*found, *self._filled(frame, container, None)))

    def _library_item(self, type_name: str, key: Expression | None) -> Values:
        held = self.evaluator.catalogue.items(type_name, key.value if isinstance(key, Constant) else None)
        return (LibraryObject(held),) if held else ()

    def _item_of(self, frame: Frame, value: Value, key: Expression | None) -> Values:
        match value:
            case Guess(inner):
                return guessed(self._item_of(frame, inner, key))
            case Literal(made, expression):
                asked = ("item", made, id(expression), key)
                return self.evaluator.remembered(asked, lambda: self._literal_item(made, expression, key))
            case Packed(items):
                return _packed_item(items, key)
            case Record(fields) if isinstance(key, Constant) and isinstance(key.value, str):
                return dict(fields).get(key.value, ())
            case Record(fields):
                return _packed_item(tuple(values for _, values in fields), key)
            case LibraryObject(type_name):
                return self._library_item(type_name, key)
            case External(name) if table := self.evaluator.catalogue.classes.find(name):
                return self._library_item(table.name, key)  # a table of a library
            case External(name) if key is not None and self.evaluator.frameworks.injects.names.find(name):
                return self.evaluator.evaluate(frame, key)  # `Provide[Container.model]`
            case Instance():
                members = self.evaluator.classes.members
                return members.element(value) if key is None else members.item(value, key)
            case ClassReference():
                members = self.evaluator.classes.members
                return members.element(value) if key is None else members.parameterised(value, key)
            case ModuleReference(path):
                names = key.value if isinstance(key, Constant) and isinstance(key.value, str) else ""
                return self.evaluator.module_member(path, names) if names else ()
            case State() if isinstance(key, Constant):
                return self._application_item(key)
            case External(store) if isinstance(key, Constant) and isinstance(key.value, str):
                models = self.evaluator.models
                return models.kept_by(store, key.value) if models.is_framework(store) else ()
            case ExternalObject(qualified) if isinstance(key, Constant):
                known = qualified.partition(".")[0] in self.evaluator.frameworks.distributions
                return self._application_item(key) if known else ()
        return self.evaluator.calls.yielded(value) if key is None else ()

    def _literal_item(self, frame: Frame, expression: Expression, key: Expression | None) -> Values:
        match expression:
            case Sequence(items):
                found = picked(items, key)
                if isinstance(key, Slice):
                    part = self._sliced.setdefault((id(expression), key), found) if found else expression
                    return (Literal(frame, part),)
                return (
                    self.evaluator.evaluate(frame, found)
                    if found
                    else union(self.evaluator.evaluate(frame, i) for i in items)
                )
            case Listed() if isinstance(key, Slice):
                return (Literal(frame, expression),)
            case Mapping(keys, values):
                pairs = list(zip(keys, values, strict=True))
                if isinstance(key, Constant | Attribute) and (exact := [v for k, v in pairs if k == key]):
                    return self.evaluator.evaluate(frame, exact[-1])
                spread = [self.item(frame, v, key) for k, v in pairs if k is None and key is not None]
                if isinstance(key, Constant) and all(isinstance(k, Constant) for k in keys):
                    return ()
                return union(
                    (*(self.evaluator.evaluate(frame, v) for k, v in pairs if k is not None), *spread)
                )
            case Listed(element, _):
                return self.evaluator.evaluate(frame, element)
        return ()

    # -- records ---------------------------------------------------------------------------------

    def named_tuple(self, call: Call) -> Values:
        """The class that `namedtuple("Pair", "left right")` gives, known by its fields."""
        match call.arguments:
            case (_, Constant(str(text)), *_):
                names = text.replace(",", " ").split()
            case (_, Sequence(items), *_):
                firsts = (
                    item.items[0] if isinstance(item, Sequence) and item.items else item for item in items
                )
                names = [
                    one.value for one in firsts if isinstance(one, Constant) and isinstance(one.value, str)
                ]
            case _:
                return ()
        return (Partial(External("collections.namedtuple"), (), tuple((name, ()) for name in names)),)

    def record(self, frame: Frame, call: Call, names: tuple[str, ...]) -> Values:
        """The object that a call makes of what it is given: in the order of the names, and by name."""
        evaluate = self.evaluator.evaluate
        given = {name: evaluate(frame, value) for name, value in zip(names, call.arguments, strict=False)}
        given |= {name: evaluate(frame, value) for name, value in call.keywords if name}
        ordered = {name: given.pop(name, ()) for name in names}
        place = (frame.module, call.position.line, call.position.column)
        return (Record((*ordered.items(), *given.items()), place),)

    def keywords(self, frame: Frame, call: Call, taken: Collection[str]) -> Values:
        """What `**options` takes of a call: what it gives by names that no parameter has."""
        if not frame.module:
            return ()
        found: dict[str, Values] = {}
        for key, value in call.keywords:
            if key is None:
                for one in self.evaluator.evaluate(frame, value):
                    found |= dict(one.fields) if isinstance(one, Record) else {}
            elif key not in taken and not isinstance(value, Constant):
                found[key] = self.evaluator.evaluate(frame, value)
        place = (frame.module, call.position.line, call.position.column)
        return (Record(tuple(found.items()), place),) if any(found.values()) else ()

    def part(self, record: Record, name: str) -> Values:
        """What a record holds under a name, and what is put there later."""
        return union((dict(record.fields).get(name, ()), *self._put(record, name)))

    def _put(self, record: Record, name: str) -> Iterator[Values]:
        for module, bound in self.evaluator.project.attributes(name):
            target = bound.binding.target
            if isinstance(target, Attribute):
                holders = self.evaluator.evaluate(self.evaluator.frame(module, bound.function), target.value)
                if any(isinstance(held, Record) and held.place == record.place for held in holders):
                    yield self.evaluator.bound(module, bound)

    # -- parts of containers ---------------------------------------------------------------------

    def spread(self, frame: Frame, container: Expression) -> tuple[Values, ...]:
        """What `*container` gives, in order; nothing where that is not known."""
        for value in self.evaluator.evaluate(frame, container):
            match value:
                case Packed(items):
                    return items
                case Literal(where, Sequence(items)) if not any(isinstance(item, Spread) for item in items):
                    return tuple(self.evaluator.evaluate(where, item) for item in items[:MAXIMUM_ITEMS])
        return ()

    def joined(self, frame: Frame, operands: tuple[Expression, ...]) -> Values:
        """What lists, one of which is written out, hold when they are put together or repeated."""
        found: list[Values] = []
        for value in (value for operand in operands for value in self.evaluator.evaluate(frame, operand)):
            match value:
                case Packed(items):
                    found += items
                case Literal(made, Sequence(items)):
                    found += [self.evaluator.evaluate(made, item) for item in items[:MAXIMUM_ITEMS]]
                case Literal(made, Listed(element, _)):
                    found.append(self.evaluator.evaluate(made, element))
        return (Packed(tuple(found[:MAXIMUM_ITEMS])),) if any(found) else ()

    def _filled(self, frame: Frame, container: Expression, key: Expression | None) -> Iterator[Values]:
        """What the project puts into the container elsewhere (`models["a"] = load()`)."""
        place = held_by(container)
        name = last_name(place)
        if not name:
            return
        for module in self._holders(frame, place):
            for item in module.filled(name):
                if item.may_be_at(key):
                    yield self.evaluator.evaluate(self.evaluator.frame(module, item.function), item.value)

    def _holders(self, frame: Frame, container: Expression) -> Iterator[Module]:
        """The files that may fill a container: where it stands, and where it is imported from."""
        here = self.evaluator.module(frame.module)
        yield here
        match container:
            case Subscript(outer, _):
                yield from (module for module in self._holders(frame, outer) if module is not here)
            case Name(id):
                for item in here.facts.body.imports:
                    path = (
                        self.evaluator.project.resolve(here, item.module, item.level)
                        if item.local == id
                        else None
                    )
                    other = self.evaluator.project.module(path) if path else None
                    if other is not None:
                        yield other
            case Attribute(base, _):
                for value in self.evaluator.evaluate(frame, base):
                    match value:
                        case (
                            Instance(ClassReference(path)) | ClassReference(path) | ModuleReference(path)
                        ) if path != here.path:
                            other = self.evaluator.project.module(path)
                            if other is not None:
                                yield other

    # -- what is worked out while it is gone through ----------------------------------------------

    def taken(self, frame: Frame, source: Expression | None, values: Values) -> Values:
        """What `list(source)` gives for a source that may be the values: elements that are there."""
        if source is None or not any(self._is_worked_out(value) for value, _ in plain(values)):
            return values
        listed = Literal(frame, self._taken.setdefault(id(source), Listed(Element(source), lazy=False)))
        found: list[Value] = []
        for value, certain in plain(values):
            given = listed if self._is_worked_out(value) else value
            found.append(given if certain else Guess(given))
        return union([tuple(found)])

    def _is_worked_out(self, value: Value) -> bool:
        """Whether the elements come to be while the value is gone through."""
        match value:
            case Generator() | Drawn() | LazyResult():
                return True
            case LibraryObject(type_name):
                return self.evaluator.catalogue.method(type_name, "__iter__") is not None
            case Instance():
                return bool(self.evaluator.special.method(value, "__iter__"))
        return False

    # -- what calls a function that it is given ---------------------------------------------------

    def handed(self, frame: Frame, call: Call, entry: Offload) -> Values:
        """What an offload runs: the callable that it is given, or what this runs (`context.run, make`)."""
        given = argument(call, entry.position, entry.keyword)
        functions = self.evaluator.evaluate(frame, given) if given is not None else ()
        names = (value.name for value, _ in plain(functions) if isinstance(value, External))
        run = next(filter(None, map(self.evaluator.frameworks.runs.names.find, names)), None)
        if run is None or not run.results or run.position is None or entry.position is None:
            return functions
        following = argument(call, entry.position + 1 + run.position, "")
        return self.evaluator.evaluate(frame, following) if following is not None else ()

    def drawing(self, frame: Frame, call: Call, entry: Offload) -> Values:
        """The iterator that `map(function, values)` gives."""
        function = argument(call, entry.position, entry.keyword)
        others = [value for value in call.arguments if value is not function]
        elements = tuple(self.evaluator.elements(frame, value) for value in others)
        sources = union(self.evaluator.evaluate(frame, value) for value in others)
        functions = self.evaluator.evaluate(frame, function) if function is not None else ()
        if not functions:
            return sources
        return tuple(Drawn(value, elements, sources, entry.results) for value, _ in plain(functions))

    def drawn(self, value: Drawn) -> Values:
        """The elements that the iterator gives."""
        if not value.results:
            return union(value.arguments)
        called = Partial(value.function, value.arguments)
        return self.evaluator.calls.returned(called, self.evaluator.frames("", 0), NO_ARGUMENTS)

    def _application_item(self, key: Constant) -> Values:
        """What is ever assigned to `app[key]` for an application object or bag."""
        if not isinstance(key.value, str):
            return ()
        name = key.value
        return self.evaluator.remembered(
            ("application item", name), lambda: union(self._application_items(name))
        )

    def _application_items(self, name: str) -> Iterator[Values]:
        for module, bound in self.evaluator.project.items(name):
            target = bound.binding.target
            if isinstance(target, Subscript):
                owners = self.evaluator.evaluate(self.evaluator.frame(module, bound.function), target.value)
                if not owners or any(isinstance(owner, State | ExternalObject) for owner in owners):
                    yield self.evaluator.bound(module, bound)


def _packed_item(items: tuple[Values, ...], key: Expression | None) -> Values:
    match key:
        case Constant(int(number)) if -len(items) <= number < len(items):
            return items[number]
        case Slice():
            ends = bounds(key)
            return (Packed(items if ends is None else items[ends]),)
    return union(items)
