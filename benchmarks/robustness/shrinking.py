"""Failing projects made smaller: fewer files, then fewer lines, then fewer characters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .projects import Project

_T = TypeVar("_T")
_LINES = re.compile(rb"(?s)[^\n]*\n|[^\n]+")
_SHORT = 4000


def shrink(project: Project, fails: Callable[[Project], bool], seconds: float) -> Project:
    """A smaller project that still fails, as small as is found in so many seconds."""
    end = time.monotonic() + seconds

    def still(candidate: Project) -> bool:
        return time.monotonic() < end and fails(candidate)

    names = _fewer(sorted(project), lambda kept: still({name: project[name] for name in kept}))
    project = {name: project[name] for name in names}
    for name in names:
        for pieces in (_lines, _characters):
            others = {other: content for other, content in project.items() if other != name}
            fails_with = _FailsWith(others, name, still)
            kept: Sequence[bytes] = _fewer(pieces(project[name]), fails_with)
            project = others | {name: b"".join(kept)}
    return project


@dataclass(frozen=True, slots=True)
class _FailsWith:
    """Whether the project fails with a file put together from some parts."""

    others: Project
    name: str
    fails: Callable[[Project], bool]

    def __call__(self, parts: Sequence[bytes]) -> bool:
        return self.fails(self.others | {self.name: b"".join(parts)})


def _lines(content: bytes) -> list[bytes]:
    return _LINES.findall(content)


def _characters(content: bytes) -> list[bytes]:
    """One by one where there are few, else in blocks."""
    size = 1 if len(content) <= _SHORT else len(content) // 64
    return [content[start : start + size] for start in range(0, len(content), size)]


def _fewer(parts: Sequence[_T], fails: Callable[[Sequence[_T]], bool]) -> Sequence[_T]:
    """Leave out halves, quarters, and so on down to single parts, as long as it still fails."""
    size = len(parts) // 2
    while size:
        start = 0
        while start < len(parts):
            candidate = [*parts[:start], *parts[start + size :]]
            if candidate and fails(candidate):
                parts = candidate
            else:
                start += size
        size //= 2
    return parts
