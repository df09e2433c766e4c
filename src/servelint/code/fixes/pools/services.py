"""How the files of one service spell the imports of each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from servelint.code.facts.facts import Import
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis

# A file is imported as a part of its package, or as a module by itself.
_WAYS = ("package", "top")


class Services:
    """The files of one project, seen from those that import them."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._both_ways: dict[str, bool] = {}

    def folder(self, modules: Sequence[Module]) -> Path:
        """The innermost folder that all of them stand in."""
        return Path(os.path.commonpath([module.package for module in modules]))

    def spelled(self, module: Module, path: str) -> str:
        """How `module` names the file `path` (which need not exist) in a `from` import.

        The file's own imports show whether that is absolute or relative, else those of the files that
        import it. Empty where nothing shows that it works, or where each form works only sometimes.
        """
        if self.is_imported_both_ways(module):
            return ""
        for item, target in self._imports(module):
            if item.level:
                relative = _relative(module, path)
                if relative and (_dots(relative) <= item.level or self._in_packages(module, relative)):
                    return relative
            else:
                absolute = _absolute(_root(target, item.module), path)
                if absolute:
                    return absolute
        for importer in self._direct(module):
            for item, target in self._imports(importer):
                if not item.level and target in (module.path, module.package):
                    absolute = _absolute(_root(target, item.module), path)
                    if absolute:
                        return absolute
        relative = _relative(module, path)
        imported = any(item.level for above in self._direct(module) for item, _ in self._imports(above))
        return relative if imported and relative and self._in_packages(module, relative) else ""

    def is_imported_both_ways(self, module: Module) -> bool:
        """Whether the file is now a part of its package, now by itself with its folder on `sys.path`.

        `try: from .x import y` and `except ImportError: from x import y` show it, in the file or around it.
        """
        if module.path not in self._both_ways:
            found = {way for item, path in self._imports(module) for way in _way(module, item, path)}
            for importer in self._direct(module) if len(found) < len(_WAYS) else ():
                for item, path in self._imports(importer):
                    named = path == module.package and item.name == Path(module.path).stem
                    if path == module.path or (named and item.level):
                        found.update(_way(module, item, path))
            self._both_ways[module.path] = len(found) == len(_WAYS)
        return self._both_ways[module.path]

    def _in_packages(self, module: Module, relative: str) -> bool:
        """Whether the folders that the dots lead through are packages."""
        folder = module.package
        for _ in range(_dots(relative)):
            if not self.analysis.project.is_package(folder):
                return False
            folder = os.path.dirname(folder)
        return True

    def _direct(self, module: Module) -> Iterator[Module]:
        """The files that import the file themselves; tests do not count."""
        return self.analysis.project.modules(self.analysis.reach.importers(module.path))

    def _imports(self, module: Module) -> Iterator[tuple[Import, str]]:
        """The imports of files of the project, with the file or folder that the module part means."""
        for function in module.facts.functions:
            for item in function.imports:
                path = self.analysis.project.resolve(module, item.module, item.level)
                if path is not None:
                    yield item, path


def _way(module: Module, item: Import, path: str) -> tuple[str, ...]:
    """What an import by the file, or of it, shows of how the file is imported."""
    if item.level:
        return _WAYS[:1]
    root = _root(path, item.module)
    if root == module.package:
        return _WAYS[1:]
    return _WAYS[:1] if path == module.path and root else ()


def _root(path: str, dotted: str) -> str:
    """The folder on `sys.path` from which `dotted` leads to the file or folder; empty if it does not."""
    stem = path.removesuffix(".py").removesuffix(f"{os.sep}__init__")
    tail = os.sep + dotted.replace(".", os.sep)
    return stem.removesuffix(tail) if stem.endswith(tail) else ""


def _absolute(root: str, path: str) -> str:
    """How the file is imported with `root` on `sys.path`; empty if it stands elsewhere."""
    if not root or not path.startswith(root + os.sep):
        return ""
    return path[len(root) + 1 :].removesuffix(".py").removesuffix(f"{os.sep}__init__").replace(os.sep, ".")


def _dots(relative: str) -> int:
    return len(relative) - len(relative.lstrip("."))


def _relative(module: Module, path: str) -> str:
    """How the file is imported with leading dots; empty for the package that the module itself is in."""
    steps = Path(os.path.relpath(path.removesuffix(".py"), module.package)).parts
    up = steps.count("..")
    return "." * (up + 1) + ".".join(steps[up:])
