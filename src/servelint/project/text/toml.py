"""The one door to other tools' TOML: what cannot be read there is none, whatever the reason."""

from __future__ import annotations

from typing import Any


def table(text: str) -> dict[str, Any] | None:
    """The outermost table; None for what is no TOML, or is nested or has numbers beyond what Python reads.

    `tomllib` lets ValueError through for a number of more than 4,300 digits, and RecursionError.
    """
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
