"""Text that remembers where it was written.

A command that a container runs may come from a Dockerfile, a values file and a template at once. Every
piece of text that rules see is therefore `Located`: its characters, and for each run of them the range of
the file they were read from. Joining, slicing and substituting keep that knowledge, so that a finding
stands on the token someone wrote and a fix can replace it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from servelint.boundary import LimitError
from servelint.finding import Edit, Span
from servelint.project.text.source import Source

# What the Linux kernel takes for one argument or variable: no command is ever given more.
MAX_WORD = 131_072
_MAX_PIECES = 32_768
_RUN_WEIGHT = 16


class Run(NamedTuple):
    """Characters `start` to `end` of a text come from `offset` to `stop` of `source`.

    A verbatim run holds the very characters of the file; any other was computed from what stands there.
    `definition` is the text of a variable that the range refers to, where it is known.
    """

    start: int
    end: int
    source: Source
    offset: int
    stop: int
    verbatim: bool = True
    definition: Located | None = None

    def cut(self, start: int, end: int, shift: int) -> Run:
        """The part of the run between `start` and `end`, moved by `shift`."""
        start, end = max(start, self.start), min(end, self.end)
        offset, stop = self.offset, self.stop
        if self.verbatim:
            offset += start - self.start
            stop = offset + end - start
        return Run(start + shift, end + shift, self.source, offset, stop, self.verbatim, self.definition)


class Place(NamedTuple):
    """A range of one file; `verbatim` says that the text in question stands there as it is."""

    source: Source
    start: int
    end: int
    verbatim: bool
    definition: Located | None = None

    @property
    def span(self) -> Span:
        """The range as lines and columns."""
        return self.source.span(self.start, self.end)

    @property
    def written(self) -> str:
        """What stands in the file at this place."""
        return self.source.text[self.start : self.end]

    def edit(self, content: str) -> Edit:
        """An edit that puts `content` here."""
        return Edit(self.span, content)


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A text and the places it was read from. Runs cover the text in order."""

    text: str
    runs: tuple[Run, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, source: Source, start: int = 0, end: int | None = None) -> Located:
        """The file's own characters between two offsets."""
        end = len(source.text) if end is None else end
        return cls(source.text[start:end], (Run(0, end - start, source, start, end),))

    @classmethod
    def computed(cls, text: str, place: Place, definition: Located | None = None) -> Located:
        """A text that stands for what is written at `place`."""
        run = Run(0, len(text), place.source, place.start, place.end, False, definition or place.definition)
        return cls(text, (run,))

    @classmethod
    def join(cls, parts: Iterable[Located]) -> Located:
        """The texts one after another; runs that continue each other become one."""
        texts: list[str] = []
        runs: list[Run] = []
        length = 0
        for part in parts:
            for run in part.runs:
                moved = run.cut(run.start, run.end, length)
                if runs and _continues(runs[-1], moved):
                    last = runs.pop()
                    moved = Run(last.start, moved.end, last.source, last.offset, moved.stop)
                runs.append(moved)
            texts.append(part.text)
            length += len(part.text)
        return cls("".join(texts), tuple(runs))

    def __len__(self) -> int:
        return len(self.text)

    @property
    def weight(self) -> int:
        """What it takes to copy the text, in characters: each place it was read from counts for some."""
        return len(self.text) + _RUN_WEIGHT * len(self.runs)

    def slice(self, start: int, end: int) -> Located:
        """The text between two positions, with where it comes from."""
        if len(self.runs) == 1:
            inside: tuple[Run, ...] = self.runs
        else:
            first = bisect.bisect_right(self.runs, start, key=lambda run: run.end)
            last = bisect.bisect_left(self.runs, end, key=lambda run: run.start)
            inside = self.runs[first : max(last, first)]
        return Located(self.text[start:end], tuple(run.cut(start, end, -start) for run in inside))

    def place_of(self, start: int, end: int) -> Place:
        """Where the text between two positions stands: the same as `slice(start, end).place`."""
        run = self.runs[0]
        if len(self.runs) > 1 or not run.verbatim:
            return self.slice(start, end).place
        offset = run.offset + start - run.start
        return Place(run.source, offset, offset + end - start, True, run.definition)

    def strip(self) -> Located:
        """Without white space at both ends."""
        start = len(self.text) - len(self.text.lstrip())
        return self.slice(start, max(start, len(self.text.rstrip())))

    @property
    def place(self) -> Place:
        """The smallest range of one file that holds the text; of its first file where there are several."""
        first = self.runs[0]
        same = [run for run in self.runs if run.source is first.source]
        verbatim = len(self.runs) == 1 and first.verbatim
        start = min(run.offset for run in same)
        end = max(run.stop for run in same)
        definition = next((run.definition for run in self.runs if run.definition is not None), None)
        return Place(first.source, start, end, verbatim, definition)


def word(parts: Sequence[Located]) -> Located:
    """The parts joined to one word of a command line, or one variable; raises `LimitError`."""
    limit = ""
    if sum(map(len, parts)) > MAX_WORD:
        limit = f"a word of more than {MAX_WORD:,} characters"
    elif sum(len(part.runs) for part in parts) > _MAX_PIECES:
        limit = f"a word put together from more than {_MAX_PIECES:,} pieces"
    if limit:
        first = next(part for part in parts if part.runs).place
        raise LimitError(limit, first.span.line, first.source.path)
    return Located.join(parts)


def _continues(last: Run, following: Run) -> bool:
    return (
        last.verbatim
        and following.verbatim
        and last.source is following.source
        and last.stop == following.offset
        and last.definition is following.definition is None
    )
