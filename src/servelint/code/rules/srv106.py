"""SRV106 lost-offload: see `rules/SRV106.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import dotted
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.judge.subjects import LostOffload
from servelint.code.loop.offloads import Handoff
from servelint.code.rules.places import finding
from servelint.code.values.values import FunctionReference
from servelint.finding import Confidence, Finding, Severity

CODE = "SRV106"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Offloads that offload nothing, or whose end nobody sees."""
    for place, found in analysis.offloads:
        if not found.offload.awaitable or found.offload.wraps:
            continue
        message = _message(analysis, place, found)
        if message:
            runs_nothing = not (place.site.use == "discard" and found.offload.starts)
            yield finding(
                analysis,
                CODE,
                place,
                message,
                severity=Severity.ERROR if runs_nothing else Severity.WARNING,
                confidence=Confidence.HIGH if found.certain else Confidence.MEDIUM,
                subject=LostOffload(place, found, _runs_when(_runs_nothing(analysis, place, found))),
            )


def _message(analysis: Analysis, place: Place, found: Handoff) -> str:
    """What is lost; empty where nothing is."""
    call = f"`{dotted(place.site.call.function)}()`"
    what = _runs_nothing(analysis, place, found)
    if what:
        function = f"`{dotted(found.callable)}` is {what}"
        return f"{call} offloads nothing: {function}, which only runs when it is {_runs_when(what)}"
    if place.site.use != "discard" or found.dispatched:
        return ""
    if found.offload.starts:
        return f"nobody awaits {call}: what goes wrong in `{dotted(found.callable)}` is never seen"
    return f"nobody awaits {call}: `{dotted(found.callable)}` never runs"


def _runs_nothing(analysis: Analysis, place: Place, found: Handoff) -> str:
    """What kind of function the callable is, if calling it runs none of its body."""
    kinds = set()
    for value in analysis.evaluator.evaluate(place.frame, found.callable):
        if not isinstance(value, FunctionReference):
            return ""
        facts = analysis.evaluator.facts(value)
        kinds.add(
            "a coroutine function"
            if facts.is_async and not facts.is_generator
            else "a generator function"
            if facts.is_generator
            else ""
        )
    return kinds.pop() if len(kinds) == 1 else ""


def _runs_when(what: str) -> str:
    """When a function runs whose call alone runs none of its body; empty for any other."""
    return ("awaited" if "coroutine" in what else "iterated") if what else ""
