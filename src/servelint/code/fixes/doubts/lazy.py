"""Loads at the first use: the statements that ask whether something is there, and load what is not.

    if _model is None:
        _model = load()
    return _model

While all requests ran in one thread, nothing could come between the question and the load. With threads a
lock keeps it so (`locking`). Only what a global of a file holds is taken for one: an object may be copied,
made without its constructor, or have no room for a lock.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from servelint.code.fixes.doubts.shared import Change, last_name
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.project.text.parsing import unparsed

# Calls that say something and do nothing.
_SAYING = frozenset({"debug", "info", "warning", "error", "exception", "print"})


@dataclass(frozen=True, slots=True)
class FirstUse:
    """The statements of one suite that ask and load; `places` are what they set."""

    syntax: Syntax
    function: Function
    statements: tuple[ast.stmt, ...]
    places: frozenset[str]

    def holds(self, node: ast.AST) -> bool:
        """Whether the node stands in the statements; it is a node of the same file."""
        return any(self.syntax.is_below(node, statement) for statement in self.statements)

    def is_done(self, syntax: Syntax, node: ast.AST) -> bool:
        """Whether all has been loaded where the node stands: below the statements, or the function's call."""
        for outer, child in syntax.ancestors(node):
            place = syntax.place(child) if isinstance(child, ast.stmt) else None
            for before in place.suite[: place.number] if place is not None else ():
                if self._loads(before):
                    return True
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                return False
        return False

    def _loads(self, statement: ast.stmt) -> bool:
        if statement is self.statements[-1]:
            return True
        if isinstance(statement, ast.With):
            return any(map(self._loads, statement.body))
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) else None
        called = value.func if isinstance(value, ast.Call) else None
        return isinstance(called, ast.Name) and called.id == self.function.name

    def is_in_steps(self) -> bool:
        """Whether something of what is loaded can be seen before the rest of it is done."""
        syntax = self.syntax
        nodes = [node for statement in self.statements for node in syntax.below(statement)]
        stored = [node for node in nodes if self._stores(node)]
        if len(stored) != 1:
            return True
        statement = syntax.statement(stored[0])
        end = syntax.end_number(statement if statement is not None else stored[0])
        calls = (node for node in nodes if isinstance(node, ast.Call) and syntax.number(node) >= end)
        return any(last_name(node.func) not in _SAYING for node in calls)

    def _stores(self, node: ast.AST) -> bool:
        if not isinstance(getattr(node, "ctx", None), ast.Store):
            return False
        place = node.value if isinstance(node, ast.Subscript) else node
        return isinstance(place, ast.expr) and unparsed(place) in self.places


def first_use(syntax: Syntax, function: Function, changes: Sequence[Change]) -> FirstUse | None:
    """The load at the first use that all the changes are parts of; None where they are anything else."""
    places = frozenset(change.text for change in changes)
    if isinstance(function, ast.AsyncFunctionDef) or not all(_is_set(syntax, c) for c in changes):
        return None
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in syntax.own_nodes(function)):
        return None  # it would be held for as long as somebody draws
    region = _region(syntax, function, changes, places)
    return FirstUse(syntax, function, region, places) if region and _is_plain(syntax, region) else None


def _is_plain(syntax: Syntax, region: Sequence[ast.stmt]) -> bool:
    """Whether nothing leaves the statements but the guard, and nothing else is held in them."""
    leaving = (ast.Return, ast.With, ast.AsyncWith, ast.Raise, ast.FunctionDef, ast.ClassDef, ast.Lambda)
    return not any(
        isinstance(node, leaving)
        for statement in region
        for node in (statement, *syntax.below(statement))
        if not _is_returned_at_once(syntax, node)
    )


def _is_returned_at_once(syntax: Syntax, node: ast.AST) -> bool:
    """Whether the node is the only statement of a guard, and returns a name."""
    outer = syntax.parent(node)
    return (
        isinstance(node, ast.Return)
        and isinstance(node.value, ast.Name)
        and isinstance(outer, ast.If)
        and outer.body == [node]
    )


def asked_for(found: FirstUse, place: str) -> bool:
    """Whether the statements ask whether the place is empty."""
    one = frozenset({place})
    for statement in found.statements:
        if isinstance(statement, ast.If):
            tests = statement.test.values if isinstance(statement.test, ast.BoolOp) else [statement.test]
            if any(_is_empty(test, one) or _is_there(test, one) for test in tests):
                return True
    return False


def _is_set(syntax: Syntax, change: Change) -> bool:
    """Whether a value is put into a global of the file, or into what it holds."""
    statement = syntax.statement(change.node)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    if not isinstance(getattr(change.node, "ctx", None), ast.Store):
        return False
    return isinstance(change.place, ast.Name)


def _region(
    syntax: Syntax, function: Function, changes: Sequence[Change], places: frozenset[str]
) -> tuple[ast.stmt, ...]:
    """The statements of one suite that ask for something, and load what is not there; empty for none."""
    parts = [_asking(syntax, function, change, places) for change in changes]
    found = [place for part in parts for s in part if (place := syntax.place(s)) is not None]
    if not all(parts) or any(place.suite is not found[0].suite for place in found):
        return ()
    numbers = {place.number for place in found}
    first, last = min(numbers), max(numbers)
    return tuple(found[0].suite[first : last + 1]) if len(numbers) == last - first + 1 else ()


def _asking(syntax: Syntax, function: Function, change: Change, places: frozenset[str]) -> Sequence[ast.stmt]:
    """The `if` around the change that asks for a place, or the statements from the guard to the change."""
    child: ast.AST = change.node
    while child is not function:
        outer = syntax.parent(child)
        if outer is None:
            break
        if isinstance(outer, ast.If) and child in outer.body and _is_empty(outer.test, places):
            return () if outer.orelse else (outer,)
        place = syntax.place(child) if isinstance(child, ast.stmt) else None
        for number in range(place.number) if place is not None else ():
            before = place.suite[number] if place is not None else None
            if place is not None and isinstance(before, ast.If) and _is_guard(before, places):
                return place.suite[number : place.number + 1]
        child = outer
    return ()


def _is_guard(statement: ast.If, places: frozenset[str]) -> bool:
    """Whether the function returns there if it has all it needs."""
    returns = isinstance(statement.body[-1], ast.Return) and not statement.orelse
    return returns and _is_there(statement.test, places)


def _is_empty(test: ast.expr, places: frozenset[str]) -> bool:
    """Whether the test is true exactly where something is missing."""
    match test:
        case ast.BoolOp(ast.Or(), values):
            return all(_is_empty(value, places) for value in values)
        case ast.UnaryOp(ast.Not(), operand):
            return unparsed(operand) in places
        case ast.Compare(left, [ast.Is()], [ast.Constant(None)]):
            return unparsed(left) in places
        case ast.Compare(_, [ast.NotIn()], [container]):
            return unparsed(container) in places
    return False


def _is_there(test: ast.expr, places: frozenset[str]) -> bool:
    match test:
        case ast.BoolOp(ast.And(), values):
            return all(_is_there(value, places) for value in values)
        case ast.Compare(left, [ast.IsNot()], [ast.Constant(None)]):
            return unparsed(left) in places
        case ast.Compare(_, [ast.In()], [container]):
            return unparsed(container) in places
        case ast.Name() | ast.Attribute():
            return unparsed(test) in places
    return False
