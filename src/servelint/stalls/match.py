"""Which finding a stall belongs to: the file by its path's end, the coroutine by its name.

The paths of a log are those of a container. The line is where the coroutine waits next, or begins, so it
only tells functions of one name apart.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from servelint.finding import Finding, Measured, Stalled
from servelint.lint import Report
from servelint.stalls.log import Stall

_SEPARATOR = re.compile(r"[/\\]")
_PACKAGES = re.compile(r"(?:site|dist)-packages$|python\d\.\d+$")
_DEEPEST = 64  # parts of a path that are compared


def with_stalls(report: Report, stalls: Iterable[Stall]) -> Report:
    """The report with what was measured on its findings, and with the stalls that have none."""
    seconds: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for stall in stalls:
        seconds[stall.function, stall.path, stall.line].append(stall.seconds)
    index = _Index(report)
    found: dict[tuple[str, Path, int], list[float]] = defaultdict(list)
    others: dict[tuple[str, str], _Other] = {}
    for (function, path, line), times in seconds.items():
        files = index.files(path)
        fitting = [
            (file, index.at(file, function, line)) for file in index.having(function) if file in files.all
        ]
        if len(fitting) == 1:
            ((file, begins),) = fitting
            for begin in begins:
                found[function, file, begin] += times
        elif files.reported or not files.all:
            other = others.setdefault(
                (function, path), _Other(line, [], tuple(sorted(x for x, _ in fitting)))
            )
            other.seconds.extend(times)
    return replace(
        report,
        findings=tuple(_measured(finding, found) for finding in report.findings),
        stalls=tuple(sorted(_left(others, whole=report.tree.reported is None), key=_worst)),
    )


class _Other(NamedTuple):
    line: int
    seconds: list[float]
    fits: tuple[Path, ...]


def _left(others: Mapping[tuple[str, str], _Other], *, whole: bool) -> Iterator[Stalled]:
    for (function, path), other in others.items():
        if whole or path:
            yield Stalled(function, path, other.line, _sum(other.seconds), other.fits)


def _worst(item: Stalled) -> tuple[float, str, str]:
    return -item.measured.longest, item.path, item.function


def _measured(finding: Finding, found: Mapping[tuple[str, Path, int], list[float]]) -> Finding:
    times = found.get((finding.function, finding.span.path, finding.span.line))
    return finding if times is None else replace(finding, measured=_sum(times))


def _sum(seconds: Sequence[float]) -> Measured:
    ordered = sorted(seconds)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Measured(len(ordered), round(median, 3), ordered[-1])


class _Files:
    """Files whose paths end alike, and those of them that have longer ends in common.

    What is looked up costs its parts, however many files are called alike: a log may name any number.
    """

    def __init__(self) -> None:
        self.all: dict[Path, None] = {}
        self.reported = False
        self.longer: dict[str, _Files] = {}

    def add(self, file: Path, parts: Sequence[str], *, reported: bool) -> None:
        """Know a file by the parts of its path, the name last; `reported` if its findings are."""
        here = self
        for part in reversed(parts[-_DEEPEST:]):
            here = here.longer.setdefault(part, _Files())
            here.all[file] = None
            here.reported |= reported

    def longest(self, parts: Sequence[str]) -> tuple[int, _Files]:
        """How many parts the longest end in common has, and the files that have it."""
        here, count = self, 0
        for part in reversed(parts):
            if part not in here.longer:
                break
            here = here.longer[part]
            count += 1
        return count, here


class _Index:
    """The files of a project by the ends of their paths, and the lines of its findings by their functions."""

    def __init__(self, report: Report) -> None:
        self.report = report
        tree = report.tree
        self.by_end, self.none = _Files(), _Files()
        for path in tree.python:
            if path.is_relative_to(tree.root):
                self.by_end.add(path, path.relative_to(tree.root).parts, reported=tree.reports(path))
        self.lines: dict[str, dict[Path, set[int]]] = defaultdict(lambda: defaultdict(set))
        hidden = (item.finding for item in report.suppressed)
        for finding in (*report.accountable, *hidden):
            if finding.function:
                self.lines[finding.function][finding.span.path].add(finding.span.line)
        self.known: dict[str, _Files] = {}
        self.spans: dict[Path, dict[str, list[tuple[int, int]]]] = {}

    def files(self, path: str) -> _Files:
        """The files of the project whose paths have the longest end in common with the path of a log."""
        if path not in self.known:
            self.known[path] = self._files(path)
        return self.known[path]

    def _files(self, path: str) -> _Files:
        parts = [part for part in _SEPARATOR.split(path) if part][-_DEEPEST:]
        packages = (index for index, part in enumerate(parts) if _PACKAGES.match(part))
        # What is installed is known by its whole path: another package's `main.py` is not the project's.
        least = len(parts) - 1 - max(packages, default=len(parts) - 2)
        longest, files = self.by_end.longest(parts)
        return files if longest >= least else self.none

    def having(self, function: str) -> Iterable[Path]:
        """The files with findings in functions of this name."""
        return self.lines.get(function, ())

    def at(self, file: Path, function: str, line: int) -> list[int]:
        """The lines of the findings in a function, in the one at `line` where several have its name."""
        lines = sorted(self.lines[function][file])
        if file not in self.spans:
            self.spans[file] = _spans(self.report, file)
        spans = self.spans[file].get(function, ())
        here = [span for span in spans if span[0] <= line <= span[1]] if len(spans) > 1 else ()
        return [found for found in lines if not here or here[-1][0] <= found <= here[-1][1]]


def _spans(report: Report, file: Path) -> dict[str, list[tuple[int, int]]]:
    """The first and last lines of the functions of a file by their qualified names, decorators included."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    try:
        waiting: list[tuple[ast.AST, str]] = [(ast.parse(report.tree.read(file)), "")]
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return found
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, ast.ClassDef):
            prefix += f"{node.name}."
        elif isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            found[f"{prefix}{node.name}"].append((first, node.end_lineno or node.lineno))
            prefix += f"{node.name}.<locals>."
        waiting += ((child, prefix) for child in ast.iter_child_nodes(node))
    return found
