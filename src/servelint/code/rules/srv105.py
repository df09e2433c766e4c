"""SRV105 blocking-wait: see `rules/SRV105.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import dotted
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.waits import Waits
from servelint.code.rules.places import finding
from servelint.finding import Finding, Severity

CODE = "SRV105"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Waits for other threads that hold the event loop."""
    waits = Waits(analysis)
    for place in analysis.places:
        found = waits.of(place)
        if found is not None and not found.excuse and place.caller.serves:
            yield finding(
                analysis,
                CODE,
                place,
                f"`{dotted(place.site.call.function)}()` holds the event loop until another thread is done",
                severity=Severity.ERROR,
                confidence=found.confidence,
            )
