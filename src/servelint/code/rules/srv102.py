"""SRV102 blocking-model-load: see `rules/SRV102.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.rules import blocking
from servelint.finding import Finding, Severity
from servelint.knowledge.types import Role

CODE = "SRV102"


def check(analysis: Analysis) -> Iterator[Finding]:
    """Models and artefacts loaded on the event loop while serving."""
    yield from blocking.of_roles(analysis, CODE, {Role.LOAD}, Severity.ERROR, _message)


def _message(call: BlockingCall) -> str:
    what = f"a {blocking.of_library(call)}model or artefact"
    return f"`{call.text}` loads {what} on the event loop while serving{blocking.through(call)}"
