"""A result of inference on a GPU that is read some statements later, where the event loop waits for it.

outputs = await asyncio.to_thread(model, batch)
vectors = pooled(outputs, mask)
return vectors.cpu().numpy()

The thread returns as soon as the GPU has been told what to do.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from servelint.code.fixes.blocks.devices import Devices, OnDevice
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.text import variables
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import BlockingCall

# So many statements behind the call are looked at.
MAXIMUM_STATEMENTS = 40
# What generates reads each token before it computes the next.
_READING = "generate"
_SETTING = (ast.Assign, ast.AnnAssign, ast.For)
_NESTED = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class _Part(NamedTuple):
    """A statement, or the head of one that holds others: what it evaluates, and what it sets."""

    line: int
    evaluated: tuple[ast.AST, ...]
    names: frozenset[str]
    replaces: bool


class LateReadings:
    """Finds them in one project; `region` tells which block moves with a call."""

    def __init__(
        self, files: Files, region: Callable[[BlockingCall], Region | None], devices: Devices
    ) -> None:
        self.files = files
        self.devices = devices
        self._region = region
        self._found: dict[tuple[ast.stmt, int], tuple[int, str]] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Why the event loop would wait for the result of the call; empty where nothing says so."""
        blocking = call.blocking
        # What a function of the project gives it has mostly read.
        if len(blocking.hops) > 1 or blocking.sink.endswith(_READING):
            return ""
        syntax = self.files.syntax(call.caller.module)
        function = function_at(syntax, call.caller.facts.position)
        node = syntax.at(call.position, ast.Call)
        statement = syntax.statement(node) if node is not None else None
        result = self.devices.result(blocking, node)
        if function is None or result is None or not isinstance(statement, _SETTING):
            return ""
        region = self._region(call)
        moved = region.block.last_line if region is not None else 0
        if (statement, moved) not in self._found:
            self._found[statement, moved] = self._first(syntax, function, statement, moved, result)
        line, how = self._found[statement, moved]
        if not how:
            return ""
        return (
            f"line {line} reads on the event loop (`{how}`) what comes of `{call.text}`: "
            "on a GPU that is where it is waited for"
        )

    def _first(
        self, syntax: Syntax, function: Function, statement: ast.stmt, moved: int, result: OnDevice
    ) -> tuple[int, str]:
        """The first line behind `moved` that reads what the statement sets, and how; empty for none."""
        parts = syntax.worked_out(_parts, function)
        first = bisect_right(parts, statement.lineno, key=lambda part: part.line)
        target = [statement.target] if isinstance(statement, ast.For) else [statement]
        derived = frozenset(variables.writes(target))
        for part in parts[first : first + MAXIMUM_STATEMENTS]:
            follows, how = _look(part, derived, result)
            if how and part.line > moved:
                return part.line, how
            if follows:
                derived |= part.names
            elif part.replaces:
                derived -= part.names
        return 0, ""


def _look(part: _Part, derived: frozenset[str], result: OnDevice) -> tuple[bool, str]:
    """Whether what the part gives may be on the device, and how it brings something from there."""
    nodes = [node for tree in part.evaluated for node in _walk(tree)]
    if not any(_is_one_of(node, derived) for node in nodes):
        return False, ""
    for node in nodes:
        if isinstance(node, ast.comprehension) and result.uses(node.iter, derived):
            derived |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
    how = next((found for node in nodes if (found := result.reading(node, derived))), "")
    return any(result.uses(tree, derived) for tree in part.evaluated), how


def _parts(syntax: Syntax, function: Function) -> list[_Part]:
    """What the function evaluates, in the order of the text."""
    found: list[_Part] = []
    for node in syntax.own_nodes(function):
        match node:
            case ast.Assign() | ast.AnnAssign():
                value = (node.value,) if node.value is not None else ()
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                plain = all(isinstance(target, ast.Name) for target in targets)
                found.append(_Part(node.lineno, value, frozenset(variables.writes([node])), plain))
            case ast.AugAssign() | ast.Expr() | ast.Return() | ast.Assert() | ast.Raise():
                found.append(_Part(node.lineno, (node,), frozenset(variables.writes([node])), False))
            case ast.For(target=target, iter=iterable):
                names = frozenset(n.id for n in ast.walk(target) if isinstance(n, ast.Name))
                found.append(_Part(node.lineno, (iterable,), names, False))
            case ast.If(test=test) | ast.While(test=test):
                found.append(_Part(node.lineno, (test,), frozenset(), False))
    return found


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated there: what is in a `lambda` may run anywhere."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _NESTED):
            yield node
            waiting += ast.iter_child_nodes(node)


def _is_one_of(node: ast.AST, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names
