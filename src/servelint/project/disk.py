"""How a file of the project is opened: a regular one, and none that is too large.

To open a named pipe waits for a writer, to open a device can do anything, and a file without end fills the
memory. So what a path leads to is looked at before it is opened, and again when it is open.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# What people write by hand: configuration, ignore files. A baseline is written by the program.
SMALL = 1024 * 1024  # bytes
LARGE = 64 * 1024 * 1024
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_CHUNK = 1024 * 1024


def read(path: str | Path, limit: int = SMALL, name: str = "the limit") -> bytes:
    """The content of a regular file of at most `limit` bytes, which is called `name`; raises `OSError`."""
    descriptor = _opened(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise OSError(errno.EFBIG, too_large(size, limit, name), str(path))
        content = os.read(descriptor, size + 1)
        if len(content) == size:
            return content
        return _to_the_end(descriptor, content, path, limit, name)
    finally:
        os.close(descriptor)


def beginning(path: str | Path, size: int) -> bytes:
    """The first bytes of a regular file; raises `OSError`."""
    descriptor = _opened(path)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def _opened(path: str | Path) -> int:
    _refuse_unless_regular(os.stat(path), path)  # noqa: PTH116 - no object a file
    descriptor = os.open(path, _FLAGS)
    try:
        _refuse_unless_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_unless_regular(status: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def _to_the_end(descriptor: int, content: bytes, path: str | Path, limit: int, name: str) -> bytes:
    """The rest of a file that was not read in one piece, or has another size than it says."""
    parts, size = [content], len(content)
    while part := os.read(descriptor, _CHUNK):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise OSError(errno.EFBIG, too_large(size, limit, name), str(path))
    return b"".join(parts)


def too_large(size: int, limit: int, name: str) -> str:
    """What is said of a file with so many bytes."""
    return f"{size:,} bytes are more than {name} allows ({limit:,})"
