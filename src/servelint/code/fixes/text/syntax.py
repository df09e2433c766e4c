"""The syntax tree of one file together with its text: where a node stands, and what stands around it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias, TypeVar

from servelint.code.facts.facts import Position
from servelint.code.fixes.text import variables
from servelint.finding import Edit, Span
from servelint.project.text.source import Source

Node = TypeVar("Node", bound=ast.AST)
T = TypeVar("T")
Placed: TypeAlias = ast.expr | ast.stmt | ast.keyword | ast.alias
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


# The statements behind which nothing of their suite runs.
LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Place(NamedTuple):
    """Where a statement stands: the list of statements that it is in, and its number there."""

    suite: list[ast.stmt]
    number: int


# Nodes without a place of their own; the parser uses one object for all of a kind.
_SHARED = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
# The most frequent nodes, which hold no others with a place.
_LEAVES = (ast.Name, ast.Constant)


class Syntax:
    """One parsed file. Offsets are into `source.text`.

    What fixes ask again and again is worked out once: nodes are numbered in the order of the text, so that
    those below a node are a range of numbers.
    """

    def __init__(self, source: Source, tree: ast.Module) -> None:
        self.source = source
        self.tree = tree
        self.nodes: tuple[ast.AST, ...] = ()
        self._parents: dict[ast.AST, ast.AST] = {}
        self._numbers: dict[ast.AST, int] = {}
        self._ends: list[int] = []
        self._places: dict[ast.AST, Place] = {}
        self._heads: dict[ast.AST, ast.AST] = {}
        self._columns: dict[int, Sequence[int]] = {}
        self._own: dict[Function, tuple[ast.AST, ...]] = {}
        self._worked_out: dict[tuple[Callable[..., Any], ast.AST], Any] = {}
        self._number_nodes()

    def _number_nodes(self) -> None:
        nodes: list[ast.AST] = []
        waiting: list[tuple[ast.AST, ast.AST | None]] = [(self.tree, None)]
        open_: list[int] = []  # the nodes around the one under way, by number
        while waiting:
            node, outer = waiting.pop()
            number = len(nodes)
            while open_ and nodes[open_[-1]] is not outer:
                self._ends[open_.pop()] = number
            open_.append(number)
            nodes.append(node)
            self._ends.append(number)
            self._numbers[node] = number
            if outer is not None:
                self._parents[node] = outer
            if not isinstance(node, ast.expr):
                self._note_suites(node)
            if not isinstance(node, _LEAVES):
                waiting += [(child, node) for child in reversed(_children(node))]
        for number in open_:
            self._ends[number] = len(nodes)
        self.nodes = tuple(nodes)

    def _note_suites(self, node: ast.AST) -> None:
        """Keep where the statements in the node stand, and the `if` that an `elif` belongs to."""
        for suite in suites(node):
            for number, statement in enumerate(suite):
                self._places[statement] = Place(suite, number)
        if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            self._heads[node.orelse[0]] = self._heads.get(node, node)

    def number(self, node: ast.AST) -> int:
        """The number of the node in the order of the text; what is in a node comes after it."""
        return self._numbers[node]

    def end_number(self, node: ast.AST) -> int:
        """The number after that of the last node below `node`."""
        return self._ends[self._numbers[node]]

    def below(self, node: ast.AST) -> tuple[ast.AST, ...]:
        """The node and all that it holds, in the order of the text."""
        return self.nodes[self.number(node) : self.end_number(node)]

    def is_below(self, node: ast.AST, outer: ast.AST) -> bool:
        """Whether `node` is `outer` or stands in it."""
        return self.number(outer) <= self.number(node) < self.end_number(outer)

    def own_nodes(self, function: Function) -> tuple[ast.AST, ...]:
        """What the function's body holds, nested functions and classes left out, in the order of the text."""
        found = self._own.get(function)
        if found is None:
            found = self._own[function] = tuple(nodes_of(function.body))
        return found

    def place(self, statement: ast.stmt) -> Place | None:
        """Where the statement stands."""
        return self._places.get(statement)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that holds `node`."""
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """The nodes around `node`, innermost first, each with its child on the way to `node`.

        The branches of an `if` are in the tree one in the other; only the one around the node is given: to
        `elif` a thousand times is not to nest a thousand times.
        """
        child, outer = node, self.parent(node)
        while outer is not None:
            yield outer, child
            child = self._heads.get(outer, outer)
            outer = self.parent(child)

    @cached_property
    def placed(self) -> dict[tuple[int | None, ...], list[Placed]]:
        """The nodes by their positions, outer ones first."""
        found: dict[tuple[int | None, ...], list[Placed]] = {}
        for node in self.nodes:
            if isinstance(node, Placed):
                place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
                found.setdefault(place, []).append(node)
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all variables that are read or bound."""
        return frozenset(node.id for node in self.nodes if isinstance(node, ast.Name))

    @cached_property
    def is_typed(self) -> bool:
        """Whether most functions of the file say what they return."""
        functions = [node for node in self.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        return sum(function.returns is not None for function in functions) * 2 > len(functions)

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The names of all attributes that are read or bound."""
        return frozenset(node.attr for node in self.nodes if isinstance(node, ast.Attribute))

    @cached_property
    def binders(self) -> dict[str, list[ast.AST]]:
        """The nodes that bind a name, in the order of the text."""
        found: dict[str, list[ast.AST]] = {}
        for node in self.nodes:
            for name in variables.binds(node):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def longest_call(self) -> int:
        """The longest line that a formatter would have broken: it has a call, and no text or comment."""
        numbers = {node.lineno for node in self.nodes if isinstance(node, ast.Call)}
        lines = map(self.source.line, numbers)
        return max((len(line) for line in lines if not any(mark in line for mark in "\"'#")), default=0)

    def worked_out(self, make: Callable[[Syntax, Node], T], node: Node) -> T:
        """What `make` makes of one node of the file, made once."""
        key = (make, node)
        if key not in self._worked_out:
            self._worked_out[key] = make(self, node)
        found: T = self._worked_out[key]
        return found

    def at(self, position: Position, kind: type[Node]) -> Node | None:
        """The outermost node of this kind that stands exactly there."""
        return next((node for node in self.placed.get(position, ()) if isinstance(node, kind)), None)

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

    def last_line(self, statement: ast.stmt) -> int:
        """The line on which the statement ends, comments that are indented deeper than it included."""
        last, outer = statement.end_lineno or statement.lineno, len(self.indent(statement.lineno))
        for number in range(last + 1, len(self.source.starts) + 1):
            text = self.source.line(number).strip()
            if text and not (text.startswith("#") and len(self.indent(number)) > outer):
                break
            last = number if text else last
        return last

    def above_comments(self, line: int) -> int:
        """The line, or that of the first of the comments right above it, which belong to it.

        Those that the file begins with speak of all of it.
        """
        first = line
        while (
            first > 1
            and self.source.line(first - 1).lstrip().startswith("#")
            and first - 1 not in self._last_lines
        ):
            first -= 1
        return first if first > 1 else line

    @cached_property
    def _last_lines(self) -> frozenset[int]:
        """The lines on which statements end: one that begins with `#` there is the end of a text."""
        return frozenset(node.end_lineno or 0 for node in self.nodes if isinstance(node, ast.stmt))

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

    def function_around(self, node: ast.AST) -> Function | None:
        """The innermost function definition around the node."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return next((outer for outer, _ in self.ancestors(node) if isinstance(outer, kinds)), None)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement that `node` is part of."""
        if isinstance(node, ast.stmt):
            return node
        return next((outer for outer, _ in self.ancestors(node) if isinstance(outer, ast.stmt)), None)

    def span(self, node: Placed) -> Span:
        """Where the node stands, as edits have it."""
        return self.source.span(self.start(node), self.end(node))

    def _offset(self, line: int, column: int) -> int:
        """The offset of a column that counts bytes, as those of nodes do."""
        if line not in self._columns:
            self._columns[line] = _columns(self.source.line(line))
        columns = self._columns[line]
        return self.source.starts[line - 1] + (columns[column] if columns else column)


def _columns(text: str) -> Sequence[int]:
    """The character that each byte of the text belongs to, and the end; empty where all are ASCII."""
    if text.isascii():
        return ()
    found = [number for number, character in enumerate(text) for _ in character.encode()]
    return (*found, len(text))


def _children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below, in the order of the text: what `ast.iter_child_nodes` gives, in less time."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [child for child in value if isinstance(child, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return [child for child in found if not isinstance(child, _SHARED)]


def suites(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements that the node holds."""
    for name in ("body", "orelse", "finalbody"):
        suite = getattr(node, name, None)
        if isinstance(suite, list):
            yield suite


def nodes_of(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """What the statements hold, nested functions and classes left out, in the order of the text."""
    waiting: list[ast.AST] = list(reversed(statements))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def is_none(value: ast.expr | None) -> bool:
    """Whether `None` is written there."""
    return isinstance(value, ast.Constant) and value.value is None
