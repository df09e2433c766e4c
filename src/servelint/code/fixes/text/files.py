"""The files of a project as fixes read them, each parsed once and only when a fix needs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from servelint.code.facts.nodes import annotation
from servelint.code.fixes.text import variables
from servelint.code.fixes.text.header import Head
from servelint.code.fixes.text.imports import Imports
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import FunctionReference, plain
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
        self._bound: dict[str, Globals] = {}

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
            ours, libraries = self._names(module)
            giving = self._giving(module, ours)
            self._globals[module.path] = Globals(ours.union(f"{name}()" for name in giving), libraries)
        return self._globals[module.path]

    def _names(self, module: Module) -> Globals:
        """The same, without the functions that give a part of it."""
        if module.path not in self._bound:
            self._bound[module.path] = self._find_names(module)
        return self._bound[module.path]

    def _find_names(self, module: Module) -> Globals:
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
        return Globals(frozenset(ours), frozenset(libraries - ours))

    def _giving(self, module: Module, names: frozenset[str]) -> Iterator[str]:
        """The functions that give a part of what variables hold, or one thing to all, as it calls them."""
        syntax = self.syntax(module)
        for statement in syntax.tree.body:
            if isinstance(statement, ast.FunctionDef) and self._gives(syntax, statement, names):
                yield statement.name
            for method in statement.body if isinstance(statement, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef):
                    receiver = _receiver(method)
                    if receiver and self._gives(syntax, method, frozenset({receiver})):
                        yield f"{receiver}.{method.name}"
        for text, called in _called(syntax, names).items():
            if self._is_giving(module, called):
                yield text

    def _is_giving(self, module: Module, called: ast.expr) -> bool:
        """Whether a function of the project is called that gives a part of what its file or object holds."""
        evaluator = self.analysis.evaluator
        expression = annotation(called)
        for value, _ in plain(evaluator.evaluate(evaluator.frame(module, 0), expression)):
            if isinstance(value, FunctionReference):
                there = evaluator.module(value.module)
                syntax = self.syntax(there)
                function = syntax.at(there.function(value.function).position, ast.FunctionDef)
                if function is None:
                    continue
                is_method = isinstance(syntax.parent(function), ast.ClassDef)
                receiver = _receiver(function) if is_method else ""
                names = frozenset({receiver}) if receiver else self._names(there).project
                if self._gives(syntax, function, names):
                    return True
        return False

    def _gives(self, syntax: Syntax, function: ast.FunctionDef, names: frozenset[str]) -> bool:
        caches = self.analysis.frameworks.caches
        given = (n.value for n in syntax.own_nodes(function) if isinstance(n, ast.Return) and n.value)
        decorators = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
        return any(syntax.text(d).rpartition(".")[2] in caches for d in decorators) or any(
            names.intersection(variables.roots(value)) for value in given
        )

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


def _called(syntax: Syntax, names: frozenset[str]) -> dict[str, ast.expr]:
    """What the file calls by one of the names, or by an attribute of one."""
    found: dict[str, ast.expr] = {}
    for node in syntax.nodes:
        match node:
            case ast.Call(func=ast.Name(id=name) as called) if name in names:
                found[name] = called
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute) as called) if (
                name in names
            ):
                found[f"{name}.{attribute}"] = called
    return found


def _receiver(function: ast.FunctionDef) -> str:
    """The first parameter."""
    return next((a.arg for a in (*function.args.posonlyargs, *function.args.args)), "")
