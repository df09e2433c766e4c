"""Where a git repository is and what it tracks and ignores, without git and without its configuration.

The configuration of a repository can name programs, so it is not read, and a folder is in a repository only
through a `.git` in it or above: a folder that looks like the inside of one, which a commit can bring along,
is a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from servelint.project import disk

_LINK = b"gitdir: "
_SECTION = re.compile(r"\s*\[\s*([^\s\]\"]++)\s*(?:\"([^\"]*+)\")?\s*\]")
_SETTING = re.compile(r"\s*([A-Za-z][\w-]*+)\s*=\s*(.*)")


class WorkTree(NamedTuple):
    """A folder with a `.git`, its git directory, and the one that it shares with other work trees."""

    root: str
    git_folder: str
    common: str


def work_tree(folder: Path | str) -> WorkTree | None:
    """The work tree that `folder` is in, if it is in one."""
    path = Path(folder)
    return next(filter(None, (at(str(above)) for above in (path, *path.parents))), None)


def at(root: str) -> WorkTree | None:
    """The work tree whose root is `root`; None where there is no `.git` that is one."""
    root = root.rstrip("/") or "/"
    place = os.path.join(root, ".git")
    if not os.path.isdir(place):  # noqa: PTH112 - no object a folder
        try:
            place = os.path.join(root, _linked(disk.read(place)))
        except (OSError, ValueError):
            return None
    try:
        common = os.path.join(place, os.fsdecode(disk.read(f"{place}/commondir")).rstrip("\n"))
    except (OSError, ValueError):
        common = place
    is_one = os.path.lexists(f"{place}/HEAD") and os.path.isdir(f"{common}/objects")  # noqa: PTH112
    return WorkTree(root, place, common) if is_one else None


def _linked(content: bytes) -> str:
    if not content.startswith(_LINK) or b"\0" in content:
        raise ValueError("it does not name a git directory")
    return os.fsdecode(content.removeprefix(_LINK)).rstrip("\n")


def default_branch(tree: WorkTree) -> str:
    """The branch that changes go to: what the clone was made of, else `master` where that is all there is."""
    try:
        named = os.fsdecode(disk.read(f"{tree.common}/refs/remotes/origin/HEAD"))
    except (OSError, ValueError):
        named = ""
    found = re.fullmatch(r"ref: refs/remotes/origin/([\w./-]+)\n?", named)
    if found:
        return found[1]
    there = {name for name in ("main", "master") if os.path.lexists(f"{tree.common}/refs/heads/{name}")}
    return "master" if there == {"master"} else "main"


def ignore_files(tree: WorkTree) -> Iterator[str]:
    """The files with patterns for the whole work tree; those that come later win."""
    yield _of_the_user()
    yield f"{tree.common}/info/exclude"


def _of_the_user() -> str:
    """The ignore file that the user's configuration of git names, else the usual one."""
    home = os.environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111
    usual = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    files = [f"{usual}/git/config", f"{home}/.gitconfig"]
    if "GIT_CONFIG_GLOBAL" in os.environ:
        files = [os.environ["GIT_CONFIG_GLOBAL"]]
    named = ""
    for file in ("/etc/gitconfig", *files):
        try:
            text = disk.read(file).decode("utf-8", "surrogateescape")
        except (OSError, ValueError):
            continue
        for section, _, key, value in settings(text):
            if (section, key) == ("core", "excludesfile"):
                named = value
    if named.startswith("~/"):
        named = home + named[1:]
    return named if os.path.isabs(named) else f"{usual}/git/ignore"  # noqa: PTH117


def settings(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Section, its name, key and value of each setting in a file of git; what it includes is not read."""
    section = name = ""
    for line in text.split("\n"):
        if header := _SECTION.match(line):
            section, name = header[1].lower(), header[2] or ""
            line = line[header.end() :]  # noqa: PLW2901 - a setting can stand behind it
        if found := _SETTING.match(line):
            value = found[2].strip()
            if value.startswith('"'):
                value = value[1:].partition('"')[0]
            else:
                value = re.split("[#;]", value, maxsplit=1)[0].rstrip()
            yield section, name, found[1].lower(), value
