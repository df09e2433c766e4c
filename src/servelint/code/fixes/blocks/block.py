"""A block of statements that is moved into a nested function, so that it can run in a thread as one.

def run_inference():
    with torch.no_grad():
        logits = model(batch)
    return logits

logits = await asyncio.get_running_loop().run_in_executor(app.state.inference_executor, run_inference)
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from servelint.code.facts.facts import Position
from servelint.code.fixes.text import variables
from servelint.code.fixes.text.quotes import inside_quotes
from servelint.code.fixes.text.stopping import stopping_call
from servelint.code.fixes.text.syntax import Function, Syntax, own_nodes

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
# Functions that look at the variables of the function they are called in.
_LOOKING = frozenset({"locals", "vars", "eval", "exec", "dir"})


class Variables(NamedTuple):
    """How the nested function gets and gives back what the block uses."""

    parameters: tuple[str, ...]
    returned: tuple[str, ...]
    nonlocals: tuple[str, ...]
    globals: tuple[str, ...]


class UnmovableError(Exception):
    """The block cannot be moved; the message says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """Statements that stand one after the other in `function`.

    `direct` are awaited offloads in it, with the calls that take their places in the thread.
    """

    syntax: Syntax
    function: Function
    statements: tuple[ast.stmt, ...]
    direct: tuple[tuple[ast.Await, str], ...] = ()

    @property
    def start(self) -> int:
        """The offset of the first line's start."""
        return self.syntax.line_start(self.first_line)

    @property
    def end(self) -> int:
        """The offset of the last line's end, before its line break."""
        return self.syntax.line_start(self.last_line) + len(self.syntax.source.line(self.last_line))

    @property
    def first_line(self) -> int:
        """The line of the first statement, its decorators included."""
        return self.syntax.first_line(self.statements[0])

    @property
    def last_line(self) -> int:
        """The line on which the last statement ends."""
        last = self.statements[-1]
        return last.end_lineno or last.lineno

    @property
    def returns(self) -> bool:
        """Whether the block ends with the function's `return`, on every way through it."""
        return any(isinstance(node, ast.Return) for node in self.nodes())

    def holds(self, position: Position) -> bool:
        """Whether what stands there comes into the thread with the block; what `direct` runs was there."""
        start, end = (position.line, position.column), (position.end_line, position.end_column)
        for node, _ in self.direct:
            offloaded = (node.lineno, node.col_offset) <= start
            if offloaded and end <= (node.end_lineno or 0, node.end_col_offset or 0):
                return False
        return self.first_line <= position.line and position.end_line <= self.last_line

    def nodes(self) -> Iterator[ast.AST]:
        """What the block holds, nested functions and classes left out."""
        mine = set(self.statements)
        return (node for node in own_nodes(self.function) if self._in(node, mine))

    def _in(self, node: ast.AST, mine: set[ast.stmt]) -> bool:
        return node in mine or any(outer in mine for outer, _ in self.syntax.ancestors(node))

    def outside(self) -> list[ast.AST]:
        """The expressions and statements of the function that are not in the block, each by itself."""
        mine = set(self.statements)
        return [node for node in ast.walk(self.function) if not self._in(node, mine)]

    # -- whether it can be moved -----------------------------------------------------------------

    def variables(self) -> Variables:
        """What the nested function needs; raises `UnmovableError` for a block that cannot be moved."""
        self._check_layout()
        self._check_control()
        return _Division(self).variables()

    def obstacle(self) -> str:
        """Why the block cannot be moved; empty if it can."""
        try:
            self.variables()
        except UnmovableError as error:
            return str(error)
        return ""

    def _check_layout(self) -> None:
        text = self.syntax.source.text
        first, last = self.statements[0], self.statements[-1]
        before = text[self.syntax.line_start(first.lineno) : self.syntax.start(first)]
        after = text[self.syntax.end(last) : self.end]
        if before.strip() or (after.strip() and not after.lstrip().startswith("#")):
            raise UnmovableError("something else stands on its lines")
        if text.startswith("elif", self.syntax.start(first)):
            raise UnmovableError("it is an `elif`")
        indent = self.syntax.indent(self.first_line)
        for node in self.nodes():
            if isinstance(node, ast.stmt) and not self.syntax.source.line(node.lineno).startswith(indent):
                raise UnmovableError("its lines are indented in different ways")
        try:
            inside_quotes(self._written())
        except (SyntaxError, tokenize.TokenError) as error:
            raise UnmovableError(f"its lines cannot be told apart ({error.args[0]})") from error

    def _written(self) -> list[str]:
        """The block's lines as they are."""
        return [self.syntax.source.line(number) for number in range(self.first_line, self.last_line + 1)]

    def _check_control(self) -> None:
        offloads = [awaited for awaited, _ in self.direct]
        for node in self.nodes():
            reason = self._leaves(node) if node not in offloads else ""
            if reason:
                raise UnmovableError(reason)
        stopping = stopping_call(self.syntax, self.statements)
        if stopping:
            raise UnmovableError(f"`{stopping}` may raise StopIteration, which cannot leave a thread")
        if variables.deletes(self.statements):
            raise UnmovableError("it deletes a variable")
        if self.returns and variables.falls_through(self.statements):
            raise UnmovableError("it returns on one way and goes on on another")

    def _leaves(self, node: ast.AST) -> str:
        """Why the node ties the block to the function around it; empty if it does not."""
        match node:
            case ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.comprehension(is_async=1):
                return "it awaits"
            case ast.Yield() | ast.YieldFrom():
                return "it yields"
            case ast.Break() | ast.Continue() if not self._within(node, _LOOPS):
                return f"it has a `{type(node).__name__.lower()}` for a loop around it"
            case ast.Raise(exc=None) if not self._within(node, (ast.ExceptHandler,)):
                return "it raises the exception that is being handled around it"
            case ast.Call(func=ast.Name(id="super"), args=[]):
                return "it uses `super()`"
            case ast.Call(func=ast.Name(id=name)) if name in _LOOKING:
                return f"it uses `{name}()`"
        return ""

    def _within(self, node: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
        """Whether a node of these kinds stands around `node` inside the block."""
        for outer, child in self.syntax.ancestors(node):
            if child in self.statements:
                return False
            if isinstance(outer, kinds):
                return True
        return False

    # -- how it is written -----------------------------------------------------------------------

    def nested(self, name: str, found: Variables) -> str:
        """The nested function's text, without its last line break."""
        indent = self.syntax.indent(self.first_line)
        unit = self.syntax.indent_unit(self.function)
        inner = indent + unit
        lines = [f"{indent}def {name}({', '.join(found.parameters)}):"]
        if found.globals:
            lines.append(f"{inner}global {', '.join(found.globals)}")
        if found.nonlocals:
            lines.append(f"{inner}nonlocal {', '.join(found.nonlocals)}")
        lines += self.lines(inner)
        if found.returned:
            lines.append(f"{inner}return {', '.join(found.returned)}")
        return "\n".join(lines)

    def lines(self, indent: str, replaced: Sequence[tuple[ast.expr, str]] = ()) -> list[str]:
        """The block's lines, indented anew, with other text in the place of some expressions."""
        syntax, first, old = self.syntax, self.first_line, self.syntax.indent(self.first_line)
        written = self._written()
        fixed = inside_quotes(written)
        found = [(line, number in fixed) for number, line in enumerate(written)]
        for node, text in sorted((*replaced, *self.direct), key=lambda pair: -syntax.start(pair[0])):
            begin, end = node.lineno - first, (node.end_lineno or node.lineno) - first
            before = found[begin][0][: syntax.start(node) - syntax.line_start(node.lineno)]
            after = found[end][0][syntax.end(node) - syntax.line_start(first + end) :]
            found[begin : end + 1] = [(before + text + after, found[begin][1])]
        return [
            line if is_text or not line.strip() else indent + line.removeprefix(old)
            for line, is_text in found
        ]


class _Division:
    """Divides the variables of a block by the way they take into and out of the nested function."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.outside = block.outside()
        self.around = list(self._inside_function(block.statements[0]))
        self.loop = next((o for o, _ in reversed(self.around) if isinstance(o, _LOOPS)), None)
        self.written = variables.writes(block.statements)
        self.sure = variables.surely_written(block.statements)
        self.early = variables.read_before_written(block.statements)
        self.elsewhere = variables.writes(block.function.body, block.statements) | _parameters(block.function)
        self.live = self._live()
        self.handled = self._read_in_handlers()

    def variables(self) -> Variables:
        declared = [n for n in own_nodes(self.block.function) if isinstance(n, ast.Global | ast.Nonlocal)]
        of_module = {name for n in declared if isinstance(n, ast.Global) for name in n.names}
        of_outer = {name for n in declared if isinstance(n, ast.Nonlocal) for name in n.names}
        plain = self.written - of_module - of_outer
        shared = plain & self._set_in_nested_functions()
        if shared:
            raise UnmovableError(f"`{min(shared)}` is set in a nested function too")
        returned = {name for name in plain if self._is_returned(name)}
        changed = {name for name in plain - returned if self._is_changed(name)}
        parameters: set[str] = set()
        if self.loop is not None:
            # A function made in a loop must not read the loop's variables later than it was made.
            returned |= changed
            parameters = changed | (variables.reads(self.block.statements) & self._of_loop() - plain)
            changed = set()
            self._check_bound(parameters)
        return Variables(
            self._in_order(parameters),
            self._in_order(returned),
            self._in_order(changed | self.written & of_outer),
            self._in_order(self.written & of_module),
        )

    def _set_in_nested_functions(self) -> set[str]:
        return {
            name
            for node in self.outside
            if isinstance(node, ast.Nonlocal) and any(self._definitions_around(node))
            for name in node.names
        }

    def _definitions_around(self, node: ast.AST) -> Iterator[ast.AST]:
        return (o for o, _ in self._inside_function(node) if isinstance(o, _DEFINITIONS))

    def _is_returned(self, name: str) -> bool:
        """Whether the block makes the variable anew, and the function reads it afterwards."""
        if name not in self.live and name not in self.handled:
            return False
        fresh = name in self.sure and name not in self.early and name not in self.handled
        if name in self.elsewhere:
            return fresh
        if name in self.handled:
            raise UnmovableError(f"`{name}` is used where an exception in it is handled")
        if name not in self.sure:
            raise UnmovableError(f"`{name}` is not set on every way through it, and used after it")
        return True

    def _is_changed(self, name: str) -> bool:
        """Whether the block goes on with a value that the variable has from outside."""
        if name not in self.elsewhere:
            return False
        return name in self.early or name in self.live or name in self.handled

    def _check_bound(self, parameters: Iterable[str]) -> None:
        if self.handled & self.written:
            raise UnmovableError(
                f"`{min(self.handled & self.written)}` is used where an exception is handled"
            )
        missing = set(parameters) - self._surely_bound_before()
        if missing:
            raise UnmovableError(f"`{min(missing)}` may not be set yet when it begins")

    def _surely_bound_before(self) -> set[str]:
        function = self.block.function
        found = _parameters(function)
        way = {self.block.statements[0], *(outer for outer, _ in self.around)}
        for outer in (function, *(outer for outer, _ in self.around)):
            for suite in _suites(outer):
                number = next((n for n, statement in enumerate(suite) if statement in way), 0)
                found |= variables.surely_written(suite[:number])
            if isinstance(outer, ast.For | ast.AsyncFor):
                found |= variables.writes([outer.target])
            if isinstance(outer, ast.With | ast.AsyncWith):
                found |= variables.writes(outer.items)
        return found

    def _of_loop(self) -> set[str]:
        """The variables that change from one round of the outermost loop around the block to the next."""
        assert self.loop is not None
        return variables.writes([self.loop], self.block.statements) | self.written

    def _live(self) -> set[str]:
        """The names that are read after the block, or before it in the next round of a loop."""
        return self._read_later() if variables.falls_through(self.block.statements) else set()

    def _read_later(self) -> set[str]:
        end, syntax = self.block.end, self.block.syntax
        again = set(ast.walk(self.loop)) if self.loop is not None else set()
        found: set[str] = set()
        for node in self.outside:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                nested = any(self._definitions_around(node))
                if syntax.start(node) > end or node in again or nested:
                    found.add(node.id)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                later = syntax.start(node) > end or node in again
                found |= {node.target.id} if later else set()
        return found

    def _read_in_handlers(self) -> set[str]:
        """The names that are read where an exception in the block would be handled, and after that."""
        found: set[str] = set()
        for outer, child in self.around:
            if isinstance(outer, ast.Try) and child in outer.body:
                found |= variables.reads([*outer.handlers, *outer.finalbody])
                if any(variables.falls_through(handler.body) for handler in outer.handlers):
                    found |= self._read_later()
            elif isinstance(outer, ast.With | ast.AsyncWith) and variables.suppresses(outer.items):
                found |= self._read_later()
        return found

    def _inside_function(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """The nodes between `node` and the function, each with its child on the way."""
        for outer, child in self.block.syntax.ancestors(node):
            if outer is self.block.function:
                return
            yield outer, child

    def _in_order(self, names: set[str]) -> tuple[str, ...]:
        """The names in the order in which the block has them."""
        seen = [n.id for s in self.block.statements for n in ast.walk(s) if isinstance(n, ast.Name)]
        first = {name: seen.index(name) if name in seen else len(seen) for name in names}
        return tuple(sorted(names, key=lambda name: (first[name], name)))


def _parameters(function: Function) -> set[str]:
    return {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}


def _suites(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        suite = getattr(node, name, None)
        if isinstance(suite, list):
            yield suite
