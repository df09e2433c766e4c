"""Semantic versions, as far as charts ask which Kubernetes they are for."""

from __future__ import annotations

import re

KUBERNETES = "v1.31.0"
_LONGEST = 200
_VERSION = re.compile(r"v?([0-9]+)(?:\.([0-9]+|[xX*]))?(?:\.([0-9]+|[xX*]))?")
_TERM = re.compile(r"(>=|<=|!=|=|>|<|\^|~)?\s*(v?\d[\w.+*-]*)")


def _numbers(text: str) -> tuple[int, ...]:
    found = _VERSION.match(text.strip())
    if found is None:
        raise ValueError(text)
    return tuple(int(part) if part and part not in "xX*" else 0 for part in found.groups())


def satisfies(constraint: str, version: str) -> bool:
    """Whether a version satisfies a constraint like `>=1.23-0 <1.30` or `^1.2 || ~2.0`."""
    if len(constraint) > _LONGEST or len(version) > _LONGEST:
        raise ValueError("no version is that long")
    actual = _numbers(version)
    return any(
        all(_holds(operator, wanted, actual) for operator, wanted in _TERM.findall(part))
        for part in constraint.split("||")
    )


def _holds(operator: str, wanted: str, actual: tuple[int, ...]) -> bool:
    limit = _numbers(wanted)
    match operator:
        case ">=":
            return actual >= limit
        case ">":
            return actual > limit
        case "<=":
            return actual <= limit
        case "<":
            return actual < limit
        case "!=":
            return actual != limit
        case "^":
            return actual >= limit and actual[0] == limit[0]
        case "~":
            return actual >= limit and actual[:2] == limit[:2]
        case _:
            precision = wanted.count(".") + 1
            return actual[:precision] == limit[:precision]
