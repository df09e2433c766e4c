"""SRV103 eager-offload: see `rules/SRV103.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import dotted
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.subjects import EagerOffload
from servelint.code.rules.places import finding
from servelint.finding import Finding, Severity

CODE = "SRV103"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Calls that run before their result is offloaded as if it were a function."""
    for (_, position), (place, blocking) in analysis.eager_offloads.items():
        offload = dotted(place.site.call.function)
        yield finding(
            analysis,
            CODE,
            place,
            f"the argument is called on the event loop before `{offload}()` is: the offload gets its result",
            severity=Severity.ERROR,
            confidence=blocking.confidence,
            library=blocking.library,
            position=position,
            subject=EagerOffload(place, position, blocking),
        )
