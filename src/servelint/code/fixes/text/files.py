"""The files of a project as fixes read them, each parsed once and only when a fix needs it."""

from __future__ import annotations

import ast
from pathlib import Path

from servelint.code.fixes.text.header import Head
from servelint.code.fixes.text.imports import Imports
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.project.text.parsing import parse


class Files:
    """Syntax trees and global names of one project's files."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._syntax: dict[str, Syntax] = {}
        self._heads: dict[str, Head] = {}
        self._globals: dict[Path, frozenset[str]] = {}

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

    def global_names(self, syntax: Syntax) -> frozenset[str]:
        """The names of variables that the file assigns at its top level, or declares global."""
        path = syntax.source.path
        if path not in self._globals:
            found = {
                node.id
                for statement in syntax.tree.body
                if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            for node in syntax.nodes:
                if isinstance(node, ast.Global):
                    found.update(node.names)
            self._globals[path] = frozenset(found)
        return self._globals[path]
