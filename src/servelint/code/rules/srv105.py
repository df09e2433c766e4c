"""SRV105 blocking-wait: see `rules/SRV105.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import Position, dotted
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.waits import Wait
from servelint.code.loop.bound import LoopBound
from servelint.finding import Finding, Severity

CODE = "SRV105"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Waits for other threads that hold the event loop."""
    for place in analysis.places:
        wait = analysis.waits.of(place.frame, place.site)
        if wait is not None and not wait.excuse and place.caller.serves:
            call = place.site.call
            yield _finding(analysis, place.caller, call.position, wait, f"{dotted(call.function)}()")
    for path in analysis.paths:
        for caller in analysis.loop_bound(path):
            frame = analysis.evaluator.frame(caller.module, caller.index)
            for iteration in caller.facts.iterations:
                wait = analysis.waits.iteration(frame, iteration)
                if wait is not None and caller.serves:
                    text = dotted(iteration.iterable)
                    yield _finding(analysis, caller, iteration.position, wait, text)


def _finding(analysis: Analysis, caller: LoopBound, position: Position, wait: Wait, text: str) -> Finding:
    calls = len(wait.hops) - 1
    through = f" through {calls} call{'s' if calls > 1 else ''}" if calls else ""
    message = f"`{text}` holds the event loop until another thread is done{through}"
    return Finding(
        code=CODE,
        span=analysis.span(caller.module.path, position),
        message=message,
        severity=Severity.ERROR,
        confidence=wait.confidence,
        function=caller.facts.qualname,
        role=caller.role,
        trace=analysis.steps(wait.hops),
        identity=(caller.facts.qualname, text.removesuffix("()"), message),
    )
