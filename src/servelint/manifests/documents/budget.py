"""What working out one text may cost, counted instead of hoped for.

A few lines can double a value until no memory holds it. So whatever computes values spends from a budget,
in characters or what takes as long, and past its end the text is given up and told.
"""

from __future__ import annotations

from servelint.boundary import LimitError


class Budget:
    """An amount to spend; `what` names it in the message: `1,000 commands`."""

    __slots__ = ("amount", "left", "what")

    def __init__(self, amount: int, what: str) -> None:
        self.amount = amount
        self.left = amount
        self.what = what

    def spend(self, cost: int) -> None:
        """Take `cost`; raises `LimitError` when it is more than there is."""
        self.left -= cost
        if self.left < 0:
            raise LimitError(f"more than {self.amount:,} {self.what}")
