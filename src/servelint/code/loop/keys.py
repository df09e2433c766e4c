"""What a function that keeps several things is asked for: `if name not in models: models[name] = ...`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from itertools import product
from math import prod
from typing import TypeAlias

from servelint.code.facts.facts import (
    Attribute,
    Awaited,
    Call,
    Choice,
    Constant,
    Element,
    Expression,
    FunctionFacts,
    Name,
    Operated,
    Parameter,
    Subscript,
    Text,
    dotted,
    last_name,
)
from servelint.code.loop.entrypoints import EntryPoints
from servelint.code.values.calls import argument
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import External, Frame, FunctionReference, Literal, State, plain

# How many callers are asked one after the other for what they were given themselves.
MAXIMUM_CALLERS = 4
# How many texts one of several parts may be.
MAXIMUM_TEXTS = 16
# What stands for the name of what a function returns.
RETURNED = "return"


class Chosen(Enum):
    """What chooses a key that is not written down."""

    REQUEST = "the request"
    EACH = "a loop over several"
    UNKNOWN = "nobody knows"


Key: TypeAlias = Chosen | Constant | str


def keyed_by(function: FunctionFacts) -> tuple[str, ...]:
    """The parameters under which the function keeps what it makes, one thing for each value.

    It looks there before (`name in models`, `models.get(name)`, `models[name]`, `current != name`), and what
    is there is given back or stored in the end.
    """
    return tuple(p.name for p in function.parameters if _is_key(function, Name(p.name)))


def _is_key(function: FunctionFacts, key: Name) -> bool:
    stored = list(_holders((b.target for b in function.bindings), key))
    given = list(_holders(function.returns, key))
    for operation in function.operations:
        match operation.operated:
            case Operated("contains", (holder, asked)) if asked == key and holder in (*stored, *given):
                return True
            case Operated("eq" | "ne", (one, other)) if key in (one, other):
                held = other if one == key else one
                if isinstance(held, Attribute) or (isinstance(held, Name) and held.id in function.outer):
                    return any(b.target == held for b in function.bindings)
    got = [site.call.function for site in function.sites if _is_get(site.call, key)]
    if any(isinstance(get, Attribute) and get.value in stored for get in got):
        return True
    return not function.guarded and any(holder in stored for holder in given)  # behind a `KeyError`


def _holders(values: Iterable[Expression], key: Name) -> Iterator[Expression]:
    """Of what the values are items below the key."""
    for value in values:
        if isinstance(value, Subscript) and value.key == key:
            yield value.value


def _is_get(call: Call, key: Name) -> bool:
    return last_name(call.function) == "get" and call.arguments[:1] == (key,)


def holders(function: FunctionFacts) -> Iterator[Expression]:
    """Where the function keeps what it makes, one thing for each key."""
    for name in keyed_by(function):
        yield from _holders((*(b.target for b in function.bindings), *function.returns), Name(name))


class Keys:
    """Finds out which keys calls choose."""

    def __init__(self, evaluator: Evaluator, entry_points: EntryPoints) -> None:
        self.evaluator = evaluator
        self.entry_points = entry_points
        self._names: dict[tuple[Frame, str, int], set[Key]] = {}

    def passed(self, name: str, function: FunctionFacts, caller: Frame, call: Call | None) -> set[Key]:
        """What a call passes for the parameter."""
        return self._passed(name, function, caller, call, MAXIMUM_CALLERS)

    def _passed(
        self, name: str, function: FunctionFacts, caller: Frame, call: Call | None, depth: int
    ) -> set[Key]:
        own = function.own_parameters
        parameter = next((p for p in own if p.name == name), None)
        if call is None or parameter is None:
            return {Chosen.UNKNOWN}
        place = own.index(parameter) if parameter.kind == "positional" else None
        given = argument(call, place, name) or parameter.default
        return self._of(caller, given, depth) if given is not None else {Chosen.UNKNOWN}

    def _of(self, frame: Frame, value: Expression, depth: int) -> set[Key]:
        match value:
            case Constant():
                return {value}
            case Choice(options):
                return {key for option in options for key in self._of(frame, option, depth)}
            case Awaited(inner):
                return self._of(frame, inner, depth)
            case Element():
                return {Chosen.EACH}
            case Text(parts) | Operated("add", parts):
                return self._of_text(frame, parts, depth)
            case Name(id):
                return self._of_name(frame, id, depth)
            case Attribute() if self._is_application(frame, value):
                return self._known(frame, value)
            case Attribute(base, _):
                return self._of_several(frame, (base,), depth) or self._known(frame, value)
            case Subscript(base, key):
                known = self._known(frame, value)
                below = () if all(isinstance(one, Constant) for one in known) else (key,)
                return self._of_several(frame, (base, *below), depth) or known
            case Call(function, arguments, keywords, _):
                named = tuple(item for _, item in keywords)
                given = (
                    (function.value, *arguments) if isinstance(function, Attribute) else (*arguments, *named)
                )
                return (
                    self._returned(frame, value, depth)
                    or self._of_several(frame, given, depth)
                    or {Chosen.UNKNOWN}
                )
        return {Chosen.UNKNOWN}

    def _of_text(self, frame: Frame, parts: tuple[Expression, ...], depth: int) -> set[Key]:
        """The texts that the parts may make, chosen as the most open of them: `f"{name}-{size}"`."""
        several = [self._of(frame, part, depth) for part in parts]
        for one in (Chosen.REQUEST, Chosen.UNKNOWN, Chosen.EACH):
            if any(one in keys for keys in several):
                return {one}
        if prod(map(len, several)) > MAXIMUM_TEXTS:
            return {Chosen.UNKNOWN}
        return set(map(_text, product(*several)))

    def _is_application(self, frame: Frame, value: Expression) -> bool:
        """Whether it is the application, or what that shares: a request has it, and does not choose it."""
        match value:
            case Attribute(_, "app"):
                found = self.evaluator.evaluate(frame, value)
                return bool(found) and all(isinstance(one, External) for one, _ in plain(found))
            case Attribute(Attribute(_, "app"), _):
                return State() in self.evaluator.evaluate(frame, value)
        return False

    def _returned(self, frame: Frame, call: Call, depth: int) -> set[Key]:
        """The constants of which what is called returns one; empty where it may return something else."""
        found: set[Key] = set()
        for callee, _ in plain(self.evaluator.calls.callees(frame, call)):
            if not depth or not isinstance(callee, FunctionReference):
                return set()
            inside = self.evaluator.frame(self.evaluator.module(callee.module), callee.function)
            found |= self._of_name(inside, RETURNED, depth)
        return found if all(isinstance(key, Constant) for key in found) else set()

    def _of_several(self, frame: Frame, values: Collection[Expression], depth: int) -> set[Key]:
        """What a call gives is chosen as what it is given, and an item as its key; empty for neither."""
        found = {key for value in values for key in self._of(frame, value, depth)}
        return found & {Chosen.REQUEST, Chosen.EACH}

    def _of_name(self, frame: Frame, name: str, depth: int) -> set[Key]:
        """What a name may be; once each: lines that name each other are asked for in very many ways."""
        if not depth:
            return {Chosen.UNKNOWN}
        known = self._names.get((frame, name, depth))
        if known is None:
            known = self._names[frame, name, depth] = self._of_bound(frame, name, depth)
        return known

    def _of_bound(self, frame: Frame, name: str, depth: int) -> set[Key]:
        function = self.evaluator.facts(frame)
        if name == RETURNED:
            return {key for value in function.returns for key in self._of(frame, value, depth - 1)}
        bound = [b.value for b in function.bindings if b.target == Name(name) and b.value is not None]
        found = {key for value in bound if value != Name(name) for key in self._of(frame, value, depth - 1)}
        parameter = next((p for p in function.parameters if p.name == name), None)
        if parameter is not None:
            found |= self._of_parameter(frame, function, parameter, depth)
        return found if bound or parameter is not None else self._known(frame, Name(name))

    def _of_parameter(
        self, frame: Frame, function: FunctionFacts, parameter: Parameter, depth: int
    ) -> set[Key]:
        module = self.evaluator.module(frame.module)
        any_call = self.evaluator.frame(module, frame.function)
        if function.owner is not None and parameter == function.parameters[0]:
            return {Chosen.UNKNOWN}
        if self.entry_points.of(module, frame.function):
            return (
                {Chosen.UNKNOWN} if self.evaluator.callers.injected(any_call, parameter) else {Chosen.REQUEST}
            )
        found: set[Key] = set()
        for caller, call in self.evaluator.callers.call_sites(any_call):
            found |= self._passed(parameter.name, function, caller, call, depth - 1)
        return found or {Chosen.UNKNOWN}

    def _known(self, frame: Frame, value: Expression) -> set[Key]:
        """What is written down elsewhere: the text, if it is known, else how it is called."""
        found = [one for one, _ in plain(self.evaluator.evaluate(frame, value))]
        texts = [one.expression for one in found if isinstance(one, Literal)]
        if texts and all(isinstance(text, Constant) for text in texts):
            return {text for text in texts if isinstance(text, Constant)}
        return {dotted(value)}


def _text(parts: tuple[Key, ...]) -> Key:
    """The text of several parts: as it is written down, or by what its parts are called."""
    text = "".join(str(part.value) if isinstance(part, Constant) else str(part) for part in parts)
    return Constant(text) if all(isinstance(part, Constant) for part in parts) else text
