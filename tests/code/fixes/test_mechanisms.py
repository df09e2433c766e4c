"""A service that hands work to threads already goes on in the same way for inference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import asyncio
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from llama_cpp import Llama
from onnxruntime import InferenceSession

app = FastAPI()
net = InferenceSession("a.onnx")
llm = Llama("a.gguf")
{head}

def clean(text):
    return text.strip()


def load():
    return joblib.load("model.joblib")


@app.post("/clean")
async def cleaned(text: str):
    return await {other}


@app.post("/p")
async def predict(rows: list):
    return {call}
"""


def service(other: str = "asyncio.sleep(1)", call: str = "net.run(None, rows)", head: str = "") -> str:
    return SERVICE.format(other=other, call=call, head=head)


def findings(folder: Path, text: str, *codes: str) -> tuple[Finding, ...]:
    (folder / "main.py").write_text(text)
    return check([], Config(root=folder, select=codes or ("SRV",))).findings


def fixed(folder: Path, text: str, *, unsafe: bool = True) -> str:
    (folder / "main.py").write_text(text)
    config = Config(root=folder, select=("SRV",))
    outcome = edits.apply(check([], config), unsafe=unsafe)
    assert not outcome.rejected
    list(edits.write(outcome))
    assert not edits.apply(check([], config), unsafe=unsafe).after
    return (folder / "main.py").read_text()


def joined(text: str) -> str:
    """The text with each call on one line."""
    return re.sub(r"\s*\n\s*\)", ")", re.sub(r"\(\n\s*", "(", text))


@pytest.mark.parametrize("unsafe", [True, False])
@pytest.mark.parametrize(
    ("other", "after"),
    [
        ("asyncio.to_thread(clean, text)", "await asyncio.to_thread(net.run, None, rows)"),
        ("asyncio.get_running_loop().run_in_executor(None, clean, text)", "asyncio.to_thread(net.run"),
        ("run_in_threadpool(clean, text)", "await run_in_threadpool(net.run, None, rows)"),
    ],
)
def test_what_the_file_does_with_other_work(tmp_path: Path, other: str, after: str, unsafe: bool) -> None:
    text = fixed(tmp_path, service(other), unsafe=unsafe)
    assert after in text
    assert "inference_executor" not in text


@pytest.mark.parametrize(
    ("other", "call"),
    [
        # two threads must not call it, however the file hands over other work
        ("asyncio.to_thread(clean, text)", "llm(rows)"),
        # loads and what is not of the project say nothing about where inference runs
        ("asyncio.to_thread(load)", "net.run(None, rows)"),
        ("asyncio.to_thread(open, text)", "net.run(None, rows)"),
        ("asyncio.to_thread(joblib.load, text)", "net.run(None, rows)"),
        ("asyncio.sleep(1)", "net.run(None, rows)"),
    ],
)
def test_a_pool_where_the_file_shows_no_other_place(tmp_path: Path, other: str, call: str) -> None:
    assert "_inference_executor = ThreadPoolExecutor(" in fixed(tmp_path, service(other, call), unsafe=False)


def test_other_inference_on_the_default_executor_is_left_there_by_safe_fixes(tmp_path: Path) -> None:
    """All that infers is in one place: there, or with unsafe fixes in a pool."""
    other = "asyncio.to_thread(net.run, None, text)"
    text = fixed(tmp_path, service(other), unsafe=False)
    assert "asyncio.to_thread(net.run, None, rows)" in text
    assert "ThreadPoolExecutor(" not in text
    text = fixed(tmp_path, service(other), unsafe=True)
    assert "to_thread" not in text
    assert text.count("run_in_executor(") == 2


def test_nothing_is_moved_away_from_where_the_file_has_all_its_work(tmp_path: Path) -> None:
    (found,) = findings(
        tmp_path, service("asyncio.to_thread(clean, text)", "await asyncio.to_thread(net.run, None, rows)")
    )
    assert found.code == "SRV109"
    assert found.fix is None
    assert "the file hands other work to that executor too" in found.unfixable


CLASS = """\

class {name}:
    {first}

    async def predict(self, rows):
        return net.run(None, rows)


served = {name}()


@app.post("/served")
async def serve(rows: list):
    return await served.predict(rows)

"""
BASE = """\

class Base:
    def __init__(self):
        self._pool = ThreadPoolExecutor(max_workers=2)

"""


def of_class(first: str, name: str = "Served") -> str:
    return service(call="await served.predict(rows)", head=CLASS.format(first=first, name=name))


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        (of_class("pool = ThreadPoolExecutor(max_workers=2)"), "self.pool, "),
        (of_class("def __init__(self):\n        self.pool = ThreadPoolExecutor(2)"), "self.pool, "),
        (
            of_class("def __init__(self, pool=None):\n        self.pool = pool or ThreadPoolExecutor(2)"),
            "self.pool, ",
        ),
        (
            of_class("size = 2").replace("class Served:", f"{BASE.lstrip()}\nclass Served(Base):"),
            "self._pool, ",
        ),
        (
            service(
                head="workers = None\n\n\ndef start():\n    global workers\n    workers = ThreadPoolExecutor(2)\n"
            ),
            "workers, ",
        ),
    ],
)
def test_an_executor_of_the_class_or_the_file(tmp_path: Path, text: str, pool: str) -> None:
    after = fixed(tmp_path, text)
    assert f"run_in_executor({pool}net.run, None, rows)" in joined(after)
    assert after.count("ThreadPoolExecutor(") == text.count("ThreadPoolExecutor(")


@pytest.mark.parametrize(
    "text",
    [
        of_class("io_pool = ThreadPoolExecutor(max_workers=2)"),
        of_class("pool = ProcessPoolExecutor(max_workers=2)"),
        of_class(
            "def __init__(self, more):\n        self.pool = ProcessPoolExecutor() if more else ThreadPoolExecutor()"
        ),
        of_class("@staticmethod\n    def other(self):\n        self.pool = 1"),
        service(head="downloads = None\n\n\ndef start():\n    global downloads\n    downloads = 1\n"),
    ],
)
def test_executors_for_something_else(tmp_path: Path, text: str) -> None:
    assert "run_in_executor(_inference_executor, net.run, None, rows)" in joined(fixed(tmp_path, text))


def test_a_fix_by_the_files_mechanism_is_safe(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, service("asyncio.to_thread(clean, text)"), "SRV101")
    assert found.fix is not None
    assert found.fix.applicability is Applicability.SAFE
    assert not found.fix.reason
