"""Packages in wheels and source distributions, read where they are: nothing is unpacked, built or run."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from servelint import store
from servelint.code.graph.dependencies import normalised
from servelint.code.installed import sdist
from servelint.code.installed.packages import INFO, LARGEST_FILE, Package, modules, required

_MOST_ENTRIES = 50_000


class ArchiveError(ValueError):
    """A file is no wheel and no source distribution that can be read."""


class Archives:
    """The packages in wheels and source distributions, as if all were installed in one folder."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._packages: dict[str, Package] = {}
        self._entries: dict[str, tuple[int, Callable[[], bytes | None]]] = {}
        for path in paths:
            if path.endswith(sdist.ENDS):
                self._add_sdist(path)
            else:
                self._add_wheel(path)

    @property
    def packages(self) -> tuple[Package, ...]:
        """All packages, sorted by module."""
        return tuple(self._packages[module] for module in sorted(self._packages))

    def package(self, name: str) -> Package | None:
        """The package to which a qualified name belongs."""
        return self._packages.get(name.partition(".")[0])

    def provided(self, distribution: str) -> Iterator[Package]:
        """The packages of a distribution."""
        return (package for package in self.packages if package.distribution == distribution)

    def files(self, package: Package) -> Mapping[str, str]:
        """The modules of a package; raises `TooMuchError`."""
        return modules(self._modules(package), lambda path: self._entries[path][0])

    def read(self, path: str) -> bytes:
        """The content of a file; raises `OSError`."""
        content = self._entries[path][1]()
        if content is None:
            raise OSError(27, "it is too large", path)
        return content

    def _modules(self, package: Package) -> Iterator[str]:
        base = os.path.join(package.folder, package.module)
        for path in sorted(self._entries):
            if path in (f"{base}.py", f"{base}.pyi") or path.startswith(f"{base}{os.sep}"):
                yield path

    def _add_wheel(self, path: str) -> None:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise ArchiveError(f"{path}: is no wheel: {error}") from error
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise ArchiveError(f"{path}: has more than {_MOST_ENTRIES:,} files")
        info = next((m for m in (INFO.match(entry.filename) for entry in entries) if m), None)
        if info is None:
            raise ArchiveError(f"{path}: is no wheel: it has no folder *.dist-info")
        # Two wheels may have a package of the same name; their files must not be taken for each other's.
        folder = os.fspath(Path(path).absolute())
        tops: set[str] = set()
        for entry in entries:
            parts = entry.filename.split("/")
            if parts[-1].endswith((".py", ".pyi")) and all(
                map(_is_name, (*parts[:-1], parts[-1].partition(".")[0]))
            ):
                inside = os.path.join(folder, *parts)
                self._entries[inside] = entry.file_size, partial(_read, archive, entry)
                tops.add(parts[0].partition(".")[0])
        needs = frozenset(required(self._metadata(archive, f"{info[0]}/METADATA")))
        self._name(path, tops, info["name"].replace("_", "-"), info["version"], needs)

    def _add_sdist(self, path: str) -> None:
        try:
            found = sdist.read(path)
        except sdist.SdistError as error:
            raise ArchiveError(str(error)) from error
        folder = os.fspath(Path(path).absolute())
        for name, content in found.files.items():
            self._entries[os.path.join(folder, *name.split("/"))] = (
                len(content or b""),
                partial(_same, content),
            )
        tops = {name.partition("/")[0].partition(".")[0] for name in found.files}
        self._name(path, tops, found.title, found.version, found.requires)

    def _name(self, path: str, tops: set[str], title: str, version: str, needs: frozenset[str]) -> None:
        """Make known whose these packages are."""
        folder = os.fspath(Path(path).absolute())
        for top in sorted(tops):
            identity = store.digest(top.encode(), store.signature(path))
            self._packages[top] = Package(top, normalised(title), title, version, folder, needs, identity)

    def _metadata(self, archive: zipfile.ZipFile, name: str) -> str:
        try:
            with archive.open(name) as file:
                return file.read(LARGEST_FILE).decode("utf-8", "replace")
        except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    """The content of a file in a wheel, None if it is too large; raises `OSError`."""
    try:
        with archive.open(entry) as file:
            content = file.read(LARGEST_FILE + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise OSError(5, f"it cannot be read: {error}", entry.filename) from error
    return content if len(content) <= LARGEST_FILE else None


def _same(content: bytes | None) -> bytes | None:
    return content


def _is_name(part: str) -> bool:
    return part.isidentifier()
