"""Whether StopIteration can come out of a function.

A coroutine turns it into RuntimeError. A future cannot hold it, and up to CPython 3.12.1 the coroutine that
awaits the thread then waits for ever (https://github.com/python/cpython/issues/112182).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from servelint.code.fixes import policy
from servelint.code.fixes.syntax import Syntax

_CATCHING = frozenset({"StopIteration", "Exception", "BaseException"})


def stopping_call(syntax: Syntax, nodes: Iterable[ast.AST]) -> str:
    """The text of a `next(iterator)` among the nodes that may raise; empty if there is none."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name("next"), args=[iterator]) if not _has_an_element(iterator):
                if not _is_caught(syntax, node):
                    return ast.unparse(node)
    return ""


def _has_an_element(iterator: ast.expr) -> bool:
    """Whether the iterator is known not to be empty: the parameters of a network, say."""
    match iterator:
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in policy.load().never_empty
    return False


def _is_caught(syntax: Syntax, node: ast.AST) -> bool:
    """Whether a `try` around the node handles StopIteration."""
    return any(
        isinstance(outer, ast.Try) and child in outer.body and any(map(_catches, outer.handlers))
        for outer, child in syntax.ancestors(node)
    )


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _CATCHING for node in ast.walk(handler.type))
