"""The lock that a load at the first use gets, so that two threads do not load at once.

with _model_lock:
    if _model is None:
        _model = load()
return _model
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from servelint.code.fixes.blocks.block import Block
from servelint.code.fixes.doubts.lazy import FirstUse, asked_for
from servelint.code.fixes.doubts.shared import Change
from servelint.code.fixes.text.needed import Needed
from servelint.code.fixes.text.style import line_length
from servelint.code.graph.project import Module
from servelint.finding import Edit


@dataclass(frozen=True, slots=True)
class Locking:
    """How a lock is added: made below a statement, and held around a load, where it is spelled `lock`."""

    module: Module
    load: FirstUse
    below: ast.stmt
    lock: str

    @property
    def reason(self) -> str:
        """Why threads may not load without the lock."""
        return f"writes `{self.lock.removesuffix('_lock').removesuffix('_LOCK')}`, which requests share"

    def edits(self, needed: Needed) -> tuple[Edit, ...]:
        """The edits that make the lock and hold it. Raises `NameTakenError`."""
        syntax, function = self.load.syntax, self.load.function
        block = Block(syntax, function, self.load.statements)
        indent = syntax.indent(block.first_line)
        lines = block.lines(indent + syntax.indent_unit(function))
        held = "\n".join((f"{indent}with {self.lock}:", *lines))
        place = syntax.line_start((self.below.end_lineno or 0) + 1)
        made = needed.of(self.module).member("threading", "Lock", None)
        text = f"{self.lock} = {made}()\n"
        return (syntax.edit(place, place, text), syntax.edit(block.start, block.end, held))


def locking(module: Module, load: FirstUse, changes: Sequence[Change]) -> Locking | None:
    """How the load gets a lock; None where there is no place for one."""
    syntax = load.syntax
    asked = next((change for change in changes if asked_for(load, change.text)), None)
    if asked is None or not _may_be_indented(load):
        return None
    below = _home(load, asked)
    lock = f"{asked.text}_LOCK" if asked.text.isupper() else f"{asked.text}_lock"
    if below is None or lock in syntax.names | syntax.attributes or lock in syntax.binders:
        return None
    return Locking(module, load, below, lock)


def _may_be_indented(load: FirstUse) -> bool:
    """Whether the statements can stand one step further to the right, as a formatter would have them."""
    syntax = load.syntax
    block = Block(syntax, load.function, load.statements)
    if not block.stands_alone:
        return False
    added, limit = len(syntax.indent_unit(load.function)), line_length(syntax)
    lengths = map(syntax.source.length, range(block.first_line, block.last_line + 1))
    return not any(limit - added < length <= limit for length in lengths)


def _home(load: FirstUse, asked: Change) -> ast.stmt | None:
    """The statement under which the lock is made: the last of those that make the places empty at first."""
    suite = load.syntax.tree.body
    targets = [_target(statement) for statement in suite]
    if targets.count(asked.text) != 1:
        return None
    number = targets.index(asked.text)
    while number + 1 < len(suite) and targets[number + 1] in load.places:
        number += 1
    stands = Block(load.syntax, load.function, (suite[number],)).stands_alone
    return suite[number] if stands and number + 1 < len(suite) else None


def _target(statement: ast.stmt) -> str:
    """What a statement with one target assigns to; empty for others."""
    match statement:
        case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name), value=ast.expr()):
            return name
    return ""
