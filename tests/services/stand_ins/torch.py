"""The part of PyTorch that decides whether a rewrite is right: a gradient mode that belongs to a thread.

PyTorch's own documentation of `torch.no_grad` says "This context manager is thread local; it will not affect
computation in other threads", and a new thread starts with gradients enabled. The library itself is too large
to be installed for a test.
"""

from __future__ import annotations

import threading


class _Mode(threading.local):
    enabled = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    return _mode.enabled


class no_grad:  # noqa: N801  the name is PyTorch's
    def __enter__(self) -> None:
        self._before = _mode.enabled
        _mode.enabled = False

    def __exit__(self, *failure: object) -> None:
        _mode.enabled = self._before


class Tensor:
    """Asked for by scikit-learn where a module of this name is loaded."""
