"""What a call of a function of the project returns: `workers=get_workers()`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from servelint.boundary import LimitError
from servelint.manifests.python import objects
from servelint.manifests.python.values import Value, extreme, last_name

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule

T = TypeVar("T")
_PROPERTIES = frozenset(("property", "cached_property", "computed_field"))
_MAX_DEPTH = 3
_MAX_CALLS = 200  # of a file
_MAX_LINES = 100
_MAX_NESTING = 100


def result(module: PythonModule, call: ast.Call) -> Value | None:
    """What the call is worth, with what it gives the function; None where that cannot be known."""
    if isinstance(call.func, ast.Attribute) and (method := _method(module, call.func)) is not None:
        made, function = method
        return _worth(made.module, function, lambda: made.module.called(function, call, module, made))
    known = objects.definition(module, call.func)
    if known is None or isinstance(known.node, ast.ClassDef) or known.owner is not None:
        return None
    home, node = known.module, known.node
    return _worth(home, node, lambda: home.called(node, call, module))


def field(module: PythonModule, node: ast.Attribute) -> objects.Field | None:
    """A field of an object, or what its class computes in its place: `@property`."""
    known = objects.field(module, node)
    method = _method(module, node) if known is None else None
    if method is None:
        return known
    made, function = method
    if not any(last_name(decorator) in _PROPERTIES for decorator in function.decorator_list):
        return None
    call = ast.Call(node, [], [])
    home = made.module
    return objects.Field(_worth(home, function, lambda: home.called(function, call, module, made)))


def _method(module: PythonModule, node: ast.Attribute) -> tuple[objects.Made, objects.Function] | None:
    """An object of a class of the project, and its method of that name."""
    made = objects.instance(module, node.value)
    for statement in made.kind.body if made is not None else ():
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.name == node.attr:
            return (made, statement) if made is not None else None
    return None


def _worth(
    home: PythonModule, function: objects.Function, called: Callable[[], AbstractContextManager[None]]
) -> Value | None:
    """What a function returns: the largest number where it is not known which, else what it returns last."""
    found = run(home, function, called, home.value)
    if any(isinstance(value.data, bool) for value in found):
        return found[-1]
    return (extreme("max", found) or found[-1]) if found else None


def run(
    home: PythonModule,
    function: objects.Function,
    called: Callable[[], AbstractContextManager[None]],
    read: Callable[[ast.expr], T | None],
) -> list[T]:
    """What a function may return when it is called so, as `read` has it."""
    if (function.end_lineno or 0) - function.lineno > _MAX_LINES:
        return []
    if home.entered >= _MAX_DEPTH or home.calls >= _MAX_CALLS or home.nesting > _MAX_NESTING:
        return []
    nesting, statements = home.nesting, home.statements
    home.calls += 1
    home.entered += 1
    try:
        with called():
            return [value for node in _returned(home, function.body) if (value := read(node)) is not None]
    except LimitError:  # too deep to be run with what is around the call
        return []
    finally:
        home.entered -= 1
        home.nesting, home.statements = nesting, statements


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
