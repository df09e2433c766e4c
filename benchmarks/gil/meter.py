"""Measures what a call does to the other threads of its process.

`gil_free` is computed, not sampled: a second thread spins in pure Python while the call is repeated, and
what it gets done tells how long it could have had the GIL. Take N calls of `alone` seconds each when nobody
disturbs them, made in `wall` seconds, of which the spinner worked `worked`. When the spinner does not work,
the calls hold the GIL: for `wall - worked`. Their free share is 1 - (wall - worked) / (N * alone).

Other processes disturb this. Linux says how long each thread has waited for a processor, so everything is
repeated in short rounds, and the median of those counts that were disturbed least. Each round measures the
undisturbed call anew: processors get faster and slower from one second to the next.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Call = Callable[[], Any]

_SPIN = 1000
_TICK_SECONDS = 0.005
# A round is good enough when its threads waited for a processor for less than this share of it.
_DISTURBED = 0.05
_ROUNDS = 5
_PATIENCE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one call does. Times are in milliseconds.

    `gil_free` is the share of the call during which another thread could run Python; `two_threads` is how
    many times the calls of one thread two threads get done, None if the call cannot stand two; the stalls
    are the longest that a timer of an event loop was late while the call ran on the loop, and in a thread.
    `disturbed` is the share of the rounds used that their threads waited for a processor.
    """

    ms: float
    gil_free: float
    two_threads: float | None
    stall_direct: float
    stall_offloaded: float
    disturbed: float


@dataclass(slots=True)
class Waiting:
    """Sums up how long threads have waited for a processor, in seconds."""

    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Add what the calling thread waits in the block."""
        before = self._so_far()
        yield
        with self._lock:
            self.seconds += self._so_far() - before

    @staticmethod
    def _so_far() -> float:
        schedstat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        return int(schedstat.read_text(encoding="ascii").split()[1]) / 1e9


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, and the share of the time it took that was lost to other processes."""

    value: float
    disturbed: float


def undisturbed(take: Callable[[], Sample]) -> Sample:
    """Take samples until enough were left alone, or patience ends; the median of the least disturbed ones."""
    samples: list[Sample] = []
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while sum(sample.disturbed <= _DISTURBED for sample in samples) < _ROUNDS:
        samples.append(take())
        if len(samples) >= _ROUNDS and time.perf_counter() > deadline:
            break
    used = sorted(samples, key=lambda sample: sample.disturbed)[:_ROUNDS]
    return Sample(
        statistics.median(sample.value for sample in used), max(sample.disturbed for sample in used)
    )


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


def alone(call: Call, seconds: float) -> Sample:
    """How long one call takes, in seconds."""
    waiting = Waiting()
    with waiting.counted():
        calls, wall = repeat(call, seconds)
    return Sample(wall / calls, waiting.seconds / wall)


def gil_free(call: Call, seconds: float) -> Sample:
    """The share of the call during which another thread could run Python."""
    each = alone(call, seconds)
    stop = threading.Event()
    worked = 0.0
    waiting = Waiting()

    def spinner() -> None:
        nonlocal worked
        with waiting.counted():
            while not stop.is_set():
                spin()
            worked = time.thread_time()  # does not pass while the thread waits for the GIL

    thread = threading.Thread(target=spinner)
    with switching(0.0002), waiting.counted():
        started = time.perf_counter()
        thread.start()
        calls, _ = repeat(call, seconds)
        stop.set()
        thread.join()
        wall = time.perf_counter() - started
    free = 1 - (wall - worked) / (calls * each.value)
    return Sample(min(1.0, max(0.0, free)), max(each.disturbed, waiting.seconds / wall))


@dataclass(frozen=True, slots=True)
class Span:
    """So many calls, from one moment to another (in seconds)."""

    calls: int
    begin: float
    end: float


def speed_up(each: float, spans: Sequence[Span]) -> float:
    """How many times the calls of one thread these got done, if one call takes `each` seconds.

    The time is that from the first begin to the last end: threads that do not overlap are no faster than one.
    """
    wall = max(span.end for span in spans) - min(span.begin for span in spans)
    return sum(span.calls for span in spans) * each / wall


def two_threads(call: Call, seconds: float) -> Sample:
    """How many times the calls of one thread two threads get done."""
    waiting, together = Waiting(), threading.Barrier(2)

    def work() -> Span:
        with waiting.counted():
            together.wait()
            begin = time.perf_counter()
            calls, wall = repeat(call, seconds)
            return Span(calls, begin, begin + wall)

    with ThreadPoolExecutor(2) as pool:
        # In a thread of the pool as well: the allocator treats the main thread in another way.
        each = pool.submit(alone, call, seconds).result()
        spans = [future.result() for future in [pool.submit(work) for _ in range(2)]]
    wall = max(span.end - span.begin for span in spans)
    return Sample(speed_up(each.value, spans), max(each.disturbed, waiting.seconds / wall))


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


def stall(call: Call, *, offloaded: bool) -> Sample:
    """How late, in milliseconds, a timer of 5 ms was at worst while the call ran."""

    async def direct() -> None:
        call()  # servelint: ignore[SRV101] the stall is what is measured

    async def in_thread() -> None:
        await asyncio.to_thread(call)  # servelint: ignore[SRV109] one call at a time, nothing else runs

    waiting = Waiting()
    started = time.perf_counter()
    with waiting.counted():
        worst = asyncio.run(_worst_lateness(in_thread if offloaded else direct, 0.03))
    return Sample(worst, waiting.seconds / (time.perf_counter() - started))


def measure(call: Call, seconds: float, *, threads: bool) -> Measurement:
    """Everything about one call, in rounds of so many seconds; with `threads` two may share it."""
    call()
    each = undisturbed(lambda: alone(call, seconds))
    free = undisturbed(lambda: gil_free(call, seconds))
    both = undisturbed(lambda: two_threads(call, seconds)) if threads else None
    direct = undisturbed(lambda: stall(call, offloaded=False))
    offloaded = undisturbed(lambda: stall(call, offloaded=True))
    return Measurement(
        ms=each.value * 1000,
        gil_free=free.value,
        two_threads=both.value if both else None,
        stall_direct=direct.value,
        stall_offloaded=offloaded.value,
        disturbed=max(each.disturbed, free.disturbed, both.disturbed if both else 0.0),
    )


def shared_by_threads(call: Call, same: Callable[[Any, Any], bool], times: int = 60) -> str:
    """Two threads call the same object: `same answers`, `other answers`, or the name of what was raised."""
    expected = call()

    def work() -> str:
        answers = [call() for _ in range(times)]
        return "same answers" if all(same(expected, answer) for answer in answers) else "other answers"

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(work) for _ in range(2)]
        raised = [type(error).__name__ for future in both if (error := future.exception())]
        return raised[0] if raised else min(future.result() for future in both)
