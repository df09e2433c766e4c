"""Measures what a call does to the other threads of its process.

`gil_free` is computed, not sampled: a second thread spins in pure Python while the call is repeated, and
what it gets done tells how long it could have had the GIL. Take N calls of `alone` seconds each when nobody
disturbs them, made in `wall` seconds, of which the spinner worked `worked`. When the spinner does not work,
the calls hold the GIL: for `wall - worked`. Their free share is 1 - (wall - worked) / (N * alone).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Call = Callable[[], Any]

_SPIN = 1000
_TICK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one call does. Times are in milliseconds.

    `gil_free` is the share of the call during which another thread could run Python; `two_threads` is how
    many times the calls of one thread two threads get done; the stalls are the longest that a timer of an
    event loop was late while the call ran on the loop, and in a thread.
    """

    ms: float
    gil_free: float
    two_threads: float | None
    stall_direct: float
    stall_offloaded: float


def spin() -> int:
    """A fixed piece of pure Python."""
    total = 0
    for number in range(_SPIN):
        total += number
    return total


@contextmanager
def switching(seconds: float) -> Iterator[None]:
    """Let threads take the GIL from each other so often; the default would blur short calls."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def repeat(call: Call, seconds: float) -> tuple[int, float]:
    """How often the call was made in about so many seconds, and how many they were."""
    calls, started = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        wall = time.perf_counter() - started
        if wall >= seconds:
            return calls, wall


def gil_free(call: Call, alone: float, seconds: float) -> float:
    """The share of the call, from 0 to 1, during which another thread could run Python."""
    stop = threading.Event()
    worked = 0.0

    def spinner() -> None:
        nonlocal worked
        while not stop.is_set():
            spin()
        worked = time.thread_time()  # does not pass while the thread waits for the GIL

    thread = threading.Thread(target=spinner)
    with switching(0.0002):
        started = time.perf_counter()
        thread.start()
        calls, _ = repeat(call, seconds)
        stop.set()
        thread.join()
        wall = time.perf_counter() - started
    return min(1.0, max(0.0, 1 - (wall - worked) / (calls * alone)))


def two_threads(call: Call, seconds: float) -> float | None:
    """How many times the calls of one thread two threads get done; None if the call cannot stand two."""
    one, wall = repeat(call, seconds)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(repeat, call, seconds) for _ in range(2)]
        if any(future.exception() for future in both):
            return None
        rate = sum(calls / took for calls, took in (future.result() for future in both))
    return rate / (one / wall)


async def _worst_lateness(work: Callable[[], Any], settle: float) -> float:
    loop = asyncio.get_running_loop()
    worst, running = 0.0, True

    async def tick() -> None:
        nonlocal worst
        while running:
            due = loop.time() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            worst = max(worst, loop.time() - due)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(settle)
    await work()
    await asyncio.sleep(settle)
    running = False
    await ticking
    return worst * 1000


def stall(call: Call, *, offloaded: bool) -> float:
    """How late, in milliseconds, a timer of 5 ms was at worst while the call ran; the median of five."""

    async def direct() -> None:
        call()

    async def in_thread() -> None:
        await asyncio.to_thread(call)

    work = in_thread if offloaded else direct
    return statistics.median(asyncio.run(_worst_lateness(work, 0.03)) for _ in range(5))


def measure(call: Call, seconds: float) -> Measurement:
    """Everything about one call, in about five times so many seconds."""
    call()
    calls, wall = repeat(call, seconds)
    alone = wall / calls
    return Measurement(
        ms=alone * 1000,
        gil_free=gil_free(call, alone, seconds),
        two_threads=two_threads(call, seconds),
        stall_direct=stall(call, offloaded=False),
        stall_offloaded=stall(call, offloaded=True),
    )


def shared_by_threads(call: Call, same: Callable[[Any, Any], bool], times: int = 40) -> str:
    """Two threads call the same object: `same answers`, `other answers`, or the name of what was raised."""
    expected = call()

    def work() -> str:
        answers = [call() for _ in range(times)]
        return "same answers" if all(same(expected, answer) for answer in answers) else "other answers"

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(work) for _ in range(2)]
        raised = [type(error).__name__ for future in both if (error := future.exception())]
        return raised[0] if raised else min(future.result() for future in both)
