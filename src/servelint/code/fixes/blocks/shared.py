"""State that requests share, and whether an `await` would come between two uses of it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from servelint.code.fixes.text.syntax import Function, Syntax, own_nodes

# Methods of the language's containers that change the receiver.
CHANGING_METHODS = frozenset(
    {"append", "add", "insert", "extend", "update", "setdefault", "pop", "popitem", "popleft", "appendleft"}
    | {"remove", "discard", "clear", "sort", "reverse", "put", "put_nowait"}
)


def shared_places(
    syntax: Syntax,
    function: Function,
    names: frozenset[str],
    own: str = "",
    within: Iterable[ast.AST] | None = None,
) -> Iterator[str]:
    """The variables and attributes that the function changes and that outlive it.

    `names` are the globals of the file; attributes of `own` (the object that a constructor makes) are not
    shared yet. With `within` only what these nodes of the function change.
    """
    receiver = _receiver(syntax, function)
    declared = {
        name for n in own_nodes(function) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names
    }
    local = _local_names(function) - declared
    for node in own_nodes(function) if within is None else within:
        for place in _changed(node):
            root = _root(place)
            if isinstance(place, ast.Name) and not _is_container(node):
                shared = place.id in declared
            else:
                shared = root == receiver or "app" in _names(place) or (root in names and root not in local)
            if shared and not (own and root == own):
                yield ast.unparse(place)


def _changed(node: ast.AST) -> Iterator[ast.expr]:
    """The variables, attributes and containers that a node changes."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield node
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
            yield value
        case ast.Call(func=ast.Attribute(value=ast.Name() | ast.Attribute() as value, attr=attr)):
            if attr in CHANGING_METHODS:
                yield value


def _is_container(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript | ast.Call)


def _root(place: ast.expr) -> str:
    while isinstance(place, ast.Attribute | ast.Subscript):
        place = place.value
    return place.id if isinstance(place, ast.Name) else ""


def _names(place: ast.expr) -> set[str]:
    return {n.attr for n in ast.walk(place) if isinstance(n, ast.Attribute)}


def _receiver(syntax: Syntax, function: Function) -> str:
    """`self` or `cls` of a method, in whatever spelling; empty for a function."""
    if isinstance(syntax.parent(function), ast.ClassDef) and (
        function.args.posonlyargs or function.args.args
    ):
        return (*function.args.posonlyargs, *function.args.args)[0].arg
    return ""


def _local_names(function: Function) -> set[str]:
    stored = {n.id for n in own_nodes(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}


def torn_place(syntax: Syntax, function: Function, names: frozenset[str], call: ast.Call) -> str:
    """The shared state that the function uses before and after the call, changing it on one side.

    While nothing was awaited no other request could come between; with an `await` it can. Empty if there
    is none.
    """
    for place in dict.fromkeys(shared_places(syntax, function, names)):
        sides = [side for node in own_nodes(function) for side in _sides(syntax, node, place, call)]
        looped = len(sides) > 1 and _loop(syntax, call) is not None
        if {"before", "after"} <= set(sides) or looped:
            return place
    return ""


def _sides(syntax: Syntax, node: ast.AST, place: str, call: ast.Call) -> Iterator[str]:
    """On which sides of the call the node uses the place."""
    if not isinstance(node, ast.Name | ast.Attribute) or ast.unparse(node) != place:
        return
    statement = syntax.statement(call)
    if statement is not None and syntax.statement(node) is statement:
        if isinstance(statement, ast.AugAssign) and any(n is node for n in ast.walk(statement.target)):
            yield from ("before", "after")
            return
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if any(n is node for target in targets for n in ast.walk(target)):
            yield "after"
            return
    yield "before" if syntax.start(node) < syntax.start(call) else "after"


def _loop(syntax: Syntax, call: ast.Call) -> ast.AST | None:
    return next(
        (outer for outer, _ in syntax.ancestors(call) if isinstance(outer, ast.For | ast.While)), None
    )
