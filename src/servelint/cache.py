"""What earlier runs have worked out, kept in a folder of the user's own.

Three files a project: what is read from the bytes of Python files and the facts of those that are parsed,
both by the content of the file, and the findings of whole runs by the size and times of all files. One more
holds servelint's own data where it runs from a checkout. They are pickled, and what is unpickled can run
code, so the folder is not in the project, where somebody else's commit could put it, and is used only if it
is the user's own.

A file that is damaged, cut short or of another version is as good as none. It is replaced in one step, so
that runs at the same time read the old or the new one; of two that write, the last one's stays.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from servelint import __version__

if TYPE_CHECKING:
    from servelint.code.facts import ModuleFacts
    from servelint.config import Config
    from servelint.files import Stamp, Tree
    from servelint.finding import Finding, Problem

    Analysed: TypeAlias = tuple[tuple[Finding, ...], tuple[Problem, ...]]

T = TypeVar("T")

VARIABLE = "SERVELINT_CACHE_DIR"
MAGIC = b"servelint cache 1\n"
DIGEST = 16  # bytes
# A fix is written as the project's formatter has it.
FORMATTER_FILES = ("ruff.toml", ".ruff.toml")
# The facts of a hundred thousand files; above that, those that this run did not use are forgotten.
MAXIMUM_SIZE = 256 * 1024 * 1024  # bytes
MAXIMUM_RESULTS = 8
# To work out one file in so many anew costs less than to write what is known of all the others again.
WORTH = 50
SUFFIXES = (".facts", ".scans", ".results", ".rules", ".new")
# A file that has been written within the tick of a file system's clock may change again unseen.
UNSURE = 2.0  # seconds


def folder() -> Path:
    """Where caches are kept: `SERVELINT_CACHE_DIR`, else the usual place of the platform."""
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "servelint"


class Cache:
    """The cache of the project at `root`."""

    def __init__(self, root: Path) -> None:
        name = digest(os.fsencode(root)).hex()
        self.facts = Facts(folder() / f"{name}.facts")
        self.scans = Scans(folder() / f"{name}.scans")
        self._results = folder() / f"{name}.results"

    def findings(self, tree: Tree, config: Config, analyse: Callable[[], Analysed]) -> Analysed:
        """What a run before found if no file has changed since, else what `analyse()` finds."""
        start = time.time()
        stamps = tree.stamps if tree.stamps is not None else _stamps((*tree.python, *tree.manifests))
        formatting = _signatures(config.root / name for name in FORMATTER_FILES)
        key = digest(repr(config).encode(), repr(stamps).encode("utf-8", "surrogateescape"), *formatting)
        narrow = key if tree.wanted is None else digest(key, *map(os.fsencode, sorted(tree.wanted)))
        known = _load(self._results)
        for entry in filter(None, (known.get(key), known.get(narrow))):
            files, found = _unpickled(entry)
            if all(_signature(path) == signature for path, signature in files):
                analysed: Analysed = found
                return analysed
        analysed = analyse()
        self.facts.save()
        self.scans.save()
        newest = max((max(written, changed) for _, _, written, changed in stamps), default=0)
        if newest <= (start - UNSURE) * 1e9:
            listed = {*tree.python, *tree.manifests}
            others = [(path, _signature(path)) for path in tree.have_been_read() if path not in listed]
            latest = [(narrow, _pickled((others, analysed))), *known.items()]
            _save(self._results, dict(latest[:MAXIMUM_RESULTS]))
        return analysed


class Facts:
    """The facts of Python files, by content. Without a `path` they are kept for one run only."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._made: dict[bytes, ModuleFacts] = {}
        self._used: set[bytes] = set()

    @cached_property
    def _stored(self) -> dict[bytes, bytes]:
        return _load(self._path) if self._path is not None else {}

    def of(self, content: bytes, extract: Callable[[bytes], ModuleFacts]) -> ModuleFacts:
        """The facts of a file's content; raises what `extract` raises."""
        key = content if self._path is None else digest(content)
        found = self._made.get(key)
        if found is None:
            stored = self._stored.get(key)
            found = extract(content) if stored is None else _unpickled(stored)
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
        kept = {
            key: self._stored[key] if key in self._stored else _pickled(self._made[key])
            for key in sorted(self._used)
        }
        size = sum(map(len, kept.values()))
        for key, stored in self._stored.items():
            size += len(stored)
            if size <= MAXIMUM_SIZE:
                kept.setdefault(key, stored)
        _save(self._path, kept)


class Scans:
    """What was read from the bytes of Python files without a syntax tree, by content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made: dict[bytes, dict[str, Any]] = {}
        self._used: set[bytes] = set()
        self._new: set[bytes] = set()

    @cached_property
    def _stored(self) -> dict[bytes, bytes]:
        return _load(self._path)

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
            same = self._stored.keys() - self._new
            kept = {
                k: self._stored[k] if k in same else marshal.dumps(self._made[k]) for k in sorted(self._used)
            }
            _save(self._path, kept)


def _is_worth_it(new: int, stored: int) -> bool:
    """Whether so many new entries are worth writing a file again with so many old ones."""
    return new * WORTH >= max(stored, 1)


def kept(rules: Path, make: Callable[[], dict[bytes, bytes]]) -> dict[bytes, bytes]:
    """What `make()` gives for the data in the folder `rules`, kept until a file of servelint changes."""
    path = folder() / f"{digest(os.fsencode(rules)).hex()}.rules"
    entries = _load(path)
    if not entries:
        entries = make()
        _save(path, entries)
    return entries


def clean() -> int:
    """Remove all caches, of every project, and return how many files that were."""
    files = [path for path in folder().glob("*") if path.suffix in SUFFIXES]
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)


def _pickled(value: object) -> bytes:
    import pickle

    return pickle.dumps(value, protocol=5)


def _unpickled(content: bytes) -> Any:
    import pickle

    return pickle.loads(content)  # noqa: S301 - what is in a folder of the user's own


def digest(*parts: bytes | memoryview) -> bytes:
    """What the parts, one after the other, are known by."""
    from hashlib import blake2b

    made = blake2b(digest_size=DIGEST)
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.digest()


def _signature(path: Path | str) -> bytes:
    """The name, size and times of a file; of one that is not there, its name."""
    name = os.fsencode(path)
    try:
        status = os.stat(path)  # noqa: PTH116 - no object a file
    except OSError:
        return name
    return b"%s\0%d %d %d" % (name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _signatures(paths: Iterable[Path | str]) -> list[bytes]:
    return [_signature(path) for path in paths]


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


@cache
def _version() -> bytes:
    """What decides whether an old cache still holds: this program, its data, and Python."""
    from servelint.tables import rules_dir

    folders = (Path(__file__).parent, rules_dir())
    files = sorted(path for folder in folders for path in _files_below(str(folder)))
    return digest(__version__.encode(), sys.version.encode(), *_signatures(files))


def _files_below(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry.path
            elif entry.name != "__pycache__":
                yield from _files_below(entry.path)


def _load(path: Path) -> dict[bytes, bytes]:
    """The entries of a cache file; none where it is missing, damaged, of another version or not ours."""
    try:
        with path.open("rb") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return {}
            content = file.read()
    except OSError:
        return {}
    head = MAGIC + _version()
    body = memoryview(content)[len(head) + DIGEST :]
    if not content.startswith(head) or content[len(head) : len(head) + DIGEST] != digest(body):
        return {}
    import marshal

    entries: dict[bytes, bytes] = marshal.loads(body)  # noqa: S302
    return entries


def _save(path: Path, entries: dict[bytes, bytes]) -> None:
    """Replace a cache file. A place that cannot be written is done without."""
    import marshal
    import tempfile

    body = marshal.dumps(entries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, new = tempfile.mkstemp(dir=path.parent, suffix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + _version() + digest(body) + body)
        Path(new).replace(path)
    except OSError:
        return
