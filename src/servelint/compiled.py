"""The data of `rules/`, made ready to be used: reading it from YAML takes ten times as long as a check.

The build of the wheel puts it into one file. In a checkout it is kept in the user's cache until a file of
servelint changes.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from servelint.tables import read, rules_dir

FILE = "compiled.pickle"
CATALOGUE, TABLES = b"catalogue", b"tables"
_IN_CATALOGUE = ("libraries/", "frameworks/")


def part(name: bytes) -> Any:
    """`CATALOGUE`: a `knowledge.Catalogue`; `TABLES`: the content of all other files, by their paths."""
    return pickle.loads(_parts()[name])  # noqa: S301 - comes with the program or from a folder of the user's own


@cache
def _parts() -> Mapping[bytes, bytes]:
    folder = rules_dir()
    try:
        content = (folder / FILE).read_bytes()
    except FileNotFoundError:  # a checkout
        from servelint.cache import kept

        return kept(folder, lambda: made(folder))
    parts: Mapping[bytes, bytes] = pickle.loads(content)  # noqa: S301
    return parts


def made(folder: Path) -> dict[bytes, bytes]:
    """The parts, from the YAML files in `folder`, each pickled; raises `KnowledgeError`."""
    from servelint.catalogue import read_catalogue

    files = read(folder)
    others = {name: data for name, data in files.items() if not name.startswith(_IN_CATALOGUE)}
    return {CATALOGUE: pickle.dumps(read_catalogue(files), 5), TABLES: pickle.dumps(others, 5)}
