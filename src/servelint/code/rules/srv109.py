"""SRV109 default-executor: see `rules/SRV109.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import dotted
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.subjects import OnDefaultExecutor
from servelint.code.rules.places import finding
from servelint.finding import Finding, Severity

CODE = "SRV109"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Inference on the executor that the event loop uses for everything else."""
    if analysis.sets_default_executor:
        return
    for path in analysis.paths:
        for place, found, blocking in analysis.on_default_executor(path):
            runs = f"{blocking.library} {blocking.role.value}".lstrip()
            yield finding(
                analysis,
                CODE,
                place,
                f"`{dotted(found.callable)}` runs {runs} on the loop's default executor",
                severity=Severity.INFO,
                confidence=blocking.confidence,
                library=blocking.library,
                subject=OnDefaultExecutor(place, found, blocking),
            )
