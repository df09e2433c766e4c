"""What a call of a function of the project returns: `workers=get_workers()`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from servelint.boundary import LimitError
from servelint.manifests.python import objects
from servelint.manifests.python.values import Value

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule

_MAX_DEPTH = 3
_MAX_CALLS = 200  # of a file
_MAX_LINES = 100
_MAX_NESTING = 100


def result(module: PythonModule, call: ast.Call) -> Value | None:
    """What the call is worth, with what it gives the function; None where that cannot be known."""
    known = objects.definition(module, call.func)
    if known is None or isinstance(known.node, ast.ClassDef) or known.owner is not None:
        return None
    function, home = known.node, known.module
    if (function.end_lineno or 0) - function.lineno > _MAX_LINES:
        return None
    if home.entered >= _MAX_DEPTH or home.calls >= _MAX_CALLS or home.nesting > _MAX_NESTING:
        return None
    nesting, statements = home.nesting, home.statements
    home.calls += 1
    home.entered += 1
    try:
        with home.called(function, call, module):
            found = [
                value for node in _returned(home, function.body) if (value := home.value(node)) is not None
            ]
    except LimitError:  # too deep to be run with what is around the call
        return None
    finally:
        home.entered -= 1
        home.nesting, home.statements = nesting, statements
    return found[-1] if found else None


def _returned(module: PythonModule, body: Sequence[ast.stmt]) -> Iterator[ast.expr]:
    """What statements may return, up to one that returns in any case; an exception is not what is usual."""
    for statement in body:
        match statement:
            case ast.Return(value=ast.expr() as value):
                yield value
                return
            case ast.If(test=test, body=inner, orelse=otherwise):
                outcome = module.value(test)
                found = [*_returned(module, inner)] if outcome is None or outcome.data else []
                found += [*_returned(module, otherwise)] if outcome is None or not outcome.data else []
                yield from found
                if found and outcome is not None:
                    return
            case ast.Try(body=inner, orelse=otherwise, finalbody=final):
                found = list(_returned(module, [*inner, *otherwise, *final]))
                yield from found
                if found:
                    return
            case ast.With(body=inner):
                yield from _returned(module, inner)
