"""A git directory of our own that borrows the objects of a repository.

A repository's configuration, hooks and attributes can name programs, and which of them git runs for a
question is a long list that grows. So git is never shown them: it gets an empty directory with a
configuration written here, the names of commits as they are in the repository, and the path of its objects.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from servelint.project import disk
from servelint.project.listing import repository
from servelint.project.listing.repository import WorkTree

MOST_NAMES = 200_000
_MOST_LINKS = 5
_TEXT = 4096  # bytes of a file that holds one name
_LARGE = 64 * 1024 * 1024
_VALUE = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SYMBOLIC = re.compile(rb"ref:\s*+(refs/\S++)\s*+")
_PACKED = re.compile(rb"^([0-9a-f]{40,64}) (refs/[^\s]++)$", re.MULTILINE)
_PLAIN = re.compile(r"[\w][\w./+-]*+")
# Besides HEAD: what git itself calls a commit for a while.
_PASSING = ("ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD")


def fill(folder: Path, tree: WorkTree, revision: str) -> None:
    """Make `folder` a git directory with what it takes to find `revision` in the repository."""
    (folder / "refs").mkdir()
    (folder / "objects").mkdir()
    head = _content(f"{tree.git_folder}/HEAD", _TEXT)
    if not (_VALUE.fullmatch(head.strip()) or _SYMBOLIC.fullmatch(head.strip())):
        head = b"ref: refs/heads/none\n"
    (folder / "HEAD").write_bytes(head)
    names = dict(_names(tree))
    packed = b"".join(b"%s %s\n" % (value, name) for name, value in sorted(names.items()))
    (folder / "packed-refs").write_bytes(packed)
    known = (os.fsencode(revision), head.strip(), *names.values())
    some = next((value for value in known if _VALUE.fullmatch(value)), b"")
    (folder / "config").write_text(_configuration(tree, long_names=len(some) == 64))
    for name in _PASSING:
        _copy(f"{tree.git_folder}/{name}", folder / name, _TEXT)
    _copy(f"{tree.common}/shallow", folder / "shallow", _LARGE)
    _copy_log(folder, tree, head, revision)


def _content(path: str, limit: int) -> bytes:
    try:
        return disk.read(path, limit)
    except (OSError, ValueError):
        return b""


def _copy(source: str, target: Path, limit: int) -> None:
    content = _content(source, limit)
    if content:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _names(tree: WorkTree) -> Iterator[tuple[bytes, bytes]]:
    """The commits and tags that have a name; names of names are followed."""
    values = {
        found[2]: found[1] for found in _PACKED.finditer(_content(f"{tree.common}/packed-refs", _LARGE))
    }
    for path in _files_below(f"{tree.common}/refs"):
        values[os.fsencode(path[len(tree.common) + 1 :])] = _content(path, _TEXT).strip()
    for name, value in values.items():
        for _ in range(_MOST_LINKS):
            link = _SYMBOLIC.fullmatch(value)
            value = values.get(link[1], b"") if link else value  # noqa: PLW2901
        if _VALUE.fullmatch(value) and not re.search(rb"\s", name):
            yield name, value


def _files_below(folder: str) -> Iterator[str]:
    waiting, count = [folder], 0
    while waiting and count < MOST_NAMES:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        count += len(entries)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path


def _configuration(tree: WorkTree, *, long_names: bool) -> str:
    """Which names of objects there are, and what each branch follows, for `@{upstream}`."""
    lines = ["[core]", f"repositoryformatversion = {int(long_names)}", "bare = true"]
    lines += ["[extensions]", "objectFormat = sha256"] if long_names else []
    text = os.fsdecode(_content(f"{tree.common}/config", disk.SMALL))
    remotes: set[str] = set()
    for section, name, key, value in repository.settings(text):
        if section == "branch" and key in ("remote", "merge") and _are_plain(name, value):
            lines += [f'[branch "{name}"]', f"{key} = {value}"]
            if key == "remote":
                remotes.add(value)
    for remote in sorted(remotes):
        lines += [f'[remote "{remote}"]', f"fetch = +refs/heads/*:refs/remotes/{remote}/*"]
    return "".join(f"{line}\n" for line in lines)


def _are_plain(*names: str) -> bool:
    return all(_PLAIN.fullmatch(name) and ".." not in name for name in names)


def _copy_log(folder: Path, tree: WorkTree, head: bytes, revision: str) -> None:
    """What a name stood for before, which `name@{1}` and `name@{yesterday}` ask."""
    name, at, _ = revision.partition("@{")
    if not at:
        return
    current = _SYMBOLIC.fullmatch(head.strip())
    if not name and current:
        name = os.fsdecode(current[1])
    _copy(f"{tree.git_folder}/logs/HEAD", folder / "logs" / "HEAD", _LARGE)
    if _are_plain(name):
        whole = name.startswith("refs/")
        for prefix in ("",) if whole else ("refs/", "refs/heads/", "refs/remotes/", "refs/tags/"):
            _copy(f"{tree.common}/logs/{prefix}{name}", folder / "logs" / f"{prefix}{name}", _LARGE)
