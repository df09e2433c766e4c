"""SRV108 lost-inference-context: see `rules/SRV108.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import Call, Expression, dotted
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.judge.subjects import LostContext
from servelint.code.loop.offloads import Handoff
from servelint.code.rules.places import finding
from servelint.code.values.values import External, plain
from servelint.finding import Finding, Severity

CODE = "SRV108"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Thread-local contexts around inference that runs in another thread."""
    for place, found in analysis.offloads:
        entered = [c for c in place.site.contexts if _is_thread_local(analysis, place, c)]
        blocking = analysis.computed(place, found) if entered else None
        if blocking is None:
            continue
        yield finding(
            analysis,
            CODE,
            place,
            _message(entered[-1], found),
            severity=Severity.WARNING,
            confidence=blocking.confidence,
            library=blocking.library,
            subject=LostContext(place, found, blocking),
        )


def _is_thread_local(analysis: Analysis, place: Place, context: Expression) -> bool:
    function = context.function if isinstance(context, Call) else context
    values = analysis.evaluator.evaluate(place.frame, function)
    return any(isinstance(v, External) and analysis.thread_local.find(v.name) for v, _ in plain(values))


def _message(context: Expression, found: Handoff) -> str:
    runs = dotted(found.callable)
    return f"`{dotted(context)}` holds for the event loop's thread, not for the one that runs `{runs}`"
