"""The data of `rules/`, made ready to be used: reading it from YAML takes ten times as long as a check.

The build of the wheel puts it into one file. In a checkout it is kept in the user's cache until a file of
servelint changes.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servelint import store
from servelint.knowledge.tables import Contents, Table, read
from servelint.store import rules_dir

if TYPE_CHECKING:
    from servelint.knowledge.types import Catalogue

FILE = "compiled.pickle"
CATALOGUE, TABLES = b"catalogue", b"tables"
_IN_CATALOGUE = ("libraries/", "frameworks/")


@cache
def catalogue(folder: Path | None = None) -> Catalogue:
    """All libraries and frameworks that servelint comes with, or those that files below `folder` describe.

    Raises `tables.KnowledgeError` for a file that does not have the documented form.
    """
    if folder is None:
        known: Catalogue = _part(CATALOGUE)
        return known
    from servelint.knowledge.catalogue import read_catalogue

    return read_catalogue(read(folder))


def table(name: str) -> Table:
    """The mapping in the file `name` of `rules/`."""
    return Table(tables()[name], name)


@cache
def tables() -> Contents:
    """The data files of which no catalogue is made, by their paths below `rules/`."""
    found: Contents = _part(TABLES)
    return found


def _part(name: bytes) -> Any:
    return pickle.loads(_parts()[name])  # noqa: S301 - comes with the program or from a folder of the user's own


@cache
def _parts() -> Mapping[bytes, bytes]:
    folder = rules_dir()
    try:
        content = (folder / FILE).read_bytes()
    except FileNotFoundError:  # a checkout
        return _kept(folder)
    parts: Mapping[bytes, bytes] = pickle.loads(content)  # noqa: S301
    return parts


def _kept(folder: Path) -> Mapping[bytes, bytes]:
    """The parts, as they were made since a file of servelint has changed."""
    path = store.folder() / f"{store.digest(os.fsencode(folder)).hex()}.rules"
    known, names = store.load(path), (CATALOGUE, TABLES)
    parts = {name: part for name in names if (part := known.get(name)) is not None}
    if len(parts) < len(names):
        parts = made(folder)
        store.save(path, parts)
    return parts


def made(folder: Path) -> dict[bytes, bytes]:
    """The parts, from the YAML files in `folder`, each pickled; raises `KnowledgeError`."""
    from servelint.knowledge.catalogue import read_catalogue

    files = read(folder)
    others = {name: data for name, data in files.items() if not name.startswith(_IN_CATALOGUE)}
    return {CATALOGUE: pickle.dumps(read_catalogue(files), 5), TABLES: pickle.dumps(others, 5)}
