"""What judging a call comes to: how it blocks, that it is harmless, or that nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

from servelint.code.facts.facts import Position
from servelint.code.values.values import FunctionReference, Value
from servelint.finding import Confidence
from servelint.knowledge.types import Link, Role

# How many harmless targets there may be for one that blocks before nothing is said of the call.
MAXIMUM_HARMLESS = 3


@dataclass(frozen=True, slots=True)
class Hop:
    """One call on the way: the file and position of the call, and what it calls."""

    path: str
    position: Position
    text: str


@dataclass(frozen=True, slots=True)
class Blocking:
    """A blocking call: the way to it (the call itself first), what it ends in, and how sure that is.

    `functions` are the project's functions on the way, by file and index. `thread_safe` is None where
    nobody says. `makes` is the catalogue type of the object that the call gives, empty for none. `drawn` says
    that the work is done by taking elements from a lazy result, `implied` that not the call does the work but
    what the language does beside it: enter its result, go through it, or read what is called. `chain` is the
    way inside the library, as far as its own code was read.
    """

    role: Role
    library: str
    sink: str
    confidence: Confidence
    hops: tuple[Hop, ...]
    thread_safe: bool | None = None
    functions: tuple[tuple[str, int], ...] = ()
    makes: str = ""
    drawn: bool = False
    implied: bool = False
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What calling one value does: `blocking`, or known to be harmless, or neither (not known).

    `coroutine` says that a library documents the call as asynchronous.
    """

    blocking: Blocking | None = None
    harmless: bool = False
    coroutine: bool = False


HARMLESS = Outcome(harmless=True)
COROUTINE = Outcome(harmless=True, coroutine=True)
UNKNOWN = Outcome()


@overload
def less_sure(blocking: Blocking, among: float = 0) -> Blocking: ...
@overload
def less_sure(blocking: None, among: float = 0) -> None: ...
def less_sure(blocking: Blocking | None, among: float = 0) -> Blocking | None:
    """The same as one of several targets; `among` are the harmless ones for each that blocks."""
    if blocking is None:
        return None
    sure = Confidence.LOW if among > MAXIMUM_HARMLESS else Confidence.MEDIUM
    return replace(blocking, confidence=min(sure, blocking.confidence, key=lambda c: c.rank))


def written(targets: Sequence[Value | None]) -> int:
    """How many targets are written: a method that many classes inherit is one."""
    functions = {(v.module, v.function) for v in targets if isinstance(v, FunctionReference)}
    return len(functions) + sum(not isinstance(v, FunctionReference) for v in targets)


def preference(blocking: Blocking | None) -> tuple[bool, int, int, int]:
    """What this process computes before what another one does: a request may be answered in an instant.

    Then the surest first, inference before preprocessing before loads, the shortest way before longer ones.
    """
    assert blocking is not None
    order = _AFTER_INFERENCE.get(blocking.role, 0)
    return (blocking.role is Role.REMOTE, -blocking.confidence.rank, order, len(blocking.hops))


def is_worst(blocking: Blocking) -> bool:
    """Whether nothing is preferred to it but for a shorter way."""
    return preference(blocking)[:-1] == _WORST


_WORST = (False, -Confidence.HIGH.rank, 0)
_AFTER_INFERENCE = {Role.PREPROCESSING: 1, Role.LOAD: 2}
