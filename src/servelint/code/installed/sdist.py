"""What is in a source distribution, read in memory: nothing is unpacked, built or run.

https://packaging.python.org/en/latest/specifications/source-distribution-format/
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import IO, NamedTuple, cast

from servelint.code.graph.dependencies import normalised
from servelint.code.installed.packages import LARGEST_FILE, required

ENDS = (".tar.gz", ".zip")
_MOST_ENTRIES = 50_000
_MOST_TOPS = 50
_MOST_UNPACKED = 512 * 1024 * 1024
_MOST_KEPT = 64 * 1024 * 1024
_TOO_MUCH = f"it has more than {_MOST_UNPACKED // 2**20} MiB"
_LONGEST_READ = 16 * 1024 * 1024  # a header may say that it is as long as it likes
_HEADER = re.compile(r"^(Name|Version):[ \t]*([\w.+!-]+)[ \t]*\r?$", re.MULTILINE)
_REQUIRED = re.compile(r"[A-Za-z0-9][\w.-]*")
_BASES = ("src/", "", "python/", "lib/")
# What stands beside the packages: it is not installed, whatever a build file says.
_BESIDE = frozenset(
    "benchmark benchmarks build ci conftest demo demos dist doc docs example examples notebooks noxfile"  # noqa: SIM905
    " run_tests script scripts setup tasks test tests tool tools versioneer".split()
)
_FAILURES = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)


class SdistError(ValueError):
    """A file is no source distribution that can be read."""


class Sdist(NamedTuple):
    """The modules that it installs, by the path that each would have, and what it says of itself.

    The content is None where it is too large to be read.
    """

    title: str
    version: str
    requires: frozenset[str]
    files: Mapping[str, bytes | None]


def read(path: str) -> Sdist:
    """Read one; raises `SdistError`."""
    try:
        texts = _below(dict(_members(path)))
    except (*_FAILURES, ValueError, RuntimeError, OverflowError) as error:
        raise SdistError(f"{path}: is no source distribution: {error}") from error
    about = texts.get("PKG-INFO") or b""
    told = dict(_HEADER.findall(about.decode("utf-8", "replace").partition("\n\n")[0]))
    if "Name" not in told or "Version" not in told:
        raise SdistError(f"{path}: is no source distribution: it has no PKG-INFO with a name and a version")
    infos = {
        name.rpartition("/")[2]: (text or b"").decode("utf-8", "replace")
        for name, text in texts.items()
        if ".egg-info/" in name
    }
    needs = {*required(about.decode("utf-8", "replace")), *_required(infos.get("requires.txt", ""))}
    sources = {name: text for name, text in texts.items() if name.endswith((".py", ".pyi"))}
    tops = _tops(sources, infos.get("top_level.txt", "").split()[:_MOST_TOPS], told["Name"])
    return Sdist(told["Name"].replace("_", "-"), told["Version"], frozenset(needs), _installed(sources, tops))


def _installed(sources: Mapping[str, bytes | None], tops: Mapping[str, str]) -> dict[str, bytes | None]:
    """The sources below the names that are installed, without the folder that these are in."""
    found: dict[str, bytes | None] = {}
    for name, text in sources.items():
        for top, folder in tops.items():
            inside = name.removeprefix(folder)
            if name.startswith(folder) and _top(inside) == top:
                found[inside] = text
    return found


def _tops(sources: Mapping[str, bytes | None], told: Iterable[str], distribution: str) -> dict[str, str]:
    """The names that are installed, each with the folder that it is in, `src/` mostly or none.

    Setuptools says which they are; of what others have built, packages that stand where packages do.
    """
    if known := {top: place for top in told if (place := _place(top, sources)) is not None}:
        return known
    title = normalised(distribution).replace("-", "_")
    for base in _bases(sources, title):
        names = {_top(name.removeprefix(base)) for name in sources if name.startswith(base)} - _BESIDE
        if own := {n for n in names if n.lower() == title or f"{base}{n}/__init__.py" in sources}:
            return dict.fromkeys(sorted(own), base)
    return {}


def _bases(sources: Iterable[str], title: str) -> Iterator[str]:
    """Where packages may stand, first where one has the name of the distribution."""
    usual = [
        (base, {_top(n.removeprefix(base)).lower() for n in sources if n.startswith(base)}) for base in _BASES
    ]
    yield from (base for base, names in usual if title in names)
    if (place := _place(title, sources)) is not None:
        yield place
    yield from _BASES
    packages = [name for name in sources if name.endswith("/__init__.py")]
    packages = [name for name in packages if not _BESIDE.intersection(name.split("/")[:-1])]
    if nearest := min(packages, key=lambda name: (name.count("/"), name), default=""):
        yield f"{'/'.join(nearest.split('/')[:-2])}/"


def _place(top: str, sources: Iterable[str]) -> str | None:
    """The folder nearest to the root that has a package or a module of this name."""
    ends = (f"/{top}/__init__.py", f"/{top}.py", f"/{top}/__init__.pyi", f"/{top}.pyi")
    found = {f"/{name}".removesuffix(end) for name in sources for end in ends if f"/{name}".endswith(end)}
    places = [folder for folder in found if not _BESIDE.intersection(folder.split("/"))]
    if places:
        nearest = min(places, key=lambda folder: (folder.count("/"), folder))
        return f"{nearest[1:]}/" if nearest else ""
    return "" if any(name.startswith(f"{top}/") for name in sources) else None


def _top(name: str) -> str:
    return name.partition("/")[0].partition(".")[0]


def _required(text: str) -> Iterator[str]:
    """What `requires.txt` names before its first section: that is needed in any case."""
    for line in text.partition("[")[0].split("\n"):
        if found := _REQUIRED.match(line):
            yield normalised(found[0])


def _below(texts: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """The files by their path below the folder that all are in: the one with PKG-INFO."""
    abouts = [name for name in texts if name.endswith("PKG-INFO")]
    folder = min(abouts, key=lambda name: name.count("/"), default="").removesuffix("PKG-INFO")
    found = {name.removeprefix(folder): text for name, text in texts.items() if name.startswith(folder)}
    return {
        name: text for name, text in found.items() if "/" not in name or _is_inside(name.partition("/")[0])
    }


def _is_inside(part: str) -> bool:
    return part.isidentifier() or part.endswith(".egg-info")


def _members(path: str) -> Iterator[tuple[str, bytes | None]]:
    """The files that matter, by their path without the `./` that some begin with."""
    kept = 0
    for name, size, file in _zipped(path) if path.endswith(".zip") else _tarred(path):
        inside = _inside(name)
        if inside is None:
            continue
        text = None if size > LARGEST_FILE else file().read(LARGEST_FILE + 1)
        if text is not None and len(text) > LARGEST_FILE:
            text = None
        kept += len(text or b"")
        if kept > _MOST_KEPT:
            raise SdistError(f"it has more than {_MOST_KEPT // 2**20} MiB of source")
        yield inside, text


def _inside(name: str) -> str | None:
    """The path of a module, or of a file about the distribution; None for every other file."""
    parts = [part for part in name.split("/") if part != "."]
    *folders, last = parts or [""]
    if last == "PKG-INFO" and len(folders) < 2:
        return "/".join(parts)
    if folders and folders[-1].endswith(".egg-info") and last in ("top_level.txt", "requires.txt"):
        return "/".join(parts)
    is_module = last.endswith((".py", ".pyi")) and last.partition(".")[0].isidentifier()
    return "/".join(parts) if is_module and all(map(str.isidentifier, folders[1:])) else None


def _zipped(path: str) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise SdistError(f"it has more than {_MOST_ENTRIES:,} files")
        for entry in entries:
            yield entry.filename, entry.file_size, partial(archive.open, entry)


def _tarred(path: str) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    with (
        gzip.open(path) as unpacked,
        # What it needs of a file is there: read, seek and tell.
        tarfile.open(fileobj=cast(IO[bytes], _Forward(unpacked)), mode="r:") as archive,
    ):
        for number, entry in enumerate(archive):
            if number >= _MOST_ENTRIES:
                raise SdistError(f"it has more than {_MOST_ENTRIES:,} files")
            # A link may lead anywhere, a sparse file be of any size.
            if entry.isreg() and not entry.issparse():
                yield entry.name, entry.size, partial(_opened, archive, entry)


def _opened(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    return archive.extractfile(entry) or io.BytesIO()


class _Forward(io.RawIOBase):
    """A stream that is read once from its beginning, and only so far.

    To go back would mean to unpack everything again, and an entry of a negative size leads back for ever
    (CVE-2025-8194).
    """

    def __init__(self, stream: gzip.GzipFile) -> None:
        self.stream = stream

    def read(self, size: int = -1, /) -> bytes:
        """What comes next."""
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError("a header is too long")
        return self._within(self.stream.read(size))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go on to a place."""
        if whence != os.SEEK_SET or offset < self.tell():
            raise tarfile.ReadError("an entry has no size")
        if offset > _MOST_UNPACKED:
            raise tarfile.ReadError(_TOO_MUCH)
        return self.stream.seek(offset)

    def tell(self) -> int:
        """How far it is read."""
        return self.stream.tell()

    def _within(self, found: bytes) -> bytes:
        if self.tell() > _MOST_UNPACKED:
            raise tarfile.ReadError(_TOO_MUCH)
        return found
