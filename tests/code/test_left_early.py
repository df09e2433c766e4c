"""What a function does not do under the defaults of its parameters, since it is left before, is not found."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import asyncio

import spacy
from fastapi import FastAPI

app = FastAPI()
nlp = spacy.load("en")


def warm({parameters}):
    {test}
        {leaves}
    return nlp("x")


@app.post("/p")
async def predict(text: str, flag: bool):
    {call}
"""


def codes(folder: Path, parameters: str, test: str, call: str, leaves: str = "return None") -> list[str]:
    text = SERVICE.format(parameters=parameters, test=test, call=call, leaves=leaves)
    (folder / "main.py").write_text(text)
    return [finding.code for finding in check([], Config(root=folder, select=("SRV1",))).findings]


LEFT = [
    ("enabled=False", "if not enabled:"),
    ("texts=None", "if texts is None:"),
    ("texts=None, enabled=False", "if texts is None or not enabled:"),
    ("texts=None", "if not texts:"),
    ("skip=True", "if skip:"),
    ("mode='none'", "if mode == 'none':"),
]


@pytest.mark.parametrize(("parameters", "test"), LEFT)
def test_a_call_that_returns_at_once_is_none_to_hand_over(tmp_path: Path, parameters: str, test: str) -> None:
    assert not codes(tmp_path, parameters, test, "warm()")
    assert not codes(tmp_path, parameters, test, "await asyncio.to_thread(warm)")


@pytest.mark.parametrize(
    ("parameters", "test", "given"),
    [
        ("enabled=False", "if not enabled:", "True"),
        ("enabled=False", "if not enabled:", "flag"),
        ("texts=None", "if texts is None:", "text"),
        ("enabled=True", "if not enabled:", ""),
        ("enabled=False", "if enabled:", ""),
        ("texts=None, enabled=False", "if texts is None and not enabled:", "text"),
        # it is not left there, or only in a loop that may have no round, or what is asked is set before
        ("enabled=False", "for _ in ():\n        if not enabled:", ""),
        ("enabled=False", "enabled = bool(app)\n    if not enabled:", ""),
    ],
)
def test_one_that_may_go_on_is(tmp_path: Path, parameters: str, test: str, given: str) -> None:
    leaves = "    return None" if "for" in test else "return None"
    assert codes(tmp_path, parameters, test, f"warm({given})", leaves) == ["SRV101"]
    behind = f", {given}" if given else ""
    call = f"await asyncio.to_thread(warm{behind})"
    assert codes(tmp_path, parameters, test, call, leaves) == ["SRV109"]


def test_who_is_not_left_goes_on(tmp_path: Path) -> None:
    assert codes(tmp_path, "enabled=False", "if not enabled:", "warm()", "print(enabled)") == ["SRV101"]
