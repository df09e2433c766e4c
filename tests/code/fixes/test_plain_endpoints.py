"""A pool of one thread is no safe fix where plain endpoints call the same model in the framework's threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import threading

from fastapi import FastAPI
from lightgbm import Booster
from llama_cpp import Llama

app = FastAPI()
lock = threading.Lock()
llm = Llama("a.gguf")
small = Llama("b.gguf")
trees = Booster(model_file="a.txt")


def answered(text):
    with lock:
        return llm(text)


@app.post("/answer")
async def answer(text: str):
    return llm(text)


@app.post("/plain")
def plain(text: str):
    return llm(text)
"""


def judged(
    folder: Path, answer: str = "llm(text)", plain: str = "return llm(text)"
) -> tuple[Applicability, str]:
    text = SERVICE.replace(
        "answer(text: str):\n    return llm(text)", f"answer(text: str):\n    return {answer}"
    )
    text = text.replace("plain(text: str):\n    return llm(text)", f"plain(text: str):\n    {plain}")
    (folder / "main.py").write_text(text)
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


def test_the_same_model_in_the_threads_of_the_framework(tmp_path: Path) -> None:
    reason = (
        "`plain` calls the model in the framework's threads already, "
        "and two threads must not call llama-cpp-python at once"
    )
    assert judged(tmp_path) == (Applicability.UNSAFE, reason)


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("llm(text)", "return small(text)"),
        ("llm(text)", 'return Llama("a.gguf")(text)'),
        ("llm(text)", "return text"),
        ("trees.predict(text)", "return trees.predict(text)"),
        ("answered(text)", "return answered(text)"),
        ("answered(text)", "with lock:\n        return llm(text)"),
    ],
)
def test_another_model_or_one_that_threads_may_share(tmp_path: Path, answer: str, plain: str) -> None:
    assert judged(tmp_path, answer, plain)[0] is Applicability.SAFE
