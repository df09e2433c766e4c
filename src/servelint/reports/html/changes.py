"""Fixes as diffs: around each change three lines, worked out from these lines alone.

A file with a thousand findings is not compared with itself a thousand times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from servelint.finding import Edit, Finding
from servelint.project.text.source import Source, SourceError, decode
from servelint.project.text.splice import spliced
from servelint.reports.frames import Sources
from servelint.unified import unified

_CONTEXT = 3
_LONGEST = 300  # characters of a line that are shown


class Hunk(NamedTuple):
    """A changed place: the file, the line it begins at, and lines that begin with ` `, `-` or `+`."""

    path: Path
    line: int
    lines: tuple[str, ...]


class Shared(NamedTuple):
    """What the fixes of several findings in one file bring only once: a pool, an import."""

    number: int
    path: Path
    edits: frozenset[Edit]


def shared(findings: Iterable[Finding]) -> dict[Path, Shared]:
    """The edits of each file that several fixes have."""
    counts = Counter(
        edit for finding in findings if finding.fix is not None for edit in set(finding.fix.edits)
    )
    common: dict[Path, set[Edit]] = {}
    for edit, count in counts.items():
        if count > 1:
            common.setdefault(edit.span.path, set()).add(edit)
    return {
        path: Shared(number, path, frozenset(common[path])) for number, path in enumerate(sorted(common), 1)
    }


def hunks(edits: Iterable[Edit], sources: Sources) -> list[Hunk]:
    """What the edits change, in the order of the files and lines."""
    found: list[Hunk] = []
    for cluster in _clusters(sorted(set(edits), key=lambda edit: edit.span)):
        path = cluster[0].span.path
        source = sources.at(path) or decode(path.with_suffix(""), b"")
        try:
            found += _hunk(source, cluster)
        except SourceError:  # edits that go over each other are no text; the fix says so when it is applied
            continue
    return found


def _clusters(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    """Edits that are so near that their surroundings touch."""
    cluster: list[Edit] = []
    for edit in edits:
        last = cluster[-1].span if cluster else None
        if last is not None and (
            last.path != edit.span.path or edit.span.line - last.end_line > 2 * _CONTEXT
        ):
            yield cluster
            cluster = []
        cluster.append(edit)
    if cluster:
        yield cluster


def _hunk(source: Source, edits: list[Edit]) -> Iterator[Hunk]:
    first = min(max(edits[0].span.line - _CONTEXT, 1), source.line_count)
    last = min(max(edit.span.end_line for edit in edits) + _CONTEXT, source.line_count)
    end = source.starts[last] if last < source.line_count else len(source.text)
    text = source.text[source.starts[first - 1] : end]
    window = decode(Path("window"), text.encode("utf-8", "replace"))
    after = spliced(window, [_moved(edit, first - 1) for edit in edits]).text
    compared = unified(_lines(text), _lines(after), b"", b"")
    lines = [line.decode("utf-8", "replace").rstrip("\r\n")[:_LONGEST] for line in compared]
    shown = [
        line for line in lines[2:] if not line.startswith("@@")
    ]  # without names and places in the window
    while shown and not shown[-1].strip():
        shown.pop()
    if shown:
        yield Hunk(source.path, first, tuple(shown))


def _moved(edit: Edit, lines: int) -> Edit:
    span = edit.span
    return edit._replace(span=span._replace(line=span.line - lines, end_line=span.end_line - lines))


def _lines(text: str) -> list[bytes]:
    return text.encode("utf-8", "replace").splitlines(keepends=True)
