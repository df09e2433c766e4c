"""Where the result of inference on a GPU is read: there the thread waits for it, not where it is called.

    logits = model(batch)
    label = logits.argmax(-1).item()

With the first line in a thread and the second on the event loop, the loop waits as long as before.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from servelint.code.fixes.blocks.devices import Devices, OnDevice
from servelint.code.fixes.text import variables
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax, nodes_of
from servelint.code.judge.analysis import BlockingCall

# So many statements with the result may stand behind the call.
MAXIMUM_FOLLOWING = 8
_ASSIGNING = (ast.Assign, ast.AnnAssign)
_COMPOUND = (ast.For, ast.If)
_SUSPENDING = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda, ast.GeneratorExp)
_HARMLESS = frozenset(
    {
        "float",
        "int",
        "str",
        "bool",
        "round",
        "abs",
        "max",
        "min",
        "sum",
        "len",
        "hasattr",
        "isinstance",
        "list",
        "tuple",
        "dict",
        "set",
    }
    | {"zip", "enumerate", "range", "sorted", "reversed"}
)


class Readings:
    """Finds the readings in one project."""

    def __init__(self, files: Files, devices: Devices) -> None:
        self.files = files
        self.devices = devices
        self._last: dict[tuple[ast.stmt, int], int] = {}

    def is_read_at_once(self, call: BlockingCall, syntax: Syntax, function: Function) -> bool:
        """Whether the statement of the call reads the result, and does nothing else that matters."""
        node = syntax.at(call.position, ast.Call)
        statement = syntax.statement(node) if node is not None else None
        result = self.devices.result(call.blocking, node)
        if node is None or statement is None or result is None:
            return False
        if not _is_of_variables(statement) or not _is_read(syntax, node, statement, result):
            return False
        return self._is_harmless(call, statement, node, frozenset(), function)

    def last(
        self, call: BlockingCall, syntax: Syntax, function: Function, suite: Sequence[ast.stmt], last: int
    ) -> int:
        """The number of the last statement behind `last` that reads the result; `last` where none does.

        All statements in between work on the result alone.
        """
        node = syntax.at(call.position, ast.Call)
        statement = syntax.statement(node) if node is not None else None
        result = self.devices.result(call.blocking, node)
        if statement is None or result is None:
            return last
        if (statement, last) not in self._last:
            self._last[statement, last] = self._find_last(call, statement, function, suite, last, result)
        return self._last[statement, last]

    def _find_last(
        self,
        call: BlockingCall,
        statement: ast.stmt,
        function: Function,
        suite: Sequence[ast.stmt],
        last: int,
        result: OnDevice,
    ) -> int:
        derived, found = frozenset(variables.writes([statement])), last
        for number in range(last + 1, min(last + 1 + MAXIMUM_FOLLOWING, len(suite))):
            following = suite[number]
            if not _is_empty(following) and not variables.reads([following]) & derived:
                break
            own = derived | variables.writes([following]) if isinstance(following, _COMPOUND) else derived
            if not _is_movable(following) or not self._is_harmless(call, following, None, own, function):
                break
            if any(result.reading(node, own) for node in ast.walk(following)):
                found = number
            derived |= variables.writes([following])
        return found

    def _is_harmless(
        self,
        call: BlockingCall,
        statement: ast.stmt,
        node: ast.Call | None,
        derived: frozenset[str],
        function: Function,
    ) -> bool:
        """Whether the statement works on the result, with libraries, and uses nothing else of the function.

        What is in the `node` moves anyway.
        """
        parts = list(_walk(statement, node))
        if any(isinstance(part, _SUSPENDING) for part in parts):
            return False
        own = self.files.syntax(call.caller.module).worked_out(_own_names, function)
        inner = set[str]().union(
            *(_stored(part.target) for part in parts if isinstance(part, ast.comprehension))
        )
        read = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Load)}
        if read & own - derived - inner:
            return False
        allowed = derived | inner | self.files.global_names(call.caller.module).libraries
        return all(_is_allowed(part.func, node, allowed) for part in parts if isinstance(part, ast.Call))


def _is_read(syntax: Syntax, node: ast.Call, statement: ast.stmt, result: OnDevice) -> bool:
    """Whether something in the statement brings what the call gives from the device."""
    for outer, child in syntax.ancestors(node):
        if outer is statement:
            return False
        match outer:
            case ast.Call(func=ast.Attribute(attr=name)) if name in result.methods and child is outer.func:
                return True
            case ast.Call(func=ast.Name(id=name), args=[given, *_]) if name in result.functions:
                if child is given:
                    return True
    return False


def _is_empty(statement: ast.stmt) -> bool:
    """Whether it makes an empty list or dictionary, or sets a variable to a constant."""
    match statement:
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            empty = isinstance(value, ast.Dict) and not value.keys
            return (
                empty or isinstance(value, ast.Constant) or (isinstance(value, ast.List) and not value.elts)
            )
    return False


def _is_movable(statement: ast.stmt) -> bool:
    """Whether the statement only sets variables and adds to them, also in loops and branches, or returns."""
    if isinstance(statement, _COMPOUND):
        return all(map(_is_of_loop, nodes_of([*statement.body, *statement.orelse])))
    return _is_of_variables(statement)


def _is_of_loop(node: ast.AST) -> bool:
    match node:
        case ast.Return():
            return False
        case ast.Assign() | ast.AnnAssign():
            return _is_of_variables(node)
        case ast.AugAssign(target=target):
            return isinstance(target, ast.Name)
        case ast.Expr(value=value):
            return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
    return not isinstance(node, ast.stmt) or isinstance(node, (*_COMPOUND, ast.Continue, ast.Break, ast.Pass))


def _own_names(_: Syntax, function: Function) -> frozenset[str]:
    """The names of a function's parameters and variables."""
    parameters = (a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg))
    return frozenset((*variables.writes(function.body), *parameters))


def _walk(tree: ast.AST, without: ast.AST | None) -> Iterator[ast.AST]:
    """The nodes of a tree but for those of a part of it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if node is not without:
            yield node
            waiting += ast.iter_child_nodes(node)


def _stored(target: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}


def _is_of_variables(statement: ast.stmt) -> bool:
    """Whether the statement only sets variables, or returns."""
    if isinstance(statement, ast.Return):
        return True
    if not isinstance(statement, _ASSIGNING):
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [n for target in targets for n in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return all(isinstance(name, ast.Name) for name in names)


def _is_one_of(node: ast.AST, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _is_allowed(called: ast.expr, node: ast.Call | None, allowed: Collection[str]) -> bool:
    """Whether what is called is of a library or the result, or a function that changes nothing."""
    if isinstance(called, ast.Name):
        return called.id in allowed or called.id in _HARMLESS
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Constant):
        return True
    return all(n.id in allowed or n.id in _HARMLESS for n in _walk(called, node) if isinstance(n, ast.Name))
