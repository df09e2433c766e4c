"""Packages in wheels, read where they are: nothing is unpacked, installed or run."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from servelint import store
from servelint.code.graph.dependencies import normalised
from servelint.code.installed.packages import (
    INFO,
    LARGEST_FILE,
    Package,
    modules,
    required,
)

_MOST_ENTRIES = 50_000


class ArchiveError(ValueError):
    """A file is no wheel that can be read."""


class Wheels:
    """The packages in wheels, as if all of them were installed in one folder."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._packages: dict[str, Package] = {}
        self._entries: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]] = {}
        for path in paths:
            self._add(path)

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
        return modules(self._modules(package), lambda path: self._entries[path][1].file_size)

    def read(self, path: str) -> bytes:
        """The content of a file; raises `OSError`."""
        archive, entry = self._entries[path]
        try:
            with archive.open(entry) as file:
                content = file.read(LARGEST_FILE + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
            raise OSError(5, f"it cannot be read: {error}", path) from error
        if len(content) > LARGEST_FILE:
            raise OSError(27, "it is too large", path)
        return content

    def _modules(self, package: Package) -> Iterator[str]:
        base = os.path.join(package.folder, package.module)
        for path in sorted(self._entries):
            if path in (f"{base}.py", f"{base}.pyi") or path.startswith(f"{base}{os.sep}"):
                yield path

    def _add(self, path: str) -> None:
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
                self._entries[os.path.join(folder, *parts)] = archive, entry
                tops.add(parts[0].partition(".")[0])
        metadata = self._metadata(archive, f"{info[0]}/METADATA")
        for top in sorted(tops):
            self._packages[top] = Package(
                top,
                normalised(info["name"]),
                info["name"].replace("_", "-"),
                info["version"],
                folder,
                frozenset(required(metadata)),
                store.digest(top.encode(), store.signature(path)),
            )

    def _metadata(self, archive: zipfile.ZipFile, name: str) -> str:
        try:
            with archive.open(name) as file:
                return file.read(LARGEST_FILE).decode("utf-8", "replace")
        except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return ""


def _is_name(part: str) -> bool:
    return part.isidentifier()
