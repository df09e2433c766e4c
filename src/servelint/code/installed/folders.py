"""Folders of packages: what is in one, and what changes when something is installed.

This is all that a run asks for whose findings are kept, so it imports next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from servelint import store

_DEEPEST = 12


def state(folders: Sequence[str]) -> list[bytes]:
    """What changes when something is installed, changed or removed, for a look that costs next to nothing.

    Who installs makes a folder that says so anew, which changes the folder around it. One in which no
    distribution says what is its own is looked at file by file.
    """
    found: list[bytes] = []
    for folder in folders:
        names = listed(folder)
        described = any(name.endswith(".dist-info") for name in names)
        tops = set() if described else {name.partition(".")[0] for name in names} - {""}
        inner = (path for top in sorted(tops) for path in walked(folder, top))
        found += [store.signature(folder), *store.signatures(inner)]
    return found


def listed(folder: str) -> list[str]:
    """What is in a folder, in no order; nothing where it cannot be read."""
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


def walked(folder: str, module: str) -> Iterator[str]:
    """The sources and stubs of a module or package, the source before its stub."""
    base = os.path.join(folder, *module.split("."))
    yield from (f"{base}{end}" for end in (".py", ".pyi") if Path(f"{base}{end}").is_file())
    waiting = [(base, 0)]
    while waiting:
        here, depth = waiting.pop()
        try:
            with os.scandir(here) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in listed:
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST and entry.name.isidentifier() and entry.name != "__pycache__":
                    waiting.append((entry.path, depth + 1))
            elif entry.name.endswith((".py", ".pyi")):
                yield entry.path
