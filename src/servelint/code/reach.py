"""Which files have machine learning in reach: those joined by imports to one that imports a model library."""

from __future__ import annotations

import sys

from servelint.code.project import Module, Project
from servelint.knowledge import Catalogue, Role

MODEL_ROLES = frozenset({Role.INFERENCE, Role.EXPLANATION, Role.TRAINING})


class Reach:
    """Groups of files that import each other, and what libraries each group imports."""

    def __init__(self, project: Project, catalogue: Catalogue, frameworks: frozenset[str]) -> None:
        self.project = project
        self.model_modules = frozenset(_model_modules(catalogue)) - sys.stdlib_module_names
        self.ordinary = (sys.stdlib_module_names | frameworks | {"builtins"}) - self.model_modules
        self._parent: dict[str, str] = {}
        self._with_models: set[str] | None = None
        self._closures: dict[str, frozenset[str]] = {}

    def has_models(self, path: str) -> bool:
        """Whether the file belongs to a group in which a library that runs models is imported."""
        if self._with_models is None:
            self._join()
        assert self._with_models is not None
        return self._root(path) in self._with_models

    def is_ordinary(self, name: str) -> bool:
        """Whether the qualified name belongs to the standard library or a web framework."""
        return name.partition(".")[0] in self.ordinary

    def _join(self) -> None:
        with_models: list[str] = []
        for module in self.project.modules():
            for target in self.imports(module):
                self._parent[self._root(module.path)] = self._root(target)
            if self.libraries(module) & self.model_modules:
                with_models.append(module.path)
        self._with_models = {self._root(path) for path in with_models}

    def imports(self, module: Module) -> list[str]:
        """The files of the project that the file imports."""
        found: list[str] = []
        for function in module.facts.functions:
            for item in function.imports:
                path = self.project.resolve(module, item.module, item.level)
                if path is None:
                    continue
                inner = self.project.submodule(path, item.name) if item.name else None
                found += [p for p in (path, inner) if p is not None and p.endswith(".py")]
        for star, level in module.facts.stars:
            path = self.project.resolve(module, star, level)
            if path is not None:
                found.append(path)
        return found

    def closure(self, module: Module) -> frozenset[str]:
        """The files of the project that importing the file brings in, itself included."""
        if module.path not in self._closures:
            found, waiting = {module.path}, [module]
            while waiting:
                for path in self.imports(waiting.pop()):
                    other = self.project.module(path) if path not in found else None
                    if other is not None:
                        found.add(path)
                        waiting.append(other)
            self._closures[module.path] = frozenset(found)
        return self._closures[module.path]

    def libraries(self, module: Module) -> set[str]:
        """The top-level modules that the file imports."""
        return {
            item.module.partition(".")[0]
            for function in module.facts.functions
            for item in function.imports
            if not item.level
        }

    def _root(self, path: str) -> str:
        root = path
        while root in self._parent and self._parent[root] != root:
            root = self._parent[root]
        while path != root:
            following = self._parent.get(path, root)
            self._parent[path] = root
            path = following
        return root


def _model_modules(catalogue: Catalogue) -> set[str]:
    found: set[str] = set()
    for library in catalogue.libraries.values():
        entries = [
            *library.functions.values(),
            *(m for t in library.types.values() for m in t.methods.values()),
        ]
        if any(entry.role in MODEL_ROLES for entry in entries):
            found |= {module.partition(".")[0] for module in library.modules}
    return found
