"""The calls that may have made an object, as far as one function shows: a future, a thread, a result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Choice,
    Element,
    Expression,
    FunctionFacts,
    Listed,
    Mapping,
    Name,
    Sequence,
    Spread,
    Subscript,
)

# The language's own ways to put an object into a container, and to go through one in another way.
_FILLING = frozenset({"append", "appendleft", "add", "insert", "put", "put_nowait", "extend"})
_SAME_ELEMENTS = frozenset({"list", "tuple", "set", "reversed", "sorted", "enumerate", "zip"})
_VIEWS = frozenset({"values", "items", "keys", "copy"})


def made_by(facts: FunctionFacts, expression: Expression) -> Iterator[Call]:
    """The calls that may have made what the expression is, through variables and containers."""
    for found in _resolved(facts, expression, set()):
        if isinstance(found, Call):
            yield found


# The variables that have been looked at: as what they hold themselves, and (True) for what is in them.
Seen: TypeAlias = set[tuple[str, bool]]


def _resolved(facts: FunctionFacts, expression: Expression, seen: Seen) -> Iterator[Expression]:
    match expression:
        case Name(id):
            if (id, False) in seen:
                return
            seen.add((id, False))
            for binding in facts.bindings:
                if binding.target == expression and binding.value is not None:
                    yield from _resolved(facts, binding.value, seen)
        case Choice(options):
            for option in options:
                yield from _resolved(facts, option, seen)
        case Subscript(Element(Call() as paired), _) if _pairs(paired):
            yield from _drawn(facts, paired, seen)
        case Element(container) | Subscript(container, _) | Spread(container):
            yield from _drawn(facts, container, seen)
        case _:
            yield expression


def _drawn(facts: FunctionFacts, container: Expression, seen: Seen) -> Iterator[Expression]:
    for item in _items(facts, container, seen):
        yield from _resolved(facts, item, seen)


def _items(facts: FunctionFacts, container: Expression, seen: Seen) -> Iterator[Expression]:
    """What may be in the container: what it is made with, and what the function puts into it."""
    if isinstance(container, Name):
        if (container.id, True) in seen:
            return
        seen.add((container.id, True))
        yield from _put_into(facts, container)
    for held in _resolved(facts, container, seen):
        match held:
            case Listed(element, _):
                yield element
            case Sequence(items):
                yield from items
            case Mapping(keys, values):
                yield from (key for key in keys if key is not None)
                yield from values
            case Call(Attribute(base, name), _, _, _) if name in _VIEWS:
                yield from _items(facts, base, seen)
            case Call(Name(name), arguments, _, _) if name in _SAME_ELEMENTS:
                for argument in arguments:
                    yield from _items(facts, argument, seen)


def _put_into(facts: FunctionFacts, container: Name) -> Iterator[Expression]:
    for site in facts.sites:
        match site.call.function:
            case Attribute(holder, name) if holder == container and name in _FILLING:
                yield from site.call.arguments
    for binding in facts.bindings:
        match binding.target:
            case Subscript(holder, _) if holder == container and binding.value is not None:
                yield binding.value


def _pairs(call: Call) -> bool:
    """Whether the call gives the elements of a container in pairs: `enumerate(futures)`, `d.items()`."""
    match call.function:
        case Attribute(_, "items") | Name("enumerate" | "zip"):
            return True
    return False
