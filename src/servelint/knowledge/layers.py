"""A catalogue with what a project says laid over it, and what was read in packages laid under it.

What stands nearer to the user wins: the project's own files, then `rules/`, then what was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from servelint.knowledge.types import (
    Catalogue,
    ClassIndex,
    Entry,
    Library,
    LibraryType,
    NameIndex,
    Verdict,
)

T = TypeVar("T")


class Under(Protocol):
    """What is known of libraries that nobody has described: asked by name, worked out when asked."""

    @property
    def libraries(self) -> Mapping[str, Library]:
        """The libraries of which something may be known."""

    @property
    def functions(self) -> NameIndex[Entry]:
        """Their functions."""

    @property
    def classes(self) -> NameIndex[LibraryType]:
        """Their classes."""

    @property
    def types(self) -> Mapping[str, LibraryType]:
        """The types of their classes, by the names that `returns` and others have."""


class Layers(NameIndex[T]):
    """Several indexes, of which the first that knows a name answers."""

    def __init__(self, *layers: NameIndex[T]) -> None:
        super().__init__(())
        self._layers = layers

    def __bool__(self) -> bool:
        return any(self._layers)

    def last_names(self) -> frozenset[str]:
        """The last segments that a name can have to be found (`*` for any)."""
        return frozenset().union(*(layer.last_names() for layer in self._layers))

    def _search(self, name: str) -> T | None:
        for layer in self._layers:
            found = layer.find(name)
            if found is not None:
                return found
        return None


class _Types(Mapping[str, LibraryType]):
    """Several mappings from names to types, of which the first that has a name answers."""

    def __init__(self, *layers: Mapping[str, LibraryType]) -> None:
        self._layers = layers

    def __getitem__(self, name: str) -> LibraryType:
        for layer in self._layers:
            found = layer.get(name)
            if found is not None:
                return found
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for layer in self._layers for name in layer))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def over(base: Catalogue, libraries: Sequence[Library]) -> Catalogue:
    """The catalogue with libraries laid over it."""
    if not libraries:
        return base
    types = {name: known for library in libraries for name, known in library.types.items()}
    merged = dict(base.libraries)
    for library in libraries:
        merged[library.name] = _joined(library, merged.get(library.name))
    return replace(
        base,
        libraries=merged,
        types=_Types(types, base.types),
        functions=Layers(functions_of(libraries), base.functions),
        classes=Layers(ClassIndex(types), base.classes),
    )


def under(base: Catalogue, more: Under) -> Catalogue:
    """The catalogue with what was read laid under it."""
    return replace(
        base,
        libraries={**more.libraries, **base.libraries},
        types=_Types(base.types, more.types),
        functions=Layers(base.functions, more.functions),
        classes=Layers(base.classes, more.classes),
    )


def without(base: Catalogue, modules: Collection[str]) -> Catalogue:
    """The catalogue without the libraries that have one of the top-level modules."""
    kept = {
        name: library
        for name, library in base.libraries.items()
        if not any(module.partition(".")[0] in modules for module in library.modules)
    }
    types = {name: known for library in kept.values() for name, known in library.types.items()}
    return replace(
        base, libraries=kept, types=types, functions=functions_of(kept.values()), classes=ClassIndex(types)
    )


def functions_of(libraries: Iterable[Library]) -> NameIndex[Entry]:
    """The functions of libraries, by their names."""
    return NameIndex((name, entry) for library in libraries for name, entry in library.functions.items())


def _joined(library: Library, other: Library | None) -> Library:
    """What two descriptions of one library say together; where both say something, the first."""
    if other is None:
        return library
    claims = {
        name: getattr(other, name)
        for name in ("thread_safe", "thread_safe_remote", "gil", "context")
        if getattr(library, name).verdict == Verdict.UNKNOWN
    }
    return library._replace(
        **claims,
        modules=tuple(dict.fromkeys((*library.modules, *other.modules))),
        advice=library.advice or other.advice,
        functions={**other.functions, **library.functions},
        types={**other.types, **library.types},
        thread_local=tuple(dict.fromkeys((*library.thread_local, *other.thread_local))),
    )
