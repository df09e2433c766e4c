"""All Python files of a project, parsed when somebody asks, and where names are bound and called in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Container, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from servelint import boundary
from servelint.code.facts import facts, scan
from servelint.code.facts.contents import Contents
from servelint.code.facts.facts import (
    Attribute,
    Binding,
    Constant,
    FunctionFacts,
    ModuleFacts,
    Name,
    Site,
    Subscript,
    last_name,
)
from servelint.code.facts.plain import plain_text
from servelint.code.graph.families import Families
from servelint.code.graph.reach import Reach, WordsOf
from servelint.finding import Problem
from servelint.project.text.source import SourceError

# Files are parsed by the Python that runs servelint: newer syntax is an error to it.
PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
# Methods of the language's containers that put their last argument into the receiver.
FILLING_METHODS = frozenset(
    {"append", "add", "insert", "setdefault", "put", "put_nowait", "extend", "update"}
)


class Bound(NamedTuple):
    """A value bound to a name or attribute, and the function whose body binds it."""

    function: int
    binding: Binding


class Filled(NamedTuple):
    """A value put into a container: `place[key] = value`, `place.append(value)`. A key may be None."""

    function: int
    key: facts.Expression | None
    value: facts.Expression
    line: int

    def may_be_at(self, key: facts.Expression | None) -> bool:
        """Whether it may be found under `key`: unless both are constants and differ, yes."""
        return not (isinstance(key, Constant) and isinstance(self.key, Constant) and key != self.key)


class Decorated(NamedTuple):
    """A function or class under a decorator, and the function in whose scope the decorator stands."""

    decorator: facts.Expression
    scope: int
    value: facts.Closure | facts.ClassValue


def held_by(place: facts.Expression) -> facts.Expression:
    """The container that holds the place: `handlers` for `handlers.setdefault(key, [])`."""
    while True:
        match place:
            case facts.Call(Attribute(base, "setdefault" | "get"), (_, *_), _, _):
                place = base
            case _:
                return place


class Module:
    """One file with its facts, and indexes over them that are made when first asked for."""

    def __init__(self, path: str, facts_: ModuleFacts) -> None:
        self.path = path
        self.facts = facts_
        self._names: dict[tuple[int, str], list[Bound]] | None = None
        self._items: dict[str, list[Bound]] | None = None
        self._attributes: dict[str, list[Bound]] | None = None
        self._filled: dict[str, list[Filled]] | None = None
        self._calls: dict[str, list[tuple[int, Site]]] | None = None
        self._accessors: dict[tuple[int | None, str, str], int] | None = None

    @property
    def package(self) -> str:
        """The folder of the file."""
        return os.path.dirname(self.path)

    def function(self, index: int) -> FunctionFacts:
        """The function with this index."""
        return self.facts.functions[index]

    def may_call(self, function: facts.Expression, last_names: Container[str]) -> bool:
        """Whether what is called may have one of the last names: it is written so, or the file renames it."""
        renamed = isinstance(function, Name) and function.id in self.renamed
        return renamed or last_name(function) in last_names

    @cached_property
    def renamed(self) -> frozenset[str]:
        """The names under which the file may have what is called otherwise elsewhere: all but definitions."""
        found = {item.local for f in self.facts.functions for item in f.imports if item.local != item.name}
        found.update(parameter.name for f in self.facts.functions for parameter in f.parameters)
        found.update(b.binding.target.id for b in self._bindings() if isinstance(b.binding.target, Name))
        return frozenset(found)

    @cached_property
    def imported(self) -> frozenset[str]:
        """The names that imports bind, anywhere in the file."""
        return frozenset(item.local for function in self.facts.functions for item in function.imports)

    def bound(self, scope: int, name: str) -> list[Bound]:
        """What is bound to `name` in the scope of function `scope`, through `global` and `nonlocal` too."""
        if self._names is None:
            self._names = {}
            for bound in self._bindings():
                target = bound.binding.target
                if isinstance(target, Name):
                    key = (self._scope_of(bound.function, target.id), target.id)
                    self._names.setdefault(key, []).append(bound)
        return self._names.get((scope, name), [])

    def attributes(self, name: str) -> list[Bound]:
        """The bindings `<anything>.name = value` of the file."""
        if self._attributes is None:
            self._attributes = {}
            for bound in self._bindings():
                if isinstance(bound.binding.target, Attribute):
                    self._attributes.setdefault(bound.binding.target.name, []).append(bound)
        return self._attributes.get(name, [])

    def items(self, key: str) -> list[Bound]:
        """The bindings `<anything>["key"] = value` of the file."""
        if self._items is None:
            self._items = {}
            for bound in self._bindings():
                match bound.binding.target:
                    case Subscript(_, Constant(str(text))):
                        self._items.setdefault(text, []).append(bound)
        return self._items.get(key, [])

    def _bindings(self) -> Iterator[Bound]:
        for index, function in enumerate(self.facts.functions):
            yield from (Bound(index, binding) for binding in function.bindings)

    def filled(self, name: str) -> list[Filled]:
        """What is put into containers whose last name is `name` (`models` for `self.models[k] = v`)."""
        if self._filled is None:
            self._filled = {}
            for index, function in enumerate(self.facts.functions):
                for place, item in self._fillings(index, function):
                    self._filled.setdefault(last_name(held_by(place)), []).append(item)
        return self._filled.get(name, [])

    def _fillings(self, index: int, function: FunctionFacts) -> Iterator[tuple[facts.Expression, Filled]]:
        for binding in function.bindings:
            if isinstance(binding.target, Subscript) and binding.value is not None:
                yield binding.target.value, Filled(index, binding.target.key, binding.value, binding.line)
        for site in function.sites:
            call = site.call
            if (
                isinstance(call.function, Attribute)
                and call.function.name in FILLING_METHODS
                and call.arguments
            ):
                key = call.arguments[0] if len(call.arguments) > 1 else None
                yield call.function.value, Filled(index, key, call.arguments[-1], call.position.line)

    def calls(self, name: str) -> list[tuple[int, Site]]:
        """The calls whose callee's last name is `name`, with the function that makes them."""
        if self._calls is None:
            self._calls = {}
            for index, function in enumerate(self.facts.functions):
                for site in function.sites:
                    self._calls.setdefault(last_name(site.call.function), []).append((index, site))
        return self._calls.get(name, [])

    def aliases(self, name: str) -> set[str]:
        """The other names under which the file imports what is called so."""
        taken = (one for function in self.facts.functions for one in function.imports)
        return {one.local for one in taken if one.name == name and one.local != name}

    def decorated(self, name: str) -> Iterator[Decorated]:
        """The functions and classes of the file that have a decorator whose last name is `name`."""
        for index, function in enumerate(self.facts.functions):
            for decorator in function.decorators:
                if last_name(decorator) == name:
                    yield Decorated(decorator, function.parent or 0, facts.Closure(index))
        for number, cls in enumerate(self.facts.classes):
            for decorator in cls.decorators:
                if last_name(decorator) == name:
                    yield Decorated(decorator, cls.parent, facts.ClassValue(number))

    def accessor(self, cls: int, name: str, kind: str) -> int | None:
        """The function of the class that sets or deletes (`kind`) the property, by its index."""
        if self._accessors is None:
            self._accessors = {
                (function.owner, function.name, decorator.name): index
                for index, function in enumerate(self.facts.functions)
                for decorator in function.decorators
                if isinstance(decorator, Attribute) and decorator.name in ("setter", "deleter")
            }
        return self._accessors.get((cls, name, "setter" if kind == "set" else "deleter"))

    def _scope_of(self, index: int, name: str) -> int:
        """The function in whose scope an assignment to `name` inside function `index` binds it."""
        function = self.facts.functions[index]
        if name not in function.outer:
            return index
        parent = function.parent
        while parent:
            outer = self.facts.functions[parent]
            local = any(isinstance(b.target, Name) and b.target.id == name for b in outer.bindings)
            if local and name not in outer.outer:
                return parent
            parent = outer.parent
        return 0


class Project:
    """The files of a project. Those that do not parse become `problems`.

    What is looked up by name is looked for in the files that matter only, and of those only the ones whose
    bytes can hold it are parsed.
    """

    def __init__(self, contents: Contents, reach: Reach) -> None:
        self.problems = contents.problems
        self._read_bytes = contents.read
        self._plain = contents.plain
        self._facts = contents.facts
        self._reach = reach
        self._resolver = reach.graph.resolver
        self.families = Families(self, reach)
        self._modules: dict[str, Module | None] = {}
        self._indexes: dict[WordsOf, dict[str, list[str]]] = {}
        self._assigning: dict[str, tuple[str, ...]] = {}
        self._calling: dict[frozenset[str], frozenset[str]] = {}
        self._telling: dict[tuple[str, Collection[bytes]], tuple[str, ...]] = {}
        self._told: dict[Collection[bytes], dict[str, bool]] = {}

    @property
    def root(self) -> str:
        """The project's folder."""
        return self._resolver.root

    def module(self, path: str) -> Module | None:
        """The module in the file `path`; None where it cannot be read or parsed, or is a folder."""
        if path not in self._modules:
            self._modules[path] = self._read(path) if path in self._resolver.files else None
        return self._modules[path]

    def modules(self, paths: Iterable[str]) -> Iterator[Module]:
        """The modules in the files, but for those that do not parse."""
        for path in paths:
            module = self.module(path)
            if module is not None:
                yield module

    # -- by name ---------------------------------------------------------------------------------

    def mentioning(self, words: Iterable[str], *, tests: bool = False) -> Iterator[Module]:
        """The modules in whose text one of the words stands; with `tests`, in any file of the project."""
        return self.modules(self.paths_mentioning(words, tests=tests))

    def paths_mentioning(self, words: Iterable[str], *, tests: bool = False) -> Iterator[str]:
        """The same, by their paths: the files need not be read as Python for that."""
        wanted = tuple(map(scan.encoded, words))
        paths = sorted(self._resolver.files) if tests else self._reach.files
        return (path for path in paths if scan.mentions(self._plain(path), wanted))

    def functions_calling(self, names: frozenset[str]) -> frozenset[str]:
        """The names of the functions with a call in their text whose callee's last name is one of them."""
        if names not in self._calling:
            paths = (path for path in self._reach.files if self._reach.calls(path) & names)
            found = (scan.functions_calling(self._plain(path), names) for path in paths)
            self._calling[names] = frozenset().union(*found)
        return self._calling[names]

    def calls(self, name: str, words: Collection[bytes] = ()) -> Iterator[tuple[Module, int, Site]]:
        """The calls whose callee's last name is `name`: the module, the function that makes it, the call.

        With `words`, only those in files in whose text one of them stands.
        """
        if not words:
            return self.calls_in(self._paths_having(name, scan.called), name)
        paths = self._telling.get((name, words))
        if paths is None:
            having = self._paths_having(name, scan.called)
            paths = tuple(path for path in having if scan.mentions(self._plain(path), words))
            self._telling[name, words] = paths
        return self.calls_in(paths, name)

    def paths_calling(self, name: str) -> Iterator[str]:
        """The files that call something whose last name is `name`, by their text alone."""
        return iter(self._paths_having(name, scan.called))

    def calls_beside(
        self, name: str, path: str, words: Collection[bytes] = ()
    ) -> Iterator[tuple[Module, int, Site]]:
        """Those of them in files that are joined to the file `path` by imports."""
        return self._calls(name, self._reach.together(path), words)

    def calls_above(
        self, name: str, path: str, words: Collection[bytes] = (), *, most: int | None = None
    ) -> Iterator[tuple[Module, int, Site]]:
        """Those of them in the file `path` and in those that import it, directly or not.

        Where they are in more than `most` files, none of them.
        """
        return self._calls(name, self._reach.above(path), words, most)

    def _calls(
        self, name: str, group: Container[str], words: Collection[bytes], most: int | None = None
    ) -> Iterator[tuple[Module, int, Site]]:
        for words_of in (scan.called, scan.renamed):
            near = [path for path in self._paths_having(name, words_of) if path in group]
            if most is not None and len(near) > most:
                continue
            for module in self.modules(p for p in near if not words or self._mentions(p, words)):
                for known in (name,) if words_of is scan.called else module.aliases(name):
                    yield from ((module, index, site) for index, site in module.calls(known))

    def _mentions(self, path: str, words: Collection[bytes]) -> bool:
        """Whether one of the words, which are always the same few, stands in the file."""
        told = self._told.setdefault(words, {})
        if path not in told:
            told[path] = scan.mentions(self._plain(path), words)
        return told[path]

    def calls_in(self, paths: Iterable[str], name: str) -> Iterator[tuple[Module, int, Site]]:
        """Those of them in the files."""
        for module in self.modules(paths):
            yield from ((module, index, site) for index, site in module.calls(name))

    def attributes(self, name: str) -> Iterator[tuple[Module, Bound]]:
        """All bindings `<anything>.name = value`."""
        for module in self.modules(self.paths_assigning(name)):
            yield from ((module, bound) for bound in module.attributes(name))

    def paths_assigning(self, name: str) -> tuple[str, ...]:
        """The files that may bind `<anything>.name`, by their text alone."""
        found = self._assigning.get(name)
        if found is None:
            bound = self._paths_having(name, scan.attributes)
            found = tuple(path for path in bound if scan.assigns_attribute(self._plain(path), name))
            self._assigning[name] = found
        return found

    def items(self, key: str) -> Iterator[tuple[Module, Bound]]:
        """All bindings `<anything>["key"] = value`."""
        for module in self._having(plain_text(key), scan.item_keys):
            yield from ((module, bound) for bound in module.items(key))

    def decorated(self, name: str) -> Iterator[tuple[Module, Decorated]]:
        """The functions and classes with a decorator whose last name is `name`."""
        for module in self._having(name, scan.decorators):
            yield from ((module, thing) for thing in module.decorated(name))

    @cached_property
    def properties(self) -> frozenset[str]:
        """The names of all properties in the files that matter."""
        words = (self._reach.words(path, scan.properties) for path in self._reach.files)
        return frozenset().union(*words)

    def defines(self, function: str) -> bool:
        """Whether some file may define a function of this name."""
        return bool(self._paths_having(function, scan.defined))

    def defining(self, method: str) -> Iterator[tuple[Module, int]]:
        """The classes that define a method, by module and number."""
        for module in self._having(method, scan.defined):
            for number, cls in enumerate(module.facts.classes):
                if method in cls.methods:
                    yield module, number

    def _having(self, word: str, words_of: WordsOf) -> Iterator[Module]:
        return self.modules(self._paths_having(word, words_of))

    def _paths_having(self, word: str, words_of: WordsOf) -> list[str]:
        """The sources in whose bytes `words_of` finds the word, in their order."""
        index = self._indexes.get(words_of)
        if index is None:
            index = self._indexes[words_of] = {}
            for path in self._reach.files:
                for found in self._reach.words(path, words_of):
                    index.setdefault(found, []).append(path)
        paths = index.get(word, [])
        if words_of is not scan.item_keys or scan.ANY_KEY not in index:
            return paths
        either = {*paths, *index[scan.ANY_KEY]}
        return [path for path in self._reach.files if path in either]

    def name_of(self, module: Module) -> str:
        """The dotted name of a module, as seen from the project's folder or its `src`."""
        relative = os.path.relpath(module.path, self.root)
        stem = relative[: -len(".py")].removesuffix(f"{os.sep}__init__")
        return stem.replace(os.sep, ".").removeprefix("src.")

    # -- files -----------------------------------------------------------------------------------

    def resolve(self, origin: Module, module: str, level: int) -> str | None:
        """The file or folder that `module` means in `origin`; None where it is not in the project."""
        return self._resolver.resolve(origin.path, module, level)

    def has_top(self, name: str) -> bool:
        """Whether a file or folder of the project may be the top-level module `name`."""
        return self._resolver.has_top(name)

    def has_module(self, path: str) -> bool:
        """Whether there is a module or a folder at the path, which is given without `.py`."""
        return self._resolver.has_module(path)

    def is_package(self, folder: str) -> bool:
        """Whether the folder has an `__init__.py`."""
        return self._resolver.is_package(folder)

    def submodule(self, package: str, name: str) -> str | None:
        """The file or folder of module `name` inside the package whose file or folder is `package`."""
        return self._resolver.submodule(package, name)

    def submodules(self, package: str) -> tuple[str, ...]:
        """The files of the modules that stand right inside the package whose file or folder is `package`."""
        return self._resolver.submodules(package)

    def _read(self, path: str) -> Module | None:
        from servelint.code.facts.extract import extract
        from servelint.code.facts.nodes import longest_statement

        try:
            return Module(path, self._facts.of(self._read_bytes(path), extract))
        except SyntaxError as error:
            problem = Problem(Path(path), f"is not valid {PYTHON}: {error.msg}", error.lineno or 0)
        except UnicodeDecodeError as error:
            problem = Problem(Path(path), f"is not {error.encoding}: {error.reason}")
        except SourceError as error:
            problem = Problem(Path(path), str(error), error.line)
        except ValueError as error:
            problem = Problem(Path(path), f"is not valid {PYTHON}: {error}")
        except (RecursionError, MemoryError):
            # The parser counts how deep it is, but does not tell where that was too deep.
            line = longest_statement(self._read_bytes(path))
            told = f"is nested deeper, or has a longer chain of operators, than the parser of {PYTHON} reads"
            problem = Problem(Path(path), told, line)
        except Exception as error:
            # One file must not take the report of the others with it.
            problem = boundary.problem(error, Path(path), "reading Python")
        self.note(problem)
        return None

    def note(self, problem: Problem) -> None:
        """Remember what is wrong with a file; the first that is found is told."""
        self.problems.setdefault(str(problem.path), problem)
