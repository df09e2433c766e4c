"""What an offloaded callable does in its thread."""

from __future__ import annotations

from servelint.code.facts.facts import Call
from servelint.code.judge.analysis import Analysis, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.loop.offloads import Handoff
from servelint.code.rules.srv101 import ROLES


def inference(analysis: Analysis, place: Place, found: Handoff) -> Blocking | None:
    """The inference, or what takes as long, that the offloaded callable runs; None where none is known."""
    blocking = analysis.judge.call(place.frame, Call(found.callable, (), (), found.call.position))
    return blocking if blocking is not None and blocking.role in ROLES else None
