"""A load goes to many threads: not where the call may as well be one of an object that they would share."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import onnxruntime
from acme import Embedder
from fastapi import FastAPI

app = FastAPI()
found = {made}


class Loaded:
    def __init__(self, name):
        self.model = onnxruntime.InferenceSession(name)


def chosen(name):
    return Loaded if name else found


@app.post("/load")
async def load(name: str):
    embed = chosen(name)
    embed(name)
    return name
"""


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (
            "Embedder('a')",
            "`embed` may be an object of acme, and nothing says that two threads may call it at once",
        ),
        ("None", ""),
        ("Embedder", ""),
    ],
)
def test_what_may_be_an_object_of_a_library(tmp_path: Path, made: str, reason: str) -> None:
    (tmp_path / "main.py").write_text(SERVICE.format(made=made))
    (finding,) = check([], Config(root=tmp_path, select=("SRV102",))).findings
    assert finding.fix is not None
    assert finding.fix.reason == reason
