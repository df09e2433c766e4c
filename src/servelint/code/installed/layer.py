"""What is read in installed packages, laid under the catalogue: asked by name, kept by version."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from servelint import store
from servelint.code.installed.following import Following
from servelint.code.installed.judging import MOST_BODIES
from servelint.code.installed.kept import Kept
from servelint.code.installed.packages import Package, Shelf, TooMuchError
from servelint.code.installed.source import Source
from servelint.code.names.frameworks import Frameworks
from servelint.knowledge import learned
from servelint.knowledge.layers import under
from servelint.knowledge.learned import Learned
from servelint.knowledge.types import (
    Catalogue,
    Claim,
    Entry,
    Library,
    LibraryType,
    NameIndex,
    Role,
)

T = TypeVar("T")
_UNKNOWN = Claim("unknown")
_CUT = "a call into it leads to more functions than are looked at for one"


class _ByName:
    """What answers for one name after the other, as the indexes that a catalogue has."""

    @property
    def functions(self) -> NameIndex[Entry]:
        """The functions, worked out when they are asked for."""
        return _Asked(self.function)

    @property
    def classes(self) -> NameIndex[LibraryType]:
        """The classes, likewise."""
        return _Asked(self.cls)

    @property
    def types(self) -> Mapping[str, LibraryType]:
        """The types of the classes, likewise."""
        return _Answers(self.type)

    @abstractmethod
    def function(self, name: str) -> Entry | None:
        """What the function of this name does."""

    @abstractmethod
    def cls(self, name: str) -> LibraryType | None:
        """The type of the class of this name."""

    @abstractmethod
    def type(self, name: str) -> LibraryType | None:
        """The type of this name."""


class Installed(_ByName):
    """The packages that are followed: those that may block, by what they import."""

    def __init__(
        self,
        shelf: Shelf,
        base: Catalogue,
        frameworks: Frameworks,
        ordinary: frozenset[str],
        kept: Kept,
        salt: bytes = b"",
        most_bodies: int | None = MOST_BODIES,
    ) -> None:
        """`ordinary` are top-level modules that are not looked up, beside those that the `base` knows.

        `salt` is what else the answers depend on, `most_bodies` how many bodies are judged for one question
        (None: any).
        """
        self.base = base
        self.kept = kept
        self._frameworks = frameworks
        self._shelf = shelf
        self._salt = salt
        self._most_bodies = most_bodies
        self._following = Following(shelf, base, base.modules | ordinary, kept)
        self._followed: dict[str, Package] = {}
        self._keys: dict[str, bytes] = {}
        self._sources: dict[str, Source | None] = {}

    # -- which packages --------------------------------------------------------------------------

    def follow(self, names: Iterable[str]) -> None:
        """Follow the packages of the imported names, and those that these need, if they may block."""
        packages = {package.module: package for package in map(self.package, names) if package is not None}
        for package in self._following.near(packages):
            self._followed[package.module] = package

    def package(self, name: str) -> Package | None:
        """The package of a name that the catalogue does not know."""
        return self._following.package(name)

    @property
    def said(self) -> dict[str, str]:
        """Why some packages were not read any further, by module."""
        return self._following.said

    # -- what they do ----------------------------------------------------------------------------

    @property
    def libraries(self) -> Mapping[str, Library]:
        """The followed packages, as libraries of which something may block."""
        return {
            package.title: _library(package, about_models=self._following.is_about_models(package))
            for package in self._followed.values()
        }

    def function(self, name: str) -> Entry | None:
        """What the function of this name does."""
        return self._answer(
            "function", name, lambda source: source.function(name), lambda known: known.functions.find(name)
        )

    def cls(self, name: str) -> LibraryType | None:
        """The type of the class of this name."""
        return self._asking(
            self._answer(
                "class", name, lambda source: source.cls(name), lambda known: known.classes.find(name)
            )
        )

    def type(self, name: str) -> LibraryType | None:
        """The type of this name; one of which nothing is known where its package is not read any further."""
        package = self.followed(name)
        found = self._answer("type", name, lambda source: source.type(name))
        return self._asking(found or (package and LibraryType(name, package.title, open=True)))

    def _asking(self, known: LibraryType | None) -> LibraryType | None:
        """The type, with members that are asked for one by one."""
        if known is None or self.followed(known.name) is None:
            return known
        return known._replace(
            methods=_Answers(partial(self.method, known.name)),
            attributes=_Answers(partial(self.attribute, known.name)),
        )

    def method(self, type_name: str, name: str) -> Entry | None:
        """What a method of the type does."""
        asked = f"{type_name}.{name}"

        def known_method(known: Learned) -> Entry | None:
            named = known.types.get(type_name)
            return named.methods.get(name) if named is not None else None

        return self._answer("method", asked, lambda source: source.method(type_name, name), known_method)

    def attribute(self, type_name: str, name: str) -> str:
        """The type of an attribute of the type, empty where it is none that is known."""
        asked = f"{type_name}.{name}"
        return self._answer("attribute", asked, lambda source: source.attribute(type_name, name)) or ""

    def followed(self, name: str) -> Package | None:
        """The followed package to which a qualified name belongs."""
        parts = name.split(".")
        modules = (".".join(parts[:count]) for count in range(1, min(len(parts), 4) + 1))
        return next((self._followed[module] for module in modules if module in self._followed), None)

    def why(self, name: str) -> str:
        """Why nothing is known of the name; empty where its package is not installed."""
        package = self.package(name)
        if package is None:
            return ""
        if package.module in self.said:
            return f"{package.shown} is installed, and {self.said[package.module]}"
        if package.module in self._followed:
            return f"{package.shown} was read, and nothing that blocks is found behind it"
        return f"{package.shown} is installed, and imports nothing that is known to block"

    def _answer(
        self,
        kind: str,
        name: str,
        ask: Callable[[Source], T | None],
        second: Callable[[Learned], T | None] = lambda _: None,
    ) -> T | None:
        """What the package answers; what was learned, where it is not read to the end and says nothing."""
        package = self.followed(name)
        if package is None or name == package.module:
            return None
        key = store.digest(kind.encode(), self._key(package), name.encode())
        found, said = self.kept.of(key, lambda: self._asked(package, ask))
        if said:
            self.said[package.module] = said
        if not said or _says(found):
            return found
        top = package.module.partition(".")[0]
        known = second(learned.of((top,))) if top in learned.modules() else None
        return known or (found if isinstance(found, Entry) and found.returns else None)

    def _asked(self, package: Package, ask: Callable[[Source], T | None]) -> tuple[T | None, str]:
        """The answer of the package, and why it may be that of less than all."""
        source = self.source(package)
        if source is None:
            return None, self.said.get(package.module, "")
        before = source.cut
        try:
            found = ask(source)
        except (RecursionError, LookupError) as error:
            return None, f"reading it failed: {type(error).__name__}"
        if source.is_exhausted:
            return found, "it has more than is looked at in one package"
        return found, _CUT if source.cut > before else ""

    def source(self, package: Package) -> Source | None:
        """The package, ready to be asked."""
        if package.module not in self._sources:
            self._sources[package.module] = None
            try:
                self._sources[package.module] = self._opened(package)
            except TooMuchError as error:
                self.said[package.module] = str(error)
        return self._sources[package.module]

    def _opened(self, package: Package) -> Source:
        catalogue = under(self.base, _Without(self, package))
        return Source(package, self._shelf, catalogue, self._frameworks, self._most_bodies)

    def _key(self, package: Package) -> bytes:
        """What an answer of the package holds for: its version, and those of what it imports."""
        if package.module not in self._keys:
            identities = (each.identity for each in self._following.closure(package))
            self._keys[package.module] = store.digest(self._salt, package.identity, *sorted(identities))
        return self._keys[package.module]


class _Without(_ByName):
    """The layer as one of its own packages sees it: without itself, which it has as its own code."""

    def __init__(self, layer: Installed, package: Package) -> None:
        self._layer = layer
        self._package = package

    @property
    def libraries(self) -> Mapping[str, Library]:
        """The other packages."""
        return {n: lib for n, lib in self._layer.libraries.items() if lib.modules != (self._package.module,)}

    def function(self, name: str) -> Entry | None:
        """The same of another package."""
        return None if self._is_own(name) else self._layer.function(name)

    def cls(self, name: str) -> LibraryType | None:
        """The same of another package."""
        return None if self._is_own(name) else self._layer.cls(name)

    def type(self, name: str) -> LibraryType | None:
        """The same of another package."""
        return None if self._is_own(name) else self._layer.type(name)

    def _is_own(self, name: str) -> bool:
        return name.startswith(f"{self._package.module}.")


class _Asked(NameIndex[T]):
    """An index that asks for each name when it is looked for."""

    def __init__(self, ask: Callable[[str], T | None]) -> None:
        super().__init__(())
        self._ask = ask

    def __bool__(self) -> bool:
        return True

    def _search(self, name: str) -> T | None:
        return self._ask(name)


class _Answers(Mapping[str, T]):
    """What is worked out by name when it is asked for; nobody can tell how much there is."""

    def __init__(self, ask: Callable[[str], T | None]) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> T:
        found = self._ask(name)
        if not found:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _says(found: object) -> bool:
    """Whether an answer says something: that nothing that blocks was found is less than all may say."""
    return found is not None and not (isinstance(found, Entry) and found.role is Role.CHEAP)


def _library(package: Package, *, about_models: bool) -> Library:
    """A library of which anything may block; one that is about models puts machine learning in reach."""
    role = Role.INFERENCE if about_models else Role.PREPROCESSING
    anything = Entry(f"{package.module}.**", role, library=package.title)
    return Library(
        package.title,
        (package.module,),
        f"wheel {package.title}=={package.version}",
        _UNKNOWN,
        _UNKNOWN,
        _UNKNOWN,
        _UNKNOWN,
        "",
        {anything.name: anything},
        {},
        version=package.version,
    )
