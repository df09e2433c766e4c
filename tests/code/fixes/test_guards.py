"""State that requests share is no reason against a thread where a lock is held whenever somebody changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import threading

import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")
cache = {}
lock = threading.RLock()
other = threading.RLock()


"""
SCORE = """\
def score(row):
    with lock:
        if row in cache:
            return cache[row]
        cache[row] = model.predict([row])
        return cache[row]


"""
TAIL = """\
@app.post("/p")
async def predict(row: str):
    return score(row)


"""
LOAD_ONCE = """\
def score(row):
    if row not in cache:
        with lock:
            if row not in cache:
                cache[row] = model.predict([row])
    return cache[row]


"""
STORE = """\
class Scores:
    def __init__(self):
        self.seen = {}
        self.guard = threading.Lock()

    def keep(self, row):
        self.seen[row] = model.predict([row])

    def score(self, row):
        with self.guard:
            self.keep(row)
            return self.seen[row]


scores = Scores()


def score(row):
    return scores.score(row)


"""
KNOWN = "def known(row):\n    return cache[row] if row in cache else None\n\n\n"
CLEAR = "def clear():\n    with lock:\n        cache.clear()\n"


def applicability(folder: Path, text: str) -> Applicability:
    (folder / "main.py").write_text(text)
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    assert finding.fix is not None
    assert ("which requests share" in finding.fix.reason) is bool(finding.fix.reason)
    return finding.fix.applicability


@pytest.mark.parametrize(
    ("score", "also"),
    [
        (SCORE, ""),
        (SCORE, "def count():\n    return len(cache)\n"),
        (SCORE, "def is_known(row):\n    return row in cache\n"),
        (SCORE, "def names():\n    with lock:\n        return list(cache)\n"),
        (LOAD_ONCE, ""),
        (SCORE, KNOWN),
        (SCORE, CLEAR),
        (STORE, ""),
        (STORE, "class Elsewhere:\n    def fill(self):\n        self.seen = []\n"),
    ],
)
def test_a_lock_that_is_always_held(tmp_path: Path, score: str, also: str) -> None:
    assert applicability(tmp_path, HEAD + score + TAIL + also) is Applicability.SAFE


@pytest.mark.parametrize(
    ("score", "also"),
    [
        # not held at all changes, or another one
        (SCORE, "def clear():\n    cache.clear()\n"),
        (SCORE, "def clear():\n    with other:\n        cache.clear()\n"),
        (SCORE.replace("    with lock:\n        if row", "    if True:\n        if row"), ""),
        (STORE, "def keep(row):\n    scores.keep(row)\n"),
        (STORE, "keep = scores.keep\n"),
        (STORE, "def clear():\n    scores.seen = {}\n"),
        # looked at more than once, or gone through
        (SCORE, "def names():\n    return list(cache)\n"),
        (SCORE, KNOWN + CLEAR),
        (SCORE, "for_all = [score(row) for row in 'ab']\ndef two():\n    return (cache, lock)\n"),
        (LOAD_ONCE, CLEAR),
        (LOAD_ONCE.replace("            if row not in cache:\n    ", ""), ""),
        # reached by its name
        (SCORE, "def reset():\n    globals()['cache'] = {}\n"),
        # who holds the lock waits for the thread that wants it
        (SCORE, "async def both(row):\n    with lock:\n        return await predict(row)\n"),
        (SCORE, "async def both(row):\n    lock.acquire()\n    await predict(row)\n    lock.release()\n"),
    ],
)
def test_where_it_is_not_enough(tmp_path: Path, score: str, also: str) -> None:
    assert applicability(tmp_path, HEAD + score + TAIL + also) is Applicability.UNSAFE


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("Lock()", Applicability.SAFE),
        ("Semaphore()", Applicability.SAFE),
        ("Semaphore(1)", Applicability.SAFE),
        ("BoundedSemaphore(value=1)", Applicability.SAFE),
        ("Semaphore(4)", Applicability.UNSAFE),
        ("Semaphore(value=4)", Applicability.UNSAFE),
        ("BoundedSemaphore(len(cache))", Applicability.UNSAFE),
        ("Semaphore(*cache)", Applicability.UNSAFE),
    ],
)
def test_a_semaphore_is_a_lock_where_it_lets_in_one(
    tmp_path: Path, made: str, expected: Applicability
) -> None:
    text = (HEAD + SCORE + TAIL).replace("\nlock = threading.RLock()", f"\nlock = threading.{made}")
    assert f"lock = threading.{made}" in text
    assert applicability(tmp_path, text) is expected


def test_a_semaphore_that_is_made_twice(tmp_path: Path) -> None:
    """Which of the two is held is not known."""
    text = HEAD.replace("\nlock = threading.RLock()", "\nlock = threading.Semaphore(1)")
    again = "def more():\n    global lock\n    lock = threading.Semaphore(8)\n"
    assert applicability(tmp_path, text + SCORE + TAIL + again) is Applicability.UNSAFE


def test_another_file_that_imports_the_state(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from main import cache\n\n\ndef names():\n    return list(cache)\n")
    assert applicability(tmp_path, HEAD + SCORE + TAIL) is Applicability.UNSAFE


NET = """\
import random

import cv2
import torch
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
net = cv2.dnn.readNet("faces.onnx")
pipe = pipeline("text-generation", model="small")


@app.post("/p")
async def predict(text: str, seed: int):
"""


@pytest.mark.parametrize(
    ("lines", "applicability"),
    [
        ("net.setInput(text)\n    return net.forward()", Applicability.UNSAFE),
        ("torch.manual_seed(seed)\n    if seed:\n        return pipe(text)", Applicability.UNSAFE),
        ("random.seed(seed)\n    if seed:\n        return pipe(text)", Applicability.UNSAFE),
        ("pipe.model.eval()\n    return pipe(text)", Applicability.SAFE),
        ("sizes = pipe.tokenizer.get_vocab()\n    return sizes, pipe(text)", Applicability.SAFE),
        (
            "own = cv2.dnn.Net(text)\n    own.setInput(text)\n    return pipe(own.forward())",
            Applicability.SAFE,
        ),
    ],
)
def test_what_is_told_an_object_before_the_call_belongs_to_it(
    tmp_path: Path, lines: str, applicability: Applicability
) -> None:
    (tmp_path / "main.py").write_text(f"{NET}    {lines}\n")
    found = [f for f in check([], Config(root=tmp_path, select=("SRV101",))).findings if f.fix is not None]
    assert found
    assert {f.fix.applicability for f in found if f.fix is not None} == {applicability}
