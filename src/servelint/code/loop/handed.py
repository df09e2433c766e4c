"""Which calls hand a function to something that runs it: a thread, a pool, or `map`.

What start-up has run in a thread is done before the first request, as if start-up had called it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Closure,
    Element,
    Expression,
    FunctionFacts,
    Name,
    Site,
    last_name,
)
from servelint.code.graph.project import Module
from servelint.code.graph.reach import Reach
from servelint.code.loop.offloads import Handoff, Handoffs
from servelint.code.values.calls import argument
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import ClassReference, External, Frame, FunctionReference, Partial, plain

# They run the function once for each of what they are given.
_FOR_EACH = frozenset({"map", "starmap", "imap", "imap_unordered", "map_async", "starmap_async"})


class Given(NamedTuple):
    """A callable that a call is given, and the function that makes the call."""

    function: int
    site: Site
    callable: Expression


class Handed:
    """Finds them, of one project."""

    def __init__(self, evaluator: Evaluator, reach: Reach) -> None:
        self.evaluator = evaluator
        self.reach = reach
        self.handoffs = Handoffs(evaluator)
        self._given: dict[str, dict[str | int, list[Given]]] = {}
        self._calls: dict[tuple[str, int], tuple[tuple[Frame, Call], ...]] = {}

    def calls(self, module: Module, index: int) -> tuple[tuple[Frame, Call], ...]:
        """The calls of the function that are made elsewhere, with the frames that hand it over."""
        key = (module.path, index)
        if key not in self._calls:
            self._calls[key] = tuple(self._found(module, index))
        return self._calls[key]

    def _found(self, module: Module, index: int) -> Iterator[tuple[Frame, Call]]:
        function = module.function(index)
        for other, given in self._candidates(module, index, function):
            frame = self.evaluator.frame(other, given.function)
            if self._is(frame, given.callable, module, index):
                call = self._made(frame, given)
                if call is not None:
                    yield frame, call

    def _candidates(
        self, module: Module, index: int, function: FunctionFacts
    ) -> Iterator[tuple[Module, Given]]:
        if function.is_lambda:
            yield from ((module, given) for given in self._given_in(module).get(index, ()))
            return
        name = function.name
        if function.owner is not None and name in ("__init__", "__new__"):
            name = module.facts.classes[function.owner].name
        together = self.reach.together(module.path)
        for other in self.evaluator.project.mentioning([name]):
            if other.path in together:
                yield from ((other, given) for given in self._given_in(other).get(name, ()))

    def _given_in(self, module: Module) -> dict[str | int, list[Given]]:
        """What calls of the file are given, by the last name; lambdas by their number."""
        found = self._given.get(module.path)
        if found is None:
            found = self._given[module.path] = {}
            for index, function in enumerate(module.facts.functions):
                for site in function.sites:
                    for value in (*site.call.arguments, *(value for _, value in site.call.keywords)):
                        key = _key(value)
                        if key is not None:
                            found.setdefault(key, []).append(Given(index, site, value))
        return found

    def _is(self, frame: Frame, given: Expression, module: Module, index: int) -> bool:
        """Whether what is given is the function, bound to arguments or not, or the class that it makes."""
        if isinstance(given, Closure):
            return (frame.module, given.number) == (module.path, index)
        for value, _ in plain(self.evaluator.evaluate(frame, given)):
            match value.function if isinstance(value, Partial) else value:
                case FunctionReference(module.path, number):
                    return number == index
                case ClassReference(module.path, number):
                    return module.function(index).owner == number
        return False

    def _made(self, frame: Frame, given: Given) -> Call | None:
        """The call that is made elsewhere; None where nobody is known to make one."""
        call = given.site.call
        handed = self.handoffs.of(frame, call)
        if handed is not None and handed.callable == given.callable:
            return _call(handed.call, given.callable, each=_is_for_each(handed))
        for value, _ in plain(self.evaluator.calls.callees(frame, call)):
            runs = self.evaluator.frameworks.runs_when_iterated
            found = runs.find(value.name) if isinstance(value, External) else None
            if found is not None and argument(call, found.position, found.keyword) == given.callable:
                return _call(call, given.callable, each=True)
        return None


def _key(given: Expression) -> str | int | None:
    match given:
        case Closure(number):
            return number
        case Name() | Attribute():
            return last_name(given)
        case Call(function, (Name() | Attribute() as inner, *_)) if last_name(function) == "partial":
            return last_name(inner)
    return None


def _is_for_each(handed: Handoff) -> bool:
    return not handed.dispatched and last_name(handed.call.function) in _FOR_EACH


def _call(outer: Call, function: Expression, *, each: bool) -> Call:
    """The call of the function with what the outer call has for it."""
    arguments = outer.arguments
    behind = arguments[arguments.index(function) + 1 :] if function in arguments else ()
    if each:
        behind = tuple(map(Element, behind))
    named = tuple((key, value) for key, value in outer.keywords if value is not function)
    if isinstance(function, Call):  # partial(load, "small")
        return Call(
            function.arguments[0],
            (*function.arguments[1:], *behind),
            (*function.keywords, *named),
            outer.position,
        )
    return Call(function, behind, named, outer.position)
