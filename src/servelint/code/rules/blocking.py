"""What the rules about blocking calls have in common: a finding for a call of certain roles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.rules import srv103
from servelint.finding import Finding, Severity
from servelint.knowledge.types import Role


def of_roles(
    analysis: Analysis,
    code: str,
    roles: Collection[Role],
    severity: Severity,
    message: Callable[[BlockingCall], str],
) -> Iterator[Finding]:
    """A finding for each blocking call whose sink has one of the roles, but for what SRV103 says of it."""
    eager = analysis.eager_offloads if analysis.config.selects(srv103.CODE) else {}
    for call in analysis.blocking_calls:
        if call.blocking.role in roles and (call.frame.module, call.position) not in eager:
            yield finding(analysis, code, call, severity, message(call))


def finding(analysis: Analysis, code: str, call: BlockingCall, severity: Severity, message: str) -> Finding:
    """The finding for one blocking call."""
    known = analysis.catalogue.libraries.get(call.blocking.library)
    # What a catalogue file advises is about calls that are made for each request.
    advice = known.advice if known and call.blocking.role is not Role.LOAD else ""
    return Finding(
        code=code,
        span=analysis.span(call.caller.module.path, call.position),
        message=message,
        severity=severity,
        confidence=call.blocking.confidence,
        function=call.caller.facts.qualname,
        role=call.caller.role,
        library=call.blocking.library,
        trace=analysis.trace(call.blocking),
        advice=advice,
        identity=(call.caller.facts.qualname, call.text, call.blocking.sink),
        cause=_cause(analysis, call),
        subject=call,
    )


def _cause(analysis: Analysis, call: BlockingCall) -> str:
    """The function on the way that loads once for all of its callers; empty where each call loads.

    One that is told what to load, or is a method, may load something else for each of them.
    """
    if call.blocking.role is not Role.LOAD:
        return ""
    for path, index in call.blocking.functions:
        function = analysis.evaluator.module(path).function(index)
        if analysis.preloads.keeps(function):
            alone = function.owner is None and not function.parameters
            return f"{path}:{function.qualname}" if alone else ""
    return ""


def through(call: BlockingCall) -> str:
    """How far the library call is from the call: empty, or ` through 2 calls`."""
    hops = len(call.blocking.hops) - 1
    return f" through {hops} call{'s' if hops > 1 else ''}" if hops else ""


def of_library(call: BlockingCall) -> str:
    """The library with a space after it, empty where it is not known."""
    return f"{call.blocking.library} " if call.blocking.library else ""
