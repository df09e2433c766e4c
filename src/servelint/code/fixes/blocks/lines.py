"""What a function runs, by the lines where it begins: not gone through again for each block."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Generic, TypeVar

from servelint.code.facts.facts import FunctionFacts, Iteration, Operation, Position, Read, Site
from servelint.code.judge.implicit import implicit

T = TypeVar("T")


class _Index(Generic[T]):
    """Things in their order, by their first lines."""

    def __init__(self, placed: Iterable[tuple[Position, T]]) -> None:
        self._found: dict[int, list[tuple[int, T]]] = {}
        for number, (position, thing) in enumerate(placed):
            self._found.setdefault(position.line, []).append((number, thing))

    def between(self, first: int, last: int) -> list[T]:
        """Those that begin on a line from `first` to `last`, which are 1-based and both included."""
        lines = range(first, last + 1)
        pairs = sorted((pair for line in lines for pair in self._found.get(line, ())), key=itemgetter(0))
        return [thing for _, thing in pairs]


class Lines:
    """Finds the calls of functions, and what else they run, by line."""

    def __init__(self) -> None:
        self._sites: dict[int, tuple[FunctionFacts, _Index[Site]]] = {}
        self._subjects: dict[int, tuple[FunctionFacts, _Index[Iteration | Read | Operation]]] = {}

    def sites(self, facts: FunctionFacts, first: int, last: int) -> list[Site]:
        """The calls that begin on one of the lines, in the order in which they are made."""
        if id(facts) not in self._sites:
            self._sites[id(facts)] = (facts, _Index((site.call.position, site) for site in facts.sites))
        return self._sites[id(facts)][1].between(first, last)

    def subjects(self, facts: FunctionFacts, first: int, last: int) -> list[Iteration | Read | Operation]:
        """The same of what runs without a call."""
        if id(facts) not in self._subjects:
            self._subjects[id(facts)] = (facts, _Index((one.position, one) for one in implicit(facts)))
        return self._subjects[id(facts)][1].between(first, last)
