"""The files of a project as fixes read them, each looked into once and only when a fix needs it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Name
from servelint.code.fixes.text import variables
from servelint.code.fixes.text.header import Head
from servelint.code.fixes.text.imports import Imports
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import Frame, FunctionReference, plain
from servelint.project.text.parsing import parse


class Globals(NamedTuple):
    """The names that a file binds at its top level: to what is the project's, and to what libraries have."""

    project: frozenset[str]
    libraries: frozenset[str]


class Files:
    """Syntax trees, global names and findings of one project's files."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._syntax: dict[str, Syntax] = {}
        self._heads: dict[str, Head] = {}
        self._bound: dict[str, Globals] = {}
        self._giving: dict[tuple[str, str], bool] = {}
        self._numbers: dict[str, dict[Function, int]] = {}
        self._told: dict[str, dict[int, list[BlockingCall]]] = {}

    def syntax(self, module: Module) -> Syntax:
        """The syntax tree of the file with its text."""
        if module.path not in self._syntax:
            tree = parse(self.analysis.tree.read(Path(module.path)))
            self._syntax[module.path] = Syntax(self.analysis.source(module.path), tree)
        return self._syntax[module.path]

    def frame(self, module: Module, function: Function) -> Frame | None:
        """The frame of the function of which nothing is known but where it stands."""
        if module.path not in self._numbers:
            syntax, functions = self.syntax(module), module.facts.functions
            found = ((function_at(syntax, f.position), i) for i, f in enumerate(functions) if i)
            self._numbers[module.path] = {f: i for f, i in found if f is not None}
        number = self._numbers[module.path].get(function)
        return None if number is None else self.analysis.evaluator.frame(module, number)

    def function(self, frame: Frame) -> tuple[Function | None, Syntax]:
        """The function of the frame in the tree of its file, and that; None where it is not found."""
        evaluator = self.analysis.evaluator
        syntax = self.syntax(evaluator.module(frame.module))
        return function_at(syntax, evaluator.facts(frame).position), syntax

    def told(self, path: str) -> Mapping[int, Sequence[BlockingCall]]:
        """The blocking calls that are told in the file, by the numbers of their functions."""
        if path not in self._told:
            found = self._told[path] = {}
            for call in self.analysis.told_in(path):
                found.setdefault(call.caller.index, []).append(call)
        return self._told[path]

    def imports(self, module: Module) -> Imports:
        """What collects the imports that a fix needs in the file."""
        if module.path not in self._heads:
            self._heads[module.path] = Head(
                self.syntax(module), lambda name: self.analysis.project.resolve(module, name, 0) is not None
            )
        return Imports(self._heads[module.path])

    def global_names(self, module: Module) -> Globals:
        """The names of what outlives a request: what the file binds at its top level, or declares global."""
        if module.path not in self._bound:
            self._bound[module.path] = self._find_names(module)
        return self._bound[module.path]

    def gives(self, module: Module, called: str) -> bool:
        """Whether what the file calls so gives a part of what variables hold, or one thing to all."""
        key = (module.path, called)
        if key not in self._giving:
            names = self.global_names(module).project
            self._giving[key] = self._gives_itself(module, called, names) or self._is_giving(
                module, called, names
            )
        return self._giving[key]

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

    def _gives_itself(self, module: Module, called: str, names: frozenset[str]) -> bool:
        """Whether it is a function of the file, or a method of an object that calls itself so."""
        syntax = self.syntax(module)
        holder, _, name = called.rpartition(".")
        outer = [s for s in syntax.tree.body if isinstance(s, ast.ClassDef)] if holder else [syntax.tree]
        functions = (
            s for one in outer for s in one.body if isinstance(s, ast.FunctionDef) and s.name == name
        )
        return any(
            _receiver(function) == holder and self._gives(syntax, function, frozenset({holder}))
            if holder
            else self._gives(syntax, function, names)
            for function in functions
        )

    def _is_giving(self, module: Module, called: str, names: frozenset[str]) -> bool:
        """Whether a function of the project is called that gives a part of what its file or object holds."""
        holder, _, name = called.rpartition(".")
        if (holder or name) not in names:
            return False
        evaluator = self.analysis.evaluator
        expression = Attribute(Name(holder), name) if holder else Name(name)
        for value, _ in plain(evaluator.evaluate(evaluator.frame(module, 0), expression)):
            if isinstance(value, FunctionReference):
                there = evaluator.module(value.module)
                syntax = self.syntax(there)
                function = syntax.at(there.function(value.function).position, ast.FunctionDef)
                if function is None:
                    continue
                is_method = isinstance(syntax.parent(function), ast.ClassDef)
                receiver = _receiver(function) if is_method else ""
                held = frozenset({receiver}) if receiver else self.global_names(there).project
                if self._gives(syntax, function, held):
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


def _receiver(function: ast.FunctionDef) -> str:
    """The first parameter."""
    return next((a.arg for a in (*function.args.posonlyargs, *function.args.args)), "")
