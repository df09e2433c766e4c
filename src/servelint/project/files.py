"""Which files a project has, of which kind, and their bytes.

Files come from git where there is git, else from a walk that obeys `.gitignore` itself. Symbolic links to
folders are not followed, and a linked file whose target is in the project is read once.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

from servelint.finding import Problem
from servelint.project import git
from servelint.project.cache import Facts, Scans
from servelint.project.config import DEFAULT_EXCLUDE, FILE_NAMES, OUTPUT_FOLDERS, Config, find
from servelint.project.globs import Patterns, compile_patterns


class Kind(Enum):
    """What a file is read as."""

    PYTHON = "python"
    MANIFEST = "manifest"


# A file's path and size, and when it was written and changed, in nanoseconds.
Stamp: TypeAlias = tuple[str, int, int, int]


class Skipped(NamedTuple):
    """A file or folder that is not checked, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one project, sorted, with absolute paths.

    `reported` holds the files whose findings are wanted, None for all: when only some are named, the rest
    of the project is still read for context. `overlay` replaces or adds content that is not on disk, such
    as an editor's unsaved buffer. `facts` remembers those of Python files, and `scans` what else is read from
    them, if that is kept. `problems` are folders that could not be listed.
    """

    root: Path
    python: tuple[Path, ...]
    manifests: tuple[Path, ...]
    reported: frozenset[Path] | None = None
    problems: tuple[Problem, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    overlay: Mapping[Path, bytes] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts, repr=False, compare=False)
    stamps: tuple[Stamp, ...] | None = field(default=None, repr=False, compare=False)
    scans: Scans | None = field(default=None, repr=False, compare=False)
    _contents: dict[Path, bytes] = field(default_factory=dict, repr=False, compare=False)

    def read(self, path: Path) -> bytes:
        """The content of `path`, read from disk at most once; raises `OSError`."""
        content = self._contents.get(path)
        if content is None:
            content = self.overlay.get(path)
            if content is None:
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no Path.open overhead per file
                    content = file.read()
            self._contents[path] = content
        return content

    def have_been_read(self) -> tuple[Path, ...]:
        """The files whose content has been asked for."""
        return tuple(self._contents)

    def reports(self, path: Path) -> bool:
        """Whether findings in `path` are wanted."""
        return self.reported is None or path in self.reported

    @property
    def wanted(self) -> frozenset[Path] | None:
        """The files whose findings have to be worked out, None for all.

        A finding in a manifest may rest on those in any Python file.
        """
        if self.reported is None or not self.reported.isdisjoint(self.manifests):
            return None
        return self.reported

    def checked(self) -> int:
        """How many files are reported on."""
        return sum(1 for path in (*self.python, *self.manifests) if self.reports(path))

    def with_overlay(self, overlay: Mapping[Path, bytes]) -> Tree:
        """The same files with `overlay` laid over what is there; nothing already read is read again."""
        contents = {path: content for path, content in self._contents.items() if path not in overlay}
        merged = dict(self.overlay) | dict(overlay)
        known = {*self.python, *self.manifests}
        added = {path: kind_of(path.name) for path in overlay if path not in known}
        return Tree(
            self.root,
            _merge(self.python, (path for path, kind in added.items() if kind is Kind.PYTHON)),
            _merge(self.manifests, (path for path, kind in added.items() if kind is Kind.MANIFEST)),
            self.reported,
            self.problems,
            self.skipped,
            merged,
            self.facts,
            None,
            self.scans,
            contents,
        )


def _merge(paths: tuple[Path, ...], added: Iterable[Path]) -> tuple[Path, ...]:
    more = tuple(added)
    return tuple(sorted({*paths, *more})) if more else paths


_TEMPLATE_SUFFIXES = (".j2", ".jinja", ".jinja2", ".gotmpl", ".tmpl", ".template")
_MANIFEST_SUFFIXES = (
    ".yaml",
    ".yml",
    ".tpl",
    ".sh",
    ".bash",
    ".service",
    ".env",
    ".dockerfile",
    ".containerfile",
)
_MANIFEST_NAMES = re.compile(
    r"""
    (?: dockerfile | containerfile | procfile | \.env | hypercorn ) (?: [._-].* )?
    | pyproject\.toml | kustomization | [^/]*supervisor[^/]*\.(?:conf|ini)
    """,
    re.VERBOSE,
)
_PROSE_SUFFIXES = (".md", ".rst", ".txt", ".html", ".json", ".js", ".ts", ".png", ".svg", ".lock")


@cache
def kind_of(name: str) -> Kind | None:
    """The kind that a file's name tells; None for files that are not read, or only if they are scripts."""
    if name.endswith((".py", ".pyi")):
        return Kind.PYTHON if name.endswith(".py") else None
    lower = name.lower()
    if lower.endswith(_TEMPLATE_SUFFIXES):
        lower = lower.rsplit(".", 1)[0]
    if lower.endswith(_MANIFEST_SUFFIXES):
        return Kind.MANIFEST
    if _MANIFEST_NAMES.fullmatch(lower) and not lower.endswith(_PROSE_SUFFIXES):
        return Kind.MANIFEST
    return None


def shown_path(path: Path, folder: Path) -> str:
    """`path` relative to `folder` when it is inside, else absolute; always with `/`."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def project_root(start: Path, *, configured: bool = True) -> tuple[Path, Path | None]:
    """The root of the project that the folder `start` is in, and its configuration file if it has one.

    The root is the nearest folder upward with a configuration or a repository in it, else `start`.
    Without `configured` only repositories count. Raises `ConfigError` for an unreadable configuration.
    """
    for folder in (start, *start.parents):
        if configured and any((folder / name).is_file() for name in FILE_NAMES):
            source = find(folder)
            if source is not None and source.parent == folder:
                return folder, source
        if (folder / ".git").exists():
            return folder, None
    return start, None


def collect(paths: Sequence[Path], config: Config, overlay: Mapping[Path, bytes] | None = None) -> Tree:
    """The files of the project at `config.root`, of which those at or below `paths` are reported.

    `paths` are absolute and exist, or are in `overlay`. A path that git ignores or that a default exclude
    covers is checked all the same when it is named; what the configuration excludes never is.
    """
    listing = _Listing(config)
    whole = not paths or config.root in paths
    listing.add(config.root)
    reported: set[Path] = set()
    for path in paths if not whole else ():
        reported |= listing.add_named(path, overlay or {})
    python, manifests = sorted(listing.python, key=_by_parts), sorted(listing.manifests, key=_by_parts)
    tree = Tree(
        root=config.root,
        python=tuple(map(Path, python)),
        manifests=tuple(map(Path, manifests)),
        reported=None if whole else frozenset(reported),
        problems=tuple(listing.problems),
        skipped=listing.all_skipped(),
        stamps=(
            *(_stamp(path, listing.python[path]) for path in python),
            *(_stamp(path, listing.manifests[path]) for path in manifests),
        ),
    )
    return tree.with_overlay(overlay) if overlay else tree


def _by_parts(path: str) -> str:
    """What paths as text are sorted by, to stand in the order of `Path`."""
    return path.replace("/", "\0")


def _stamp(path: str, status: os.stat_result) -> Stamp:
    return path, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class _Excluded:
    """The exclude patterns of a project, and what they said of each folder."""

    def __init__(self, root: Path, patterns: Iterable[str]) -> None:
        self.prefix = f"{root}/"
        self.patterns = compile_patterns(patterns)
        self.folders: dict[str, bool] = {"": False}
        self.topmost: list[str] = []

    def covers(self, path: str) -> bool:
        """Whether an absolute path, a folder's ending in `/`, or a folder on the way to it, is excluded."""
        if not path.startswith(self.prefix):
            return False
        folder, _, name = path[len(self.prefix) :].rpartition("/")
        if self._folder(folder):
            return True
        return bool(name) and bool(self.patterns.decide(path[len(self.prefix) :], folder=False))

    def _folder(self, folder: str) -> bool:
        known = self.folders.get(folder)
        if known is None:
            above = self._folder(folder.rpartition("/")[0])
            known = above or bool(self.patterns.decide(folder, folder=True))
            self.folders[folder] = known
            if known and not above:
                self.topmost.append(folder)
        return known


class _Listing:
    """Files found so far, by kind, each with its status."""

    def __init__(self, config: Config) -> None:
        self.root = config.root
        default = config.exclude == DEFAULT_EXCLUDE
        self.excluded = _Excluded(self.root, (*config.exclude, *config.extend_exclude))
        # A folder called build that git tracks holds sources, not what was built.
        kept = [name for name in config.exclude if not default or name not in OUTPUT_FOLDERS]
        self.excluded_tracked = _Excluded(self.root, (*kept, *config.extend_exclude))
        self.chosen = compile_patterns((*(() if default else config.exclude), *config.extend_exclude))
        self.python: dict[str, os.stat_result] = {}
        self.manifests: dict[str, os.stat_result] = {}
        self.problems: list[Problem] = []
        self.skipped: list[Skipped] = []

    def add_named(self, path: Path, overlay: Mapping[Path, bytes]) -> set[Path]:
        """List what a user named, and give back which files of the project that is."""
        relative = path.relative_to(self.root).as_posix()
        if self.chosen.covers(relative):
            self.skipped.append(Skipped(path, "excluded by the configuration"))
            return set()
        if path in overlay or not path.is_dir():
            if _may_be_read(path.name):
                self._add_file(str(path))
            if str(path) not in self.python and str(path) not in self.manifests and path not in overlay:
                self.skipped.append(Skipped(path, "not a kind of file that servelint reads"))
                return set()
            return {path}
        below = self._below(path)
        if not below:
            self.excluded.folders[relative] = False
            self._walk(path)
            below = self._below(path)
        return below

    def add(self, folder: Path) -> None:
        """List every file below `folder` that is neither ignored nor excluded."""
        try:
            listed = git.list_files(folder)
        except git.GitError:
            self._walk(folder)
            return
        for names, excluded in ((listed.tracked, self.excluded_tracked), (listed.untracked, self.excluded)):
            for name in names:
                if name.endswith(_PROSE_SUFFIXES) or not _may_be_read(name):
                    continue  # the first is told at once, and of most files in large repositories
                path = f"{folder}/{name}"
                if excluded.covers(path):
                    continue
                if name.endswith("/"):
                    self._nested(path)
                else:
                    self._add_file(path)
        for name, reason in listed.unreadable:
            self._unreadable(f"{folder}/{name}", "the folder", reason)

    def all_skipped(self) -> tuple[Skipped, ...]:
        """What was left out: excluded folders, then the rest."""
        folders = {*self.excluded.topmost, *self.excluded_tracked.topmost}
        excluded = (Skipped(self.root / folder, "excluded") for folder in sorted(folders))
        return (*excluded, *self.skipped)

    def _below(self, folder: Path) -> set[Path]:
        inside = f"{folder}/"
        return {Path(path) for path in (*self.python, *self.manifests) if path.startswith(inside)}

    def _nested(self, folder: str) -> None:
        """A repository inside the repository: its files belong to the project."""
        path = Path(folder)
        if not path.is_symlink():
            self.add(path)

    def _unreadable(self, path: str, what: str, reason: str | None) -> None:
        self.problems.append(Problem(Path(path), f"{what} cannot be read: {reason}"))

    def _add_file(self, path: str) -> None:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return  # tracked, but deleted in the work tree
        except OSError as error:
            self._unreadable(path, "the file", error.strerror)
            return
        executable = status.st_mode & stat.S_IXUSR
        if stat.S_ISLNK(status.st_mode):
            if not self._leads_outside(Path(path)):
                return
            status = os.stat(path)  # noqa: PTH116 - no object a file
        kind = kind_of(path.rpartition("/")[2])
        if stat.S_ISDIR(status.st_mode):
            self._nested(path)  # a submodule
        elif kind is Kind.PYTHON:
            self.python[path] = status
        elif kind is Kind.MANIFEST or (executable and _is_shell_script(path)):
            self.manifests[path] = status

    def _leads_outside(self, link: Path) -> bool:
        """Whether a link is to a file that is not in the project anyway."""
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        return target.is_file() and not target.is_relative_to(self.root)

    def _walk(self, folder: Path) -> None:
        """List a folder without git, obeying the `.gitignore` files in it and below."""
        waiting: list[tuple[str, tuple[tuple[str, Patterns], ...]]] = [(str(folder), ())]
        while waiting:
            current, ignores = waiting.pop()
            try:
                entries = sorted(os.scandir(current), key=lambda entry: entry.name)
            except OSError as error:
                self._unreadable(current, "the folder", error.strerror)
                continue
            ignores = (*ignores, *_ignore_file(current))
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder and not _may_be_read(entry.name):
                    continue
                if _ignored(entry.path, ignores, folder=is_folder):
                    self.skipped.append(Skipped(Path(entry.path), "ignored by .gitignore"))
                elif is_folder:
                    if not self.excluded.covers(f"{entry.path}/"):
                        waiting.append((entry.path, ignores))
                elif not self.excluded.covers(entry.path):
                    self._add_file(entry.path)


def _may_be_read(path: str) -> bool:
    """Whether the name of a file is of a kind that is read, or may be that of a script or a folder."""
    name = path.rpartition("/")[2]
    return "." not in name or kind_of(name) is not None


def _ignore_file(folder: str) -> Iterator[tuple[str, Patterns]]:
    """The folder, ending in `/`, and what its `.gitignore` says, if there is one."""
    try:
        with open(f"{folder}/.gitignore", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return
    yield f"{folder}/", compile_patterns(text.split("\n"))


def _ignored(path: str, ignores: tuple[tuple[str, Patterns], ...], *, folder: bool) -> bool:
    for base, patterns in reversed(ignores):
        decision = patterns.decide(path[len(base) :], folder=folder)
        if decision is not None:
            return decision
    return False


def _is_shell_script(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            start = file.read(64)
    except OSError:
        return False
    return re.match(rb"#!\s*\S*/(?:env\s+(?:-\S+\s+)*)?(?:ba|da|a|k|z)?sh\b", start) is not None
