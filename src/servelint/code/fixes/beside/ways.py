"""The ways through a function: what runs with what."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from servelint.code.fixes.text.syntax import LEAVING, Syntax

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def within(syntax: Syntax, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """What is around a node in its function, and which part of that it is in."""
    for outer, child in syntax.ancestors(node):
        if isinstance(outer, _FUNCTIONS):
            return
        yield outer, child


def is_handling(syntax: Syntax, node: ast.AST) -> bool:
    """Whether it runs only where something has failed."""
    return any(isinstance(outer, ast.ExceptHandler) for outer, _ in within(syntax, node))


def runs_with(syntax: Syntax, work: ast.AST, node: ast.AST) -> bool:
    """Whether both may run in one go: not in two branches, or in one that leaves before the call."""
    last: ast.AST = work
    for outer, child in syntax.ancestors(work):
        if syntax.is_below(node, child):
            return child is last  # else it stands in another branch of one long `elif`
        last = outer
        match outer:
            case ast.If(test=test, body=body) if child is not test:
                if syntax.is_below(node, outer) and not syntax.is_below(node, test):
                    return False
                suite = body if child in body else outer.orelse
                if isinstance(suite[-1], LEAVING) and syntax.number(work) < syntax.number(node):
                    return False
            case ast.match_case():
                parent = syntax.parent(outer)
                if parent is not None and syntax.is_below(node, parent):
                    return syntax.is_below(node, outer)
    return True
