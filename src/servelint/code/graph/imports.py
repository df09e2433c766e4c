"""Which file of a project an import means.

An absolute import is looked for beside the importing file and then in each folder above it, so that several
services in one repository each find their own modules.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property

# Folders that hold importable packages without being one.
SOURCE_FOLDERS = ("src", "lib", "python", "app", "backend")
INIT = f"{os.sep}__init__.py"


class Resolver:
    """Finds the file or folder that an import means.

    `external` are top-level modules that are known libraries: only a file that plainly shadows one is
    taken for it.
    """

    def __init__(self, paths: Iterable[str], root: str, external: frozenset[str]) -> None:
        self.root = root
        self.external = external | sys.stdlib_module_names
        self.files = frozenset(paths)
        self._above = os.path.dirname(root)
        self._folders = frozenset(_folders(self.files, root))
        self._known_tops = _names(self.files, self._folders)
        self._bases: dict[tuple[str, str], tuple[str, ...]] = {}
        self._resolved: dict[tuple[str, str], str | None] = {}
        self._suffixes: dict[str, list[str]] | None = None

    def resolve(self, path: str, module: str, level: int) -> str | None:
        """What `module` means in the file `path`; None where it is not in the project."""
        folder = os.path.dirname(path)
        if level:
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            return self._below(folder, module) if module else self._package(folder)
        top = module.partition(".")[0]
        if top not in self._known_tops:
            return None
        key = (folder, module)
        if key not in self._resolved:
            self._resolved[key] = self._absolute(folder, module, top)
        found = self._resolved[key]
        # A file that has the name of what it imports means another one.
        return found if found != path else self._absolute(folder, module, top, path)

    def submodule(self, package: str, name: str) -> str | None:
        """The file or folder of module `name` inside the package whose file or folder is `package`."""
        folder = os.path.dirname(package) if package.endswith(INIT) else package
        return self._below(folder, name) if folder in self._folders else None

    def submodules(self, package: str) -> tuple[str, ...]:
        """The files of the modules right inside the package whose file or folder is `package`, sorted."""
        return self._inside.get(os.path.dirname(package) if package.endswith(INIT) else package, ())

    @cached_property
    def _inside(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self.files):
            module = os.path.dirname(path) if path.endswith(INIT) else path
            found.setdefault(os.path.dirname(module), []).append(path)
        return {folder: tuple(paths) for folder, paths in found.items()}

    def _absolute(self, folder: str, module: str, top: str, importing: str = "") -> str | None:
        in_package: str | None = None
        for base in self._bases_of(folder, top):
            found = self._below(base, module)
            if found is not None and (found != importing or self._is_own_package(found, module)):
                if base == self._above and module in self.external:
                    continue  # a folder named like the library that is used in it
                if not self.is_package(base):
                    return found
                if base.rpartition(os.sep)[2] not in SOURCE_FOLDERS or _is_above(base, folder):
                    in_package = in_package or found
        if top in self.external:
            return None
        return in_package or self._by_suffix(folder, module, importing)

    def _is_own_package(self, found: str, module: str) -> bool:
        """Whether a module that imports itself is a package that imports its own modules by its full name.

        A file called like a library, and a package called so, mean the library.
        """
        return found.endswith(INIT) and ("." in module or module not in self.external)

    def _bases_of(self, folder: str, top: str) -> tuple[str, ...]:
        """The folders, nearest first, in which the top-level module may be found from a folder."""
        key = (folder, top)
        found = self._bases.get(key)
        if found is None:
            here = (folder, *(os.path.join(folder, source) for source in SOURCE_FOLDERS))
            own = tuple(base for near in here for base in self._bases_at(near, top))
            inside = folder != self.root and len(folder) > len(self.root)
            above = self._bases_of(os.path.dirname(folder), top) if inside else self._above_root(top)
            found = self._bases[key] = (*own, *above)
        return found

    def _above_root(self, top: str) -> tuple[str, ...]:
        """The folder in which the project's is, if the project's folder is the package itself."""
        is_package = self.root.rpartition(os.sep)[2] == top and self.is_package(self.root)
        return (self._above,) if is_package else ()

    def _bases_at(self, folder: str, top: str) -> Iterator[str]:
        """The folder, if the top-level module is in it, and before it the better places below a bare folder.

        As Python has it, a regular package beats a folder without `__init__.py`: `ranking/` may be the folder
        of a distribution that has the package `ranking` in it, or in `ranking/src`.
        """
        found = self._below(folder, top)
        if found is None:
            return
        if found in self._folders:
            inner = (found, *(os.path.join(found, source) for source in SOURCE_FOLDERS))
            yield from (base for base in inner if self._below(base, top) not in (None, *self._folders))
        yield folder

    def _by_suffix(self, folder: str, module: str, importing: str) -> str | None:
        """The only module of the project whose path ends like the import: `sys.path` has been changed."""
        if self._suffixes is None:
            self._suffixes = {}
            for path in sorted(self.files):
                stem = path.removesuffix(INIT) if path.endswith(INIT) else path[:-3]
                self._suffixes.setdefault(stem.rpartition(os.sep)[2], []).append(path)
        tail = module.replace(".", os.sep)
        ends = (f"{os.sep}{tail}.py", f"{os.sep}{tail}{INIT}")
        same_last = self._suffixes.get(module.rpartition(".")[2], [])
        found = [path for path in same_last if path.endswith(ends) and path != importing]
        if len(found) > 1:
            near = {path: len(os.path.commonpath([path, folder])) for path in found}
            found = [path for path in found if near[path] == max(near.values())]
        return found[0] if len(found) == 1 else None

    def _below(self, folder: str, module: str) -> str | None:
        base = f"{folder}{os.sep}{module.replace('.', os.sep)}"
        if f"{base}.py" in self.files:
            return f"{base}.py"
        return self._package(base)

    def _package(self, folder: str) -> str | None:
        init = f"{folder}{INIT}"
        if init in self.files:
            return init
        return folder if folder in self._folders else None

    def has_top(self, name: str) -> bool:
        """Whether a file or folder anywhere in the project may be the top-level module `name`."""
        return name in self._known_tops

    def has_module(self, path: str) -> bool:
        """Whether there is a module or a folder at the path, which is given without `.py`."""
        return f"{path}.py" in self.files or path in self._folders

    def is_package(self, folder: str) -> bool:
        """Whether the folder has an `__init__.py`."""
        return f"{folder}{INIT}" in self.files


def _is_above(base: str, folder: str) -> bool:
    return folder == base or folder.startswith(f"{base}{os.sep}")


def _names(files: Iterable[str], folders: Iterable[str]) -> frozenset[str]:
    """The names that a top-level import of something in the project can have."""
    stems = (path.rpartition(os.sep)[2].removesuffix(".py") for path in files)
    return frozenset((*stems, *(folder.rpartition(os.sep)[2] for folder in folders)))


def _folders(paths: Iterable[str], root: str) -> Iterator[str]:
    seen: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in seen and len(folder) >= len(root):
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder)
