"""A call that stays on the event loop where something else says so, and is handed to a thread otherwise.

if settings.use_pool:
    scores = await loop.run_in_executor(pool, model.predict, rows)
else:
    scores = model.predict(rows)

Moved as well, both branches do the same: whoever wrote the second may have wanted it where it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from servelint.code.fixes.text.syntax import LEAVING, Function, Syntax
from servelint.project.text.parsing import unparsed


def other_branch(syntax: Syntax, node: ast.Call, function: Function) -> str:
    """Why the call may be where it is on purpose: another way through the function awaits it in a thread."""
    called = unparsed(node.func)
    if called not in syntax.worked_out(_handed, function):
        return ""
    for why, others in _others(syntax, node, function):
        if any(_awaits(other, called) for other in others):
            return f"{why} hands `{called}` to a thread, and this call may stand on the event loop on purpose"
    return ""


def _others(syntax: Syntax, node: ast.Call, function: Function) -> Iterator[tuple[str, Sequence[ast.AST]]]:
    """The statements that run where the call does not, and what tells which."""
    for outer, child in syntax.ancestors(node):
        match outer:
            case ast.If(test=test, body=body, orelse=others) if child is not test:
                yield f"the other branch of `if {unparsed(test)}`", others if child in body else body
            case ast.IfExp(test=test, body=value, orelse=other) if child is not test:
                yield f"the other branch of `if {unparsed(test)}`", [other if child is value else value]
            case ast.Try(body=body) if isinstance(child, ast.ExceptHandler):
                yield "the `try` above", body
        place = syntax.place(child) if isinstance(child, ast.stmt) else None
        for guard in place.suite[: place.number] if place is not None else ():
            if isinstance(guard, ast.If) and isinstance(guard.body[-1], LEAVING):
                yield f"the branch of `if {unparsed(guard.test)}`", guard.body
        if outer is function:
            return


def _handed(_: Syntax, function: Function) -> frozenset[str]:
    """What the function awaits somebody to call, as it is written."""
    return frozenset(_given(function))


def _awaits(part: ast.AST, called: str) -> bool:
    """Whether something is awaited that is given the function, or calls it in a lambda."""
    return called in _given(part)


def _given(part: ast.AST) -> Iterator[str]:
    """The names in the arguments of what is awaited."""
    awaited = (n.value for n in ast.walk(part) if isinstance(n, ast.Await))
    for made in awaited:
        if isinstance(made, ast.Call):
            for given in (*made.args, *(keyword.value for keyword in made.keywords)):
                named = (n for n in ast.walk(given) if isinstance(n, ast.Name | ast.Attribute))
                yield from map(unparsed, named)
