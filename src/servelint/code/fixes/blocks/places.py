"""Places that hold objects: which ones a node changes, and with which variable the way to them begins."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

# Methods of the language's containers that change the receiver.
CHANGING_METHODS = frozenset(
    {"append", "add", "insert", "extend", "update", "setdefault", "pop", "popitem", "popleft", "appendleft"}
    | {"remove", "discard", "clear", "sort", "reverse", "put", "put_nowait", "rotate", "extendleft"}
    | {"move_to_end", "difference_update", "intersection_update", "symmetric_difference_update", "subtract"}
)
# Functions that change what they are given first.
_CHANGING_FUNCTIONS = frozenset(
    {"setattr", "delattr", "__setattr__", "__delattr__"}
    | {"heappush", "heappop", "heapify", "heappushpop", "heapreplace"}
    | {"insort", "insort_left", "insort_right"}
)
# Methods that give an element of a container, not another one.
_GIVING = frozenset({"get", "setdefault"})


def changed(node: ast.AST) -> Iterator[ast.expr]:
    """The variables, attributes and containers that a node changes."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield node
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
            yield value
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[given, *_]) if (
            name in _CHANGING_FUNCTIONS
        ):
            yield given
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in CHANGING_METHODS:
            yield value


def roots(place: ast.expr) -> Iterator[str]:
    """The variables with which the way to an object begins; "" for a class or a namespace."""
    waiting = [place]
    while waiting:
        match waiting.pop():
            case ast.Name(id=name):
                yield name
            case ast.Subscript(slice=ast.Slice(lower=None, upper=None)):
                pass  # a copy
            case ast.Attribute(attr="__class__") | ast.Call(func=ast.Name(id="type" | "globals")):
                yield ""
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.NamedExpr(value=value):
                waiting.append(value)
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _GIVING:
                waiting.append(value)
            case ast.Call(func=ast.Name(id="vars"), args=[value]):
                waiting.append(value)
            case ast.IfExp(body=one, orelse=other):
                waiting += (one, other)
            case ast.BoolOp(values=values):
                waiting += values


def aliases(own: Iterable[ast.AST]) -> Mapping[str, frozenset[str]]:
    """The variables of a function that hold parts of others, and with which variables the way begins."""
    given: dict[str, set[str]] = {}
    for node in own:
        match node:
            case ast.Assign(targets=targets, value=value):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                names = [name]
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                names = [name]
            case ast.For(target=ast.Name(id=name), iter=value):
                names = [name]
            case _:
                continue
        found = set(roots(value))
        for name in names if found else ():
            given.setdefault(name, set()).update(found)
    return {name: frozenset(_followed(name, given)) for name in given}


def _followed(name: str, given: Mapping[str, set[str]]) -> Iterator[str]:
    seen, waiting = {name}, [name]
    while waiting:
        for root in given.get(waiting.pop(), ()):
            if root not in seen:
                seen.add(root)
                waiting.append(root)
                yield root
