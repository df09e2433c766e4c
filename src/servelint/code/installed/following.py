"""Which packages are followed: those that may block, by what they require and what they import."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from servelint import store
from servelint.code.graph.dependencies import normalised
from servelint.code.graph.reach import model_modules, sink_modules
from servelint.code.installed.kept import Kept
from servelint.code.installed.packages import Package, Shelf, TooMuchError
from servelint.knowledge.types import Catalogue

# An import that is made in any case: it stands on the left edge of the file.
_IMPORT = re.compile(rb"\n(?:import|from)[ \t]+([A-Za-z_][\w.]*)")
# How many packages are followed on the way from one to the next.
MOST_PACKAGES = 60
# A package that somebody else imports, requires nothing and has more files than that stands on its own.
MOST_UNDECLARED = 100
# In how many files of a package, those at its top first, imports are looked for where it requires something.
MOST_SEARCHED = 150
_TESTS = frozenset({"test", "tests"})


class Following:
    """Tells of packages whether they may block, and reads no more of them than that takes.

    What a distribution requires says most of it. What it imports is looked at where the project itself
    imports it (`near`), or where it requires nothing: many do not declare the framework they are made for.
    """

    def __init__(self, shelf: Shelf, base: Catalogue, known: frozenset[str], kept: Kept) -> None:
        """`known` are top-level modules that are not looked up."""
        self.said: dict[str, str] = {}
        self._shelf = shelf
        self._known = known
        self._kept = kept
        self._sinks = _Libraries(base, sink_modules(base))
        self._models = _Libraries(base, model_modules(base))
        self._near: set[str] = set()
        self._imported: dict[str, frozenset[str]] = {}
        self._beside: dict[str, tuple[Package, ...]] = {}

    def near(self, packages: Mapping[str, Package]) -> Iterator[Package]:
        """Those of the packages, and of what they need, that may block."""
        self._near.update(packages)
        for module in sorted(packages):
            yield from filter(self._may_block, self.closure(packages[module]))

    def package(self, name: str) -> Package | None:
        """The package of a name that the catalogue does not know."""
        return None if name.partition(".")[0] in self._known else self._shelf.package(name)

    def closure(self, package: Package) -> list[Package]:
        """The package and those that it needs, directly or not."""
        found = {package.module: package}
        waiting = [package]
        while waiting and len(found) < MOST_PACKAGES:
            for other in self._needed(waiting.pop()):
                if other.module not in found:
                    found[other.module] = other
                    waiting.append(other)
        return list(found.values())

    def is_about_models(self, package: Package) -> bool:
        """Whether the package itself needs what runs models: then its importers have that in reach, too."""
        return self._models.required(package) or self._models.imported(self._imports(package))

    def _may_block(self, package: Package) -> bool:
        every = self.closure(package)
        return any(map(self._sinks.required, every)) or any(
            self._sinks.imported(self._imports(each)) for each in every
        )

    def _needed(self, package: Package) -> tuple[Package, ...]:
        """The packages that it requires; where that does not show that it may block, also what it imports."""
        if package.module not in self._beside:
            found = {p.module: p for name in sorted(package.requires) for p in self._of_distribution(name)}
            if not self._sinks.required(package):
                others = map(self.package, sorted(self._imports(package)))
                found |= {other.module: other for other in others if other is not None}
            found.pop(package.module, None)
            self._beside[package.module] = tuple(found.values())
        return self._beside[package.module]

    def _of_distribution(self, name: str) -> Iterator[Package]:
        for package in self._shelf.provided(name):
            if package.module.partition(".")[0] not in self._known:
                yield package

    def _imports(self, package: Package) -> frozenset[str]:
        """The top-level modules that the package imports in any case, if somebody has to look at that."""
        module = package.module
        if module not in self._imported:
            found: tuple[str, ...] = ()
            if module in self._near or not package.requires:
                key = store.digest(b"imports", package.identity)
                found = self._kept.of(key, lambda: tuple(sorted(self._look_for_imports(package))))
            self._imported[module] = frozenset(found)
        return self._imported[module]

    def _look_for_imports(self, package: Package) -> set[str]:
        found: set[str] = set()
        try:
            files = self._shelf.files(package)
        except TooMuchError as error:
            self.said[package.module] = str(error)
            return found
        if package.module not in self._near and len(files) > MOST_UNDECLARED:
            return found
        inside = ((path, path[len(package.folder) :].split(os.sep)) for path in files.values())  # noqa: PTH206
        searched = sorted((len(parts), path) for path, parts in inside if _TESTS.isdisjoint(parts))
        for _, path in searched[: MOST_SEARCHED if package.requires else None]:
            try:
                content = self._shelf.read(path)
            except OSError:
                continue
            found.update(name.decode().partition(".")[0] for name in _IMPORT.findall(b"\n" + content))
        return found - {package.module.partition(".")[0]}


class _Libraries:
    """Some of the libraries of the catalogue, by modules, and by what their distributions may be called."""

    def __init__(self, base: Catalogue, modules: frozenset[str]) -> None:
        named = (
            library.name
            for library in base.libraries.values()
            if not modules.isdisjoint(module.partition(".")[0] for module in library.modules)
        )
        self._modules = modules
        self._distributions = frozenset(map(normalised, (*modules, *named)))

    def required(self, package: Package) -> bool:
        """Whether the package's distribution requires one of them."""
        return not package.requires.isdisjoint(self._distributions)

    def imported(self, modules: frozenset[str]) -> bool:
        """Whether one of them is among the modules."""
        return not modules.isdisjoint(self._modules)
