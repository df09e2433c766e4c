"""Loads and remote calls: where they run does not hold up predictions, and as many run as requests are under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config, FixConfig

HEAD = """\
import joblib
from aiohttp import web
from huggingface_hub import snapshot_download
from openai import OpenAI
from tritonclient.http import InferenceServerClient

client = OpenAI()
triton = InferenceServerClient("localhost:8000")
routes = web.RouteTableDef()
model = joblib.load("model.joblib")


@routes.post("/p")
async def predict(request):
    name = request.match_info["name"]
"""
POOL = "_inference_executor"


def fixed(folder: Path, *lines: str, head: str = HEAD, offload: str = "auto") -> str:
    """The file after its fixes, which leave nothing."""
    (folder / "main.py").write_text(head + "".join(f"    {line}\n" for line in lines))
    settings = Config(root=folder, select=("SRV101", "SRV102", "SRV110"), fix=FixConfig(offload=offload))
    outcome = edits.apply(check([], settings), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    return outcome.after[folder / "main.py"].decode()


@pytest.mark.parametrize("offload", ["auto", "run-in-executor"])
@pytest.mark.parametrize("call", ["snapshot_download(name)", "client.models.delete(model=name)"])
def test_they_get_the_default_executor(tmp_path: Path, call: str, offload: str) -> None:
    text = fixed(tmp_path, f"return {call}", offload=offload)
    function, _, arguments = call.partition("(")
    assert f"return await asyncio.to_thread({function}, {arguments}" in text
    assert "ThreadPoolExecutor" not in text


def test_they_do_not_share_the_pool_of_predictions(tmp_path: Path) -> None:
    text = fixed(tmp_path, "path = snapshot_download(name)", "return model.predict(path)")
    assert "    path = await asyncio.to_thread(snapshot_download, name)\n" in text
    assert f"run_in_executor(\n        {POOL}, model.predict, path\n" in text


def test_not_even_a_pool_that_is_there(tmp_path: Path) -> None:
    head = HEAD.replace(
        "client =",
        "from concurrent.futures import ThreadPoolExecutor\n\npool = ThreadPoolExecutor(1)\nclient =",
    )
    assert "asyncio.to_thread(snapshot_download, name)" in fixed(
        tmp_path, "return snapshot_download(name)", head=head
    )


def test_remote_calls_get_the_threads_of_the_framework(tmp_path: Path) -> None:
    head = "from fastapi import FastAPI\n" + HEAD
    text = fixed(tmp_path, "return client.models.delete(model=name)", head=head)
    assert "return await run_in_threadpool(client.models.delete, model=name)\n" in text


def test_the_configured_form_holds_for_them_too(tmp_path: Path) -> None:
    text = fixed(tmp_path, "return client.models.delete(model=name)", offload="anyio")
    assert "anyio.to_thread.run_sync(" in text


def test_a_block_with_inference_in_it_stays_in_the_pool(tmp_path: Path) -> None:
    head = "import threading\n\nlock = threading.Lock()\n" + HEAD
    body = ("with lock:", "    path = snapshot_download(name)", "    return model.predict(path)")
    assert f"{POOL}, contextvars.copy_context().run, run_inference" in fixed(tmp_path, *body, head=head)


def test_a_client_that_threads_must_not_share_is_unsafe(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + "    return triton.infer(name, [])\n")
    (finding,) = check([], Config(root=tmp_path)).findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "must not be called by two threads at once" in finding.fix.reason


def test_what_waits_says_nothing_of_the_pool(tmp_path: Path) -> None:
    """Triton's client is for one thread; a session of ONNX Runtime may be shared."""
    head = HEAD.replace('joblib.load("model.joblib")', 'onnxruntime.InferenceSession("m")')
    head = "import onnxruntime\n" + head
    text = fixed(
        tmp_path,
        "triton.infer(name, [])",
        "a = 1",
        "b = 2",
        "c = 3",
        "return model.run(None, {name: [a, b, c]})",
        head=head,
    )
    assert "# One thread" not in text


HTTP = """\
import httpx
import requests
from aiohttp import web

session = requests.Session()
client = httpx.Client()
routes = web.RouteTableDef()
MODEL = "http://triton:8000/v2/models/churn/infer"


@routes.post("/p")
async def predict(request):
"""


@pytest.mark.parametrize(
    ("call", "applicability"),
    [
        ("requests.post(MODEL, json={})", Applicability.SAFE),
        ("httpx.post(MODEL, json={})", Applicability.SAFE),
        ("client.post(MODEL, json={})", Applicability.SAFE),
        ("session.post(MODEL, json={})", Applicability.UNSAFE),
    ],
)
def test_a_call_that_makes_its_own_session_may_be_made_by_several_threads(
    tmp_path: Path, call: str, applicability: Applicability
) -> None:
    (tmp_path / "main.py").write_text(f"{HTTP}    return {call}\n")
    (finding,) = check([], Config(root=tmp_path, select=("SRV110",))).findings
    assert finding.fix is not None
    assert finding.fix.applicability is applicability
