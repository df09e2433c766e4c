"""Where a function reads and writes its variables: worked out once, asked for every block of it."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from servelint.code.fixes.text import variables
from servelint.code.fixes.text.syntax import Function, Syntax

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Range(NamedTuple):
    """Nodes that stand one after the other, by number; the end is exclusive."""

    first: int
    end: int

    @classmethod
    def of(cls, syntax: Syntax, nodes: Sequence[ast.AST]) -> Range:
        """The range of the nodes, which stand one after the other, and what they hold."""
        return cls(syntax.number(nodes[0]), syntax.end_number(nodes[-1])) if nodes else cls(0, 0)

    def has(self, number: int) -> bool:
        """Whether the number is in the range."""
        return self.first <= number < self.end


class _Reads:
    """Where one name is read: by number, by offset, and the numbers of those in nested definitions."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.nested: list[int] = []
        self.offsets: list[tuple[int, int]] = []  # with the number


class Uses:
    """The variables of one function. A `block` is the range of the statements that are asked about."""

    def __init__(self, syntax: Syntax, function: Function) -> None:
        self.syntax = syntax
        self.function = function
        self.parameters = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        self._nested: set[ast.AST] = set()
        self._reads: dict[str, _Reads] = {}
        self._nonlocals: list[tuple[int, str]] = []
        self._sure: dict[int, dict[str, int]] = {}
        for node in syntax.below(function):
            self._note(node)
        for found in self._reads.values():
            found.offsets.sort()

    def _note(self, node: ast.AST) -> None:
        outer = self.syntax.parent(node)
        apart = node is not self.function and outer is not self.function
        if apart and (outer in self._nested or isinstance(outer, _DEFINITIONS)):
            self._nested.add(node)
        match node:
            case ast.Name(id=name, ctx=ast.Load() | ast.Del()):
                self._read(name, node, nested=node in self._nested)
            case ast.AugAssign(target=ast.Name(id=name)):
                self._read(name, node, nested=False)
            case ast.Nonlocal(names=names) if node in self._nested:
                self._nonlocals += ((self.syntax.number(node), name) for name in names)

    def _read(self, name: str, node: ast.Name | ast.AugAssign, *, nested: bool) -> None:
        found, number = self._reads.setdefault(name, _Reads()), self.syntax.number(node)
        found.numbers.append(number)
        found.offsets.append((self.syntax.start(node), number))
        if nested:
            found.nested.append(number)

    # -- declared --------------------------------------------------------------------------------

    @cached_property
    def globals(self) -> frozenset[str]:
        """The names that the function declares global."""
        return self._declared(ast.Global)

    @cached_property
    def nonlocals(self) -> frozenset[str]:
        """The names that the function declares nonlocal."""
        return self._declared(ast.Nonlocal)

    def _declared(self, kind: type[ast.Global | ast.Nonlocal]) -> frozenset[str]:
        own = self.syntax.own_nodes(self.function)
        return frozenset(name for node in own if isinstance(node, kind) for name in node.names)

    def set_in_nested_functions(self, block: Range) -> set[str]:
        """The names that functions nested in the function, outside the block, declare nonlocal."""
        return {name for number, name in self._nonlocals if not block.has(number)}

    # -- read and written ------------------------------------------------------------------------

    @cached_property
    def _writes(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for name, node in variables.written(self.function.body):
            found.setdefault(name, []).append(self.syntax.number(node))
        for numbers in found.values():
            numbers.sort()
        return found

    def is_written_outside(self, name: str, block: Range) -> bool:
        """Whether the function binds the name outside the block, a parameter of that name included."""
        numbers = self._writes.get(name)
        return name in self.parameters or (
            numbers is not None and (numbers[0] < block.first or numbers[-1] >= block.end)
        )

    def is_written_in(self, name: str, part: Range, block: Range) -> bool:
        """Whether the part of the function binds the name outside the block."""
        return _any_in(self._writes.get(name, ()), part, block)

    def is_read_in(self, name: str, part: Range, block: Range) -> bool:
        """Whether the part of the function reads the name outside the block."""
        found = self._reads.get(name)
        return found is not None and _any_in(found.numbers, part, block)

    def is_read_later(self, name: str, block: Range, end: int, loop: ast.AST | None) -> bool:
        """Whether the name is read after the block, which ends at the offset `end`.

        That is below it, in the next round of the loop around it, or in a nested function, which may be
        called at any time.
        """
        found = self._reads.get(name)
        if found is None:
            return False
        if found.nested and (found.nested[0] < block.first or found.nested[-1] >= block.end):
            return True
        if loop is not None and _any_in(found.numbers, Range.of(self.syntax, [loop]), block):
            return True
        below = range(len(found.offsets) - 1, bisect_left(found.offsets, (end + 1, 0)) - 1, -1)
        return any(not block.has(found.offsets[place][1]) for place in below)

    def is_surely_bound_before(self, name: str, statement: ast.stmt) -> bool:
        """Whether the statements that stand before this one in the same list bind the name."""
        place = self.syntax.place(statement)
        if place is None:
            return False
        first = self._sure.get(id(place.suite))
        if first is None:
            first = self._sure[id(place.suite)] = {}
            for number, other in enumerate(place.suite):
                for bound in variables.surely_written([other]):
                    first.setdefault(bound, number)
        return first.get(name, place.number) < place.number


def _any_in(numbers: Sequence[int], part: Range, block: Range) -> bool:
    """Whether one of the sorted numbers is in the part and not in the block."""
    place = bisect_left(numbers, part.first)
    if place < len(numbers) and numbers[place] >= block.first:
        place = max(place, bisect_left(numbers, block.end))
    return place < len(numbers) and numbers[place] < part.end


def given_once(syntax: Syntax, function: Function) -> dict[str, ast.expr | None]:
    """What the function gives to its variables; None for parameters, and where it is not one thing."""
    found: dict[str, ast.expr | None] = {
        n.arg: None for n in ast.walk(function.args) if isinstance(n, ast.arg)
    }
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            outer = syntax.parent(node)
            alone = isinstance(outer, ast.Assign) and outer.targets == [node] and node.id not in found
            found[node.id] = outer.value if alone and isinstance(outer, ast.Assign) else None
    return found


def where_read(syntax: Syntax, function: Function) -> dict[str, list[ast.expr]]:
    """Where the function reads its variables."""
    found: dict[str, list[ast.expr]] = {}
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.setdefault(node.id, []).append(node)
    return found
