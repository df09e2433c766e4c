"""What comes in from an editor, as far as it can be trusted: whole messages of a bounded size, and files.

And what goes out, for as long as the editor is there.
"""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit

MOST_BYTES = 16 * 1024 * 1024  # of one message; an editor sends whole documents
_LONGEST_HEADER = 8 * 1024
_PIECE = 64 * 1024
# What is before it on the line is the rest of something that was no message.
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})\s*\Z", re.IGNORECASE)


class Inbox:
    """A stream of messages with headers, as pygls reads one, without what would end it or fill its memory.

    A header that says no length is passed over, and so is a message that is too long; `complain` is told.
    """

    def __init__(self, stream: BinaryIO, complain: Callable[[str], None]) -> None:
        self._stream = stream
        self._complain = complain
        self._headers: deque[bytes] = deque()
        self._body = b""

    def readline(self) -> bytes:
        """The next line of the headers of the next message, nothing at the end of the stream."""
        if not self._headers:
            self._body = self._next()
            if not self._body:
                return b""
            self._headers += (b"Content-Length: %d\r\n" % len(self._body), b"\r\n")
        return self._headers.popleft()

    def read(self, _size: int) -> bytes:
        """The body of the message whose headers were read."""
        return self._body

    def _next(self) -> bytes:
        while length := self._length():
            if length <= MOST_BYTES:
                body = self._stream.read(length)
                return body if len(body) == length else b""
            self._complain(f"a message of {length:,} bytes is passed over; the most is {MOST_BYTES:,}")
            while length and (piece := self._stream.read(min(length, _PIECE))):
                length -= len(piece)
        return b""

    def _length(self) -> int:
        """The length that the next headers tell, 0 at the end of the stream."""
        length = 0
        while line := self._stream.readline(_LONGEST_HEADER):
            if found := _LENGTH.search(line):
                length = int(found[1])
            elif length and not line.strip():
                return length
        return 0


class Outbox:
    """A stream for messages that, however it fails, fails as one whose reader has gone.

    pygls tells the client of every other failure, by a message, which fails.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Write all of a message."""
        try:
            self._stream.write(data)
        except OSError as error:
            raise BrokenPipeError(error.errno, error.strerror) from error

    def flush(self) -> None:
        """Send what was written."""
        try:
            self._stream.flush()
        except OSError as error:
            raise BrokenPipeError(error.errno, error.strerror) from error

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


def file_of(uri: str) -> Path | None:
    """The file that an open document is, or will be when it is saved.

    None for what is no file, such as `untitled:` and `git:` documents, and for what no file can be named.
    """
    try:
        name = _name(uri)
        if name is None or "\0" in name or not os.path.isabs(name):  # noqa: PTH117 - not a path yet
            return None
        path = Path(os.path.normpath(name))
        return path if stat.S_ISREG(path.stat().st_mode) else None
    except FileNotFoundError:
        return path
    except (OSError, ValueError):
        return None


def _name(uri: str) -> str | None:
    parts = urlsplit(uri)
    if parts.scheme.lower() != "file":
        return None
    if os.name == "nt":
        from pygls.uris import to_fs_path

        return to_fs_path(uri)
    if parts.netloc.lower() not in ("", "localhost"):
        return None
    return "/" + os.fsdecode(unquote_to_bytes(parts.path)).lstrip("/")
