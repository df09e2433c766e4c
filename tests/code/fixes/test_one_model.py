"""Inference leaves the default executor for one thread only where all of it is of one model that requests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio
import threading
from functools import lru_cache, partial

from fastapi import Depends, FastAPI
from sentence_transformers import SentenceTransformer

app = FastAPI()
lock = threading.Lock()
slots = asyncio.Semaphore(2)
queue = asyncio.Queue()
"""
ONE = 'model = SentenceTransformer("small")\n'
TWO = ONE + 'other = SentenceTransformer("large")\n'
WRAPPED = """\
class Encoder:
    def __init__(self):
        self.model = SentenceTransformer("small")

    def embed(self, texts):
        return self.model.encode(texts)


"""
GETTER = """\
_model = None


def get_model():
    global _model
    if _model is None:
        _model = SentenceTransformer("small")
    return _model


"""
CACHED = """\
@lru_cache
def get_model():
    return SentenceTransformer("small")


"""
STATE = """\
@app.on_event("startup")
async def start():
    app.state.model = SentenceTransformer("small")


"""
ENDPOINT = "@app.post('/p')\nasync def embed(texts: list):\n    {}\n"
DIRECT = ENDPOINT.format("return await asyncio.to_thread(model.encode, texts)")
BOTH = "def both(texts):\n    return model.encode(texts), other.encode(texts)\n\n\n"


def found(folder: Path, text: str) -> list[Finding]:
    (folder / "main.py").write_text(f"{HEAD}\n{text}")
    return list(check([], Config(root=folder, select=("SRV109",))).findings)


@pytest.mark.parametrize(
    "text",
    [
        ONE + DIRECT,
        ONE + ENDPOINT.format("return await asyncio.to_thread(lambda: model.encode(texts))"),
        ONE + ENDPOINT.format("return await asyncio.to_thread(partial(model.encode, texts))"),
        ONE + ENDPOINT.format("mine = model\n    return await asyncio.to_thread(mine.encode, texts)"),
        STATE + ENDPOINT.format("return await asyncio.to_thread(app.state.model.encode, texts)"),
        GETTER + ENDPOINT.format("return await asyncio.to_thread(get_model().encode, texts)"),
        CACHED + ENDPOINT.format("return await asyncio.to_thread(get_model().encode, texts)"),
        WRAPPED
        + "encoder = Encoder()\n"
        + ENDPOINT.format("return await asyncio.to_thread(encoder.embed, texts)"),
    ],
)
def test_one_model_for_all_requests_may_queue(tmp_path: Path, text: str) -> None:
    (finding,) = found(tmp_path, text)
    assert finding.fix is not None
    assert finding.fix.reason == ""
    assert finding.fix.applicability is Applicability.SAFE


OWN = "nothing says that all requests have one and the same model"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # each request has one, or an object that has one, or is given one
        (
            ENDPOINT.format(
                "mine = SentenceTransformer('s')\n    return await asyncio.to_thread(mine.encode, texts)"
            ),
            OWN,
        ),
        (WRAPPED + ENDPOINT.format("return await asyncio.to_thread(Encoder().embed, texts)"), OWN),
        (
            WRAPPED
            + "@app.post('/p')\nasync def embed(texts: list, encoder: Encoder = Depends(Encoder)):\n"
            + "    return await asyncio.to_thread(encoder.embed, texts)\n",
            OWN,
        ),
        # one of several objects
        (
            WRAPPED
            + "encoders = [Encoder() for _ in range(4)]\n"
            + ENDPOINT.format("return await asyncio.to_thread(encoders[len(texts) % 4].embed, texts)"),
            OWN,
        ),
        (
            WRAPPED
            + "one = Encoder()\ntwo = Encoder()\n"
            + ENDPOINT.format("return await asyncio.to_thread(one.embed, texts)"),
            OWN,
        ),
        # two models in what is handed over
        (
            TWO + BOTH + ENDPOINT.format("return await asyncio.to_thread(both, texts)"),
            "`model` and `other` would wait for each other",
        ),
        # another model, which waits on the default executor or on the loop, would stand in the queue
        (
            TWO
            + DIRECT
            + "\n\n@app.post('/q')\nasync def other_one(texts: list):\n"
            + "    return await asyncio.to_thread(other.encode, texts)\n",
            "`model` and `other` would wait for each other",
        ),
        (
            TWO
            + DIRECT
            + "\n\n@app.post('/q')\nasync def other_one(texts: list):\n    return other.encode(texts)\n",
            "`model` and `other` would wait for each other",
        ),
    ],
)
def test_what_is_not_one_model_must_not(tmp_path: Path, text: str, reason: str) -> None:
    findings = found(tmp_path, text)
    assert findings
    for finding in findings:
        assert finding.fix is not None
        assert finding.fix.applicability is Applicability.UNSAFE
        assert reason in finding.fix.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            ONE
            + "def one_by_one(texts):\n    with lock:\n        return model.encode(texts)\n\n\n"
            + ENDPOINT.format("return await asyncio.to_thread(one_by_one, texts)"),
            "`with lock` asks the model one by one already",
        ),
        (
            ONE
            + ENDPOINT.format(
                "await slots.acquire()\n    try:\n        return await asyncio.to_thread(model.encode, texts)\n"
                "    finally:\n        slots.release()"
            ),
            "`slots` bounds already how many run at once",
        ),
        (
            ONE
            + "async def embedded(texts):\n    return await asyncio.to_thread(model.encode, texts)\n\n\n"
            + ENDPOINT.format("async with slots:\n        return await embedded(texts)"),
            "`async with slots` around its callers bounds already how many run at once",
        ),
        (
            ONE
            + "async def work():\n    while True:\n        texts, done = await queue.get()\n"
            + "        done.set_result(await asyncio.to_thread(model.encode, texts))\n\n\n"
            + "@app.on_event('startup')\nasync def start():\n    asyncio.create_task(work())\n",
            "who goes through `queue` asks the model one by one already",
        ),
    ],
)
def test_what_is_asked_one_by_one_already_stays(tmp_path: Path, text: str, reason: str) -> None:
    (finding,) = found(tmp_path, text)
    assert finding.fix is None
    assert reason in finding.unfixable


def test_a_model_of_another_file_is_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(
        'from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer("small")\n'
    )
    imports = "import models\nfrom models import model\n"
    again = (
        "\n\n@app.post('/q')\nasync def again(texts: list):\n    return await asyncio.to_thread({}, texts)\n"
    )
    for finding in found(tmp_path, imports + DIRECT + again.format("models.model.encode")):
        assert finding.fix is not None
        assert finding.fix.reason == ""


def test_a_parameter_is_some_model(tmp_path: Path) -> None:
    text = (
        ONE
        + "async def embedded(model, texts):\n    return await asyncio.to_thread(model.encode, texts)\n\n\n"
    )
    for finding in found(tmp_path, text + ENDPOINT.format("return await embedded(model, texts)")):
        assert finding.fix is not None
        assert finding.fix.applicability is Applicability.UNSAFE
