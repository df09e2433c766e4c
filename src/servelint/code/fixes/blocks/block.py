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
from servelint.code.fixes.blocks.asked import asked
from servelint.code.fixes.blocks.traits import LOOPS, Traits, leaving
from servelint.code.fixes.text import style, variables
from servelint.code.fixes.text.quotes import inside_quotes
from servelint.code.fixes.text.syntax import Function, Syntax, nodes_of
from servelint.code.fixes.text.uses import Range, Uses


class Variables(NamedTuple):
    """How the nested function gets and gives back what the block uses; it has the `kept` when it is made."""

    parameters: tuple[str, ...]
    returned: tuple[str, ...]
    nonlocals: tuple[str, ...]
    globals: tuple[str, ...]
    kept: tuple[str, ...] = ()


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
        return any(known.returns for known in self.traits)

    def holds(self, position: Position) -> bool:
        """Whether what stands there comes into the thread with the block; what `direct` runs was there."""
        start, end = (position.line, position.column), (position.end_line, position.end_column)
        for node, _ in self.direct:
            offloaded = (node.lineno, node.col_offset) <= start
            if offloaded and end <= (node.end_lineno or 0, node.end_col_offset or 0):
                return False
        return self.first_line <= position.line and position.end_line <= self.last_line

    @property
    def range(self) -> Range:
        """The block's nodes, by number."""
        return Range.of(self.syntax, self.statements)

    @property
    def traits(self) -> list[Traits]:
        """What each of the statements does."""
        return [self.syntax.worked_out(Traits.of, statement) for statement in self.statements]

    @property
    def uses(self) -> Uses:
        """The variables of the function."""
        return self.syntax.worked_out(Uses, self.function)

    def nodes(self) -> Iterator[ast.AST]:
        """What the block holds, nested functions and classes left out."""
        return nodes_of(self.statements)

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

    @property
    def stands_alone(self) -> bool:
        """Whether its lines can be written anew without anything else."""
        try:
            self._check_layout()
        except UnmovableError:
            return False
        return True

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
        if self.syntax.worked_out(_inside_quotes, self.syntax.tree) is None:
            raise UnmovableError("the lines of the file cannot be told apart")

    def _check_control(self) -> None:
        offloads = [awaited for awaited, _ in self.direct]
        for statement, known in zip(self.statements, self.traits, strict=True):
            reason = leaving(self.syntax, statement, offloads) if offloads else known.leaves
            if reason:
                raise UnmovableError(reason)
        stopping = next((known.stopping for known in self.traits if known.stopping), "")
        if stopping:
            raise UnmovableError(f"`{stopping}` may raise StopIteration, which cannot leave a thread")
        if any(known.deletes for known in self.traits):
            raise UnmovableError("it deletes a variable")
        if self.returns and variables.falls_through(self.statements):
            raise UnmovableError("it returns on one way and goes on on another")

    # -- how it is written -----------------------------------------------------------------------

    def nested(self, name: str, found: Variables) -> str:
        """The nested function's text, without its last line break."""
        indent = self.syntax.indent(self.first_line)
        unit = self.syntax.indent_unit(self.function)
        inner = indent + unit
        parameters = (*found.parameters, *(f"{kept}={kept}" for kept in found.kept))
        limit = style.line_length(self.syntax)
        lines = [style.fitted(f"{indent}def {name}({', '.join(parameters)})", limit - 1) + ":"]
        if found.globals:
            lines.append(f"{inner}global {', '.join(found.globals)}")
        if found.nonlocals:
            lines.append(f"{inner}nonlocal {', '.join(found.nonlocals)}")
        lines += self.lines(inner)
        if found.returned:
            line = f"{inner}return {', '.join(found.returned)}"
            if len(line) > limit and len(found.returned) > 1:
                items = "".join(f"{inner}{unit}{each},\n" for each in found.returned)
                line = f"{inner}return (\n{items}{inner})"
            lines.append(line)
        return "\n".join(lines)

    def lines(self, indent: str, replaced: Sequence[tuple[ast.expr, str]] = ()) -> list[str]:
        """The block's lines, indented anew, with other text in the place of some expressions."""
        syntax, first, old = self.syntax, self.first_line, self.syntax.indent(self.first_line)
        fixed = syntax.worked_out(_inside_quotes, syntax.tree) or frozenset()
        numbers = range(first, self.last_line + 1)
        found = [(syntax.source.line(number), number in fixed) for number in numbers]
        for node, text in sorted((*replaced, *self.direct), key=lambda pair: -syntax.start(pair[0])):
            begin, end = node.lineno - first, (node.end_lineno or node.lineno) - first
            before = found[begin][0][: syntax.start(node) - syntax.line_start(node.lineno)]
            after = found[end][0][syntax.end(node) - syntax.line_start(first + end) :]
            found[begin : end + 1] = [(before + text + after, found[begin][1])]
        return [
            line if is_text or not line.strip() else indent + line.removeprefix(old)
            for line, is_text in found
        ]


def _inside_quotes(syntax: Syntax, _: ast.Module) -> frozenset[int] | None:
    """The lines of the file, counted from 1, that begin inside a string; None where it cannot be told."""
    lines = map(syntax.source.line, range(1, syntax.source.line_count + 1))
    try:
        return frozenset(number + 1 for number in inside_quotes(lines))
    except (SyntaxError, tokenize.TokenError):
        return None


class _Division:
    """Divides the variables of a block by the way they take into and out of the nested function."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.uses = block.uses
        self.range = block.range
        self.around = list(self._inside_function(block.statements[0]))
        self.loop = next((o for o, _ in reversed(self.around) if isinstance(o, LOOPS)), None)
        self.traits = block.traits
        self.written: set[str] = set()
        self.sure: set[str] = set()
        self.early: set[str] = set()
        for known in self.traits:
            self.early |= known.early - self.sure
            self.sure |= known.sure
            self.written |= known.written
        self.goes_on = variables.falls_through(block.statements)
        self.handlers, self.goes_on_after_handlers = self._handling()

    def variables(self) -> Variables:
        of_module, of_outer = self.uses.globals, self.uses.nonlocals
        plain = self.written - of_module - of_outer
        shared = plain & self.uses.set_in_nested_functions(self.range)
        if shared:
            raise UnmovableError(f"`{min(shared)}` is set in a nested function too")
        returned = {name for name in plain if self._is_returned(name)}
        changed = {name for name in plain - returned if self._is_changed(name)}
        read = frozenset().union(*(known.read for known in self.traits))
        parameters: set[str] = set()
        if self.loop is not None:
            # A function made in a loop must not read the loop's variables later than it was made.
            returned |= changed
            parameters = changed | {name for name in read - plain if self._is_of_loop(name)}
            changed = set()
            self._check_bound(parameters)
        return Variables(
            self._in_order(parameters),
            self._in_order(returned),
            self._in_order(changed | self.written & of_outer),
            self._in_order(self.written & of_module),
            self._in_order(self._kept(read - self.written - of_module - of_outer)),
        )

    def _kept(self, read: frozenset[str]) -> set[str]:
        """The globals that the nested function keeps as they were when the function asked for them."""
        found = asked(self.block.syntax, self.block.function, self.range, read)
        return {name for name in found if not self.uses.is_written_outside(name, self.range)}

    def _is_returned(self, name: str) -> bool:
        """Whether the block makes the variable anew, and the function reads it afterwards."""
        handled = self._is_handled(name)
        if not handled and not self._is_live(name):
            return False
        fresh = name in self.sure and name not in self.early and not handled
        if self.uses.is_written_outside(name, self.range):
            return fresh
        if handled:
            raise UnmovableError(f"`{name}` is used where an exception in it is handled")
        if name not in self.sure:
            raise UnmovableError(f"`{name}` is not set on every way through it, and used after it")
        return True

    def _is_changed(self, name: str) -> bool:
        """Whether the block goes on with a value that the variable has from outside."""
        if not self.uses.is_written_outside(name, self.range):
            return False
        return name in self.early or self._is_live(name) or self._is_handled(name)

    def _check_bound(self, parameters: Iterable[str]) -> None:
        handled = {name for name in self.written if self._is_handled(name)}
        if handled:
            raise UnmovableError(f"`{min(handled)}` is used where an exception is handled")
        missing = {name for name in parameters if not self._is_bound_before(name)}
        if missing:
            raise UnmovableError(f"`{min(missing)}` may not be set yet when it begins")

    def _is_bound_before(self, name: str) -> bool:
        """Whether the variable is bound whenever control comes to the block."""
        if name in self.uses.parameters:
            return True
        for outer, _ in self.around:
            if isinstance(outer, ast.For | ast.AsyncFor) and name in variables.writes([outer.target]):
                return True
            if isinstance(outer, ast.With | ast.AsyncWith) and name in variables.writes(outer.items):
                return True
        way = (self.block.statements[0], *(outer for outer, _ in self.around if isinstance(outer, ast.stmt)))
        return any(self.uses.is_surely_bound_before(name, statement) for statement in way)

    def _is_of_loop(self, name: str) -> bool:
        """Whether the variable changes from one round of the outermost loop around the block to the next."""
        assert self.loop is not None
        loop = Range.of(self.block.syntax, [self.loop])
        return name in self.written or self.uses.is_written_in(name, loop, self.range)

    def _is_live(self, name: str) -> bool:
        """Whether the name is read after the block, or before it in the next round of a loop."""
        return self.goes_on and self._is_read_later(name)

    def _is_read_later(self, name: str) -> bool:
        return self.uses.is_read_later(name, self.range, self.block.end, self.loop)

    def _is_handled(self, name: str) -> bool:
        """Whether the name is read where an exception in the block would be handled, and after that."""
        if any(self.uses.is_read_in(name, handler, self.range) for handler in self.handlers):
            return True
        return self.goes_on_after_handlers and self._is_read_later(name)

    def _handling(self) -> tuple[list[Range], bool]:
        """What handles an exception in the block, and whether the function may go on after that."""
        handlers: list[Range] = []
        goes_on = False
        for outer, child in self.around:
            if isinstance(outer, ast.Try) and child in outer.body:
                parts = (outer.handlers, outer.finalbody)
                handlers += (Range.of(self.block.syntax, part) for part in parts if part)
                goes_on |= any(variables.falls_through(handler.body) for handler in outer.handlers)
            elif isinstance(outer, ast.With | ast.AsyncWith):
                goes_on |= variables.suppresses(outer.items)
        return handlers, goes_on

    def _inside_function(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """The nodes between `node` and the function, each with its child on the way."""
        for outer, child in self.block.syntax.ancestors(node):
            if outer is self.block.function:
                return
            yield outer, child

    def _in_order(self, names: set[str] | frozenset[str]) -> tuple[str, ...]:
        """The names in the order in which the block has them."""
        if len(names) < 2:
            return tuple(names)
        seen = dict.fromkeys(name for known in self.traits for name in known.names)
        first = {name: number for number, name in enumerate(seen)}
        return tuple(sorted(names, key=lambda name: (first.get(name, len(first)), name)))
