"""Which files a project has, by kind.

A walk over folders that obeys `.gitignore`, and that knows from git's index what is tracked although a
pattern fits it. Links to folders are not followed, a linked file whose target is in the project is read once,
and what is no file at all (named pipes, sockets, devices) is not listed, so it is never opened.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from servelint.finding import Problem
from servelint.project import disk
from servelint.project.config import DEFAULT_EXCLUDE, OUTPUT_FOLDERS, Config
from servelint.project.globs import PatternLimitError, Patterns, compile_patterns
from servelint.project.listing import index, repository
from servelint.project.listing.kinds import Kind, is_manifest, kind_of, may_be_read

# Patterns with the folder, ending in `/`, that they are relative to; the last that fits decides.
_Ignores: TypeAlias = tuple[tuple[str, Patterns], ...]
PATIENCE = 10.0  # seconds for all patterns of all ignore files; an ordinary project needs a tenth of one


class Skipped(NamedTuple):
    """A file or folder that is not checked, and why."""

    path: Path
    reason: str


class _Tracked(NamedTuple):
    """What a repository tracks: absolute paths of files that may be read, and of the folders above them."""

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()


class _Folder(NamedTuple):
    """A folder to look into; with `tracked_only` a pattern fits it, but not what git tracks in it."""

    path: str
    ignores: _Ignores
    tracked: _Tracked
    tracked_only: bool = False


class Listing:
    """Files found so far, by kind, each with its status."""

    def __init__(self, config: Config) -> None:
        self.root = config.root
        self.limit = config.max_file_size
        default = config.exclude == DEFAULT_EXCLUDE
        self.excluded = compile_patterns((*config.exclude, *config.extend_exclude))
        # A folder called build that git tracks holds sources, not what was built.
        kept = [name for name in config.exclude if not default or name not in OUTPUT_FOLDERS]
        self.excluded_tracked = compile_patterns((*kept, *config.extend_exclude))
        self.chosen = compile_patterns((*(() if default else config.exclude), *config.extend_exclude))
        self.python: dict[str, os.stat_result] = {}
        self.manifests: dict[str, os.stat_result] = {}
        self.too_large: dict[str, Problem] = {}
        self.problems: list[Problem] = []
        self.skipped: list[Skipped] = []
        self._prefix = f"{str(self.root).rstrip('/')}/"
        self._matching = 0.0  # seconds

    def add_named(self, path: Path, overlay: Mapping[Path, bytes]) -> set[Path]:
        """List what a user named, and give back which files of the project that is."""
        relative = path.relative_to(self.root).as_posix()
        if self.chosen.covers(relative):
            self.skipped.append(Skipped(path, "excluded by the configuration"))
            return set()
        if path in overlay or not path.is_dir():
            if may_be_read(path.name):
                self._add_file(str(path))
            if path not in overlay and not any(str(path) in found for found in self._found):
                self.skipped.append(Skipped(path, "not a kind of file that servelint reads"))
                return set()
            return {path}
        below = self._below(path)
        if not below:
            self._walk(_Folder(str(path), (), _Tracked()))
            below = self._below(path)
        return below

    def add(self, folder: Path) -> None:
        """List every file below `folder` that is neither ignored nor excluded."""
        tree = repository.work_tree(folder)
        if tree is None:
            self._walk(_Folder(str(folder), (), _Tracked()))
        elif tree.root == str(folder):
            self._walk(self._entered(tree))
        else:
            self._walk(self._inside(str(folder), tree))

    def add_content(self, path: Path, size: int) -> None:
        """Of a file whose content is not taken from disk, so much is to be read."""
        name = str(path)
        if size <= self.limit:
            self.too_large.pop(name, None)
        elif kind_of(path.name) is not None:
            self.python.pop(name, None)
            self.manifests.pop(name, None)
            self.too_large[name] = Problem(path, _too_large(size, self.limit))

    @property
    def _found(self) -> tuple[Mapping[str, object], ...]:
        return self.python, self.manifests, self.too_large

    def _below(self, folder: Path) -> set[Path]:
        inside = f"{folder}/"
        return {Path(path) for found in self._found for path in found if path.startswith(inside)}

    def _unreadable(self, path: str, what: str, reason: str | None) -> None:
        self.problems.append(Problem(Path(path), f"{what} cannot be read: {reason}"))

    def _entered(self, tree: repository.WorkTree) -> _Folder:
        """The root of a work tree; what holds around it does not hold inside."""
        base = f"{tree.root}/"
        ignores = [found for file in repository.ignore_files(tree) for found in self._patterns(file, base)]
        return _Folder(tree.root, tuple(ignores), self._tracked(tree))

    def _inside(self, folder: str, tree: repository.WorkTree) -> _Folder:
        """A folder in a work tree, with the ignore files on the way to it, unless they ignore all of it."""
        top = self._entered(tree)
        ignores, above = top.ignores, tree.root
        for name in folder[len(tree.root) :].strip("/").split("/"):
            ignores = (*ignores, *self._patterns(f"{above}/.gitignore", f"{above}/"))
            above = f"{above}/{name}"
            if self._ignored(above, ignores, folder=True):
                return _Folder(folder, (), top.tracked)
        return _Folder(folder, ignores, top.tracked)

    def _tracked(self, tree: repository.WorkTree) -> _Tracked:
        try:
            names = index.read(tree.git_folder)
        except (OSError, index.IndexFormatError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            place = Path(tree.git_folder) / "index"
            self.skipped.append(Skipped(place, f"cannot be read, so nothing counts as tracked: {reason}"))
            return _Tracked()
        base = f"{tree.root}/"
        files = frozenset(base + name for name in names.files if may_be_read(name.rpartition("/")[2]))
        folders: set[str] = set()
        for path in (*files, *(f"{base}{name}/" for name in names.submodules)):
            folder = path.rpartition("/")[0]
            while len(folder) > len(tree.root) and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        return _Tracked(files, frozenset(folders))

    def _walk(self, start: _Folder) -> None:
        waiting = [start]
        while waiting:
            waiting += self._look_into(waiting.pop())

    def _look_into(self, folder: _Folder) -> Iterator[_Folder]:
        """List the files of a folder; the folders in it are to be looked into next."""
        try:
            entries = sorted(os.scandir(folder.path), key=lambda entry: entry.name)
        except OSError as error:
            self._unreadable(folder.path, "the folder", error.strerror)
            return
        folder = self._with_own_patterns(folder, entries)
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git" or (not is_folder and not may_be_read(entry.name)):
                continue
            path = entry.path
            tracked = path in (folder.tracked.folders if is_folder else folder.tracked.files)
            if folder.tracked_only and not tracked:
                continue
            reason = ""
            if not (folder.tracked_only or (tracked and not is_folder)):
                reason = self._reason(path, folder.ignores, folder=is_folder)
            if tracked and self._is_excluded(path, self.excluded_tracked, folder=is_folder):
                self.skipped.append(Skipped(Path(path), "excluded"))
            elif reason and not tracked:
                self.skipped.append(Skipped(Path(path), reason))
            elif is_folder:
                yield folder._replace(path=path, tracked_only=folder.tracked_only or bool(reason))
            else:
                self._add_file(path)

    def _with_own_patterns(self, folder: _Folder, entries: Iterable[os.DirEntry[str]]) -> _Folder:
        """The folder with what its `.gitignore` says; if it is a repository of its own, with that only."""
        names = {entry.name: entry for entry in entries if entry.name in (".git", ".gitignore")}
        if ".git" in names and (tree := repository.at(folder.path)) is not None:
            is_root = folder.path == str(self.root)
            folder = folder if is_root else self._entered(tree)
        ignore_file = names.get(".gitignore")
        # git does not follow a link either
        if ignore_file is not None and not (ignore_file.is_symlink() or ignore_file.is_dir()):
            own = self._patterns(ignore_file.path, f"{folder.path}/")
            folder = folder._replace(ignores=(*folder.ignores, *own))
        return folder

    def _patterns(self, file: str, base: str) -> Iterator[tuple[str, Patterns]]:
        """What an ignore file says of what is below `base`, if there is one."""
        try:
            text = disk.read(file).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
            yield base, compile_patterns(text.split("\n"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            if isinstance(error, PatternLimitError) or Path(file).is_relative_to(self.root):
                self._unreadable(file, "the patterns", reason)

    def _reason(self, path: str, ignores: _Ignores, *, folder: bool) -> str:
        """Why a file or folder that is not tracked is left out; empty where it is not."""
        if self._ignored(path, ignores, folder=folder):
            return "ignored by .gitignore"
        return "excluded" if self._is_excluded(path, self.excluded, folder=folder) else ""

    def _is_excluded(self, path: str, patterns: Patterns, *, folder: bool) -> bool:
        """Whether the patterns fit a path itself; what is above it has been asked on the way."""
        return bool(patterns.decide(path[len(self._prefix) :], folder=folder))

    def _ignored(self, path: str, ignores: _Ignores, *, folder: bool) -> bool:
        if self._matching > PATIENCE:
            return False
        start = time.perf_counter()
        decided = False
        for base, patterns in reversed(ignores):
            decision = patterns.decide(path[len(base) :], folder=folder)
            if decision is not None:
                decided = decision
                break
        self._matching += time.perf_counter() - start
        if self._matching > PATIENCE:
            limit = f"more than {PATIENCE:.0f} seconds"
            message = f"the patterns of .gitignore files take {limit}; they are not obeyed from here on"
            self.problems.append(Problem(Path(path), message))
        return decided

    def _add_file(self, path: str) -> None:
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if not self._leads_outside(Path(path)):
                    return
                status = os.stat(path)  # noqa: PTH116 - no object a file
        except FileNotFoundError:
            return  # gone since the folder was listed, or named and not there
        except OSError as error:
            self._unreadable(path, "the file", error.strerror)
            return
        if not stat.S_ISREG(status.st_mode):
            self.skipped.append(Skipped(Path(path), "not a regular file"))
            return
        kind = kind_of(path.rpartition("/")[2])
        if kind is None and not is_manifest(path):
            return
        if status.st_size > self.limit:
            self.too_large[path] = Problem(Path(path), _too_large(status.st_size, self.limit))
        elif kind is Kind.PYTHON:
            self.python[path] = status
        else:
            self.manifests[path] = status

    def _leads_outside(self, link: Path) -> bool:
        """Whether a link is to a file that is not in the project anyway."""
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        return target.is_file() and not target.is_relative_to(self.root)


def _too_large(size: int, limit: int) -> str:
    advice = "exclude the file, or raise the limit in the configuration"
    return f"not read: {disk.too_large(size, limit, '`max-file-size`')}; {advice}"
