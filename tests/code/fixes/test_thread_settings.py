"""What a service sets for its thread, which those of a pool do not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import torch
from fastapi import FastAPI

app = FastAPI()
net = torch.jit.load("net.pt")
{setting}


@app.post("/")
async def root(rows: list):
    scores = net(torch.tensor(rows))
    return len(scores)
"""


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (
            "torch.set_grad_enabled(False)",
            "`torch.set_grad_enabled()` holds for the thread that called it alone",
        ),
        ("torch.cuda.set_device(1)", "`torch.cuda.set_device()` holds for the thread that called it alone"),
        ("with torch.set_grad_enabled(False):\n    net.eval()", ""),
        ("torch.backends.cudnn.enabled = False", ""),
    ],
)
def test_a_pool_does_not_know_it(tmp_path: Path, setting: str, reason: str) -> None:
    (tmp_path / "main.py").write_text(SERVICE.format(setting=setting))
    (found,) = check([], Config(root=tmp_path, select=("SRV101",))).findings
    assert found.fix is not None
    assert found.fix.reason == reason
    assert (found.fix.applicability is Applicability.SAFE) is (not reason)
