"""The project's files as located text, and where a path inside a container comes from."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from servelint.finding import Problem
from servelint.knowledge.servers import servers
from servelint.manifests.documents.text import Located
from servelint.manifests.forms import tasks
from servelint.project.text import toml
from servelint.project.text.source import Source, SourceError, decode

if TYPE_CHECKING:
    from servelint.manifests.forms.dockerfile import Image


# With a line break in front instead of an anchor, which would be tried at every character.
_TOP_KEY = re.compile(rb"\n([\w\"'-]+):(?=\s|\Z)")

# What programs for servers with an event loop name.
_ASYNCHRONOUS = (b"uvicorn", b"fastapi", b"starlette", b"async def", b"asgi")
_READING = (b"load_dotenv", b"read_env(", b"env_file", b"decouple", b'Config(".env', b"Config('.env")
_CONTEXTS = 4  # how many folders above a Dockerfile may be its build context
_SCRIPT_TABLES = (("project", "scripts"), ("tool", "poetry", "scripts"))


class Tree(Protocol):
    """The listing that is read from: `servelint.project.listing.files.Tree` is one."""

    @property
    def root(self) -> Path:
        """The project's folder."""

    @property
    def python(self) -> tuple[Path, ...]:
        """Its Python files."""

    @property
    def manifests(self) -> tuple[Path, ...]:
        """Every other file that may say how it is deployed."""

    def read(self, path: Path) -> bytes:
        """A file's content; raises `OSError`."""


class Sources:
    """Reads and decodes files once; what cannot be read is a problem, told once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._problems: dict[Problem, None] = {}
        self._known: dict[Path, Source | None] = {}
        self._keys: dict[Path, frozenset[bytes]] = {}
        self._mentions: dict[tuple[str, Path], int] = {}
        self._modules: dict[tuple[str, Path], Path | None] = {}

    def data(self, path: Path) -> bytes:
        """A file's bytes, empty where it cannot be read."""
        try:
            return self.tree.read(path)
        except OSError as error:
            self.problem(path, error.strerror or "cannot be read")
            return b""

    @cached_property
    def known_paths(self) -> frozenset[Path]:
        """Every file of the tree."""
        return frozenset((*self.tree.manifests, *self.tree.python))

    def top_keys(self, path: Path) -> frozenset[bytes]:
        """The keys at the left margin of a YAML file."""
        known = self._keys.get(path)
        if known is None:
            found = _TOP_KEY.findall(b"\n" + self.data(path))
            known = self._keys[path] = frozenset(key.strip(b"\"'") for key in found)
        return known

    def source(self, path: Path) -> Source | None:
        """A file's text, or None where it cannot be read."""
        if path not in self._known:
            data = self.data(path)
            try:
                self._known[path] = decode(path, data)
            except SourceError as error:
                self._known[path] = None
                self.problem(path, str(error), _undecodable_line(data))
        return self._known[path]

    def problem(self, path: Path, message: str, line: int = 0) -> None:
        """Note a file that should have been read and could not be."""
        self.note(Problem(path, message, line))

    def note(self, problem: Problem) -> None:
        """Note a problem as it is."""
        self._problems[problem] = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was noted, each once."""
        return tuple(self._problems)

    @cached_property
    def server_names(self) -> tuple[str, ...]:
        """Words of which a text that starts a server holds one."""
        return tuple(word.decode() for word in servers().words)

    @cached_property
    def serves_asynchronously(self) -> bool:
        """Whether some Python file may run in an event loop, or there is none to ask."""
        python = self.tree.python
        return not python or any(word in self.data(path) for path in python for word in _ASYNCHRONOUS)

    def mentions(self, name: str, program: Path) -> int:
        """How many times the Python files around a program say a name: an attribute where it has a dot."""
        key = (name, program.parent)
        known = self._mentions.get(key)
        if known is None:
            said = name.encode(errors="replace")
            word = re.compile(rb"(?<![\w])" * (name[0] != ".") + re.escape(said) + rb"\b")
            around = (path for path in self.tree.python if path.is_relative_to(program.parent))
            data = (self.data(path) for path in around)
            known = self._mentions[key] = sum(len(word.findall(text)) for text in data if said in text)
        return known

    @cached_property
    def reads_dotenv(self) -> bool:
        """Whether some Python file reads variables from a file called `.env`."""
        return any(word in self.data(path) for path in self.tree.python for word in _READING)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = defaultdict(list)
        for path in (*self.tree.manifests, *self.tree.python):
            names[path.name].append(path)
        return names

    @cached_property
    def _by_module(self) -> dict[str, list[tuple[Path, tuple[str, ...]]]]:
        """The Python files by the last part of the names of their modules, with all parts."""
        modules: dict[str, list[tuple[Path, tuple[str, ...]]]] = defaultdict(list)
        for path in (*self.tree.manifests, *self.tree.python):
            parts = _module_parts(path) if path.suffix == ".py" else ()
            if parts:
                modules[parts[-1]].append((path, parts))
        return modules

    @cached_property
    def console_scripts(self) -> dict[str, str]:
        """The modules of the programs that the project installs, by the programs' names."""
        found: dict[str, str] = {}
        for path in self._by_name.get("pyproject.toml", ()):
            if b"scripts]" not in self.data(path):
                continue
            source = self.source(path)
            data = (toml.table(source.text) if source is not None else None) or {}
            for keys in _SCRIPT_TABLES:
                table: object = data
                for key in keys:
                    table = table.get(key) if isinstance(table, dict) else None
                for name, value in table.items() if isinstance(table, dict) else ():
                    found.setdefault(name, str(value).partition(":")[0].strip())
        return found

    @cached_property
    def tasks(self) -> dict[str, list[tuple[Path, Located]]]:
        """What tasks run, by their names, with the files that they stand in."""
        found: dict[str, list[tuple[Path, Located]]] = {}
        for path in self.tree.manifests:
            names_server = tasks.NAMES.fullmatch(path.name) and any(
                word in self.data(path) for word in servers().words
            )
            source = self.source(path) if names_server else None
            for name, code in tasks.tasks(source).items() if source is not None else ():
                found.setdefault(name, []).append((path, code))
        return found

    def task(self, name: str, base: Path) -> Located | None:
        """What a task runs, of the nearest file to `base` that has one of the name."""
        found = self.tasks.get(name, ())
        nearest = max(found, key=lambda item: _shared_start(item[0], base), default=None)
        return nearest[1] if nearest is not None else None

    def module(self, name: str, base: Path) -> Path | None:
        """The project's file of a Python module, the nearest to `base` where there are several."""
        if (name, base) not in self._modules:
            parts = tuple(name.split("."))
            named = self._by_module.get(parts[-1], ())
            candidates = [path for path, own in named if own[-len(parts) :] == parts]
            self._modules[name, base] = max(
                candidates, key=lambda found: (_shared_start(found, base), str(found)), default=None
            )
        return self._modules[name, base]

    def resolve(
        self, path: str, base: Path, image: Image | None, *, python: bool = False, exact: bool = False
    ) -> Path | None:
        """The project's file that a path inside a container names, if it can be told.

        An image's COPY instructions decide where they say it; else the file of that name that shares most of
        the path, and then the one nearest to `base`. With `exact` only a file in `base` will do.
        """
        if python and not path.endswith((".py", ".toml", ".yaml", ".yml")) and "/" not in path:
            path = path.replace(".", "/") + ".py"
        wanted = PurePosixPath(path)
        for source in _renamed(wanted, image) if image is not None else ():
            found = self._ending_with(source, base)
            if found is not None:
                return found
        candidates = self._by_name.get(wanted.name, [])
        if exact:
            folders = {base, *(_copied_from(image) if image else ())}
            return next((found for found in candidates if found.parent in folders), None)
        if not candidates:
            return None
        for target in (
            (*copied_files(wanted, image), *_copied_by_name(wanted, image)) if image is not None else ()
        ):
            if target in candidates:
                return target
        return max(
            candidates,
            key=lambda found: (
                found.is_relative_to(base),
                _shared_end(found, wanted),
                _shared_start(found, base),
                str(found),
            ),
        )

    def _ending_with(self, source: PurePosixPath, base: Path) -> Path | None:
        """The file whose path ends in this one, the nearest to `base`: a context is often above it."""
        candidates = [
            path
            for path in self._by_name.get(source.name, ())
            if _shared_end(path, source) == len(source.parts)
        ]
        return max(candidates, key=lambda path: (_shared_start(path, base), str(path)), default=None)


def _module_parts(path: Path) -> tuple[str, ...]:
    return path.parent.parts if path.name == "__init__.py" else (*path.parent.parts, path.stem)


def normal(path: Path) -> Path:
    """The path without `..`, told from its text: what a file names need not be a path at all."""
    return Path(os.path.normpath(path))


def _undecodable_line(data: bytes) -> int:
    """The line (from 1) of the first byte that is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 0


def _copied_from(image: Image) -> Iterable[Path]:
    """Folders of the build context whose files land in the image's working directory."""
    for copy in image.stage.copies:
        if PurePosixPath(copy.target) == PurePosixPath(image.stage.folder):
            yield from (normal(image.path.parent / source) for source in copy.sources)


def copied_files(wanted: PurePosixPath, image: Image) -> Iterable[Path]:
    """Files of the build context that COPY may have put at a path of the image."""
    absolute = wanted if wanted.is_absolute() else PurePosixPath(image.stage.folder) / wanted
    for copy in reversed(image.stage.copies):
        target = PurePosixPath(copy.target)
        for source in copy.sources:
            origin = image.path.parent / source.lstrip("/")
            if target == absolute or (origin.name == absolute.name and target == absolute.parent):
                yield normal(origin)
            if absolute.is_relative_to(target):
                yield normal(origin / absolute.relative_to(target))


def copies_file(image: Image, path: Path) -> bool:
    """Whether COPY may put a file into an image, whose build context is its folder or one above it."""
    contexts = image.path.parents[:_CONTEXTS]
    return any(
        any(sign in source for sign in "*?[") or path.is_relative_to(normal(context / source.lstrip("/")))
        for copy in image.stage.copies
        for source in copy.sources
        for context in contexts
    )


def _renamed(wanted: PurePosixPath, image: Image) -> Iterable[PurePosixPath]:
    """Files of the build context that COPY puts at a path of the image under another name."""
    absolute = PurePosixPath(os.path.normpath(PurePosixPath(image.stage.folder) / wanted))
    for copy in reversed(image.stage.copies):
        if len(copy.sources) == 1 and PurePosixPath(os.path.normpath(copy.target)) == absolute:
            source = PurePosixPath(os.path.normpath(copy.sources[0].lstrip("/")))
            if source.name and source.name != absolute.name:
                yield source


def _copied_by_name(wanted: PurePosixPath, image: Image) -> Iterable[Path]:
    """Files of that name that the image copies somewhere: a condition may have chosen the path."""
    for copy in image.stage.copies:
        for source in copy.sources:
            if PurePosixPath(source).name == wanted.name:
                yield normal(image.path.parent / source.lstrip("/"))


def _shared_end(found: Path, wanted: PurePosixPath) -> int:
    shared = 0
    for one, other in zip(reversed(found.parts), reversed(wanted.parts), strict=False):
        if one != other:
            break
        shared += 1
    return shared


def _shared_start(found: Path, base: Path) -> int:
    shared = 0
    for one, other in zip(found.parts, base.parts, strict=False):
        if one != other:
            break
        shared += 1
    return shared
