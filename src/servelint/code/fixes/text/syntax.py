"""The syntax tree of one file together with its text: where a node stands, and what stands around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeAlias, TypeVar

from servelint.code.facts.facts import Position
from servelint.finding import Edit, Span
from servelint.project.source import Source

Node = TypeVar("Node", bound=ast.AST)
Placed: TypeAlias = ast.expr | ast.stmt | ast.keyword | ast.alias
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Syntax:
    """One parsed file. Offsets are into `source.text`."""

    def __init__(self, source: Source, tree: ast.Module) -> None:
        self.source = source
        self.tree = tree
        self._parents: dict[ast.AST, ast.AST] | None = None
        self._placed: dict[tuple[int | None, ...], list[Placed]] | None = None

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the file."""
        return tuple(ast.walk(self.tree))

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that holds `node`."""
        if self._parents is None:
            self._parents = {child: outer for outer in self.nodes for child in ast.iter_child_nodes(outer)}
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """The nodes around `node`, innermost first, each with its child on the way to `node`."""
        child, outer = node, self.parent(node)
        while outer is not None:
            yield outer, child
            child, outer = outer, self.parent(outer)

    def at(self, position: Position, kind: type[Node]) -> Node | None:
        """The outermost node of this kind that stands exactly there."""
        if self._placed is None:
            self._placed = {}
            for node in self.nodes:
                if isinstance(node, Placed):
                    place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
                    self._placed.setdefault(place, []).append(node)
        return next((node for node in self._placed.get(position, ()) if isinstance(node, kind)), None)

    def start(self, node: Placed | ast.arg) -> int:
        """Where the node starts."""
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: Placed) -> int:
        """Where the node ends."""
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def text(self, node: Placed) -> str:
        """The text of the node as it is written."""
        return self.source.text[self.start(node) : self.end(node)]

    def line_start(self, line: int) -> int:
        """Where line `line` (from 1) starts; the end of the text for the line after the last."""
        return self.source.starts[line - 1] if line <= len(self.source.starts) else len(self.source.text)

    def first_line(self, statement: ast.stmt) -> int:
        """The line on which the statement starts, its decorators included."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return min((statement.lineno, *(decorator.lineno for decorator in statement.decorator_list)))
        return statement.lineno

    def indent(self, line: int) -> str:
        """The white space that line `line` starts with."""
        text = self.source.line(line)
        return text[: len(text) - len(text.lstrip())]

    def indent_unit(self, function: Function) -> str:
        """By how much the function indents its body."""
        outer = self.indent(function.lineno)
        return self.indent(function.body[0].lineno).removeprefix(outer) or "    "

    def edit(self, start: int, end: int, content: str) -> Edit:
        """The edit that replaces the text between two offsets."""
        return Edit(self.source.span(start, end), content)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement that `node` is part of."""
        if isinstance(node, ast.stmt):
            return node
        return next((outer for outer, _ in self.ancestors(node) if isinstance(outer, ast.stmt)), None)

    def span(self, node: Placed) -> Span:
        """Where the node stands, as edits have it."""
        return self.source.span(self.start(node), self.end(node))

    def _offset(self, line: int, column: int) -> int:
        text = self.source.line(line)
        characters = column if text.isascii() else len(text.encode()[:column].decode(errors="ignore"))
        return self.source.starts[line - 1] + characters


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What the function's body holds, nested functions and classes left out, in the order of the text."""
    return nodes_of(function.body)


def nodes_of(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """What the statements hold, nested functions and classes left out, in the order of the text."""
    waiting: list[ast.AST] = list(reversed(statements))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += reversed(list(ast.iter_child_nodes(node)))
