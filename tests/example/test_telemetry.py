"""The tracing pattern: one trace a request, through the executor too, and gauges that tell the truth."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """Holds every span that ends. A process has one tracer provider, set once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def bankchurn(
    example: Path, model: Path, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The example's application module, imported, with the champion loaded."""
    monkeypatch.syspath_prepend(str(example))
    from bankchurn import app as module
    from bankchurn.predictor import ChurnPredictor

    module.app.state.predictor = ChurnPredictor.from_files(model / "model.joblib", model / "model_card.json")
    exporter.clear()
    yield module
    exporter.clear()


def post(app: Any, path: str, json: Any) -> httpx.Response:
    """One request to the application, in this process."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bankchurn") as client:
            return await client.post(path, json=json)

    return asyncio.run(send())


STAGES = ("parse", "queue_wait", "inference", "response")


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans of one request, less what other libraries add between."""
    return {span.name: span for span in exporter.get_finished_spans()}


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def ancestors(span: ReadableSpan, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """From the span's parent to the root of its trace."""
    by_id = {each.context.span_id: each for each in exporter.get_finished_spans()}
    found: list[ReadableSpan] = []
    while parent := parent_id(span):
        span = by_id[parent]
        found.append(span)
    return found


def test_every_stage_belongs_to_the_request(
    bankchurn: Any, exporter: InMemorySpanExporter, customers: list[dict[str, Any]]
) -> None:
    post(bankchurn.app, "/portfolio/drift", customers[:3]).raise_for_status()
    spans = by_name(exporter)
    requests = [span for span in exporter.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    assert [request.name for request in requests] == ["POST /portfolio/drift"]
    for name in STAGES:
        assert ancestors(spans[name], exporter)[-1] is requests[0], name
        assert parent_id(spans[name]) == parent_id(spans["parse"]), name


def test_the_stages_follow_each_other(
    bankchurn: Any, exporter: InMemorySpanExporter, customers: list[dict[str, Any]]
) -> None:
    post(bankchurn.app, "/portfolio/drift", customers[:3]).raise_for_status()
    spans = by_name(exporter)
    ordered = [spans[name] for name in STAGES]
    for earlier, later in itertools.pairwise(ordered):
        assert (earlier.end_time or 0) <= (later.start_time or 0), (earlier.name, later.name)


async def infer_in(executor: Executor, stage: Any) -> None:
    """What an endpoint does: a span for the request, and an inference in the executor."""

    def infer() -> None:
        with stage("inference"):
            pass

    with trace.get_tracer("test").start_as_current_span("request"):
        await asyncio.get_running_loop().run_in_executor(executor, infer)


def test_a_bare_executor_loses_the_request(bankchurn: Any, exporter: InMemorySpanExporter) -> None:
    from bankchurn.telemetry import stage

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(infer_in(executor, stage))
    spans = by_name(exporter)
    assert spans["inference"].parent is None
    assert spans["inference"].context.trace_id != spans["request"].context.trace_id


def test_an_instrumented_executor_keeps_it(bankchurn: Any, exporter: InMemorySpanExporter) -> None:
    from bankchurn.telemetry import InstrumentedExecutor, stage

    with InstrumentedExecutor(max_workers=1, name="keeps") as executor:
        asyncio.run(infer_in(executor, stage))
    spans = by_name(exporter)
    assert parent_id(spans["inference"]) == spans["request"].context.span_id
    assert parent_id(spans["queue_wait"]) == spans["request"].context.span_id


def test_to_thread_keeps_it(bankchurn: Any, exporter: InMemorySpanExporter) -> None:
    from bankchurn.telemetry import stage

    def infer() -> None:
        with stage("inference"):
            pass

    async def request() -> None:
        with trace.get_tracer("test").start_as_current_span("request"):
            await asyncio.to_thread(infer)

    asyncio.run(request())
    spans = by_name(exporter)
    assert parent_id(spans["inference"]) == spans["request"].context.span_id


def value(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, name
    return found


def test_the_gauges_count_what_waits_and_what_runs(bankchurn: Any) -> None:
    from bankchurn.telemetry import InstrumentedExecutor

    def gauges() -> tuple[float, float]:
        return (
            value("bankchurn_executor_queued", executor="gauges"),
            value("bankchurn_executor_running", executor="gauges"),
        )

    started, release = threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        assert release.wait(60)

    with InstrumentedExecutor(max_workers=1, name="gauges") as executor:
        running = executor.submit(hold)
        assert started.wait(60)
        waiting = [executor.submit(len, "abc"), executor.submit(len, "abcd")]
        assert gauges() == (2, 1)
        assert waiting[0].cancel()
        assert gauges() == (1, 1)
        release.set()
        assert running.result(60) is None
        assert waiting[1].result(60) == 4
    assert gauges() == (0, 0)


def test_a_failure_in_the_thread_reaches_the_caller_and_the_gauges(bankchurn: Any) -> None:
    from bankchurn.telemetry import InstrumentedExecutor

    with InstrumentedExecutor(max_workers=1, name="fails") as executor, pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0).result(60)
    assert value("bankchurn_executor_running", executor="fails") == 0
    assert value("bankchurn_executor_queued", executor="fails") == 0


def test_every_stage_is_in_the_histogram(bankchurn: Any, customers: list[dict[str, Any]]) -> None:
    post(bankchurn.app, "/portfolio/drift", customers[:3]).raise_for_status()
    counts = {stage: value("bankchurn_stage_seconds_count", stage=stage) for stage in STAGES}
    post(bankchurn.app, "/portfolio/drift", customers[:3]).raise_for_status()
    for stage, before in counts.items():
        assert value("bankchurn_stage_seconds_count", stage=stage) == before + 1, stage


def test_nothing_is_in_flight_afterwards(bankchurn: Any, customers: list[dict[str, Any]]) -> None:
    post(bankchurn.app, "/portfolio/drift", customers[:1]).raise_for_status()
    assert post(bankchurn.app, "/portfolio/drift", [{}]).status_code == 422
    assert value("bankchurn_requests_in_flight") == 0


def test_the_lag_gauge_sees_a_blocked_loop(bankchurn: Any) -> None:
    from bankchurn.telemetry import watch_loop_lag

    async def block_the_loop() -> None:
        watcher = asyncio.create_task(watch_loop_lag(interval=0.01))
        await asyncio.sleep(0.05)
        time.sleep(0.3)
        await asyncio.sleep(0.05)
        watcher.cancel()

    asyncio.run(block_the_loop())
    assert value("bankchurn_event_loop_lag_seconds") > 0.2
