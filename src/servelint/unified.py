"""Unified diffs in time that grows with the file, not with its square.

`difflib` compares everything with everything, and a manifest is made of the same lines again and again. A fix
changes little, so that here the two texts are walked side by side, and compared by `difflib` only where they
differ, in a window that grows until they agree again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_CONTEXT = 3
_AGREED = 3  # lines that have to be the same for the two to be side by side again
_WINDOW = 32


def unified(before: Sequence[bytes], after: Sequence[bytes], old: bytes, new: bytes) -> Iterator[bytes]:
    """A unified diff between two lists of lines, piece by piece; nothing where they are the same."""
    hunk: list[tuple[int, int, int, int]] = []
    for change in _changes(before, after):
        if not hunk:
            yield b"--- %s\n+++ %s\n" % (old, new)
        elif change[0] - hunk[-1][1] > 2 * _CONTEXT:
            yield from _hunk(before, after, hunk)
            hunk = []
        hunk.append(change)
    if hunk:
        yield from _hunk(before, after, hunk)


def _changes(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Ranges of lines that one text has in the place of ranges of the other, in order."""
    one = other = 0
    while True:
        while one < len(before) and other < len(after) and before[one] == after[other]:
            one, other = one + 1, other + 1
        if one >= len(before) and other >= len(after):
            return
        for change in _until_agreed(before, after, one, other):
            yield change
            _, one, _, other = change


def _until_agreed(
    before: Sequence[bytes], after: Sequence[bytes], one: int, other: int
) -> list[tuple[int, int, int, int]]:
    """The changes from here to where the texts agree again."""
    import difflib

    window = _WINDOW
    while True:
        ends = min(one + window, len(before)), min(other + window, len(after))
        whole = ends == (len(before), len(after))
        matcher = difflib.SequenceMatcher(
            None, before[one : ends[0]], after[other : ends[1]], autojunk=window > _WINDOW
        )
        changes: list[tuple[int, int, int, int]] = []
        for kind, start, end, place, stop in matcher.get_opcodes():
            if kind != "equal":
                changes.append((one + start, one + end, other + place, other + stop))
            elif changes and end - start >= _AGREED:
                return changes
        if whole:
            return changes
        window *= 4


def _hunk(
    before: Sequence[bytes], after: Sequence[bytes], changes: list[tuple[int, int, int, int]]
) -> Iterator[bytes]:
    lead = min(_CONTEXT, changes[0][0])
    trail = min(_CONTEXT, len(before) - changes[-1][1])
    first, last = changes[0][0] - lead, changes[-1][1] + trail
    place, stop = changes[0][2] - lead, changes[-1][3] + trail
    yield b"@@ -%s +%s @@\n" % (_range(first, last), _range(place, stop))
    position = first
    for start, end, begin, finish in changes:
        yield from (b" " + line for line in before[position:start])
        yield from (b"-" + line for line in before[start:end])
        yield from (b"+" + line for line in after[begin:finish])
        position = end
    yield from (b" " + line for line in before[position:last])


def _range(start: int, stop: int) -> bytes:
    """A range as `diff` writes it: the length left out where it is one, the line before where it is none."""
    length = stop - start
    if length == 1:
        return b"%d" % (start + 1)
    return b"%d,%d" % (start + 1 if length else start, length)
