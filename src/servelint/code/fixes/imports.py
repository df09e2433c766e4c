"""Imports that a fix needs: how a name is spelled in the file, and the edit that brings it there."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field

from servelint.code.fixes.syntax import Function, Syntax
from servelint.finding import Edit


class NameTakenError(Exception):
    """The file uses the name for something else."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(slots=True)
class Imports:
    """Collects what one fix needs to import into one file."""

    syntax: Syntax
    _modules: set[str] = field(default_factory=set)
    _names: set[tuple[str, str]] = field(default_factory=set)

    def member(
        self, module: str, name: str, function: Function | None = None, *, prefer_from: bool = False
    ) -> str:
        """How `module.name` is spelled in `function`; imports it if need be. Raises `NameTakenError`."""
        for statement in (*self._leading(), *_earlier(function)):
            match statement:
                case ast.ImportFrom(module=found, level=0, names=names) if found == module:
                    for alias in names:
                        if alias.name == name:
                            return _visible(alias.asname or name, statement, function)
                case ast.Import(names=names):
                    for alias in names:
                        if alias.name == module:
                            return f"{_visible(alias.asname or module, statement, function)}.{name}"
        if prefer_from:
            self._names.add((module, name))
            return self._free(name, function)
        self._modules.add(module)
        self._free(module.partition(".")[0], function)
        return f"{module}.{name}"

    def edits(self) -> tuple[Edit, ...]:
        """The edits that add what is not imported yet, one a place."""
        places: dict[int, list[str]] = {}
        for module in sorted(self._modules):
            places.setdefault(self._place(module, plain=True), []).append(f"import {module}\n")
        for module, name in sorted(self._names):
            place = self._place(module, plain=False)
            places.setdefault(place, []).append(f"from {module} import {name}\n")
        return tuple(self._edit(place, lines) for place, lines in sorted(places.items()))

    def _edit(self, place: int, lines: list[str]) -> Edit:
        content = "".join(lines)
        text = self.syntax.source.text
        if place and text[place - 1] not in "\r\n":
            content = f"\n{content}"
        if not any(_is_standard(statement) for statement in self._leading()):
            following = text[place:].lstrip(" \t")
            previous = text[:place].rstrip(" \t\r\n")
            blank_before = place - len(previous) > len(self.syntax.source.newline)
            if previous and not blank_before:
                content = f"\n{content}"
            if following and following[0] not in "\r\n":
                content = f"{content}\n"
        return self.syntax.edit(place, place, content)

    def _leading(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports before the first other statement; a docstring does not count."""
        found: list[ast.Import | ast.ImportFrom] = []
        for number, statement in enumerate(self.syntax.tree.body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                found.append(statement)
            elif number or not _is_text(statement):
                break
        return found

    def _place(self, module: str, *, plain: bool) -> int:
        standard = [statement for statement in self._leading() if _is_standard(statement)]
        same = [s for s in standard if isinstance(s, ast.Import) is plain]
        keys = [_key(statement) for statement in same]
        before = [s for s, key in zip(same, keys, strict=True) if key < module]
        if before and keys == sorted(keys):
            return self._after(before[-1])
        if same:
            return self._before(same[0]) if keys == sorted(keys) else self._after(same[-1])
        if standard:
            return self._before(standard[0]) if plain else self._after(standard[-1])
        return self._first()

    def _first(self) -> int:
        """Where imports of the standard library start when there are none."""
        leading = self._leading()
        for statement in leading:
            if not _is_future(statement):
                return self._before(statement)
        body = self.syntax.tree.body
        if leading:
            return self._after(leading[-1])
        if body and _is_text(body[0]):
            return self._after(body[0])
        return self._before(body[0]) if body else 0

    def _before(self, statement: ast.stmt) -> int:
        return self.syntax.line_start(statement.lineno)

    def _after(self, statement: ast.stmt) -> int:
        return self.syntax.line_start((statement.end_lineno or statement.lineno) + 1)

    def _free(self, name: str, function: Function | None) -> str:
        """The name, if nothing in the file binds it to something else."""
        own = set(ast.walk(function)) if function is not None else set()
        for node in ast.walk(self.syntax.tree):
            same_import = isinstance(node, ast.alias) and node.asname is None and node not in own
            if name in _bound(node) and not same_import:
                raise NameTakenError(name)
        return name


def _earlier(function: Function | None) -> list[ast.Import | ast.ImportFrom]:
    """The imports at the top of the function itself."""
    found: list[ast.Import | ast.ImportFrom] = []
    for number, statement in enumerate(function.body if function is not None else ()):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            found.append(statement)
        elif number or not _is_text(statement):
            break
    return found


def _visible(name: str, imported: ast.stmt, function: Function | None) -> str:
    """The name, if the function does not bind it to something else."""
    top = name.partition(".")[0]
    allowed = set(ast.walk(imported))
    own = () if function is None else (node for node in ast.walk(function) if node is not function)
    if any(top in _bound(node) and node not in allowed for node in own):
        raise NameTakenError(name)
    return name


def _bound(node: ast.AST) -> tuple[str, ...]:
    """The names that a node binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return (name,)
        case ast.arg(arg=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.alias(name=name, asname=None):
            return (name.partition(".")[0],)
        case ast.alias(asname=str(name)):
            return (name,)
        case ast.ExceptHandler(name=str(name)):
            return (name,)
    return ()


def _key(statement: ast.Import | ast.ImportFrom) -> str:
    return statement.module or "" if isinstance(statement, ast.ImportFrom) else statement.names[0].name


def _is_standard(statement: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(statement, ast.ImportFrom) and statement.level:
        return False
    return not _is_future(statement) and _key(statement).partition(".")[0] in sys.stdlib_module_names


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
