"""Files in a folder of the user's own that hold what servelint has worked out, each replaced in one step.

They are marshalled and pickled, and what is unpickled can run code, so the folder is not in the project,
where somebody else's commit could put it, and a file is used only if it is the user's own. One that is
damaged, cut short or of another version is as good as none. Of two runs that write at the same time, the
last one's stays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from servelint.version import __version__

VARIABLE = "SERVELINT_CACHE_DIR"
MAGIC = b"servelint cache 2\n"
DIGEST = 16  # bytes
SIZE = 8  # bytes of a number
_NOWHERE = Path(os.devnull)  # a device has nothing below it
SUFFIXES = (".facts", ".scans", ".results", ".rules", ".packages", ".new")


def folder() -> Path:
    """Where caches are kept: `SERVELINT_CACHE_DIR`, else the usual place of the platform.

    Where there is no such place it is one that cannot be: nothing is found there, and nothing kept.
    """
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or _home("AppData", "Local")
    elif sys.platform == "darwin":
        base = _home("Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or _home(".cache")
    # One that is relative would be in the project, where somebody else's commit could have put it.
    return Path(base if Path(base).is_absolute() else _NOWHERE) / "servelint"


def _home(*names: str) -> str:
    """A place in the home of the user, who in a container may have neither `HOME` nor a name."""
    try:
        return str(Path.home().joinpath(*names))
    except RuntimeError:
        return str(_NOWHERE)


def rules_dir() -> Path:
    """The folder `rules/`: inside the installed package, or beside `src/` in a checkout."""
    packaged = Path(__file__).parent / "rules"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "rules"


def clean() -> int:
    """Remove all caches, of every project, and return how many files that were."""
    files = [path for path in folder().glob("*") if path.suffix in SUFFIXES]
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)


class Entries(Mapping[bytes, bytes]):
    """The entries of a file of the store, each read when it is asked for.

    Of a file that knows a whole repository a run over one file needs little. So only the index is read at
    once: where each entry is, and what it is known by. An entry that is damaged is none.
    """

    def __init__(
        self, file: BinaryIO | None = None, index: dict[bytes, tuple[int, int, bytes]] | None = None
    ) -> None:
        self._file = file
        self._index = index or {}

    def __getitem__(self, key: bytes) -> bytes:
        start, size, known = self._index[key]
        try:
            assert self._file is not None
            self._file.seek(start)
            content = self._file.read(size)
        except OSError:
            content = b""
        if digest(content) != known:
            del self._index[key]
            raise KeyError(key)
        return content

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._index))

    def __len__(self) -> int:
        return len(self._index)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()


def load(path: Path) -> Entries:
    """The entries of a file of the store; none where it is missing, damaged, old or not ours."""
    try:
        file: BinaryIO = path.open("rb")
    except OSError:
        return Entries()
    try:
        index = _index(file)
    except OSError:
        index = None
    if index is None:
        file.close()
        return Entries()
    if os.name == "nt":  # where a file that is open cannot be replaced
        file.seek(0)
        whole = BytesIO(file.read())
        file.close()
        file = whole
    return Entries(file, index)


def _index(file: BinaryIO) -> dict[bytes, tuple[int, int, bytes]] | None:
    """Where the entries are, how long, and what they are known by; None if it cannot be told."""
    if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
        return None
    head = MAGIC + _version()
    start = file.read(len(head) + DIGEST + SIZE)
    if not start.startswith(head) or len(start) < len(head) + DIGEST + SIZE:
        return None
    size = int.from_bytes(start[len(head) + DIGEST :], "little")
    if size > os.fstat(file.fileno()).st_size:
        return None
    body = file.read(size)
    if digest(body) != start[len(head) : len(head) + DIGEST]:
        return None
    import marshal

    places: dict[bytes, tuple[int, bytes]] = marshal.loads(body)  # noqa: S302
    index, place = {}, len(start) + size
    for key, (length, known) in places.items():
        index[key] = place, length, known
        place += length
    return index


def save(path: Path, entries: Mapping[bytes, bytes]) -> None:
    """Replace a file of the store. A place that cannot be written is done without."""
    import marshal
    import tempfile

    body = marshal.dumps({key: (len(value), digest(value)) for key, value in entries.items()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, new = tempfile.mkstemp(dir=path.parent, suffix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + _version() + digest(body) + len(body).to_bytes(SIZE, "little") + body)
            file.writelines(entries.values())
        Path(new).replace(path)
    except OSError:
        return


def pickled(value: object) -> bytes:
    """The value as bytes."""
    import pickle

    return pickle.dumps(value, protocol=5)


def unpickled(content: bytes) -> Any:
    """The value that `pickled` made the bytes of."""
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


def signature(path: Path | str) -> bytes:
    """The name, size and times of a file; of one that is not there, its name."""
    name = os.fsencode(path)
    try:
        status = os.stat(path)  # noqa: PTH116 - no object a file
    except OSError:
        return name
    return b"%s\0%d %d %d" % (name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def signatures(paths: Iterable[Path | str]) -> list[bytes]:
    """The signature of each file."""
    return [signature(path) for path in paths]


@cache
def _version() -> bytes:
    """What decides whether an old file still holds: this program, its data, and Python."""
    folders = (Path(__file__).parent, rules_dir())
    files = sorted(path for folder in folders for path in _files_below(str(folder)))
    return digest(__version__.encode(), sys.version.encode(), *signatures(files))


def _files_below(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry.path
            elif entry.name != "__pycache__":
                yield from _files_below(entry.path)
