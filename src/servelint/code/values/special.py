"""Which methods of an object's class the language calls by itself: for operators, items, conditions, `with`.

The list is that of https://docs.python.org/3/reference/datamodel.html#special-method-names. As there, the
methods are looked up on the class of an object, and what nobody defines is nothing that is called: of an
object that is not known, an operator says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from servelint.code.facts.facts import (
    BINARY,
    OPAQUE,
    Attribute,
    Call,
    Constant,
    Expression,
    Listed,
    Name,
    Operated,
    Position,
    Sequence,
)
from servelint.code.values.calls import NO_ARGUMENTS
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    Instance,
    LibraryMethod,
    LibraryObject,
    Literal,
    Partial,
    Value,
    Values,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator


class _Methods(NamedTuple):
    """The methods that an operation looks for on an operand: of each group, the first that is there."""

    groups: tuple[tuple[str, ...], ...]
    reflected: tuple[str, ...] = ()
    operand: int = 0


def _binary() -> Iterator[tuple[str, _Methods]]:
    for name in (*BINARY, "divmod"):
        direct, reflected = f"__{name}__", f"__r{name}__"
        yield name, _Methods(((direct,),), (reflected,))
        yield f"i{name}", _Methods(((f"__i{name}__", direct),), (reflected,))


def _compared() -> Iterator[tuple[str, _Methods]]:
    # `functools.total_ordering` makes the others of one.
    orders = ("lt", "le", "gt", "ge")
    for name, reflected in zip(orders, ("gt", "ge", "lt", "le"), strict=True):
        others = tuple(f"__{other}__" for other in orders if other != name)
        yield name, _Methods(((f"__{name}__",),), (f"__{reflected}__", *others))
    yield "eq", _Methods((("__eq__",),), ("__eq__",))
    yield "ne", _Methods((("__ne__", "__eq__"),), ("__ne__", "__eq__"))


OPERATIONS: dict[str, _Methods] = {
    **dict(_binary()),
    **dict(_compared()),
    **{
        name: _Methods(((f"__{name}__",),))
        for name in (
            *(
                "neg",
                "pos",
                "invert",
                "abs",
                "round",
                "trunc",
                "floor",
                "ceil",
                "len",
                "hash",
                "int",
                "float",
            ),
            *("complex", "bytes", "index", "dir", "repr", "fspath", "copy", "deepcopy", "next", "reversed"),
            *("await", "delitem", "delattr", "contains", "iter", "call"),
        )
    },
    "getitem": _Methods((("__getitem__",), ("__missing__",))),
    "setitem": _Methods((("__setitem__",),)),
    "bool": _Methods((("__bool__", "__len__"),)),
    "str": _Methods((("__str__", "__repr__"),)),
    "format": _Methods((("__format__", "__str__", "__repr__"),)),
    "with": _Methods((("__enter__",), ("__exit__",))),
    "async with": _Methods((("__aenter__",), ("__aexit__",))),
    "async for": _Methods((("__aiter__",), ("__anext__",))),
    "isinstance": _Methods((("__instancecheck__",),), operand=1),
    "issubclass": _Methods((("__subclasscheck__",),), operand=1),
}


class Run(NamedTuple):
    """A method that an operation calls: of which operand, with what, and whether it is certain.

    `method` is None for an operand whose class is known and has no such method.
    """

    method: Value | None
    call: Call
    certain: bool


class Special:
    """The part of the evaluation that is about special methods."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._defined: dict[str, bool] = {}

    # -- which methods run -----------------------------------------------------------------------

    def defines(self, operator: str) -> bool:
        """Whether the project, or a library that is known, has any method that the operation looks for."""
        if operator not in self._defined:
            known = OPERATIONS.get(operator)
            names = [name for group in (*known.groups, known.reflected) for name in group] if known else []
            self._defined[operator] = any(map(self.evaluator.project.defines, names))
        return self._defined[operator]

    def runs(self, frame: Frame, operated: Operated, position: Position) -> Iterator[Run]:
        """The methods that the operation calls."""
        if not self.defines(operated.operator):
            return
        known, operands = OPERATIONS[operated.operator], operated.operands
        if known.operand >= len(operands):
            return
        first = operands[known.operand]
        others = tuple(operand for number, operand in enumerate(operands) if number != known.operand)
        answers = False
        for value, certain in plain(self.evaluator.evaluate(frame, first)):
            for group in known.groups:
                name, methods = self._first(value, group)
                if not methods:
                    yield Run(None, NO_ARGUMENTS, certain)
                    continue
                answers = True
                call = _call(first, name, others, position)
                yield from (Run(method, call, certain) for method in methods)
        if known.reflected and others and not answers:
            yield from self._reflected(frame, known, first, others[0], position)

    def _reflected(
        self, frame: Frame, known: _Methods, first: Expression, second: Expression, position: Position
    ) -> Iterator[Run]:
        """The methods of the right operand; a left one that is not known may have one of its own."""
        sure = isinstance(first, Constant)
        for value, certain in plain(self.evaluator.evaluate(frame, second)):
            name, methods = self._first(value, known.reflected)
            if methods:
                call = _call(second, name, (first,), position)
                yield from (Run(method, call, certain and sure) for method in methods)

    def _first(self, value: Value, names: tuple[str, ...]) -> tuple[str, Values]:
        if not isinstance(value, Instance | ClassReference | LibraryObject):
            return "", ()
        found = ((name, self.method(value, name)) for name in names)
        return next((item for item in found if item[1]), ("", ()))

    def method(self, value: Value, name: str) -> Values:
        """A special method of an object, looked up on its class as the language does."""
        match value:
            case Instance():
                return self.evaluator.classes.attribute(value, name)
            case ClassReference():
                made = self.evaluator.classes.of_metaclass(value, name)
                if not made and name == "__getitem__":
                    return self.evaluator.classes.attribute(value, "__class_getitem__")
                return made
            case LibraryObject(type_name):
                if self.evaluator.catalogue.method(type_name, name) is not None:
                    return (LibraryMethod(type_name, name),)
        return ()

    # -- what operators give ---------------------------------------------------------------------

    def result(self, frame: Frame, operated: Operated) -> Values:
        """What an operator gives: what the method returns, or the parts of containers put together."""
        runs = self.runs(frame, operated, _NOWHERE)
        returned = self.evaluator.calls.returned
        found = [returned(run.method, frame, run.call) for run in runs if run.method is not None]
        if found or operated.operator not in ("add", "mul"):
            return union(found)
        if not any(isinstance(operand, Sequence | Listed | Operated) for operand in operated.operands):
            return ()
        return self.evaluator.items.joined(frame, operated.operands)

    # -- what `operator` makes -------------------------------------------------------------------

    def targets(self, made: Partial, frame: Frame, call: Call) -> Values:
        """What `methodcaller("run")(value)` calls, and what `attrgetter("run")(value)` reads."""
        if not isinstance(made.function, External) or not call.arguments or not made.arguments:
            return ()
        holders = self.evaluator.evaluate(frame, call.arguments[0])
        methods = union(self.evaluator.attributes(holders, name) for name in self.named(made))
        if made.function.name != "operator.methodcaller":
            return methods
        return tuple(Partial(method, made.arguments[1:], made.keywords) for method, _ in plain(methods))

    def named(self, made: Partial) -> list[str]:
        """The name that `methodcaller("name")` was given."""
        given = made.arguments[0] if made.arguments else ()
        texts = (value.expression for value, _ in plain(given) if isinstance(value, Literal))
        return [text.value for text in texts if isinstance(text, Constant) and isinstance(text.value, str)]

    def called(self, made: Partial, frame: Frame, call: Call) -> Values:
        """What calling something made by `methodcaller`, `attrgetter` or `itemgetter` gives."""
        match made.function:
            case External("operator.itemgetter"):
                return self.evaluator.elements(frame, call.arguments[0]) if call.arguments else ()
            case External("operator.attrgetter"):
                return self.targets(made, frame, call)
        bare = call._replace(arguments=())
        return union(
            self.evaluator.calls.returned(one, frame, bare) for one in self.targets(made, frame, call)
        )


_NOWHERE = Position(0, 0, 0, 0)


def _call(operand: Expression, name: str, arguments: tuple[Expression, ...], position: Position) -> Call:
    shown = operand if isinstance(operand, Name | Attribute | Call) else OPAQUE
    return Call(Attribute(shown, name), arguments, (), position)
