"""Calls that one branch makes on the event loop and another hands to a thread."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from onnxruntime import InferenceSession

app = FastAPI()
net = InferenceSession("a.onnx")
pool = ThreadPoolExecutor(max_workers=2)
use_pool = "POOL" in os.environ


@app.post("/p")
async def predict(rows: list, loop=None):
"""
OFFLOAD = "await loop.run_in_executor(pool, net.run, None, rows)"


def fix_of(folder: Path, *lines: str) -> Fix:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    found = [f for f in check([], Config(root=folder, select=("SRV101",))).findings if f.fix is not None]
    assert found[0].fix is not None
    return found[0].fix


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["if use_pool:", f"    return {OFFLOAD}", "else:", "    return net.run(None, rows)"],
            "the other branch of `if use_pool` hands `net.run` to a thread",
        ),
        (
            [
                "if not use_pool:",
                "    out = net.run(None, rows)",
                "else:",
                f"    out = {OFFLOAD}",
                "return out",
            ],
            "the other branch of `if not use_pool`",
        ),
        (
            ["if use_pool:", f"    return {OFFLOAD}", "return net.run(None, rows)"],
            "the branch of `if use_pool`",
        ),
        ([f"return {OFFLOAD} if use_pool else net.run(None, rows)"], "the other branch of `if use_pool`"),
        (
            [
                "if use_pool:",
                "    return await asyncio.to_thread(lambda: net.run(None, rows))",
                "return net.run(None, rows)",
            ],
            "the branch of `if use_pool`",
        ),
        (
            ["try:", f"    return {OFFLOAD}", "except RuntimeError:", "    return net.run(None, rows)"],
            "the `try` above hands `net.run` to a thread",
        ),
    ],
)
def test_what_may_be_on_the_loop_on_purpose(tmp_path: Path, lines: list[str], reason: str) -> None:
    fix = fix_of(tmp_path, *lines)
    assert fix.applicability is Applicability.UNSAFE
    assert reason in fix.reason


@pytest.mark.parametrize(
    "lines",
    [
        # another function, another way out, or one after the other
        [
            "if use_pool:",
            "    return await loop.run_in_executor(pool, print, rows)",
            "return net.run(None, rows)",
        ],
        ["if use_pool:", f"    first = {OFFLOAD}", "return net.run(None, rows)"],
        ["if use_pool:", "    return net.run", "return net.run(None, rows)"],
        ["try:", "    return net.run(None, rows)", "except RuntimeError:", f"    return {OFFLOAD}"],
        ["if not rows:", "    return None", "return net.run(None, rows)"],
    ],
)
def test_what_nothing_hands_to_a_thread_instead(tmp_path: Path, lines: list[str]) -> None:
    assert fix_of(tmp_path, *lines).applicability is Applicability.SAFE


def test_one_of_two_that_stays_is_named(tmp_path: Path) -> None:
    fix = fix_of(
        tmp_path,
        "first = net.run(None, rows)",
        "await asyncio.sleep(0)",
        "return [await asyncio.sleep(0, one) for one in (net.run(None, row) for row in first)]",
    )
    assert fix.applicability is Applicability.UNSAFE
    assert fix.reason == "line 18 of `predict` stays on the event loop (`net.run()`)"


def test_two_that_move_are_not_spoken_of(tmp_path: Path) -> None:
    fix = fix_of(
        tmp_path, "first = net.run(None, rows)", "await asyncio.sleep(0)", "return net.run(None, first)"
    )
    assert fix.title == "Await `net.run()` in `pool`"
