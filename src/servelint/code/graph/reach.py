"""Which files of a project can matter: sink first.

A finding needs a call that blocks, and what blocks comes from a library. So the search begins at the files
that import such a library (the *sinks*), goes up to all that import them, directly or not, and down again
to all that those import: there, and nowhere else, can an object of the library be called, handed on or
kept. A method that is known by its name alone needs machine learning in reach: a library that runs models,
imported by some file that is joined to this one by imports in whatever direction.

Everything is read from the bytes of the files. Only what is left after this is parsed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import translate
from functools import cached_property
from typing import TypeAlias

from servelint.code.facts import scan
from servelint.code.graph.dependencies import Dependencies, normalised
from servelint.code.graph.edges import ImportGraph, components, reached, reverse
from servelint.code.names import evidence
from servelint.code.names.frameworks import Frameworks, split_owner
from servelint.knowledge.types import Catalogue, Entry, Library, Role, alternatives
from servelint.project.config import Config

MODEL_ROLES = frozenset({Role.INFERENCE, Role.EXPLANATION, Role.TRAINING})


WordsOf: TypeAlias = Callable[[bytes], frozenset[str]]


class Reach:
    """The files that matter, among `paths`. With `everything`, all of them do."""

    def __init__(
        self,
        graph: ImportGraph,
        paths: Iterable[str],
        catalogue: Catalogue,
        frameworks: Frameworks,
        config: Config,
        dependencies: Dependencies,
        *,
        everything: bool = False,
    ) -> None:
        self.graph = graph
        self.dependencies = dependencies
        self.everything = everything
        self.frameworks = frameworks
        self._models = tuple(_model_modules(catalogue))
        self._model_distributions = frozenset(_model_distributions(catalogue))
        self.model_modules = model_modules(catalogue)
        self.ordinary = (sys.stdlib_module_names | frameworks.modules | {"builtins"}) - self.model_modules
        self._paths = tuple(paths)
        self._sinks = [name for lib in catalogue.libraries.values() for name in _blocking_names(lib)]
        self._unpicklers = [n for lib in catalogue.libraries.values() for n in _giving_names(lib, catalogue)]
        self._clients = [name for lib in catalogue.libraries.values() for name in _addressed_names(lib)]
        self._above: dict[str, set[str]] = {}
        self._beside: dict[str, set[str]] = {}
        self._groups: dict[str, set[str]] = {}
        self._own_loop_bound = [_literal_words(name) for name in config.loop_bound]
        self._own = [_literal_words(name) for name in config.blocking_calls]

    # -- what rules ask --------------------------------------------------------------------------

    def has_models(self, path: str) -> bool:
        """Whether a library that runs models is imported by a file joined to this one by imports.

        What is asked for near the file counts as well: the import may stand in a package of one's own.
        """
        return path in self._with_models or not self._model_distributions.isdisjoint(
            self.dependencies.near(path)
        )

    def is_ordinary(self, name: str) -> bool:
        """Whether the qualified name belongs to the standard library or a web framework."""
        return name.partition(".")[0] in self.ordinary

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The files that are no tests, sorted."""
        return tuple(path for path in self._paths if not self.graph.is_test(path))

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files in which an object that blocks can be called, handed on or kept, sorted."""
        if self.everything:
            return self.sources
        near = reached(self._importing(self._sink_files), self.graph.targets)
        return tuple(path for path in self.sources if path in near or self._named(path))

    @cached_property
    def served(self) -> tuple[str, ...]:
        """The files that can have functions that a framework or the event loop calls, sorted."""
        if self.everything:
            return self.files
        return tuple(path for path in self.files if self._is_served(path))

    def _is_served(self, path: str) -> bool:
        if self.graph.contents.scanned(path, scan.has_coroutines):
            return True
        if any(scan.mentions(self.graph.read(path), words) for words in self._own_loop_bound):
            return True
        decorators = self.words(path, scan.decorators) if path in self._above_decorators else frozenset()
        if decorators & self.frameworks.served_decorators.last_names:
            return True
        if not self.graph.contents.scanned(path, scan.classes):
            return False
        defined = self.words(path, scan.defined)
        return any(methods & defined and path in above for methods, above in self._above_subclasses)

    @cached_property
    def registering(self) -> tuple[str, ...]:
        """The files that may hand functions to a framework or to the event loop, sorted."""
        of_framework: dict[str, list[tuple[str, str]]] = {}
        for name in self.frameworks.served_arguments.names:
            of_framework.setdefault(_head(name), []).append(split_owner(name))
        telling = set(self.frameworks.on_loop.methods)
        found: set[str] = set()
        for head, names in of_framework.items():
            importing = list(self._importing_any([head]))
            # Where a framework is in use, `app.add_route(...)` says so itself; `get` and `append` only in a
            # file that imports it and has what stands before them in `web.get`, `app.on_startup.append`.
            telling.update(last for _, last in names if "_" in last and importing)
            plain = [(owner.encode(), last) for owner, last in names if "_" not in last]
            found.update(path for path in importing if self._has_call(path, plain))
        return tuple(path for path in self.files if path in found or self.calls(path) & telling)

    def _has_call(self, path: str, names: Iterable[tuple[bytes, str]]) -> bool:
        """Whether the file calls one of the last names and has the word that goes with it."""
        data, called = self.graph.read(path), self.calls(path)
        return any(last in called and owner in data for owner, last in names)

    def calls(self, path: str) -> frozenset[str]:
        """The last names of what the file calls."""
        return self.words(path, scan.called)

    def words(self, path: str, words_of: WordsOf) -> frozenset[str]:
        """What a function of `scan` finds in the file."""
        return self.graph.contents.scanned(path, words_of)

    def importers(self, path: str) -> Sequence[str]:
        """The files that import the file themselves; tests do not count."""
        return self._importers.get(path, ())

    def together(self, path: str) -> set[str]:
        """The files joined to this one by imports in whatever direction: what makes up one service."""
        found = self._groups.get(path)
        if found is None:
            found = self._joined([path])
            self._groups.update(dict.fromkeys(found, found))
        return found

    def above(self, path: str) -> set[str]:
        """The file and all files that import it, directly or not."""
        # Files that import each other have the same above them: in a large project that is most of them.
        key = self._cycles.get(path, path)
        if key not in self._above:
            self._above[key] = self._importing([key])
        return self._above[key]

    def beside(self, path: str) -> set[str]:
        """The files that some file brings in with this one: all that is loaded into one process with it."""
        key = self._cycles.get(path, path)
        if key not in self._beside:
            self._beside[key] = reached(self.above(key), self.graph.targets)
        return self._beside[key]

    def closure(self, path: str) -> frozenset[str]:
        """The file and all files of the project that it imports, directly or not."""
        return self.graph.closure(path)

    def libraries(self, path: str) -> frozenset[str]:
        """The top-level modules that the file imports."""
        return self.graph.libraries(path)

    # -- the search ------------------------------------------------------------------------------

    @cached_property
    def _sink_files(self) -> set[str]:
        own = (p for p in self.sources if any(scan.mentions(self.graph.read(p), w) for w in self._own))
        of_framework = filter(self._is_model_base, self.sources)
        return {*self._importing_any(self._sinks), *own, *of_framework, *self._asking, *self._unpickling}

    def _is_model_base(self, path: str) -> bool:
        """Whether it is the source of a model server's base class, in which others put their models."""
        bases = self.frameworks.model_bases
        return any(
            path.endswith(b.path) and f"class {b.name}".encode() in self.graph.read(path) for b in bases
        )

    @cached_property
    def _unpickling(self) -> list[str]:
        """The files that read what may be anything, joined to one in which something predicts."""
        readers = list(self._importing_any(self._unpicklers))
        return self._joined_to_one(readers, self._joined(readers), self._predicts)

    def _predicts(self, path: str) -> bool:
        return _PREDICTS in self.graph.read(path)

    @cached_property
    def _asking(self) -> list[str]:
        """The files that import a client for which addresses count, joined to one that may hold a model's."""
        clients = list(self._importing_any(self._clients))
        return self._joined_to_one(clients, self.sources, self._may_hold_address)

    def _may_hold_address(self, path: str) -> bool:
        return self.graph.contents.scanned(path, evidence.may_hold_address)

    def _joined_to_one(
        self, paths: list[str], others: Iterable[str], holds: Callable[[str], bool]
    ) -> list[str]:
        """Those of the paths that are joined by imports to one of the others that hold something."""
        joined = self._joined(filter(holds, others)) if paths else set()
        return [path for path in paths if path in joined]

    @cached_property
    def _by_library(self) -> dict[str, list[str]]:
        """The files that import each library: by its top-level module, in a shared namespace by two."""
        found: dict[str, list[str]] = {}
        for path in self.sources:
            imported = {name for item in self.graph.statements(path) for name in _imported(item)}
            for name in imported:
                found.setdefault(name, []).append(path)
        return found

    def _importing(self, starts: Iterable[str]) -> set[str]:
        """The files and all that import them, directly or not."""
        return reached(starts, self.importers)

    def _joined(self, starts: Iterable[str]) -> set[str]:
        """The files and all that are joined to them by imports, in whatever direction."""
        return reached(starts, lambda path: (*self.graph.targets(path), *self.importers(path)))

    @cached_property
    def _cycles(self) -> dict[str, str]:
        """One file for all that import each other, directly or not, by file."""
        return components(self.sources, self.importers)

    @cached_property
    def _importers(self) -> dict[str, list[str]]:
        return reverse({path: self.graph.targets(path) for path in self.sources})

    @cached_property
    def _with_models(self) -> set[str]:
        starts = list(self._importing_any(self._models))
        return self._joined(starts) if starts else set()

    def _named(self, path: str) -> bool:
        """Whether a call in the file may be known to block by its name alone."""
        return self.has_models(path) and any(map(evidence.may_tell, self.calls(path)))

    @cached_property
    def _above_decorators(self) -> set[str]:
        return self._importing(self._importing_any(self.frameworks.served_decorators.names))

    @cached_property
    def _above_subclasses(self) -> list[tuple[frozenset[str], set[str]]]:
        """The methods that each framework calls, and the files above those that import it."""
        methods: dict[str, frozenset[str]] = {}
        for name, called in self.frameworks.served_subclasses.items():
            head = _head(name)
            methods[head] = methods.get(head, frozenset()) | called
        return [(called, self._importing(self._importing_any([head]))) for head, called in methods.items()]

    def _importing_any(self, names: Iterable[str]) -> Iterator[str]:
        """The files that import a module to which one of the qualified names belongs."""
        modules = _Modules(names)
        for module, paths in self._by_library.items():
            if module in modules:
                yield from paths


_PREDICTS = b".predict"

# Namespaces that very different distributions share: one segment says nothing of what is imported.
_NAMESPACES = frozenset({"google", "azure"})


class _Modules:
    """The modules to which qualified names (patterns among them) belong."""

    def __init__(self, names: Iterable[str]) -> None:
        heads = {_head(option) for name in names for option in alternatives(name)}
        self._exact = frozenset(head for head in heads if "*" not in head)
        patterns = [translate(head) for head in heads if "*" in head]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __contains__(self, module: str) -> bool:
        return module in self._exact or (self._pattern is not None and bool(self._pattern.match(module)))


def _head(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first in _NAMESPACES and rest else first


def _imported(statement: scan.Statement) -> Iterator[str]:
    """The libraries that an import is of."""
    if statement.level:
        return
    if statement.module in _NAMESPACES:
        yield from (f"{statement.module}.{name}" for name in statement.names)
    yield _head(statement.module)


def _blocking_names(library: Library) -> Iterator[str]:
    """The names through which something of the library is had, if any of it always blocks or is lazy."""
    entries = (entry for entry in _entries(library) if not entry.addressed)
    if any(entry.role.blocks or entry.role is Role.LAZY for entry in entries):
        yield from _names(library)


def sink_modules(catalogue: Catalogue) -> frozenset[str]:
    """The top-level modules of the libraries of which something always blocks or is lazy."""
    names = (name for library in catalogue.libraries.values() for name in _blocking_names(library))
    heads = {option.partition(".")[0] for name in names for option in alternatives(name)}
    return frozenset(head for head in heads if "*" not in head)


def model_modules(catalogue: Catalogue) -> frozenset[str]:
    """The top-level modules of the libraries that run models."""
    return frozenset(name.partition(".")[0] for name in _model_modules(catalogue))


def _giving_names(library: Library, catalogue: Catalogue) -> Iterator[str]:
    """The names of a library that blocks nowhere, if what its functions give does: what a pickle holds."""
    if any(entry.role.blocks or entry.role is Role.LAZY for entry in _entries(library)):
        return
    given = (catalogue.types.get(entry.returns) for entry in library.functions.values())
    if any(known is not None and known.open for known in given):
        yield from library.functions


def _addressed_names(library: Library) -> Iterator[str]:
    """The names through which something is had that blocks where it is given the address of a model."""
    if any(entry.addressed for entry in _entries(library)):
        yield from _names(library)


def _entries(library: Library) -> Iterator[Entry]:
    yield from library.functions.values()
    for known in library.types.values():
        if known.construct is not None:
            yield known.construct
        yield from known.methods.values()


def _names(library: Library) -> Iterator[str]:
    yield from library.functions
    yield from (name for known in library.types.values() for name in (known.name, *known.classes))


def _literal_words(pattern: str) -> tuple[bytes, ...]:
    """The last literal word of each form of a pattern: a file that does not have it cannot fit."""
    words = [re.findall(r"\w+", option) for option in alternatives(pattern)]
    return tuple((found[-1] if found else "").encode() for found in words)


def _model_distributions(catalogue: Catalogue) -> Iterator[str]:
    """The distributions of the libraries that run models: named like the library or like its modules."""
    modules = frozenset(_model_modules(catalogue))
    for library in catalogue.libraries.values():
        if not modules.isdisjoint(library.modules):
            yield from map(normalised, (library.name, *library.modules))


def _model_modules(catalogue: Catalogue) -> Iterator[str]:
    """The modules of the libraries that run models."""
    for library in catalogue.libraries.values():
        types = library.types.values()
        methods = (method for known in types for method in known.methods.values())
        # What is loaded and has methods of its own is a model, though nobody has listed what it infers with.
        loaded = any(known.open and known.construct and known.construct.role is Role.LOAD for known in types)
        if loaded or any(entry.role in MODEL_ROLES for entry in (*library.functions.values(), *methods)):
            yield from (name for name in library.modules if name not in sys.stdlib_module_names)
