"""SRV101 blocking-inference: see `rules/SRV101.md`."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.rules import blocking
from servelint.finding import Finding, Severity
from servelint.knowledge.types import Role

CODE = "SRV101"
ROLES = {
    Role.INFERENCE: "inference",
    Role.PREPROCESSING: "preprocessing",
    Role.EXPLANATION: "model explanation",
    Role.TRAINING: "training",
}


def check(analysis: Analysis) -> Iterator[Finding]:
    """Inference, and what takes as long, on the event loop."""
    yield from blocking.of_roles(analysis, CODE, ROLES, Severity.ERROR, _message)


def _message(call: BlockingCall) -> str:
    what = f"{blocking.of_library(call)}{ROLES[call.blocking.role]}"
    return f"`{call.text}` runs {what} on the event loop{blocking.through(call)}"
