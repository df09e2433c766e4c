"""SRV109 default-executor: see `rules/SRV109.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import Constant, dotted
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.subjects import OnDefaultExecutor
from servelint.code.loop.offloads import Handoff
from servelint.code.rules.places import finding
from servelint.code.rules.runs import inference
from servelint.code.values.calls import argument
from servelint.finding import Finding, Severity

CODE = "SRV109"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Inference on the executor that the event loop uses for everything else."""
    sets = analysis.frameworks.sets_default_executor
    if any(True for name in sets for _ in analysis.project.calls(name)):
        return
    for place, found in analysis.offloads:
        blocking = inference(analysis, place, found) if _on_default_pool(found) else None
        if blocking is None:
            continue
        library = f"{blocking.library} " if blocking.library else ""
        yield finding(
            analysis,
            CODE,
            place,
            f"`{dotted(found.callable)}` runs {library}{blocking.role.value} on the loop's default executor",
            severity=Severity.INFO,
            confidence=blocking.confidence,
            library=blocking.library,
            subject=OnDefaultExecutor(place, found, blocking),
        )


def _on_default_pool(found: Handoff) -> bool:
    if found.dispatched or not found.offload.default_pool:
        return False
    if found.offload.pool is None:
        return True
    return argument(found.call, found.offload.pool, "executor") in (None, Constant(None))
