"""Which files a project has, of which kind, and their bytes.

Which there are is found by `listing`; what a file's name says, by `kinds`. A tree is what came of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servelint.finding import Problem
from servelint.project import disk
from servelint.project.cache import Facts, Scans, Stamp
from servelint.project.config import FILE_NAMES, MAX_FILE_SIZE, Config, find
from servelint.project.listing.kinds import Kind, kind_of
from servelint.project.listing.listing import Listing, Skipped


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one project, sorted, with absolute paths.

    `reported` holds the files whose findings are wanted, None for all: when only some are named, the rest
    of the project is still read for context. `overlay` replaces or adds content that is not on disk, such
    as an editor's unsaved buffer. `facts` remembers those of Python files, and `scans` what else is read from
    them, if that is kept. `problems` are folders that could not be listed and files that are too large; what
    is larger than `limit` is not read.
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
    limit: int = MAX_FILE_SIZE
    _contents: dict[Path, bytes] = field(default_factory=dict, repr=False, compare=False)

    def read(self, path: Path) -> bytes:
        """The content of `path`, read from disk at most once; raises `OSError`."""
        content = self._contents.get(path)
        if content is None:
            content = self.overlay.get(path)
            if content is None:
                content = disk.read(path, self.limit, "`max-file-size`")
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
        added = {
            path: kind_of(path.name)
            for path, content in overlay.items()
            if path not in known and len(content) <= self.limit
        }
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
            self.limit,
            contents,
        )


def _merge(paths: tuple[Path, ...], added: Iterable[Path]) -> tuple[Path, ...]:
    more = tuple(added)
    return tuple(sorted({*paths, *more})) if more else paths


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
    overlay = overlay or {}
    listing = Listing(config)
    whole = not paths or config.root in paths
    listing.add(config.root)
    reported: set[Path] = set()
    for path in paths if not whole else ():
        reported |= listing.add_named(path, overlay)
    for path, content in overlay.items():
        listing.add_content(path, len(content))
    python, manifests = sorted(listing.python, key=_by_parts), sorted(listing.manifests, key=_by_parts)
    too_large = (problem for _, problem in sorted(listing.too_large.items()))
    tree = Tree(
        root=config.root,
        python=tuple(map(Path, python)),
        manifests=tuple(map(Path, manifests)),
        reported=None if whole else frozenset(reported),
        problems=(
            *listing.problems,
            *(problem for problem in too_large if whole or problem.path in reported),
        ),
        skipped=tuple(listing.skipped),
        stamps=(
            *(_stamp(path, listing.python[path]) for path in python),
            *(_stamp(path, listing.manifests[path]) for path in manifests),
        ),
        limit=config.max_file_size,
    )
    return tree.with_overlay(overlay) if overlay else tree


def _by_parts(path: str) -> str:
    """What paths as text are sorted by, to stand in the order of `Path`."""
    return path.replace("/", "\0")


def _stamp(path: str, status: os.stat_result) -> Stamp:
    return path, status.st_size, status.st_mtime_ns, status.st_ctime_ns
