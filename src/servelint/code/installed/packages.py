"""Which packages are in a folder of packages, which distributions they are of, and their files.

Only regular files are read, none that is large, and no link to a folder is followed.
https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from servelint import store
from servelint.code.graph.dependencies import normalised
from servelint.code.installed.folders import listed, walked
from servelint.project import disk

MOST_FILES = 1_500
MOST_BYTES = 24 * 1024 * 1024
LARGEST_FILE = 2 * 1024 * 1024
_LARGEST_RECORD = 16 * 1024 * 1024
# How many folders without `__init__.py` may stand in each other: `company/team/service/`.
_DEEPEST_NAMESPACE = 4
INFO = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*?)-(?P<version>[^-/]+)\.dist-info")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[\w-]+)?\.(?:so|pyd|pyi|py)")
_REQUIRED = re.compile(r"^Requires-Dist:\s*([A-Za-z0-9][\w.-]*)([^\r\n]*)", re.MULTILINE)


class TooMuchError(Exception):
    """A package has more than is read; `str` says what."""


class Package(NamedTuple):
    """One importable package: its dotted name, whose it is, and what it and its version are known by.

    `distribution` is normalised, `title` how the distribution spells itself. `folder` is where packages are.
    """

    module: str
    distribution: str
    title: str
    version: str
    folder: str
    requires: frozenset[str]
    identity: bytes

    @property
    def shown(self) -> str:
        """The distribution and its version."""
        return f"{self.title} {self.version}".rstrip()


class Shelf(Protocol):
    """Somewhere where packages are: folders of an environment, or wheels."""

    def package(self, name: str) -> Package | None:
        """The package to which a qualified name belongs."""

    def provided(self, distribution: str) -> Iterable[Package]:
        """The packages of a distribution, by its normalised name."""

    def files(self, package: Package) -> Mapping[str, str]:
        """Its modules: the path that each would have as Python source, and that of what is read for it.

        Raises `TooMuchError`.
        """

    def read(self, path: str) -> bytes:
        """The content of one of these files; raises `OSError`."""


class Distribution(NamedTuple):
    """What a folder `*.dist-info` says."""

    name: str
    version: str
    info: str


class Packages:
    """The packages in the folders of an environment."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders
        self._found: dict[str, Package | None] = {}
        self._records: dict[str, str] = {}

    def has(self, top: str) -> bool:
        """Whether something of this name can be imported from one of the folders."""
        return any(top in tops for tops in self._tops.values())

    def package(self, name: str) -> Package | None:
        """The package to which a qualified name belongs, None where it is not installed."""
        parts = name.split(".")
        for count in range(1, min(len(parts), _DEEPEST_NAMESPACE) + 1):
            module = ".".join(parts[:count])
            if module not in self._found:
                self._found[module] = self._look(module)
            found = self._found[module]
            if found is not None:
                return found
        return None

    def _look(self, module: str) -> Package | None:
        top, _, rest = module.partition(".")
        for folder in self._folders:
            if top in self._tops[folder]:
                if not _is_module(f"{folder}/{module.replace('.', '/')}", alone=not rest):
                    continue
                return self._described(folder, module)
        return None

    def _described(self, folder: str, module: str) -> Package:
        top = module.partition(".")[0]
        owner = self._owner(folder, module) or (self._owner(folder, top) if top != module else None)
        if owner is None:
            paths = (path for path in walked(folder, module))
            identity = store.digest(module.encode(), *store.signatures(paths))
            return Package(module, normalised(module), module, "", folder, frozenset(), identity)
        signs = store.signatures(f"{owner.info}/{name}" for name in ("RECORD", "METADATA"))
        return Package(
            module,
            normalised(owner.name),
            owner.name.replace("_", "-"),
            owner.version,
            folder,
            frozenset(required(_text(f"{owner.info}/METADATA"))),
            store.digest(module.encode(), owner.version.encode(), *signs),
        )

    def _owner(self, folder: str, module: str) -> Distribution | None:
        """Whose a module is, or a folder that several share: by its name, else by who has put it there."""
        infos = self._infos[folder]
        if normalised(module) in infos:
            return infos[normalised(module)]
        path = module.replace(".", "/")
        return next((info for info in infos.values() if _has(self._record(info), path)), None)

    def _record(self, info: Distribution) -> str:
        """The list of all files of a distribution, one a line; where it has none, of its modules."""
        if info.info not in self._records:
            text = _text(f"{info.info}/RECORD", _LARGEST_RECORD)
            tops = _text(f"{info.info}/top_level.txt").split() if not text else ()
            self._records[info.info] = "\n" + (text or "\n".join(f"{top}/__init__.py" for top in tops))
        return self._records[info.info]

    def provided(self, distribution: str) -> Iterator[Package]:
        """The packages of a distribution."""
        for infos in self._infos.values():
            if distribution in infos:
                names = dict.fromkeys(_tops(self._record(infos[distribution])))
                found = (self.package(name) for name in names)
                yield from dict.fromkeys(p for p in found if p is not None and p.distribution == distribution)

    def files(self, package: Package) -> Mapping[str, str]:
        """The modules of a package; raises `TooMuchError`."""
        return modules(walked(package.folder, package.module), _size)

    def read(self, path: str) -> bytes:
        """The content of a file."""
        return disk.read(path, LARGEST_FILE)

    def all(self) -> Iterator[Package]:
        """Every package, sorted by folder and module."""
        for folder in self._folders:
            for top in sorted(self._tops[folder]):
                names = [
                    top,
                    *(f"{top}.{name.partition('.')[0]}" for name in sorted(listed(f"{folder}/{top}"))),
                ]
                found = (self.package(name) for name in names if name.replace(".", "").isidentifier())
                yield from dict.fromkeys(package for package in found if package is not None)

    @cached_property
    def _listed(self) -> dict[str, list[str]]:
        return {folder: sorted(listed(folder)) for folder in self._folders}

    @cached_property
    def _tops(self) -> dict[str, frozenset[str]]:
        """The names that can be imported from each folder."""
        return {
            folder: frozenset(
                name.partition(".")[0] for name in names if not name.endswith((".dist-info", ".pth"))
            )
            for folder, names in self._listed.items()
        }

    @cached_property
    def _infos(self) -> dict[str, dict[str, Distribution]]:
        """The distributions of each folder, by their normalised names."""
        found: dict[str, dict[str, Distribution]] = {}
        for folder, names in self._listed.items():
            matches = ((INFO.fullmatch(name), name) for name in names)
            found[folder] = {
                normalised(match["name"]): Distribution(match["name"], match["version"], f"{folder}/{name}")
                for match, name in matches
                if match
            }
        return found


def modules(paths: Iterable[str], size_of: Callable[[str], int]) -> dict[str, str]:
    """Sources, and stubs where there is none, by the path of the source; raises `TooMuchError`.

    A source comes before its stub, which says less.
    """
    found: dict[str, str] = {}
    size = 0
    for path in paths:
        if path.endswith(".pyi") and path.removesuffix("i") in found:
            continue
        found[path.removesuffix("i")] = path
        size += size_of(path)
        if len(found) > MOST_FILES:
            raise TooMuchError(f"it has more than {MOST_FILES:,} files")
        if size > MOST_BYTES:
            raise TooMuchError(f"it has more than {MOST_BYTES // 2**20} MiB of source")
    return found


def _has(record: str, path: str) -> bool:
    """Whether a list of files, one a line, has a module or a folder at the path."""
    at = record.find(f"\n{path}")
    while at >= 0:
        at += len(path) + 1
        if record[at : at + 1] in ("/", "."):
            return True
        at = record.find(f"\n{path}", at)
    return False


def _tops(record: str) -> Iterator[str]:
    """What of a list of files can be imported: top-level modules, and those in folders that several share."""
    folders: set[str] = set()
    for line in record.split("\n"):
        file = line.partition(",")[0]
        folder, _, name = file.rpartition("/")
        if not folder and _MODULE.fullmatch(name):
            yield name.partition(".")[0]
        if folder and ".py" in name:
            folders.add(folder)
    for folder in sorted(folders):
        parts = folder.split("/")[:_DEEPEST_NAMESPACE]
        if all(part.isidentifier() for part in parts):
            yield ".".join(parts)


def required(metadata: str) -> Iterator[str]:
    """The distributions that one needs in any case."""
    headers = metadata.partition("\n\n")[0].replace("\r\n", "\n")
    for name, rest in _REQUIRED.findall(headers):
        if "extra" not in rest:
            yield normalised(name)


def _text(path: str, limit: int = disk.SMALL) -> str:
    try:
        return disk.read(path, limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - no object a file
    except OSError:
        return 0


def _is_module(base: str, *, alone: bool) -> bool:
    """Whether there is a module at the path, or a folder that is a package or, unless `alone`, holds modules.

    A folder without `__init__.py` is shared by distributions, so what is below it is looked at one by one.
    """
    if any(Path(f"{base}{end}").is_file() for end in (".py", ".pyi", "/__init__.py", "/__init__.pyi")):
        return True
    folder, _, name = base.rpartition("/")
    if any(_is_compiled(other, name) for other in listed(folder)):
        return True
    names = listed(base)
    if any(other.startswith("__init__.") for other in names):
        return True
    return any(other.endswith((".py", ".pyi", ".so", ".pyd")) for other in names) and not alone


def _is_compiled(file: str, name: str) -> bool:
    return file.startswith(f"{name}.") and file.endswith((".so", ".pyd"))
