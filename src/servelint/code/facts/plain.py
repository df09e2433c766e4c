"""A Python file as the scanners of `scan` read it: the same names, written in the most ordinary way.

What is rare is put in order once, so that no pattern has to know of it: byte order marks and encodings, ends
of lines, form feeds, lines that go on after a backslash, and identifiers that Python takes for another
spelling of the same (NFKC). Places are not kept.
"""

from __future__ import annotations

import codecs
import re

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_COOKIE = re.compile(rb"(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)")
_UTF_8 = frozenset({b"utf-8", b"utf8", b"utf_8", b"ascii", b"us-ascii"})
_FORM_FEEDS = re.compile(rb"^[ \t\f]*\f", re.MULTILINE)
# A comment or a string keeps its backslash; one without an end goes as far as it can.
_CONTINUED = re.compile(
    rb"\\\n|#[^\n]*+"
    rb"|'''(?:[^'\\]|\\.|'(?!''))*(?:'''|\Z)"
    rb'|"""(?:[^"\\]|\\.|"(?!""))*(?:"""|\Z)'
    rb"|'(?:[^'\\\n]|\\.)*'?|\"(?:[^\"\\\n]|\\.)*\"?",
    re.DOTALL,
)
_WORDS = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z0-9_]*+[^\x00-\x7f][\w\x80-\U0010ffff]*+")


def plain(data: bytes) -> bytes:
    """The file in UTF-8, a logical line without brackets on one line that ends with `\\n`."""
    data = _utf_8(data)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\f" in data:
        data = _FORM_FEEDS.sub(b"", data).replace(b"\f", b" ")
    if b"\\\n" in data:
        data = _CONTINUED.sub(lambda found: b" " if found[0] == b"\\\n" else found[0], data)
    return data if data.isascii() else _normalized(data)


def plain_text(text: str) -> str:
    """A text that is in the file, as it is in what `plain` makes of it."""
    return text if text.isascii() and "\f" not in text else plain(text.encode("utf-8", "replace")).decode()


def _utf_8(data: bytes) -> bytes:
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    encoding = "utf-16" if data.startswith(_UTF_16) else ""
    if not encoding and b"coding" in data[:400]:
        cookie = _COOKIE.match(data)
        encoding = cookie[1].decode() if cookie is not None and cookie[1].lower() not in _UTF_8 else ""
    try:
        return data.decode(encoding).encode("utf-8", "replace") if encoding else data
    except (LookupError, ValueError):
        return data  # Python cannot read it either: it is reported when it is parsed


def _normalized(data: bytes) -> bytes:
    import unicodedata

    text = data.decode("utf-8", "replace")
    if unicodedata.is_normalized("NFKC", text):
        return data
    normalized = _WORDS.sub(
        lambda word: unicodedata.normalize("NFKC", word[0]) if word[0].isidentifier() else word[0], text
    )
    return normalized.encode()
