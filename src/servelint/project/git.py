"""What git knows about a project: its files, and what a change touched. Only asks; changes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess

# A hook that git runs inherits these; they would point every later command at the hook's index.
_LOCAL_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


class GitError(RuntimeError):
    """git is not there, or refused; the message is git's own first line."""


def run(folder: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    """What `git ARGUMENTS` prints when run in `folder`; raises `GitError` when it fails."""
    return _completed(folder, arguments, stdin).stdout


def _completed(
    folder: Path, arguments: Sequence[str], stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    import subprocess

    environment = {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=stdin, capture_output=True, check=False, env=environment | {"LC_ALL": "C"}
        )
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(lines[0] if lines else f"git {arguments[0]} failed with status {done.returncode}")
    return done


class Listing(NamedTuple):
    """What git lists below a folder, relative to it, with `/`; a nested repository is an entry ending in `/`.

    `unreadable` are folders that git could not look into, each with the reason.
    """

    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def list_files(folder: Path) -> Listing:
    """Files below `folder`, tracked, or untracked and not ignored; raises `GitError` outside a work tree."""
    if not any(os.path.lexists(f"{above}/.git") for above in (folder, *folder.parents)):
        raise GitError(f"{folder} is in no work tree")  # as git would say, without starting it
    done = _completed(folder, ("ls-files", "-cotz", "--exclude-standard"))
    entries = list(filter(None, os.fsdecode(done.stdout).split("\0")))
    unreadable = re.findall(
        r"^warning: could not open directory '(.*?)/?': (.*)$", os.fsdecode(done.stderr), re.MULTILINE
    )
    return Listing(
        tracked=tuple(entry[2:] for entry in entries if entry[0] != "?"),
        untracked=tuple(entry[2:] for entry in entries if entry[0] == "?"),
        unreadable=tuple(unreadable),
    )


def top(folder: Path) -> Path:
    """The root of the work tree that `folder` is in; raises `GitError` outside one."""
    return Path(os.fsdecode(run(folder, "rev-parse", "--show-toplevel")).rstrip("\n"))


def resolve(folder: Path, revision: str) -> str:
    """The commit that `revision` names; raises `GitError` when there is none."""
    try:
        return (
            run(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            .decode()
            .strip()
        )
    except GitError as error:
        run(folder, "rev-parse", "--show-toplevel")  # no repository at all is the clearer message
        raise GitError(f"there is no revision `{revision}`") from error


def files_at(folder: Path, commit: str, wanted: Callable[[str], bool]) -> Mapping[Path, bytes]:
    """The regular files below `folder` at `commit` whose relative path is `wanted`, by absolute path."""
    listing = os.fsdecode(run(folder, "ls-tree", "-rz", commit))
    blobs: dict[Path, str] = {}
    for entry in filter(None, listing.split("\0")):
        mode, kind, rest = entry.split(" ", 2)
        identity, _, name = rest.partition("\t")
        if kind == "blob" and mode != "120000" and wanted(name):
            blobs[folder / name] = identity
    return dict(zip(blobs, _contents(folder, list(blobs.values())), strict=True))


def _contents(folder: Path, identities: list[str]) -> Iterator[bytes]:
    out = run(folder, "cat-file", "--batch", stdin="".join(f"{item}\n" for item in identities).encode())
    position = 0
    for _ in identities:
        end = out.index(b"\n", position)
        size = int(out[position:end].rsplit(b" ", 1)[1])
        yield out[end + 1 : end + 1 + size]
        position = end + 1 + size + 1


def changed_lines(folder: Path, commit: str) -> Mapping[Path, tuple[range, ...]]:
    """Lines of the work tree that differ from `commit`, by absolute path; untracked files are not in it.

    A deletion is the two lines around it, since what stands there now stands next to the change.
    """
    arguments = (
        "diff",
        "--no-color",
        "--no-ext-diff",
        "--no-renames",
        "--relative",
        "--unified=0",
        "--src-prefix=a/",
        "--dst-prefix=b/",
    )
    out = run(folder, "-c", "core.quotePath=false", *arguments, commit).decode(errors="surrogateescape")
    changed: dict[Path, list[range]] = {}
    current: list[range] = []
    body = 0  # lines of the hunk still to come, whose text may look like a header
    for line in out.split("\n"):
        if body and line[:1] in "+-":
            body -= 1
        elif line.startswith("+++ "):
            current = changed.setdefault(folder / _diff_name(line[4:]), [])
        elif hunk := re.match(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line):
            start, count = int(hunk[2]), int(hunk[3] or 1)
            current.append(range(start, start + count) if count else range(start, start + 2))
            body = int(hunk[1] or 1) + count
    return {path: tuple(ranges) for path, ranges in changed.items()}


def _diff_name(text: str) -> str:
    """The path in a `+++` line: after `b/`, without the tab git adds to names with spaces, unquoted."""
    text = text.rstrip("\t")
    if text.startswith('"') and text.endswith('"'):
        text = re.sub(r"\\([\"\\])", r"\1", text[1:-1])
    return text.removeprefix("b/")


def untracked_files(folder: Path) -> frozenset[Path]:
    """Absolute paths of files that git neither tracks nor ignores; raises `GitError`."""
    out = os.fsdecode(run(folder, "ls-files", "-oz", "--exclude-standard"))
    return frozenset(folder / name for name in out.split("\0") if name)
