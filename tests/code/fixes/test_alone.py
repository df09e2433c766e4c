"""Where nothing else waits for the event loop, a thread gains nothing: the fix is unsafe."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

WORKER = """\
import asyncio

import redis.asyncio as redis
from lightgbm import Booster

trees = Booster(model_file="a.txt")
jobs = redis.Redis()


async def work(job):
    await jobs.set("score", trees.predict(job))


async def main():
    while True:
        await work(await jobs.blpop("jobs"))


if __name__ == "__main__":
    asyncio.run(main())
"""
SERVICE = """\
from fastapi import FastAPI

from worker import work

app = FastAPI()


@app.post("/p")
async def p(row: list):
    await work(row)
"""


def judged(folder: Path) -> tuple[Applicability, str]:
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


def test_a_worker_with_one_task_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    reason = "nothing else waits for this event loop: the program runs one task on it"
    assert judged(tmp_path) == (Applicability.UNSAFE, reason)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    while True:", "    asyncio.create_task(beat())\n    while True:"),
        ("    while True:", "    await asyncio.start_server(work, port=1)\n    while True:"),
        (
            "        await work(await",
            "        await asyncio.gather(work(1), work(2))\n        await work(await",
        ),
        ("import redis", "import aiohttp\nimport redis"),
        ("asyncio.run(main())", "asyncio.get_event_loop().create_task(main())"),
    ],
)
def test_where_something_else_may_wait_the_fix_is_safe(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "worker.py").write_text(WORKER.replace(old, new))
    assert judged(tmp_path)[0] is Applicability.SAFE


def test_a_service_that_uses_the_worker_waits(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "main.py").write_text(SERVICE)
    assert judged(tmp_path)[0] is Applicability.SAFE
