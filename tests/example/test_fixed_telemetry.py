"""The trace of a request survives what `servelint fix` does to the service, and would not without its care."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Customers = list[dict[str, Any]]

# Runs in a process of its own: the module `bankchurn` of this one is the example as it is.
_TRACE = """
import asyncio, json, sys
import httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from bankchurn import app as module

async def ask(path, body):
    async with module.lifespan(module.app):
        transport = httpx.ASGITransport(app=module.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bankchurn") as client:
            (await client.post(path, json=body)).raise_for_status()

asyncio.run(ask(sys.argv[1], json.load(sys.stdin)))
json.dump(
    [
        {
            "name": span.name,
            "id": span.context.span_id,
            "trace": span.context.trace_id,
            "parent": span.parent.span_id if span.parent else None,
            "server": span.kind is trace.SpanKind.SERVER,
            "begin": span.start_time,
            "end": span.end_time,
        }
        for span in exporter.get_finished_spans()
    ],
    sys.stdout,
)
"""


@dataclass(frozen=True)
class Span:
    name: str
    id: int
    trace: int
    parent: int | None
    server: bool
    begin: int
    end: int


def spans_of(service: Path, model: Path, path: str, body: Any) -> list[Span]:
    """The spans of one request to the service in this folder."""
    done = subprocess.run(
        [sys.executable, "-c", _TRACE, path],
        cwd=service,
        env={"BANKCHURN_MODEL_DIR": str(model), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(service)},
        input=json.dumps(body),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [Span(**each) for each in json.loads(done.stdout)]


def root_of(span: Span, spans: list[Span]) -> Span:
    by_id = {each.id: each for each in spans}
    while span.parent is not None:
        span = by_id[span.parent]
    return span


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def rewritten(fixed: Path, folder: Path, pattern: str, replacement: str) -> Path:
    """A copy of the fixed service in which every match in `app.py` is replaced."""
    copy = folder / "bankchurn"
    shutil.copytree(fixed, copy, ignore=shutil.ignore_patterns("__pycache__"))
    app = copy / "bankchurn" / "app.py"
    text, count = re.subn(pattern, replacement, app.read_text(encoding="utf-8"))
    assert count, f"`servelint fix` writes nothing like {pattern}"
    app.write_text(text, encoding="utf-8")
    return copy


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/explain", "/campaign"])
def test_an_offloaded_inference_belongs_to_its_request(
    fixed: Path, model: Path, customers: Customers, path: str
) -> None:
    body = customers[:3] if path in {"/predict/batch", "/campaign"} else customers[0]
    spans = spans_of(fixed, model, path, body)
    (request,) = (span for span in spans if span.server)
    assert request.name == f"POST {path}"
    inferences = named(spans, "inference")
    assert inferences
    for inference in inferences:
        assert root_of(inference, spans) == request
        assert request.begin <= inference.begin <= inference.end <= request.end


def test_all_four_stages_survive_the_fix(fixed: Path, model: Path, customers: Customers) -> None:
    spans = spans_of(fixed, model, "/portfolio/drift", customers[:3])
    (request,) = (span for span in spans if span.server)
    stages = [named(spans, name) for name in ("parse", "queue_wait", "inference", "response")]
    assert [len(stage) for stage in stages] == [1, 1, 1, 1]
    assert {root_of(stage, spans).id for (stage,) in stages} == {request.id}
    ordered = [stage for (stage,) in stages]
    assert ordered == sorted(ordered, key=lambda stage: stage.begin)


def test_a_bare_run_in_executor_would_lose_the_request(
    fixed: Path, model: Path, customers: Customers, tmp_path: Path
) -> None:
    bare = rewritten(fixed, tmp_path, r"contextvars\.copy_context\(\)\.run,\s*", "")
    spans = spans_of(bare, model, "/predict", customers[0])
    (request,) = (span for span in spans if span.server)
    (inference,) = named(spans, "inference")
    assert inference.parent is None
    assert inference.trace != request.trace


def test_the_instrumented_executor_can_take_the_place_of_the_pool(
    fixed: Path, model: Path, customers: Customers, tmp_path: Path
) -> None:
    """What `observability/README.md` tells to do after a fix."""
    measured = rewritten(
        fixed,
        tmp_path,
        r'ThreadPoolExecutor\(max_workers=1, thread_name_prefix="inference"\)',
        'InstrumentedExecutor(max_workers=1, name="inference")',
    )
    app = measured / "bankchurn" / "app.py"
    text = app.read_text(encoding="utf-8")
    app.write_text(text.replace("import RequestTelemetry,", "import InstrumentedExecutor, RequestTelemetry,"))
    spans = spans_of(measured, model, "/predict", customers[0])
    (request,) = (span for span in spans if span.server)
    (waiting,), (inference,) = named(spans, "queue_wait"), named(spans, "inference")
    assert root_of(waiting, spans) == root_of(inference, spans) == request
    assert waiting.end <= inference.begin
