"""How many threads a new pool gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config, FixConfig

ONNX = """\
import onnxruntime
from fastapi import FastAPI

app = FastAPI()
session = onnxruntime.InferenceSession("model.onnx")


@app.post("/p")
async def predict(row: list):
    return session.run(None, {"x": row})
"""

OPENVINO = """\
import openvino
from fastapi import FastAPI

app = FastAPI()
compiled = openvino.Core().compile_model("model.xml")


@app.post("/p")
async def predict(row: list):
    return compiled(row)
"""

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  template:
    spec:
      containers:
        - name: api
          image: registry.example.com/{name}:1
          command: [uvicorn, "{application}"]
          resources: {{limits: {{cpu: "{cpu}"}}}}
"""


def workload(cpu: str, application: str = "main:app", name: str = "api") -> str:
    return WORKLOAD.format(cpu=cpu, application=application, name=name)


def fixed(folder: Path, *documents: str, code: str = ONNX, workers: int | None = None) -> str:
    """The service after all fixes, deployed as the documents say."""
    (folder / "main.py").write_text(code)
    if documents:
        (folder / "k8s.yaml").write_text("---\n".join(documents))
    settings = Config(root=folder, select=("SRV101", "SRV102"), fix=FixConfig(max_workers=workers))
    outcome = edits.apply(check([], settings), unsafe=True)
    assert not outcome.rejected
    return outcome.after[folder / "main.py"].decode()


@pytest.mark.parametrize(
    ("documents", "workers"),
    [
        ((), 1),
        ((workload("500m"),), 1),
        ((workload("1500m"),), 2),
        ((workload("8"),), 2),
        ((workload("2"), workload("1", name="canary")), 1),
        ((workload("2"), workload("1", application="other:app", name="other")), 2),
    ],
    ids=["no manifest", "half a CPU", "rounded up", "as far as was measured", "the smallest", "another's"],
)
def test_the_cpu_limit_of_the_container(tmp_path: Path, documents: tuple[str, ...], workers: int) -> None:
    assert f"ThreadPoolExecutor(max_workers={workers}, " in fixed(tmp_path, *documents)


def test_the_configuration_comes_first(tmp_path: Path) -> None:
    assert "ThreadPoolExecutor(max_workers=3, " in fixed(tmp_path, workload("2"), workers=3)


def test_one_thread_with_the_reason_where_the_model_is_not_thread_safe(tmp_path: Path) -> None:
    assert (
        "# One thread: the model is not safe to call from several at once.\n"
        '_inference_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")\n'
    ) in fixed(tmp_path, workload("8"), code=OPENVINO)


def test_more_threads_than_the_library_stands_are_unsafe(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(OPENVINO)
    settings = Config(root=tmp_path, select=("SRV101",), fix=FixConfig(max_workers=2))
    (finding,) = check([], settings).findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "must not be called by two threads at once" in finding.fix.reason


def test_the_reason_where_all_inference_is_on_the_default_executor(tmp_path: Path) -> None:
    code = """\
import asyncio

import transformers
from fastapi import FastAPI

app = FastAPI()
pipe = transformers.pipeline("translation")


@app.post("/p")
async def predict(row: str):
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: pipe(row))
"""
    (tmp_path / "main.py").write_text(code)
    found = check([], Config(root=tmp_path, select=("SRV109",))).findings
    text = "".join(edit.content for f in found if f.fix is not None for edit in f.fix.edits)
    assert "max_workers=1" in text
    assert "# One thread: the model is not safe to call from several at once.\n" in text
