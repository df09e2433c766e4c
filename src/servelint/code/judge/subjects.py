"""What findings about offloads and pools are about, for whoever plans their fixes.

A finding on a blocking call is about an `analysis.BlockingCall`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from servelint.code.facts.facts import Position
from servelint.code.judge.analysis import BlockingCall, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.loop.offloads import Handoff


class EagerOffload(NamedTuple):
    """The argument of an offload, at `position`, is a call that blocks (SRV103)."""

    place: Place
    position: Position
    blocking: Blocking


class RequestPool(NamedTuple):
    """A pool `name` is built for a request; `runs` is the inference in it, by position (SRV104)."""

    place: Place
    name: str
    runs: Mapping[Position, Blocking]


class LostOffload(NamedTuple):
    """An offload that nobody awaits, or of what only runs when it is `runs_when` (SRV106)."""

    place: Place
    handoff: Handoff
    runs_when: str


class Rebuilt(NamedTuple):
    """An object that a request makes for itself (SRV107)."""

    call: BlockingCall


class LostContext(NamedTuple):
    """Inference in another thread than the context around it (SRV108)."""

    place: Place
    handoff: Handoff
    blocking: Blocking


class OnDefaultExecutor(NamedTuple):
    """Inference on the loop's default executor (SRV109)."""

    place: Place
    handoff: Handoff
    blocking: Blocking
