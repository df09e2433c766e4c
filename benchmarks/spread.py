"""How a number that was measured several times is written."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence


def spread(values: Sequence[float | None], written: Callable[[float], str]) -> str:
    """The median, and the lowest and highest in brackets where they read differently; empty without values.

    What all three end in (a unit) is said once.
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return ""
    low, middle, high = (written(value) for value in (known[0], statistics.median(known), known[-1]))
    if low == high:
        return middle
    units = {text.partition(" ")[2] for text in (low, middle, high)}
    if len(units) == 1:
        low, high = low.partition(" ")[0], high.partition(" ")[0]
    return f"{middle} ({low} to {high})"
