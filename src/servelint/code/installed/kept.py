"""What was read in packages, kept for the next run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from servelint import store

T = TypeVar("T")


class Kept:
    """What was read in the packages of one environment, for the next run; without a `path` for this one."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._new: dict[bytes, bytes] = {}
        self._saved: set[bytes] = set()

    @cached_property
    def _stored(self) -> Mapping[bytes, bytes]:
        return store.load(self._path) if self._path is not None else {}

    def of(self, key: bytes, work: Callable[[], T]) -> T:
        """What was found before under the key, else what `work()` finds."""
        stored = self._new.get(key) or self._stored.get(key)
        if stored is not None:
            before: T = store.unpickled(stored)
            return before
        found = work()
        self._new[key] = store.pickled(found)
        return found

    def save(self) -> None:
        """Keep what is new."""
        if self._path is not None and not self._saved.issuperset(self._new):
            before = {key: kept for key in self._stored if (kept := self._stored.get(key))}
            store.save(self._path, before | self._new)
            self._saved.update(self._new)
