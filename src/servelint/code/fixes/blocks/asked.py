"""Globals that may be None, and are asked for that before a block: `if model is None: raise ...`.

What was asked is what the block has to use. It runs later, in a thread: by then another may have set the
global, and no type checker takes the answer for one about a nested function. So that keeps what was asked.

def run_inference(model=model):
    ...
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.fixes.text import variables
from servelint.code.fixes.text.syntax import Function, Syntax, is_none
from servelint.code.fixes.text.uses import Range

# More questions about one global are not looked at.
_MOST_QUESTIONS = 20


class _Question(NamedTuple):
    """A global that is known not to be None in some statements."""

    name: str
    known: Range


def asked(syntax: Syntax, function: Function, block: Range, used: frozenset[str]) -> set[str]:
    """The globals that the function knows not to be None where the block begins.

    `used` is all that the block reads. No global is among them that a function sets which the block names.
    """
    may_be_none = syntax.worked_out(_none_at_first, syntax.tree)
    if may_be_none.keys().isdisjoint(used):
        return set()
    known = syntax.worked_out(_answered, function)
    return {
        name
        for name in used & may_be_none.keys()
        if used.isdisjoint(may_be_none[name]) and any(part.has(block.first) for part in known.get(name, ()))
    }


def _none_at_first(syntax: Syntax, module: ast.Module) -> dict[str, frozenset[str]]:
    """The globals that the module sets to None, with the functions that set them anew."""
    setters: dict[str, set[str]] = {}
    for node in syntax.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for own in syntax.own_nodes(node):
                for name in own.names if isinstance(own, ast.Global) else ():
                    setters.setdefault(name, set()).add(node.name)
    return {
        name: frozenset(setters[name])
        for statement in module.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and is_none(statement.value)
        for name in variables.writes([statement])
        if name in setters
    }


def _answered(syntax: Syntax, function: Function) -> dict[str, list[Range]]:
    """Where in the function names are known not to be None."""
    found: dict[str, list[Range]] = {}
    for question in _questions(syntax, function):
        parts = found.setdefault(question.name, [])
        if len(parts) < _MOST_QUESTIONS:
            parts.append(question.known)
    return found


def _questions(syntax: Syntax, function: Function) -> Iterator[_Question]:
    for node in syntax.own_nodes(function):
        if not isinstance(node, ast.If):
            continue
        yield from (_Question(name, Range.of(syntax, node.body)) for name in _set_if(node.test))
        place = syntax.place(node)
        if place is None or node.orelse or variables.falls_through(node.body):
            continue
        behind = Range(syntax.end_number(node), syntax.end_number(place.suite[-1]))
        yield from (_Question(name, behind) for name in _set_unless(node.test))


def _set_if(test: ast.expr) -> Iterator[str]:
    """The names that are not None where the test holds."""
    match test:
        case ast.Name(id=name):
            yield name
        case ast.Compare(left=ast.Name(id=name), ops=[ast.IsNot()], comparators=[other]) if is_none(other):
            yield name
        case ast.BoolOp(op=ast.And(), values=values):
            for value in values:
                if not isinstance(value, ast.BoolOp):
                    yield from _set_if(value)


def _set_unless(test: ast.expr) -> Iterator[str]:
    """The names that are not None where the test does not hold."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name)):
            yield name
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Is()], comparators=[other]) if is_none(other):
            yield name
        case ast.BoolOp(op=ast.Or(), values=values):
            for value in values:
                if not isinstance(value, ast.BoolOp):
                    yield from _set_unless(value)
