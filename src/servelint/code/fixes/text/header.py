"""How a file begins: its docstring, what it says of itself (`__author__`), and its imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_DUNDER = re.compile(r"__\w+__")


def header(tree: ast.Module) -> tuple[ast.stmt, ...]:
    """The statements of the file's head: what else there is stands below them."""
    found: list[ast.stmt] = []
    for number, statement in enumerate(tree.body):
        if not (_is_docstring(number, statement) or _belongs(statement)):
            break
        found.append(statement)
    while found and _is_dunder(found[-1]) and any(map(_imports, found)):
        found.pop()  # written below the imports, so nothing has to stand below it
    return tuple(found)


def leading_imports(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    """The imports of the file's head that are always made."""
    return [s for s in header(tree) if isinstance(s, ast.Import | ast.ImportFrom)]


def imports_anywhere(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    """The imports that are always made when the file is imported, wherever they stand."""
    return [s for s in tree.body if isinstance(s, ast.Import | ast.ImportFrom)]


def _is_docstring(number: int, statement: ast.stmt) -> bool:
    return not number and is_text(statement)


def is_text(statement: ast.stmt) -> bool:
    """Whether the statement is a string by itself."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _belongs(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Try | ast.If):
        return all(map(_only_imports, _suites(statement)))
    return _imports(statement) or _is_dunder(statement)


def _imports(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _is_dunder(statement: ast.stmt) -> bool:
    """`__version__ = "1"` and the like."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return _DUNDER.fullmatch(name) is not None
    return False


def _suites(statement: ast.Try | ast.If) -> Iterator[list[ast.stmt]]:
    yield statement.body
    yield statement.orelse
    if isinstance(statement, ast.Try):
        yield statement.finalbody
        for handler in statement.handlers:
            yield handler.body


def _only_imports(suite: list[ast.stmt]) -> bool:
    """Whether the suite imports, or says what to do without what could not be imported."""
    return all(
        isinstance(s, ast.Import | ast.ImportFrom | ast.Pass)
        or (isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant))
        or (isinstance(s, ast.If | ast.Try) and _belongs(s))
        for s in suite
    )
