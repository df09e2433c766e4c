"""The lock that a load at the first use gets, so that two threads do not load at once.

with _model_lock:
    if _model is None:
        _model = load()
return _model
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servelint.code.fixes.blocks.block import Block
from servelint.code.fixes.blocks.lazy import FirstUse, asked_for
from servelint.code.fixes.blocks.shared import Change
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
        outer, place = syntax.parent(self.below), syntax.line_start((self.below.end_lineno or 0) + 1)
        within = outer if isinstance(outer, ast.FunctionDef) else None
        made = needed.of(self.module).member("threading", "Lock", within)
        name = self.lock.rpartition(".")[2] if isinstance(outer, ast.ClassDef) else self.lock
        text = f"{syntax.indent(self.below.lineno)}{name} = {made}()\n"
        return (syntax.edit(place, place, text), syntax.edit(block.start, block.end, held))


def locking(module: Module, load: FirstUse, changes: Sequence[Change]) -> Locking | None:
    """How the load gets a lock; None where there is no place for one."""
    syntax = load.syntax
    asked = next((change for change in changes if asked_for(load, change.text)), None)
    if asked is None or not _may_be_indented(load):
        return None
    below = _home(load, asked)
    lock = f"{asked.text}_LOCK" if asked.text.isupper() else f"{asked.text}_lock"
    name = lock.rpartition(".")[2]
    if below is None or name in syntax.names | syntax.attributes or name in syntax.binders:
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
    names = {place.rpartition(".")[2] for place in load.places}
    for suite, prefix in _suites(load, asked):
        targets = [_target(statement) for statement in suite]
        name = prefix + asked.text.rpartition(".")[2]
        if targets.count(name) != 1:
            continue
        number = targets.index(name)
        others = {prefix + other for other in names}
        while number + 1 < len(suite) and targets[number + 1] in others:
            number += 1
        return suite[number] if Block(load.syntax, load.function, (suite[number],)).stands_alone else None
    return None


def _suites(load: FirstUse, asked: Change) -> Iterator[tuple[list[ast.stmt], str]]:
    """The suites in which the place may be made empty, and what stands before its name there."""
    syntax, function = load.syntax, load.function
    if isinstance(asked.place, ast.Name):
        yield syntax.tree.body, ""
        return
    cls = syntax.parent(function)
    if not isinstance(cls, ast.ClassDef) or cls.decorator_list or not function.args.args:
        return
    receiver = function.args.args[0].arg
    if not asked.text.startswith(f"{receiver}."):
        return
    if receiver == "cls":
        yield cls.body, ""
        return
    for method in cls.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            yield method.body, f"{receiver}."


def _target(statement: ast.stmt) -> str:
    """What a statement with one target assigns to; empty for others."""
    match statement:
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]):
            return ast.unparse(target)
        case ast.AnnAssign(target=ast.Name() | ast.Attribute() as target, value=ast.expr()):
            return ast.unparse(target)
    return ""
