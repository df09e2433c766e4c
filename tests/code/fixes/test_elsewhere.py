"""What the file runs in a pool of its own elsewhere runs there, or stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import asyncio
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from openai import OpenAI

app = FastAPI()
client = OpenAI()
_executor = ThreadPoolExecutor(max_workers=2)


def extract(url):
    return client.embeddings.create(model="small", input=url)


def other(url):
    return url


def process(url):
    return {"url": url, "found": extract(url)}


@app.post("/one")
async def one(url: str):
    return extract(url)


@app.post("/many")
async def many(urls: list[str]):
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(HANDED for url in urls))
"""


def fix_of(folder: Path, handed: str, *, old: str = "", new: str = "") -> Fix:
    (folder / "main.py").write_text(SERVICE.replace("HANDED", handed).replace(old, new))
    (finding,) = check([], Config(root=folder, select=("SRV110",))).findings
    assert finding.fix is not None
    return finding.fix


@pytest.mark.parametrize("function", ["extract", "process"])
def test_other_threads_are_unsafe(tmp_path: Path, function: str) -> None:
    fix = fix_of(tmp_path, f"loop.run_in_executor(_executor, {function}, url)")
    reason = "`_executor` runs that function at line 32, and it would run in other threads too"
    assert (fix.applicability, fix.reason) == (Applicability.UNSAFE, reason)


@pytest.mark.parametrize(
    "handed",
    [
        "loop.run_in_executor(_executor, other, url)",
        "loop.run_in_executor(None, extract, url)",
        "asyncio.to_thread(process, url)",
    ],
)
def test_without_a_pool_for_it_the_fix_is_safe(tmp_path: Path, handed: str) -> None:
    assert fix_of(tmp_path, handed).applicability is Applicability.SAFE


def test_a_pool_of_the_other_function_is_no_pool_of_the_file(tmp_path: Path) -> None:
    made = "    loop = asyncio.get_running_loop()\n"
    fix = fix_of(
        tmp_path,
        "loop.run_in_executor(own, process, url)",
        old=made,
        new=f"{made}    own = ThreadPoolExecutor(max_workers=2)\n",
    )
    assert fix.applicability is Applicability.SAFE


INFERENCE = (
    ("from openai import OpenAI\n", "from lightgbm import Booster\n"),
    ("client = OpenAI()\n", 'trees = Booster(model_file="a.txt")\n'),
    ('client.embeddings.create(model="small", input=url)', "trees.predict(url)"),
)
DISPATCHER = """\
async def pooled(function, *args):
    return await asyncio.get_running_loop().run_in_executor(_executor, function, *args)


"""
PREPARATION = (
    ("from openai import OpenAI\n", "import torchaudio\n"),
    ("client = OpenAI()\n", ""),
    ('client.embeddings.create(model="small", input=url)', "torchaudio.load(url)"),
)


def test_the_same_pool_is_safe(tmp_path: Path) -> None:
    source = SERVICE.replace("HANDED", "loop.run_in_executor(_executor, process, url)")
    for old, new in INFERENCE:
        source = source.replace(old, new)
    (tmp_path / "main.py").write_text(source)
    (finding,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert "run_in_executor(_executor, " in "".join(edit.content for edit in finding.fix.edits)


def test_a_coroutine_that_hands_to_the_same_pool_is_safe(tmp_path: Path) -> None:
    source = SERVICE.replace("HANDED", "loop.run_in_executor(_executor, extract, url)")
    for old, new in INFERENCE:
        source = source.replace(old, new)
    (tmp_path / "main.py").write_text(source.replace('@app.post("/one")', DISPATCHER + '@app.post("/one")'))
    (finding,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert "await pooled(" in "".join(edit.content for edit in finding.fix.edits)


@pytest.mark.parametrize(
    ("function", "applicability"), [("extract", Applicability.UNSAFE), ("process", Applicability.SAFE)]
)
def test_what_prepares_for_what_the_pool_runs_may_run_beside_it(
    tmp_path: Path, function: str, applicability: Applicability
) -> None:
    source = SERVICE.replace("HANDED", f"loop.run_in_executor(_executor, {function}, url)")
    for old, new in PREPARATION:
        source = source.replace(old, new)
    (tmp_path / "main.py").write_text(source)
    (finding,) = check([], Config(root=tmp_path, select=("SRV1",))).findings
    assert finding.fix is not None
    assert finding.fix.applicability is applicability
