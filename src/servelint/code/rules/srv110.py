"""SRV110 blocking-remote-inference: see `rules/SRV110.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.rules import blocking
from servelint.finding import Finding, Severity
from servelint.knowledge.types import Role

CODE = "SRV110"


def check(analysis: Analysis) -> Iterator[Finding]:
    """The synchronous client of a remote model, called on the event loop."""
    yield from blocking.of_roles(analysis, CODE, {Role.REMOTE}, Severity.ERROR, _message)


def _message(call: BlockingCall) -> str:
    what = f"{blocking.of_library(call)}request"
    return f"`{call.text}` waits for a synchronous {what} on the event loop{blocking.through(call)}"
