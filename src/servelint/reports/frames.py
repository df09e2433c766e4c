"""Source frames: lines of a file with a part underlined, as compilers show them."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from pathlib import Path
from typing import NamedTuple

from servelint.escape import in_columns, visible
from servelint.finding import Finding, Span
from servelint.lint import Report
from servelint.project.text.source import Source, decode_leniently
from servelint.reports.style import SEVERITY_COLOURS, Style

_TAB = "    "
_DEFINITION = re.compile(r"\s*(?:async\s+)?def\s")


class Frame(NamedTuple):
    """A place to show, at most `lines` of it.

    `label` stands behind the underline, `header` is the line of the `def` around it, or 0.
    """

    source: Source
    span: Span
    label: str = ""
    colour: str = "red"
    header: int = 0
    lines: int = 3


class Sources:
    """The files that frames are cut from, decoded once; None for one that cannot be read."""

    def __init__(self, report: Report) -> None:
        self.tree = report.tree
        self.known: dict[Path, Source | None] = {}
        self._outlines: dict[Path, Outline] = {}

    def at(self, path: Path) -> Source | None:
        """The text of a file."""
        if path not in self.known:
            try:
                self.known[path] = decode_leniently(path, self.tree.read(path))
            except OSError:
                self.known[path] = None
        return self.known[path]

    def definition(self, source: Source, line: int) -> int:
        """The line of the `def` around a line of a Python file, 0 if there is none."""
        if source.path not in self._outlines:
            self._outlines[source.path] = Outline(source)
        return self._outlines[source.path].definition(line)


def frames_of(finding: Finding, sources: Sources) -> list[Frame]:
    """The finding, then each step of its trace; a step at the finding itself is its label."""
    steps = list(finding.own_trace)
    label = ""
    if steps and (steps[0].span.path, steps[0].span.line) == (finding.span.path, finding.span.line):
        label = steps.pop(0).message
    places = [(finding.span, label, SEVERITY_COLOURS[finding.severity])]
    places += [(step.span, step.message, "cyan") for step in steps]
    frames: list[Frame] = []
    for span, message, colour in places:
        source = sources.at(span.path)
        if source is not None and span.line <= source.line_count and source.text:
            header = sources.definition(source, span.line) if span.path.suffix == ".py" else 0
            frames.append(Frame(source, span, message, colour, header, lines=1 if frames else 3))
    return frames


class Outline:
    """What the lines of a Python file stand in, by how far they are indented; what was found is kept."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[int, int] = {}

    def definition(self, line: int) -> int:
        """The line of the `def` around a line, 0 if there is none."""
        depth, passed, found = _indent(self._source.line(line)), [line], 0
        for number in range(line - 1, 0, -1):
            text = self._source.line(number)
            indent = _indent(text)
            if indent > depth or not text.strip():
                continue
            if indent < depth and _DEFINITION.match(text):
                found = number
                break
            if number in self._known:  # what is above it is above this line too
                found = self._known[number]
                break
            if indent < depth:
                depth = indent
                passed.append(number)
        self._known.update(dict.fromkeys(passed, found))
        return found


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def gutter_width(frames: list[Frame]) -> int:
    """The columns that the line numbers of all `frames` need."""
    return max((len(str(last_line(frame))) for frame in frames), default=1)


def last_line(frame: Frame) -> int:
    """The last line of the file that the frame shows."""
    return min(frame.span.end_line, frame.span.line + frame.lines - 1)


def draw(frame: Frame, gutter: int, style: Style) -> list[str]:
    """The lines of one frame, without the place it is at."""
    bar = style.paint("|", "blue")
    out: list[str] = []
    if frame.header:
        header = _clip(_expand(frame.source.line(frame.header)), 0, gutter, style)[0]
        out.append(_numbered(frame.header, gutter, header, style))
        if frame.header + 1 < frame.span.line:
            out.append(f"{style.paint('...'.rjust(gutter + 2), 'blue')}")
    last = last_line(frame)
    for number in range(frame.span.line, last + 1):
        text = frame.source.line(number)
        start, end = marked(text, number, frame.span)
        left, width = _columns(text[:start]), max(_columns(text[start:end]), 1)
        shown, shift = _clip(_expand(text), left, gutter, style)
        out.append(_numbered(number, gutter, shown, style))
        if style.width:
            width = min(width, max(style.width - gutter - 3 - (left - shift), 1))
        more = "..." if number == last and last < frame.span.end_line else ""
        label = frame.label if number == last else ""
        for line in _labelled("^" * width + more, left - shift, label, gutter, style):
            blank = len(line) - len(line.lstrip())
            out.append(f"{' ' * gutter} {bar} {line[:blank]}{style.paint(line[blank:], frame.colour)}")
    return out


def _labelled(mark: str, left: int, label: str, gutter: int, style: Style) -> list[str]:
    """The underline with its label behind it, or below it where the terminal is too narrow."""
    words = visible(label)
    line = f"{' ' * left}{mark}{' ' if words else ''}{words}"
    room = style.width - gutter - 3
    if not words or not style.width or len(line) <= room:
        return [line]
    indent = " " * min(left, max(room // 2, 0))
    wrapped = textwrap.wrap(words, max(room - len(indent), 20), break_on_hyphens=False)
    return [f"{' ' * left}{mark}", *(f"{indent}{part}" for part in wrapped)]


def _numbered(number: int, gutter: int, text: str, style: Style) -> str:
    return f"{style.paint(str(number).rjust(gutter), 'blue')} {style.paint('|', 'blue')} {text}".rstrip()


def marked(text: str, number: int, span: Span) -> tuple[int, int]:
    """Which part of line `number` is underlined: of the lines after the first, what is not indentation."""
    start = span.column - 1 if number == span.line else _indent(text)
    end = span.end_column - 1 if number == span.end_line else len(text.rstrip())
    return start, max(start, end)


def _expand(text: str) -> str:
    return in_columns(text.replace("\t", _TAB))


def _columns(text: str) -> int:
    """How many terminal columns `text` takes."""
    expanded = text.replace("\t", _TAB)
    if expanded.isascii():
        return len(expanded)
    return sum(_character_columns(character) for character in expanded)


def _character_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _clip(text: str, left: int, gutter: int, style: Style) -> tuple[str, int]:
    """`text` cut to the terminal so that column `left` is in it, and how many columns were cut before it."""
    room = style.width - gutter - 3
    if not style.width or room < 20 or _columns(text) <= room:
        return text, 0
    if not text.isascii():  # cutting by columns is only simple when each character takes one
        return text, 0
    shift = max(0, left - room // 3) if left > room // 2 else 0
    part = text[shift : shift + room]
    if shift:
        part = "..." + part[3:]
    if shift + room < len(text):
        part = part[:-3] + "..."
    return part, shift
