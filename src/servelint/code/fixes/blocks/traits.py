"""What one statement does that matters where it is moved: worked out once, however often it is asked for."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

from servelint.code.fixes.text import variables
from servelint.code.fixes.text.stopping import stopping_call
from servelint.code.fixes.text.syntax import Syntax, nodes_of

LOOPS = (ast.For, ast.AsyncFor, ast.While)
# Functions that look at the variables of the function they are called in.
_LOOKING = frozenset({"locals", "vars", "eval", "exec", "dir"})


@dataclass(frozen=True, slots=True)
class Traits:
    """One statement of a block.

    `leaves` says what ties it to the function around it, `stopping` is a call from which StopIteration may
    leave it. `written` are the names that it binds, `sure` those that it binds on every way, `read`
    those that it reads, `early` those that it may read before it has bound them; `names` are all, in order.
    """

    leaves: str
    stopping: str
    deletes: bool
    returns: bool
    written: frozenset[str]
    sure: frozenset[str]
    read: frozenset[str]
    early: frozenset[str]
    names: tuple[str, ...]

    @classmethod
    def of(cls, syntax: Syntax, statement: ast.stmt) -> Traits:
        """The traits of a statement of the file."""
        alone = [statement]
        return cls(
            leaving(syntax, statement),
            stopping_call(syntax, alone),
            variables.deletes(alone),
            any(isinstance(node, ast.Return) for node in nodes_of(alone)),
            frozenset(variables.writes(alone)),
            frozenset(variables.surely_written(alone)),
            frozenset(variables.reads(alone)),
            frozenset(variables.read_before_written(alone)),
            tuple(dict.fromkeys(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))),
        )


def leaving(syntax: Syntax, statement: ast.stmt, without: Collection[ast.AST] = ()) -> str:
    """What ties the statement to the function around it, but for the nodes in `without`."""
    nodes = (node for node in nodes_of([statement]) if node not in without)
    return next((reason for node in nodes if (reason := _leaves(syntax, statement, node))), "")


def _leaves(syntax: Syntax, statement: ast.stmt, node: ast.AST) -> str:
    match node:
        case ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.comprehension(is_async=1):
            return "it awaits"
        case ast.Yield() | ast.YieldFrom():
            return "it yields"
        case ast.Break() | ast.Continue() if not _within(syntax, statement, node, LOOPS):
            return f"it has a `{type(node).__name__.lower()}` for a loop around it"
        case ast.Raise(exc=None) if not _within(syntax, statement, node, (ast.ExceptHandler,)):
            return "it raises the exception that is being handled around it"
        case ast.Call(func=ast.Name(id="super"), args=[]):
            return "it uses `super()`"
        case ast.Call(func=ast.Name(id=name)) if name in _LOOKING:
            return f"it uses `{name}()`"
    return ""


def _within(syntax: Syntax, statement: ast.stmt, node: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
    """Whether a node of these kinds stands around `node` inside the statement."""
    for outer, child in syntax.ancestors(node):
        if child is statement:
            return False
        if isinstance(outer, kinds):
            return True
    return False
