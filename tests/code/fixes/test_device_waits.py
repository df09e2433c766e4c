"""A fix that leaves a wait for the GPU beside the call on the event loop is unsafe."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import gc

import torch
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
pipe = pipeline("automatic-speech-recognition")
models = {}


def clear():
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def collect():
    gc.collect()


def room_for(name):
    if name not in models:
        models.clear()
        torch.cuda.empty_cache()


@app.post("/p")
async def transcribe(path: str, deep: bool):
"""
CALL = "text = pipe(path)"
END = "return text"


def judged(folder: Path, *lines: str) -> tuple[Applicability, str]:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("torch.cuda.empty_cache()", CALL, END), "torch.cuda.empty_cache()"),
        ((CALL, "if deep:", "    pass", "torch.cuda.synchronize()", END), "torch.cuda.synchronize()"),
        ((CALL, "for _ in 'ab':", "    pass", "torch.mps.empty_cache()", END), "torch.mps.empty_cache()"),
        (
            ("if torch.cuda.is_available():", "    torch.cuda.empty_cache()", CALL, END),
            "torch.cuda.empty_cache()",
        ),
        (("try:", f"    {CALL}", f"    {END}", "finally:", "    torch.cuda.ipc_collect()"), "ipc_collect()"),
        (("try:", f"    {CALL}", f"    {END}", "finally:", "    clear()"), "clear()"),
        (("clear()", "if deep:", "    pass", CALL, END), "clear()"),
    ],
)
def test_a_wait_for_the_gpu_beside_the_call(tmp_path: Path, lines: tuple[str, ...], text: str) -> None:
    applicability, reason = judged(tmp_path, *lines)
    assert applicability is Applicability.UNSAFE
    assert "waits for the GPU on the event loop" in reason
    assert text in reason


@pytest.mark.parametrize(
    "lines",
    [
        ("gc.collect()", CALL, END),
        ("collect()", CALL, END),
        ("room_for(path)", CALL, END),
        ("torch.cuda.reset_peak_memory_stats()", CALL, END),
        (
            "try:",
            f"    {CALL}",
            f"    {END}",
            "except Exception:",
            "    torch.cuda.empty_cache()",
            "    raise",
        ),
        ("if deep:", "    torch.cuda.empty_cache()", "    return ''", CALL, END),
        (CALL, "await asyncio.to_thread(torch.cuda.empty_cache)", END),
        (CALL, "await asyncio.to_thread(clear)", END),
    ],
)
def test_what_waits_for_no_gpu_there(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert judged(tmp_path, "import asyncio", *lines) == (Applicability.SAFE, "")


def test_a_wait_that_moves_with_the_call(tmp_path: Path) -> None:
    lines = ("with torch.no_grad():", f"    {CALL}", "    torch.cuda.synchronize()", END)
    assert judged(tmp_path, *lines) == (Applicability.SAFE, "")
