"""All Python files of a project: which file an import means, and where names are bound.

Nothing here is parsed before somebody asks. An absolute import is looked for beside the importing file
and then in each folder above it, so that several services in one repository each find their own modules.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from servelint.code import facts
from servelint.code.extract import extract
from servelint.code.facts import (
    Attribute,
    Binding,
    Call,
    ClassFacts,
    Constant,
    FunctionFacts,
    ModuleFacts,
    Name,
    Site,
    Subscript,
)
from servelint.finding import Problem

# Methods of the language's containers that put their last argument into the receiver.
FILLING_METHODS = frozenset(
    {"append", "add", "insert", "setdefault", "put", "put_nowait", "extend", "update"}
)
# Folders that hold importable packages without being one.
SOURCE_FOLDERS = ("src", "lib", "python", "app", "backend")


TEST_FOLDERS = re.compile(r"(?:^|/)(?:tests?|testing|tests_\w+)/")
TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_tests?)\.py$")
TEST_LIBRARIES = frozenset({"pytest", "unittest"})


class Files(Protocol):
    """What the project needs of `servelint.files.Tree`."""

    @property
    def root(self) -> Path:
        """The project's folder."""

    @property
    def python(self) -> tuple[Path, ...]:
        """All Python files, sorted."""

    def read(self, path: Path) -> bytes:
        """A file's content."""


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


class Decorated(NamedTuple):
    """A function or class under a decorator, and the function in whose scope the decorator stands."""

    decorator: facts.Expression
    scope: int
    value: facts.Closure | facts.ClassValue


class Module:
    """One file with its facts, and indexes over them that are made when first asked for."""

    def __init__(self, path: str, facts_: ModuleFacts, package: str) -> None:
        self.path = path
        self.facts = facts_
        self.package = package
        self._names: dict[tuple[int, str], list[Bound]] | None = None
        self._attributes: dict[str, list[Bound]] | None = None
        self._filled: dict[str, list[Filled]] | None = None

    def function(self, index: int) -> FunctionFacts:
        """The function with this index."""
        return self.facts.functions[index]

    def bound(self, scope: int, name: str) -> list[Bound]:
        """What is bound to `name` in the scope of function `scope`, through `global` and `nonlocal` too."""
        if self._names is None:
            self._names = {}
            for index, function in enumerate(self.facts.functions):
                for binding in function.bindings:
                    if isinstance(binding.target, Name):
                        key = (self._scope_of(index, binding.target.id), binding.target.id)
                        self._names.setdefault(key, []).append(Bound(index, binding))
        return self._names.get((scope, name), [])

    def attributes(self, name: str) -> list[Bound]:
        """The bindings `<anything>.name = value` of the file."""
        return self.attribute_bindings().get(name, [])

    def attribute_bindings(self) -> dict[str, list[Bound]]:
        """All bindings `<anything>.name = value` of the file, by name."""
        if self._attributes is None:
            self._attributes = {}
            for index, function in enumerate(self.facts.functions):
                for binding in function.bindings:
                    if isinstance(binding.target, Attribute):
                        self._attributes.setdefault(binding.target.name, []).append(Bound(index, binding))
        return self._attributes

    def filled(self, name: str) -> list[Filled]:
        """What is put into containers whose last name is `name` (`models` for `self.models[k] = v`)."""
        if self._filled is None:
            self._filled = {}
            for index, function in enumerate(self.facts.functions):
                for place, item in self._fillings(index, function):
                    self._filled.setdefault(last_name(place), []).append(item)
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

    def calls(self) -> dict[str, list[tuple[int, Site]]]:
        """The calls by the callee's last name, with the function that makes them."""
        found: dict[str, list[tuple[int, Site]]] = {}
        for index, function in enumerate(self.facts.functions):
            for site in function.sites:
                found.setdefault(last_name(site.call.function), []).append((index, site))
        return found

    def decorated(self) -> Iterator[Decorated]:
        """The functions and classes of the file that have decorators."""
        for index, function in enumerate(self.facts.functions):
            for decorator in function.decorators:
                yield Decorated(decorator, function.parent or 0, facts.Closure(index))
        for number, cls in enumerate(self.facts.classes):
            for decorator in cls.decorators:
                yield Decorated(decorator, cls.parent, facts.ClassValue(number))

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


def last_name(expression: facts.Expression) -> str:
    """The last name of `a.b.c` (`c`), empty for what has none."""
    match expression:
        case Name(id):
            return id
        case Attribute(_, name):
            return name
        case Call(function, _, _, _):
            return last_name(function)
        case Subscript(value, _):
            return last_name(value)
    return ""


class Project:
    """The files of a project, joined by their imports. Files that do not parse become `problems`.

    `external` are top-level modules that are known libraries: only a file that plainly shadows one is
    taken for it.
    """

    def __init__(self, tree: Files, external: frozenset[str] = frozenset()) -> None:
        self.tree = tree
        self.external = external | sys.stdlib_module_names
        self.root = str(tree.root)
        self.paths = [str(path) for path in tree.python]
        self._files = frozenset(self.paths)
        self._folders = frozenset(_folders(self.paths, self.root))
        self._modules: dict[str, Module | None] = {}
        self._resolved: dict[tuple[str, str], str | None] = {}
        self._by_last: dict[str, list[str]] | None = None
        self._calls: dict[str, list[tuple[Module, int, Site]]] | None = None
        self._attributes: dict[str, list[tuple[Module, Bound]]] | None = None
        self._tests: dict[str, bool] = {}
        self._items: dict[str, list[tuple[Module, Bound]]] | None = None
        self._decorated: dict[str, list[tuple[Module, Decorated]]] | None = None
        self._inheriting: dict[str, list[tuple[Module, int]]] | None = None
        self._defining: dict[str, list[tuple[Module, int]]] | None = None
        self.problems: list[Problem] = []

    def module(self, path: str) -> Module | None:
        """The module in the file `path`; None where it cannot be read or parsed, or is a folder."""
        if path not in self._modules:
            self._modules[path] = self._read(path) if path in self._files else None
        return self._modules[path]

    def modules(self) -> Iterator[Module]:
        """Every module that parses, in the order of their paths."""
        for path in self.paths:
            module = self.module(path)
            if module is not None:
                yield module

    def sources(self) -> Iterator[Module]:
        """Every module that parses and is no test."""
        for module in self.modules():
            if not self.is_test(module):
                yield module

    def is_test(self, module: Module) -> bool:
        """Whether the file is a test, which tells nothing about the service."""
        if module.path not in self._tests:
            self._tests[module.path] = is_test(module, self.root)
        return self._tests[module.path]

    def name_of(self, module: Module) -> str:
        """The dotted name of a module, as seen from the project's folder or its `src`."""
        relative = os.path.relpath(module.path, self.root)
        stem = relative[: -len(".py")].removesuffix(f"{os.sep}__init__")
        return stem.replace(os.sep, ".").removeprefix("src.")

    def calls(self, name: str) -> list[tuple[Module, int, Site]]:
        """The calls whose callee's last name is `name`: the module, the function that makes it, the call."""
        if self._calls is None:
            self._calls = {}
            for module in self.sources():
                for called, sites in module.calls().items():
                    self._calls.setdefault(called, []).extend((module, index, site) for index, site in sites)
        return self._calls.get(name, [])

    def attributes(self, name: str) -> list[tuple[Module, Bound]]:
        """All bindings `<anything>.name = value`."""
        if self._attributes is None:
            self._attributes = {}
            for module in self.sources():
                for held, found in module.attribute_bindings().items():
                    self._attributes.setdefault(held, []).extend((module, bound) for bound in found)
        return self._attributes.get(name, [])

    def items(self, key: str) -> list[tuple[Module, Bound]]:
        """All bindings `<anything>["key"] = value`."""
        if self._items is None:
            self._items = {}
            for module in self.sources():
                for index, function in enumerate(module.facts.functions):
                    for binding in function.bindings:
                        match binding.target:
                            case Subscript(_, Constant(str(text))):
                                self._items.setdefault(text, []).append((module, Bound(index, binding)))
        return self._items.get(key, [])

    def decorated(self, name: str) -> list[tuple[Module, Decorated]]:
        """The functions and classes with a decorator whose last name is `name`."""
        if self._decorated is None:
            self._decorated = {}
            for module in self.sources():
                for thing in module.decorated():
                    self._decorated.setdefault(last_name(thing.decorator), []).append((module, thing))
        return self._decorated.get(name, [])

    def inheriting(self, name: str) -> list[tuple[Module, int]]:
        """The classes with a base whose last name is `name`: the module, and the number of the class."""
        if self._inheriting is None:
            self._inheriting = {}
            for module, number, facts_ in self._classes():
                for base in facts_.bases:
                    self._inheriting.setdefault(last_name(base), []).append((module, number))
        return self._inheriting.get(name, [])

    def defining(self, method: str) -> list[tuple[Module, int]]:
        """The classes that define a method: the module, and the number of the class."""
        if self._defining is None:
            self._defining = {}
            for module, number, facts_ in self._classes():
                for name in facts_.methods:
                    self._defining.setdefault(name, []).append((module, number))
        return self._defining.get(method, [])

    def _classes(self) -> Iterator[tuple[Module, int, ClassFacts]]:
        for module in self.sources():
            for number, facts_ in enumerate(module.facts.classes):
                yield module, number, facts_

    def _read(self, path: str) -> Module | None:
        try:
            found = extract(self.tree.read(Path(path)))
        except OSError as error:
            self.problems.append(Problem(Path(path), f"cannot be read: {error.strerror}"))
        except SyntaxError as error:
            self.problems.append(Problem(Path(path), f"is not valid Python: {error.msg}", error.lineno or 0))
        except UnicodeDecodeError as error:
            self.problems.append(Problem(Path(path), f"is not {error.encoding}: {error.reason}"))
        except ValueError as error:
            self.problems.append(Problem(Path(path), f"is not valid Python: {error}"))
        except RecursionError:
            self.problems.append(Problem(Path(path), "is nested too deeply to be read"))
        else:
            return Module(path, found, os.path.dirname(path))
        return None

    # -- imports ---------------------------------------------------------------------------------

    def resolve(self, origin: Module, module: str, level: int) -> str | None:
        """The file or folder that `module` means in `origin`; None where it is not in the project."""
        if level:
            base = origin.package
            for _ in range(level - 1):
                base = os.path.dirname(base)
            return self._below(base, module) if module else self._package(base)
        key = (origin.package, module)
        if key not in self._resolved:
            self._resolved[key] = self._absolute(origin, module)
        return self._resolved[key]

    def submodule(self, package: str, name: str) -> str | None:
        """The file or folder of module `name` inside the package whose file or folder is `package`."""
        folder = os.path.dirname(package) if package.endswith("__init__.py") else package
        return self._below(folder, name) if folder in self._folders else None

    def _absolute(self, origin: Module, module: str) -> str | None:
        folder = origin.package
        in_package: str | None = None
        while True:
            found = self._below(folder, module)
            if found is not None and found != origin.path:
                if not self.is_package(folder):
                    return found
                in_package = in_package or found
            for source in SOURCE_FOLDERS:
                found = self._below(os.path.join(folder, source), module)
                if found is not None and not self.is_package(os.path.join(folder, source)):
                    return found
            if folder == self.root or len(folder) <= len(self.root):
                break
            folder = os.path.dirname(folder)
        if module.partition(".")[0] in self.external:
            return None
        return in_package or self._by_suffix(origin, module)

    def _by_suffix(self, origin: Module, module: str) -> str | None:
        """The only module of the project whose path ends like the import: `sys.path` has been changed."""
        if self._by_last is None:
            self._by_last = {}
            for path in self.paths:
                stem = path[: -len("/__init__.py")] if path.endswith(f"{os.sep}__init__.py") else path[:-3]
                self._by_last.setdefault(stem.rpartition(os.sep)[2], []).append(path)
        tail = module.replace(".", os.sep)
        ends = (f"{os.sep}{tail}.py", f"{os.sep}{tail}{os.sep}__init__.py")
        same_last = self._by_last.get(module.rpartition(".")[2], [])
        found = [path for path in same_last if path.endswith(ends) and path != origin.path]
        if len(found) > 1:
            near = {path: len(os.path.commonpath([path, origin.path])) for path in found}
            found = [path for path in found if near[path] == max(near.values())]
        return found[0] if len(found) == 1 else None

    def _below(self, folder: str, module: str) -> str | None:
        base = os.path.join(folder, *module.split("."))
        if f"{base}.py" in self._files:
            return f"{base}.py"
        return self._package(base)

    def _package(self, folder: str) -> str | None:
        init = os.path.join(folder, "__init__.py")
        if init in self._files:
            return init
        return folder if folder in self._folders else None

    def has_module(self, path: str) -> bool:
        """Whether there is a module or a folder at the path, which is given without `.py`."""
        return f"{path}.py" in self._files or path in self._folders

    def is_package(self, folder: str) -> bool:
        """Whether the folder has an `__init__.py`."""
        return os.path.join(folder, "__init__.py") in self._files


def _folders(paths: list[str], root: str) -> Iterator[str]:
    seen: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in seen and len(folder) >= len(root):
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder)


def is_test(module: Module, root: str) -> bool:
    """Whether the file is a test: by its folder, or by its name and what is in it."""
    relative = os.path.relpath(module.path, root).replace(os.sep, "/")
    if TEST_FOLDERS.search(relative) or relative.endswith("conftest.py"):
        return True
    if not TEST_FILE.search(relative):
        return False
    functions = module.facts.functions
    return any(f.name.startswith("test") for f in functions) or any(
        item.module.partition(".")[0] in TEST_LIBRARIES for f in functions for item in f.imports
    )
