"""Requests that each load a model must not do it at once, to keep it while they wait for their turn to infer."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
from functools import cache

import joblib
import torch
from fastapi import FastAPI
from transformers import AutoModel

app = FastAPI()
kept = {{}}


{made}


@app.post("/answer")
async def answer(name: str, row: str):
{lines}
"""
EACH = "    model = AutoModel.from_pretrained(name)\n    row = row.strip()\n    row += '.'\n    row += '!'\n    return model(row)"
LOADED = "def load(name):\n    return AutoModel.from_pretrained(name)"
AT_ONCE = "each request would have what `{}()` loads in memory while it waits for its turn to infer"


def reasons(folder: Path, lines: str, made: str = "") -> dict[str, str]:
    """Why the fixes are unsafe, by what is called."""
    (folder / "main.py").write_text(SERVICE.format(made=made, lines=lines))
    found = check([], Config(root=folder, select=("SRV101", "SRV102"))).findings
    assert all(finding.fix is not None for finding in found)
    return {finding.identity[1]: finding.fix.reason for finding in found if finding.fix is not None}


def test_a_model_for_each_request(tmp_path: Path) -> None:
    assert reasons(tmp_path, EACH) == {
        "AutoModel.from_pretrained()": AT_ONCE.format("AutoModel.from_pretrained"),
        "model()": "line 17 of `answer` stays on the event loop (`AutoModel.from_pretrained()`)",
    }
    through = reasons(tmp_path, EACH.replace("AutoModel.from_pretrained", "load"), LOADED)
    assert through["load()"] == AT_ONCE.format("load")


@pytest.mark.parametrize(
    ("lines", "made"),
    [
        # kept for all that come later, small, or not used by who loads it
        (EACH.replace("AutoModel.from_pretrained", "load"), f"@cache\n{LOADED}"),
        (EACH.replace("AutoModel.from_pretrained", "joblib.load").replace("model(", "model.predict("), ""),
        ("    AutoModel.from_pretrained(name)\n    return row", ""),
    ],
)
def test_a_model_that_does_not_wait(tmp_path: Path, lines: str, made: str) -> None:
    assert "memory" not in "".join(reasons(tmp_path, lines, made).values())


def test_what_infers_with_its_own_model_in_one_piece(tmp_path: Path) -> None:
    """There is one model at a time where the load is part of what the pool runs."""
    made = "def answered(name, row):\n    model = AutoModel.from_pretrained(name)\n    return model(row)"
    assert reasons(tmp_path, "    return answered(name, row)", made) == {"answered()": ""}
