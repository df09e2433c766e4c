"""The files of a project as fixes read them, each parsed once and only when a fix needs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from servelint.code.fixes.text import variables
from servelint.code.fixes.text.header import Head
from servelint.code.fixes.text.imports import Imports
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.project.text.parsing import parse


class Globals(NamedTuple):
    """The names that a file binds at its top level: to what is the project's, and to what libraries have."""

    project: frozenset[str]
    libraries: frozenset[str]


class Files:
    """Syntax trees and global names of one project's files."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._syntax: dict[str, Syntax] = {}
        self._heads: dict[str, Head] = {}
        self._globals: dict[str, Globals] = {}

    def syntax(self, module: Module) -> Syntax:
        """The syntax tree of the file with its text."""
        if module.path not in self._syntax:
            tree = parse(self.analysis.tree.read(Path(module.path)))
            self._syntax[module.path] = Syntax(self.analysis.source(module.path), tree)
        return self._syntax[module.path]

    def imports(self, module: Module) -> Imports:
        """What collects the imports that a fix needs in the file."""
        if module.path not in self._heads:
            self._heads[module.path] = Head(
                self.syntax(module), lambda name: self.analysis.project.resolve(module, name, 0) is not None
            )
        return Imports(self._heads[module.path])

    def global_names(self, module: Module) -> Globals:
        """The names of what outlives a request: what the file binds at its top level, or declares global."""
        if module.path not in self._globals:
            self._globals[module.path] = self._bound(module)
        return self._globals[module.path]

    def _bound(self, module: Module) -> Globals:
        syntax = self.syntax(module)
        ours: set[str] = set()
        libraries: set[str] = set()
        for statement in syntax.tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                ours.add(statement.name)
                continue
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    ours.add(node.id)
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    found = ours if self._is_of_project(module, node) else libraries
                    found.update(_local_names(node))
        ours.update(name for node in syntax.nodes if isinstance(node, ast.Global) for name in node.names)
        ours.update(f"{name}()" for name in self._giving(syntax, ours))
        return Globals(frozenset(ours), frozenset(libraries - ours))

    def _giving(self, syntax: Syntax, names: set[str]) -> Iterator[str]:
        """The functions of the file that give a part of what its variables hold, or one thing to all."""
        caches = self.analysis.frameworks.caches
        for function in syntax.tree.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            given = (n.value for n in syntax.own_nodes(function) if isinstance(n, ast.Return) and n.value)
            decorators = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
            if any(syntax.text(d).rpartition(".")[2] in caches for d in decorators) or any(
                names.intersection(variables.roots(value)) for value in given
            ):
                yield function.name

    def imported_in(self, module: Module, function: Function) -> frozenset[str]:
        """The names that the function itself imports from the project."""
        own = self.syntax(module).own_nodes(function)
        statements = (node for node in own if isinstance(node, ast.Import | ast.ImportFrom))
        found = (_local_names(node) for node in statements if self._is_of_project(module, node))
        return frozenset(name for names in found for name in names)

    def _is_of_project(self, module: Module, statement: ast.Import | ast.ImportFrom) -> bool:
        resolve = self.analysis.project.resolve
        if isinstance(statement, ast.Import):
            return any(resolve(module, alias.name, 0) is not None for alias in statement.names)
        return bool(statement.level) or resolve(module, statement.module or "", 0) is not None


def _local_names(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """The names under which a statement imports."""
    return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
