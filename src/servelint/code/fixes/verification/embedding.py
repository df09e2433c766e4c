"""Whether one tree is there again in another: all of it, in its order, with more around it.

A fix adds statements, and puts `await`, a call or a function around what there is; a call may be handed over
as a function and its arguments. What else differs is a change that nobody meant: a text indented anew, a call
that has left its `with`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TypeAlias

Replaced: TypeAlias = Callable[[ast.expr | ast.alias], bool]

_WRAPPERS = (ast.Await, ast.Call, ast.Lambda)
# Lists to which a fix may add: arguments, and what an import names.
_OPEN = frozenset({"args", "keywords", "names"})
# The list from which a fix may take something out.
_ELEMENTS = "elts"
_SUITES = frozenset({"body", "orelse", "finalbody"})


def same(one: object, other: object) -> bool:
    """Whether two trees are equal, wherever they stand in their files."""
    waiting = [(one, other)]
    while waiting:
        first, second = waiting.pop()
        if type(first) is not type(second):
            return False
        if isinstance(first, ast.AST):
            waiting += [(getattr(first, n, None), getattr(second, n, None)) for n in first._fields]
        elif isinstance(first, list):
            if not isinstance(second, list) or len(first) != len(second):
                return False
            waiting += zip(first, second, strict=True)
        elif first != second:
            return False
    return True


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)  # a fix may make one the other


class Embedding:
    """Looks for the tree before the edits in the tree after them.

    `replaced` tells the expressions, and imported names, in whose places something else comes. `lost` is the
    statement that is not there again.
    """

    def __init__(self, replaced: Replaced) -> None:
        self._replaced = replaced
        self._known: dict[tuple[ast.AST, ast.AST], bool] = {}
        self.lost: ast.stmt | None = None

    def holds(self, old: ast.Module, new: ast.Module) -> bool:
        """Whether the whole file is there again."""
        return _same_docstring(old, new) and self._suite(old.body, new.body)

    # -- statements ------------------------------------------------------------------------------

    def _suite(self, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> bool:
        """Whether the statements stand in the same order among others; a function may hold some of them."""
        waiting, number = list(reversed(old)), 0
        while waiting:
            statement = waiting[-1]
            if number < len(new) and self._statement(statement, new[number]):
                waiting.pop()
            elif self._is_removed(statement):
                waiting.pop()
                continue
            elif isinstance(statement, ast.With) and self._is_opened(statement):
                waiting[-1:] = reversed(statement.body)
                continue
            elif number < len(new):
                moved = self._moved(waiting, new[number])
                del waiting[len(waiting) - moved :]
            else:
                self.lost = self.lost or statement
                return False
            number += 1
        return True

    def _statement(self, old: ast.stmt, new: ast.stmt) -> bool:
        return same(old, new) or self._node(old, new)

    def _is_removed(self, statement: ast.stmt) -> bool:
        return isinstance(statement, ast.Assign) and self._replaced(statement.value)

    def _is_opened(self, statement: ast.With) -> bool:
        """Whether only the body of the `with` stays."""
        return len(statement.items) == 1 and self._replaced(statement.items[0].context_expr)

    def _moved(self, waiting: Sequence[ast.stmt], function: ast.stmt) -> int:
        """How many of the statements, the last one first, the new function holds, and nothing else."""
        if isinstance(function, ast.With) and _is_lock(function):
            return self._held(waiting, function)
        if not isinstance(function, ast.FunctionDef):
            return 0
        found = 0
        body = [n for n in function.body if not isinstance(n, ast.Global | ast.Nonlocal)]
        for number, statement in enumerate(body, start=1):
            if found < len(waiting) and self._statement(waiting[-1 - found], statement):
                found += 1
            elif number < len(body) or not isinstance(statement, ast.Return):
                return 0
        return found

    def _held(self, waiting: Sequence[ast.stmt], held: ast.With) -> int:
        """How many of the statements the new `with` of a lock holds, and nothing else."""
        if len(held.body) > len(waiting):
            return 0
        pairs = zip(reversed(waiting), held.body, strict=False)
        return len(held.body) if all(self._statement(*pair) for pair in pairs) else 0

    # -- nodes -----------------------------------------------------------------------------------

    def _node(self, old: ast.AST, new: ast.AST) -> bool:
        """Whether the node is there again, with the same parts or such that hold them."""
        if type(old) is not type(new) and not (isinstance(old, _FUNCTIONS) and isinstance(new, _FUNCTIONS)):
            return False
        if not _same_docstring(old, new):
            return False
        if isinstance(old, ast.If) and isinstance(new, ast.If):
            return self._branches(old, new)
        return all(
            self._field(name, getattr(old, name, None), getattr(new, name, None)) for name in old._fields
        )

    def _branches(self, old: ast.If, new: ast.If) -> bool:
        """As `_node`: an `elif` is in the tree in the one before, but a thousand of them are no nesting."""
        while self._part(old.test, new.test) and self._suite(old.body, new.body):
            old_branch, new_branch = _elif(old), _elif(new)
            if old_branch is None or new_branch is None:
                return self._suite(old.orelse, new.orelse)
            old, new = old_branch, new_branch
        return False

    def _field(self, name: str, old: object, new: object) -> bool:
        if isinstance(old, list) and isinstance(new, list):
            if name in _SUITES:
                return self._suite(old, new)
            if name in _OPEN and all(isinstance(part, ast.AST) for part in old):
                return self._among(old, new)
            if name == _ELEMENTS and len(old) > len(new):
                old = [part for part in old if not self._replaced(part)]
            return len(old) == len(new) and all(map(self._part, old, new))
        return self._part(old, new)

    def _part(self, old: object, new: object) -> bool:
        if isinstance(old, ast.expr) and isinstance(new, ast.expr):
            return self._expression(old, new)
        if isinstance(old, ast.AST) and isinstance(new, ast.AST):
            return self._node(old, new)
        return type(old) is type(new) and old == new

    def _expression(self, old: ast.expr, new: ast.expr) -> bool:
        if self._replaced(old):
            return True
        asked = (old, new)
        if asked not in self._known:
            self._known[asked] = (
                self._node(old, new) or self._is_handed_over(old, new) or self._is_wrapped(old, new)
            )
        return self._known[asked]

    def _is_handed_over(self, old: ast.expr, new: ast.expr) -> bool:
        """Whether the new call is given the old one as a function and its arguments."""
        if not (isinstance(old, ast.Call) and isinstance(new, ast.Call)):
            return False
        if self._replaced(old.func):
            given = (*old.args, *(keyword.value for keyword in old.keywords))
            found = [n for n in ast.walk(new) if isinstance(n, ast.expr)]
            return all(any(self._expression(part, n) for n in found if n is not new) for part in given)
        return self._among([old.func, *old.args], new.args) and self._among(old.keywords, new.keywords)

    def _is_wrapped(self, old: ast.expr, new: ast.expr) -> bool:
        if not isinstance(new, _WRAPPERS):
            return False
        return any(self._expression(old, n) for n in ast.iter_child_nodes(new) if isinstance(n, ast.expr))

    def _among(self, old: Sequence[ast.AST], new: Sequence[ast.AST]) -> bool:
        """Whether the old parts stand in their order among the new ones.

        A call may stand there as its function and its arguments, as offloads take them.
        """
        waiting, number = list(reversed(old)), 0
        while waiting:
            part = waiting.pop()
            place = next((n for n in range(number, len(new)) if self._part(part, new[n])), None)
            if place is not None:
                number = place + 1
            elif isinstance(part, ast.expr | ast.alias) and self._replaced(part):
                continue
            elif isinstance(part, ast.Call) and not part.keywords:
                waiting += [*reversed(part.args), part.func]
            else:
                return False
        return True


def _is_lock(statement: ast.With) -> bool:
    """Whether all that the statement does is to hold something that has a name."""
    match statement.items:
        case [ast.withitem(context_expr=ast.Name() | ast.Attribute(), optional_vars=None)]:
            return True
    return False


def _elif(statement: ast.If) -> ast.If | None:
    """The `if` that is all there is in the other branch."""
    match statement.orelse:
        case [ast.If() as branch]:
            return branch
    return None


def _same_docstring(old: ast.AST, new: ast.AST) -> bool:
    """Whether what says what it is about is still the first thing that a file, class or function says."""
    kinds = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if not (isinstance(old, kinds) and isinstance(new, kinds)):
        return True
    return ast.get_docstring(old, clean=False) == ast.get_docstring(new, clean=False)
