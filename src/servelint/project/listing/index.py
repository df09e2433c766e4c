"""The names in git's index, read without git.

To ask git executes what the configuration of the repository says (`core.fsmonitor`), and to start it takes
longer than to read the index of a large repository. The form is that of git's `index-format` document,
versions 2 to 4, with names of objects of either length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from servelint.project import disk

LIMIT = 256 * 1024 * 1024  # bytes; the index of two million files
_HEADER = 12
_BEFORE_NAME = 40  # times, numbers and the mode, before the name of the object
_MODE = 26  # the lower half of it
_SYMLINK, _GITLINK, _FILE = 0o12, 0o16, 0o10
_EXTENDED = 0x4000
_NAME_LENGTH = 0xFFF
_LINK = b"link"


class IndexFormatError(ValueError):
    """This is not an index, or one of a version that did not exist when this was written."""


class Names(NamedTuple):
    """What is tracked, as paths from the root of the work tree: files, and submodules."""

    files: frozenset[str] = frozenset()
    submodules: frozenset[str] = frozenset()


def read(folder: str) -> Names:
    """The names in the index of the git directory `folder`; raises `OSError` and `IndexFormatError`."""
    try:
        data = disk.read(f"{folder}/index", LIMIT)
    except FileNotFoundError:
        return Names()  # nothing has been added yet
    found = [_of_either_length(data)]
    shared = _shared(data, found[0].end, found[0].digest)
    if shared:  # the rest is in a second file; what was removed since is then called tracked all the same
        found.append(_of_either_length(disk.read(f"{folder}/sharedindex.{shared}", LIMIT)))
    return Names(
        frozenset(os.fsdecode(name) for part in found for name in part.files if name),
        frozenset(os.fsdecode(name) for part in found for name in part.submodules if name),
    )


class _Part(NamedTuple):
    files: list[bytes]
    submodules: list[bytes]
    end: int
    digest: int


def _of_either_length(data: bytes) -> _Part:
    if data[:4] != b"DIRC" or int.from_bytes(data[4:8]) not in (2, 3, 4):
        raise IndexFormatError("it is not an index of version 2, 3 or 4")
    try:
        return _entries(data, 20)
    except IndexFormatError:
        return _entries(data, 32)  # of a repository with SHA-256


def _entries(data: bytes, digest: int) -> _Part:
    version, count = int.from_bytes(data[4:8]), int.from_bytes(data[8:12])
    fixed = _BEFORE_NAME + digest + 2
    if _HEADER + count * (fixed + 1) > len(data):
        raise IndexFormatError("it is cut short")
    files: list[bytes] = []
    submodules: list[bytes] = []
    position, name = _HEADER, b""
    for _ in range(count):
        flags = int.from_bytes(data[position + fixed - 2 : position + fixed])
        start = position + fixed + (2 if flags & _EXTENDED else 0)
        kept = 0
        if version == 4:
            removed, start = _number(data, start)
            if removed > len(name):
                raise IndexFormatError("a name is shorter than nothing")
            kept = len(name) - removed
        end = data.find(b"\0", start)
        length = kept + end - start
        if end < 0 or (flags & _NAME_LENGTH) != min(length, _NAME_LENGTH):
            raise IndexFormatError("an entry has no end")
        name = name[:kept] + data[start:end]
        kind = data[position + _MODE] >> 4
        if kind in (_FILE, _SYMLINK):
            files.append(name)
        elif kind == _GITLINK:
            submodules.append(name)
        position = end + 1 if version == 4 else position + (start - position + length + 8) // 8 * 8
    return _Part(files, submodules, position, digest)


def _number(data: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, as in packs of objects, and where it ends."""
    value = 0
    for index in range(position, min(position + 9, len(data))):
        value = (value << 7) | (data[index] & 0x7F)
        if data[index] < 0x80:
            return value, index + 1
        value += 1
    raise IndexFormatError("a number has no end")


def _shared(data: bytes, position: int, digest: int) -> str:
    """The name of the index that this one says the difference to; empty where there is none."""
    for name, content in _extensions(data, position, digest):
        if name == _LINK and len(content) >= digest and any(content[:digest]):
            return content[:digest].hex()
    return ""


def _extensions(data: bytes, position: int, digest: int) -> Iterator[tuple[bytes, bytes]]:
    while position + 8 <= len(data) - digest:
        size = int.from_bytes(data[position + 4 : position + 8])
        yield data[position : position + 4], data[position + 8 : position + 8 + size]
        position += 8 + size
