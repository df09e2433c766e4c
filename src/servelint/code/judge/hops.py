"""The steps of the way from a call to what it ends in."""

from __future__ import annotations

from dataclasses import dataclass

from servelint.code.facts.facts import Position


@dataclass(frozen=True, slots=True)
class Hop:
    """One call on the way: the file and position of the call, and what it calls."""

    path: str
    position: Position
    text: str
