"""Where the time of a request goes: spans and histograms by stage, and an executor that keeps both.

A request passes the stages `parse`, `queue_wait`, `inference` and `response`. Copy this module, wrap your
own stages in `stage(...)`, and use `InstrumentedExecutor` where you would use a ThreadPoolExecutor.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from opentelemetry import trace
from prometheus_client import Gauge, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

P = ParamSpec("P")
T = TypeVar("T")

STAGE_SECONDS = Histogram(
    "bankchurn_stage_seconds",
    "Seconds that requests spend in each stage.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REQUESTS_IN_FLIGHT = Gauge("bankchurn_requests_in_flight", "Requests that have begun and not ended.")
EXECUTOR_QUEUED = Gauge("bankchurn_executor_queued", "Calls that wait for a thread.", ["executor"])
EXECUTOR_RUNNING = Gauge("bankchurn_executor_running", "Calls that run on a thread.", ["executor"])
LOOP_LAG_SECONDS = Gauge(
    "bankchurn_event_loop_lag_seconds", "The longest that a timer was late since the last look, in seconds."
)

tracer = trace.get_tracer("bankchurn")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A span and an observation in the histogram for the block."""
    started = time.perf_counter()
    with tracer.start_as_current_span(name):
        try:
            yield
        finally:
            STAGE_SECONDS.labels(name).observe(time.perf_counter() - started)


class InstrumentedExecutor(ThreadPoolExecutor):
    """A thread pool whose calls keep the caller's context and whose queue is measured.

    `loop.run_in_executor` does not carry context variables across (`asyncio.to_thread` does), so a span
    started in the thread would have no parent. Copying the context in `submit` cures that for both ways in.
    """

    def __init__(self, max_workers: int, name: str) -> None:
        super().__init__(max_workers=max_workers, thread_name_prefix=name)
        self._queued = EXECUTOR_QUEUED.labels(name)
        self._running = EXECUTOR_RUNNING.labels(name)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        context = contextvars.copy_context()
        waiting = tracer.start_span("queue_wait")
        submitted = time.perf_counter()

        def leave_queue() -> None:
            self._queued.dec()
            STAGE_SECONDS.labels("queue_wait").observe(time.perf_counter() - submitted)
            waiting.end()

        def run() -> T:
            leave_queue()
            with self._running.track_inprogress():
                return context.run(fn, *args, **kwargs)

        self._queued.inc()
        future = super().submit(run)
        # A call that is cancelled while it waits leaves the queue without having run.
        future.add_done_callback(lambda done: leave_queue() if done.cancelled() else None)
        return future


class RequestTelemetry:
    """ASGI middleware: the gauge of requests in flight, and a span around each that has none yet.

    Recent FastAPI starts that span itself, as the OpenTelemetry instrumentation does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with REQUESTS_IN_FLIGHT.track_inprogress():
            if trace.get_current_span().is_recording():
                await self.app(scope, receive, send)
            else:
                await self._in_span(scope, receive, send)

    async def _in_span(self, scope: Scope, receive: Receive, send: Send) -> None:
        with tracer.start_as_current_span(scope["method"], kind=trace.SpanKind.SERVER) as span:
            await self.app(scope, receive, send)
            # Known once the request has been routed. The bare path would be one name for every stray URL.
            if route := scope.get("route"):
                span.update_name(f"{scope['method']} {route.path}")


async def watch_loop_lag(interval: float = 0.1, window: int = 50) -> None:
    """Set the gauge to the worst lateness of the last `window` timers of `interval` seconds, for ever."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        late = [*late[1 - window :], loop.time() - due]
        LOOP_LAG_SECONDS.set(max(late))
