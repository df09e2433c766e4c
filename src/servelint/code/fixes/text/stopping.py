"""Whether StopIteration can come out of a function.

A coroutine turns it into RuntimeError. A future cannot hold it, and up to CPython 3.12.1 the coroutine that
awaits the thread then waits for ever (https://github.com/python/cpython/issues/112182).
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from servelint.code.fixes.text import policy
from servelint.code.fixes.text.syntax import Syntax, nodes_of
from servelint.project.text.parsing import unparsed

_CATCHING = frozenset({"StopIteration", "Exception", "BaseException"})


def stopping_call(syntax: Syntax, statements: Sequence[ast.stmt]) -> str:
    """The text of a `next(iterator)` from which StopIteration may leave the statements; empty if none."""
    for node in nodes_of(statements):
        match node:
            case ast.Call(func=ast.Name("next"), args=[iterator]) if not _has_an_element(iterator):
                if not _is_caught(syntax, node, statements):
                    return unparsed(node)
    return ""


def _has_an_element(iterator: ast.expr) -> bool:
    """Whether the iterator is known not to be empty: the parameters of a network, say."""
    match iterator:
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in policy.load().never_empty
    return False


def _is_caught(syntax: Syntax, node: ast.AST, statements: Sequence[ast.stmt]) -> bool:
    """Whether a `try` around the node and inside the statements handles StopIteration."""
    for outer, child in syntax.ancestors(node):
        if child in statements:
            return False
        if isinstance(outer, ast.Try) and child in outer.body and any(map(_catches, outer.handlers)):
            return True
    return False


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _CATCHING for node in ast.walk(handler.type))
