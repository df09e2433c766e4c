"""What earlier runs have worked out, kept in a folder of the user's own.

Three files a project: what is read from the bytes of Python files and the facts of those that are parsed,
both by the content of the file, and the findings of whole runs by the size and times of all files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from servelint import store

if TYPE_CHECKING:
    from servelint.finding import Problem
    from servelint.project.config import Config

T = TypeVar("T")
# A file's path and size, and when it was written and changed, in nanoseconds.
Stamp: TypeAlias = tuple[str, int, int, int]

# A fix is written as the project's formatter has it.
FORMATTER_FILES = ("ruff.toml", ".ruff.toml")
# The facts of a hundred thousand files; above that, those that this run did not use are forgotten.
MAXIMUM_SIZE = 256 * 1024 * 1024  # bytes
MAXIMUM_RESULTS = 8
# To work out one file in so many anew costs less than to write what is known of all the others again.
WORTH = 50
# A file that has been written within the tick of a file system's clock may change again unseen.
UNSURE = 2.0  # seconds


class Listed(Protocol):
    """The files of a project, by whose state its results are kept: `listing.files.Tree` is one."""

    @property
    def python(self) -> tuple[Path, ...]:
        """Its Python files."""

    @property
    def manifests(self) -> tuple[Path, ...]:
        """Every other file that may say how it is deployed."""

    @property
    def stamps(self) -> tuple[Stamp, ...] | None:
        """The state of those files, if the listing knows it."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be listed."""

    @property
    def wanted(self) -> frozenset[Path] | None:
        """The files that were asked about, None for all."""

    def have_been_read(self) -> tuple[Path, ...]:
        """The files whose content has been asked for."""


class Cache:
    """The cache of the project at `root`."""

    def __init__(self, root: Path) -> None:
        name = store.digest(os.fsencode(root)).hex()
        self.facts = Facts(store.folder() / f"{name}.facts")
        self.scans = Scans(store.folder() / f"{name}.scans")
        self._results = store.folder() / f"{name}.results"

    def result(
        self,
        tree: Listed,
        config: Config,
        work: Callable[[], T],
        *,
        fixes: bool,
        beside: Iterable[bytes] = (),
    ) -> T:
        """What a run before came to if no file has changed since, else what `work()` comes to.

        A run with `fixes` knows more than one without: it will do for that, too. `beside` is the state of
        what else it depends on.
        """
        start = time.time()
        stamps = tree.stamps if tree.stamps is not None else _stamps((*tree.python, *tree.manifests))
        formatting = store.signatures(config.root / name for name in FORMATTER_FILES)
        state = repr((stamps, tree.problems)).encode("utf-8", "surrogateescape")
        base = store.digest(repr(config).encode(), state, *formatting, *beside)
        wanted = () if tree.wanted is None else tuple(map(os.fsencode, sorted(tree.wanted)))
        # The most that may be known comes first: of all files, with fixes.
        kinds = (b"fixes",) if fixes else (b"fixes", b"findings")
        keys = [store.digest(base, kind, *files) for kind in kinds for files in ((), wanted)]
        known = store.load(self._results)
        for entry in filter(None, map(known.get, keys)):
            others, result = store.unpickled(entry)
            if all(store.signature(path) == signature for path, signature in others):
                earlier: T = result
                return earlier
        result = work()
        self.facts.save()
        self.scans.save()
        newest = max((max(written, changed) for _, _, written, changed in stamps), default=0)
        if newest <= (start - UNSURE) * 1e9:
            listed = {*tree.python, *tree.manifests}
            others = [(path, store.signature(path)) for path in tree.have_been_read() if path not in listed]
            latest = {keys[-1]: store.pickled((others, result))}
            latest |= {key: other for key in known if (other := known.get(key)) and key not in latest}
            store.save(self._results, dict(islice(latest.items(), MAXIMUM_RESULTS)))
        return result


class Facts:
    """The facts of Python files, by content. Without a `path` they are kept for one run only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._made: dict[bytes, Any] = {}
        self._used: set[bytes] = set()

    @cached_property
    def _stored(self) -> Mapping[bytes, bytes]:
        return store.load(self._path) if self._path is not None else {}

    def of(self, content: bytes, extract: Callable[[bytes], T]) -> T:
        """The facts of a file's content; raises what `extract` raises."""
        key = content if self._path is None else store.digest(content)
        found = self._made.get(key)
        if found is None:
            stored = self._stored.get(key)
            found = extract(content) if stored is None else store.unpickled(stored)
            self._made[key] = found
        self._used.add(key)
        return found

    def forget_unused(self) -> None:
        """Forget what has not been asked for since the last time: a file that is typed into changes often."""
        self._made = {key: self._made[key] for key in self._used}
        self._used.clear()

    def save(self) -> None:
        """Keep what was made, if there is enough that is new."""
        if self._path is None or not _is_worth_it(len(self._used - self._stored.keys()), len(self._stored)):
            return
        kept = {key: self._stored.get(key) or store.pickled(self._made[key]) for key in sorted(self._used)}
        size = sum(map(len, kept.values()))
        for key in (key for key in self._stored if key not in kept):
            stored = self._stored.get(key, b"")
            size += len(stored)
            if stored and size <= MAXIMUM_SIZE:
                kept[key] = stored
        store.save(self._path, kept)


class Scans:
    """What was read from the bytes of Python files without a syntax tree, by content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made: dict[bytes, dict[str, Any]] = {}
        self._used: set[bytes] = set()
        self._new: set[bytes] = set()

    @cached_property
    def _stored(self) -> Mapping[bytes, bytes]:
        return store.load(self._path)

    def of(self, key: bytes, content: bytes, look: Callable[[bytes], T]) -> T:
        """What `look` finds in the content, whose digest is `key`: of the language's own types only."""
        import marshal

        found = self._made.get(key)
        if found is None:
            stored = self._stored.get(key)
            found = self._made[key] = {} if stored is None else marshal.loads(stored)  # noqa: S302
        if look.__name__ not in found:
            found[look.__name__] = look(content)
            self._new.add(key)
        self._used.add(key)
        seen: T = found[look.__name__]
        return seen

    def forget_unused(self) -> None:
        """Forget what has not been asked for since the last time."""
        self._made = {key: self._made[key] for key in self._used}
        self._used.clear()

    def save(self) -> None:
        """Keep what this run asked for, if there is enough that is new."""
        import marshal

        if _is_worth_it(len(self._new), len(self._stored)):
            same = self._used - self._new
            kept = {
                key: (self._stored.get(key) if key in same else None) or marshal.dumps(self._made[key])
                for key in sorted(self._used)
            }
            store.save(self._path, kept)


def _is_worth_it(new: int, stored: int) -> bool:
    """Whether so many new entries are worth writing a file again with so many old ones."""
    return new * WORTH >= max(stored, 1)


def _stamps(paths: Iterable[Path]) -> tuple[Stamp, ...]:
    """The state of the files as they are now; one that is not there has a negative size."""
    found: list[Stamp] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append((str(path), -1, 0, 0))
        else:
            found.append((str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)
