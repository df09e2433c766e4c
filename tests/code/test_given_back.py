"""What a function gives is known however it is run: called, in a thread, in a copy of the context."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import asyncio
import contextvars
import functools
import operator

import anyio
import joblib
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

app = FastAPI()


class Counter:
    def __call__(self, rows):
        return len(rows)


def make(path):
    return {made}, "named"


@app.post("/p")
async def answer(rows: list):
    loop = asyncio.get_running_loop()
    model, name = {run}
    return {used}
"""
CONTEXT = "contextvars.copy_context().run"
RUNS = (
    "make('m')",
    "await asyncio.to_thread(make, 'm')",
    f"await asyncio.to_thread({CONTEXT}, make, 'm')",
    "await run_in_threadpool(make, 'm')",
    "await anyio.to_thread.run_sync(lambda: make('m'))",
    "await loop.run_in_executor(None, make, 'm')",
    "await loop.run_in_executor(None, functools.partial(make, 'm'))",
    f"await loop.run_in_executor(None, {CONTEXT}, make, 'm')",
    f"await loop.run_in_executor(None, {CONTEXT}, functools.partial(make, 'm'))",
    f"await loop.run_in_executor(None, {CONTEXT}, lambda: make('m'))",
    f"{CONTEXT}(make, 'm')",
    "operator.call(make, 'm')",
)


def lines(folder: Path, **parts: str) -> list[str]:
    (folder / "main.py").write_text(SERVICE.format(**parts))
    found = check([], Config(root=folder, select=("SRV101",))).findings
    return [item.message.partition(" ")[0] for item in found]


@pytest.mark.parametrize("run", RUNS)
def test_a_model_that_is_given_back_is_known(tmp_path: Path, run: str) -> None:
    used = "model.predict(rows)"
    assert lines(tmp_path, made="joblib.load(path)", run=run, used=used) == ["`model.predict()`"]


@pytest.mark.parametrize("run", RUNS)
def test_what_is_no_model_is_not_taken_for_one_by_its_name(tmp_path: Path, run: str) -> None:
    assert lines(tmp_path, made="Counter()", run=run, used="model(rows)") == []
