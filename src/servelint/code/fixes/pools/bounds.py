"""What lets only so many requests in at once, and is entered by `async with`: locks and semaphores."""

from __future__ import annotations

import ast

from servelint.code.facts.facts import dotted
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.text import policy
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import External, ExternalObject, Frame, plain


def bound_by(evaluator: Evaluator, frame: Frame, statement: ast.AST) -> ast.expr | None:
    """What the statement enters that lets only so many in, if it is an `async with` that does."""
    items = statement.items if isinstance(statement, ast.AsyncWith) else ()
    return next((i.context_expr for i in items if _is_bound(evaluator, frame, i.context_expr)), None)


def _is_bound(evaluator: Evaluator, frame: Frame, node: ast.expr) -> bool:
    """Whether it is a lock: by what it is or, for an object that nobody knows, by a word of its name."""
    entered = annotation(node)
    if entered is None:
        return False
    known = policy.load()
    values = [value for value, _ in plain(evaluator.evaluate(frame, entered))]
    if values:
        return all(isinstance(v, External | ExternalObject) and known.bounds.find(v.name) for v in values)
    return bool(words(dotted(entered).rpartition(".")[2]) & known.bound_words)


def words(name: str) -> set[str]:
    """The words of a name."""
    return set(name.lower().split("_"))
