"""What was learned from wheels of libraries that nobody has described: `rules/learned`, one file a module.

A file is read only where a project imports the module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from servelint.knowledge.layers import functions_of
from servelint.knowledge.types import ClassIndex, Entry, Library, LibraryType, NameIndex
from servelint.store import rules_dir

FOLDER = "learned"


class Learned(NamedTuple):
    """Libraries to be laid under the catalogue."""

    libraries: Mapping[str, Library]
    functions: NameIndex[Entry]
    classes: NameIndex[LibraryType]
    types: Mapping[str, LibraryType]


@cache
def modules() -> frozenset[str]:
    """The top-level modules that there is a file of."""
    return frozenset(path.stem for path in (rules_dir() / FOLDER).glob("*.json"))


def of(tops: Iterable[str]) -> Learned:
    """What is known of the modules; raises `KnowledgeError`."""
    read = [_library(top) for top in sorted(tops)]
    types = {name: known for library in read for name, known in library.types.items()}
    return Learned({library.name: library for library in read}, functions_of(read), ClassIndex(types), types)


@cache
def _library(top: str) -> Library:
    import json

    from servelint.knowledge.catalogue import read_library
    from servelint.knowledge.tables import Table

    path = rules_dir() / FOLDER / f"{top}.json"
    return read_library(Table(json.loads(path.read_text("utf-8")), f"{FOLDER}/{path.name}"))
