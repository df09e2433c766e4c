"""Edits made in a text: which can be made together, and what comes of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from servelint.finding import Edit
from servelint.project.text.source import Source, SourceError


class Written(NamedTuple):
    """The content of an edit as it stands in the result, by offsets, and the text that was there before."""

    start: int
    end: int
    removed: str


@dataclass(frozen=True, slots=True)
class Spliced:
    """The text of a file with edits made, and where their contents are in it."""

    text: str
    written: tuple[Written, ...]


def spliced(source: Source, edits: Iterable[Edit]) -> Spliced:
    """The text of `source` with `edits` made; everything outside them is as it was.

    Contents are written with `\\n` and get the file's own line ending. Raises `SourceError` for a position
    outside the file.
    """
    text, parts, end, length = source.text, list[str](), 0, 0
    written: list[Written] = []
    for edit in sorted(edits, key=lambda edit: edit.span):
        start = source.offset(edit.span.line, edit.span.column)
        if start < end:
            raise SourceError(f"{source.path}:{edit.span.line}: edits overlap")
        content = edit.content.replace("\r\n", "\n").replace("\n", source.newline)
        parts += (text[end:start], content)
        length += start - end
        end = source.offset(edit.span.end_line, edit.span.end_column)
        written.append(Written(length, length + len(content), text[start:end]))
        length += len(content)
    return Spliced("".join((*parts, text[end:])), tuple(written))


def splice(source: Source, edits: Iterable[Edit]) -> bytes:
    """The bytes of `source` with `edits` made.

    Raises `SourceError` as `spliced` does, and for text that the file's encoding does not have.
    """
    return source.encode(spliced(source, edits).text)


@dataclass(slots=True)
class Together:
    """Edits that do not touch each other; equal ones, such as the same import added twice, are one edit."""

    _taken: dict[Path, list[Edit]] = field(default_factory=dict)

    def take(self, edits: Iterable[Edit]) -> bool:
        """Add the edits, all of them or, where one touches what is there, none; whether they were added."""
        wanted = tuple(edits)
        if not all(map(self._has_room, wanted)):
            return False
        for edit in wanted:
            taken = self._taken.setdefault(edit.span.path, [])
            if edit not in _around(taken, edit):
                insort(taken, edit)
        return True

    def _has_room(self, edit: Edit) -> bool:
        near = _around(self._taken.get(edit.span.path, []), edit)
        return edit in near or not any(_touch(edit, other) for other in near)


def _around(taken: list[Edit], edit: Edit) -> list[Edit]:
    """The edits beside the place of one among others that are sorted and do not touch."""
    place = bisect_left(taken, edit)
    return taken[max(place - 1, 0) : place + 2]


def _touch(one: Edit, other: Edit) -> bool:
    first, second = sorted((one.span, other.span))
    return (first.end_line, first.end_column) >= (second.line, second.column)
