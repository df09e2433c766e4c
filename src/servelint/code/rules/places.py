"""What the rules about offloading have in common: names of calls, and findings on them."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import Position, dotted
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.values.values import External, plain
from servelint.finding import Confidence, Finding, Severity


def names_called(analysis: Analysis, place: Place) -> Iterator[tuple[str, bool]]:
    """The qualified names that the call may have outside the project, and whether each is certain."""
    for value, certain in plain(analysis.evaluator.calls.callees(place.frame, place.site.call)):
        if isinstance(value, External):
            yield value.name, certain


def finding(
    analysis: Analysis,
    code: str,
    place: Place,
    message: str,
    *,
    severity: Severity,
    confidence: Confidence = Confidence.HIGH,
    library: str = "",
    position: Position | None = None,
    subject: object = None,
    unfixable: str = "",
) -> Finding:
    """A finding on the call, or on the part of it at `position`."""
    caller = place.caller
    return Finding(
        code=code,
        span=analysis.span(caller.module.path, position or place.site.call.position),
        message=message,
        severity=severity,
        confidence=confidence,
        function=caller.facts.qualname,
        role=caller.role,
        library=library,
        unfixable=unfixable,
        identity=(caller.facts.qualname, dotted(place.site.call.function), message),
        subject=subject,
    )
