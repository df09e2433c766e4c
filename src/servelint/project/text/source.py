"""The text of a file and where its lines are, so that a position can be found in it and written back.

Lines end with `\\n`, `\\r\\n` or `\\r`, as Python and YAML have it; a form feed or a Unicode line separator
does not end one.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path

from servelint.finding import Span

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_END_BYTES = re.compile(rb"\r\n|\n|\r")
# What Python takes for one of its own two, whatever follows: `utf-8-sig` in a cookie is UTF-8.
_USUAL = re.compile(r"(utf-8)(?:-.*)?|(?:latin-1|iso-8859-1|iso-latin-1)(?:-.*)?")


class SourceError(ValueError):
    """The bytes are not text in the encoding that the file declares; `line` is where, 0 if not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Source:
    """A decoded file: `bom` and `encoding` give the bytes back; `starts` are the offsets of its lines.

    Some encodings have several bytes for one character. What is written in them may come back as others:
    then the source is not `faithful`, and must not be written.
    """

    path: Path
    text: str
    encoding: str
    bom: bytes
    starts: tuple[int, ...]
    faithful: bool = True

    def line(self, number: int) -> str:
        """The text of line `number`, counted from 1, without its end; empty when there is no such line."""
        if not 1 <= number <= len(self.starts):
            return ""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")

    def length(self, number: int) -> int:
        """How long line `number` is without its end; its text is not copied."""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        start = self.starts[number - 1]
        while end > start and self.text[end - 1] in "\r\n":
            end -= 1
        return end - start

    @property
    def line_count(self) -> int:
        """How many lines there are; a last one without an end counts, an empty one after the last end too."""
        return len(self.starts)

    @property
    def unwritable(self) -> str:
        """Why the file cannot be written; empty if it can."""
        lossy = f"{self.encoding} does not give back the bytes of the file: it can be read, but not rewritten"
        return "" if self.faithful else lossy

    @property
    def newline(self) -> str:
        """The line ending that the file begins with; `\\n` when it has none."""
        found = _LINE_END.search(self.text)
        return found[0] if found else "\n"

    def offset(self, line: int, column: int) -> int:
        """Where a position is in `text`; raises `SourceError` for one outside the file."""
        if not 1 <= line <= len(self.starts) or not 1 <= column <= self.length(line) + 1:
            raise SourceError(f"{self.path}:{line}:{column} is outside the file")
        return self.starts[line - 1] + column - 1

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset into `text`."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def slice(self, span: Span) -> str:
        """The text that `span` covers, as far as the file has it."""
        try:
            return self.text[
                self.offset(span.line, span.column) : self.offset(span.end_line, span.end_column)
            ]
        except SourceError:
            return ""

    def span(self, start: int, end: int) -> Span:
        """The span between two offsets into `text`."""
        return Span(self.path, *self.position(start), *self.position(end))

    def encode(self, text: str) -> bytes:
        """The bytes of `text` in this file's encoding, with its byte order mark; raises `SourceError`."""
        if not self.faithful:
            raise SourceError(self.unwritable)
        try:
            return self.bom + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise SourceError(f"`{error.object[error.start]}` does not exist in {self.encoding}") from error


def decode(path: Path, data: bytes) -> Source:
    """Read bytes as text: by byte order mark, by PEP 263 for Python, else UTF-8; raises `SourceError`."""
    bom, encoding = next(((bom, name) for bom, name in _BOMS if data.startswith(bom)), (b"", ""))
    if not encoding:
        encoding = _declared(data) if path.suffix == ".py" else "utf-8"
    content = data[len(bom) :]
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise SourceError(f"unknown encoding {encoding}") from error
    except UnicodeError as error:
        good = content[: error.start] if isinstance(error, UnicodeDecodeError) else b""
        raise SourceError(f"is not {encoding}", len(_LINE_END_BYTES.findall(good)) + 1) from error
    starts = (0, *(found.end() for found in _LINE_END.finditer(text)))
    return Source(path, text, encoding, bom, starts, _is_faithful(text, encoding, content))


def _is_faithful(text: str, encoding: str, content: bytes) -> bool:
    if encoding.startswith("utf-8"):
        return True  # which has one way only to write a character
    try:
        return text.encode(encoding) == content
    except UnicodeError:
        return False


def decode_leniently(path: Path, data: bytes) -> Source:
    """As `decode`, but what is not text in the file's encoding is shown as replacement characters."""
    try:
        return decode(path, data)
    except SourceError:
        # The suffix would ask for the declared encoding again.
        shown = decode(path.with_suffix(""), data.decode("utf-8", errors="replace").encode())
        return replace(shown, path=path, faithful=False)


def split_lines(text: str) -> list[str]:
    """The lines of a piece of Python or YAML, without their ends; `str.splitlines` sees more of them."""
    return _LINE_END.split(text)


def _declared(data: bytes) -> str:
    """The encoding that a comment in the first two lines names, as Python understands it."""
    for line in _LINE_END_BYTES.split(data, 2)[:2]:
        if found := _COOKIE.match(line):
            name = found[1].decode()
            usual = _USUAL.fullmatch(name.lower().replace("_", "-"))
            return (usual[1] or "latin-1") if usual else name
        code = line.strip(b" \t\f")
        if code and not code.startswith(b"#"):
            break
    return "utf-8"


def encode_buffer(path: Path, text: str) -> bytes:
    """The bytes that an editor would save for `text`; characters it could not save become `?`."""
    encoding = _declared(text.encode("utf-8", "replace")) if path.suffix == ".py" else "utf-8"
    try:
        return text.encode(encoding, "replace")
    except (LookupError, UnicodeError):  # a codec that is unknown, or is for something else than text
        return text.encode("utf-8", "replace")
