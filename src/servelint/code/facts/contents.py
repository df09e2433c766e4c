"""The bytes of a project's files, and what has been seen in them before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from servelint.code.facts.plain import plain
from servelint.finding import Problem
from servelint.project.cache import Facts, Scans
from servelint.store import digest

T = TypeVar("T")


class Files(Protocol):
    """What the analysis needs of `servelint.project.listing.files.Tree`."""

    @property
    def root(self) -> Path:
        """The project's folder."""

    @property
    def python(self) -> tuple[Path, ...]:
        """All Python files, sorted."""

    @property
    def manifests(self) -> tuple[Path, ...]:
        """All files that say how the project is built and deployed, sorted."""

    @property
    def facts(self) -> Facts:
        """The facts of files that have been parsed before."""

    @property
    def scans(self) -> Scans | None:
        """What was read from the bytes of files before, if that is kept."""

    def read(self, path: Path) -> bytes:
        """A file's content."""


class Contents:
    """The bytes of files; one that cannot be read is empty and becomes one of the `problems`."""

    def __init__(self, tree: Files) -> None:
        self.tree = tree
        self.facts = tree.facts
        self.scans = tree.scans
        self.problems: dict[str, Problem] = {}
        self._known: dict[str, bytes] = {}
        self._plain: dict[str, bytes] = {}
        self._digests: dict[str, bytes] = {}
        self._seen: dict[tuple[str, Callable[[bytes], Any]], Any] = {}

    def read(self, path: str) -> bytes:
        """The content of a file."""
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._read(path)
        return found

    def plain(self, path: str) -> bytes:
        """The content of a file as `scan` reads it."""
        found = self._plain.get(path)
        if found is None:
            found = self._plain[path] = plain(self.read(path))
        return found

    def scanned(self, path: str, look: Callable[[bytes], T]) -> T:
        """What a function of `scan` finds in a file, which is looked for once."""
        asked = (path, look)
        if asked not in self._seen:
            self._seen[asked] = self._scanned(path, look)
        seen: T = self._seen[asked]
        return seen

    def _scanned(self, path: str, look: Callable[[bytes], T]) -> T:
        if self.scans is None:
            return look(self.plain(path))
        if path not in self._digests:
            self._digests[path] = digest(self.read(path))
        return self.scans.of(self._digests[path], self.plain(path), look)

    def _read(self, path: str) -> bytes:
        try:
            return self.tree.read(Path(path))
        except OSError as error:
            self.problems[path] = Problem(Path(path), f"cannot be read: {error.strerror}")
            return b""
