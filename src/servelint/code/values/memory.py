"""Answers to questions that may lead back to themselves, each worked out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """Remembers answers by key. A question that leads back to itself is answered with `nothing`.

    An answer that was cut short in that way holds until the question that it was cut short by is
    answered, and is then forgotten: asked again, it will be whole. Where the answer to that is `nothing`,
    too, it was whole from the beginning. Questions nested deeper than `maximum_depth` are answered with
    `nothing`.
    """

    def __init__(self, nothing: T, maximum_depth: int) -> None:
        self._nothing = nothing
        self._maximum_depth = maximum_depth
        self._known: dict[Hashable, T] = {}
        self._active: dict[Hashable, int] = {}
        self._provisional: dict[Hashable, tuple[T, int]] = {}
        self._provisional_keys: list[Hashable] = []
        # The outermost question that the answer under way has been cut short by.
        self._lowest = maximum_depth

    def answer(self, key: Hashable, compute: Callable[[], T]) -> T:
        """`compute()`, once a key."""
        if key in self._known:
            return self._known[key]
        if key in self._provisional:
            found, lowest = self._provisional[key]
            self._lowest = min(self._lowest, lowest)
            return found
        if key in self._active:
            self._lowest = min(self._lowest, self._active[key])
            return self._nothing
        if len(self._active) >= self._maximum_depth:
            return self._nothing
        return self._computed(key, compute)

    def _computed(self, key: Hashable, compute: Callable[[], T]) -> T:
        outer, self._lowest = self._lowest, self._maximum_depth
        depth, first = len(self._active), len(self._provisional_keys)
        self._active[key] = depth
        try:
            found = compute()
        except BaseException:
            self._forget(first)
            self._lowest = outer
            raise
        finally:
            del self._active[key]
        if self._lowest >= depth:
            self._known[key] = found
            if found == self._nothing:
                self._settle(first)
            self._forget(first)
            self._lowest = self._maximum_depth
        else:
            self._provisional[key] = (found, self._lowest)
            self._provisional_keys.append(key)
        self._lowest = min(self._lowest, outer)
        return found

    def _settle(self, first: int) -> None:
        """Take the answers since there were `first` for whole where all of them are `nothing`.

        Each question that led back to itself was answered so: then the answers that came of that are right.
        """
        found = {key: self._provisional[key][0] for key in self._provisional_keys[first:]}
        if all(answer == self._nothing for answer in found.values()):
            self._known |= found

    def _forget(self, first: int) -> None:
        """Forget the answers that were cut short since there were `first` of them."""
        for cut_short in self._provisional_keys[first:]:
            del self._provisional[cut_short]
        del self._provisional_keys[first:]
