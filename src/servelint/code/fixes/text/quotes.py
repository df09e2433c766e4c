"""Text inside quotes that goes over several lines: what stands there is data and is never moved."""

from __future__ import annotations

import tokenize
from collections.abc import Iterable

_OPENING, _CLOSING = ("FSTRING_START", "TSTRING_START"), ("FSTRING_END", "TSTRING_END")


def inside_quotes(lines: Iterable[str]) -> frozenset[int]:
    """The lines, counted from 0, that begin inside a string.

    The lines are those of whole statements or of an expression. Raises `SyntaxError` or
    `tokenize.TokenError` for what cannot be told apart.
    """
    found: set[int] = set()
    opened: list[int] = []
    ended = (f"{line}\n" for line in lines)
    for token in tokenize.generate_tokens(lambda: next(ended, "")):
        kind = tokenize.tok_name[token.type]
        if kind in _OPENING:
            opened.append(token.start[0])
        elif kind == "STRING" or kind in _CLOSING:
            start = opened.pop() if kind in _CLOSING else token.start[0]
            found.update(range(start, token.end[0]))
    return frozenset(found)


def breaks_quotes(lines: Iterable[str]) -> bool:
    """Whether one of the lines begins inside a string, or it cannot be told."""
    try:
        return bool(inside_quotes(lines))
    except (SyntaxError, tokenize.TokenError):
        return True
