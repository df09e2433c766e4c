"""A result that the event loop reads from a GPU later is waited for there: the fix moves too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import torch
from fastapi import FastAPI

app = FastAPI()
model = torch.load("model.pt")


def pooled(outputs, mask):
    return outputs * mask


@app.post("/p")
async def predict(row: list, mask: list):
"""


def judged(folder: Path, *lines: str) -> tuple[Applicability, str]:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    (finding,) = check([], Config(root=folder, select=("SRV101", "SRV102"))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


@pytest.mark.parametrize(
    ("lines", "line", "how"),
    [
        (
            ("outputs = model(row)", "vectors = pooled(outputs, mask).cpu().numpy()", "return vectors"),
            2,
            "numpy",
        ),
        (
            (
                "outputs = model(row)",
                "vectors = pooled(outputs, mask)",
                "print(mask)",
                "return vectors.tolist()",
            ),
            4,
            "tolist",
        ),
        (("outputs = model(row)", "for one in pooled(outputs, mask):", "    print(one.item())"), 3, "item"),
        (("outputs = model(row)", "print(mask)", "return [one.item() for one in outputs]"), 3, "item"),
    ],
)
def test_the_loop_would_wait_for_it(tmp_path: Path, lines: tuple[str, ...], line: int, how: str) -> None:
    applicability, reason = judged(tmp_path, *lines)
    assert applicability is Applicability.UNSAFE
    assert reason == (
        f"line {HEAD.count(chr(10)) + line} reads on the event loop (`.{how}()`) what comes of `model()`: "
        "on a GPU that is where it is waited for"
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("outputs = model(row)", "return outputs.tolist()"),
        ("outputs = model.generate(row)", "print(mask)", "return outputs.tolist()"),
        ("outputs = model(row)", "print(mask)", "return torch.tensor(mask).tolist()"),
        ("outputs = model(row)", "print(mask)", "outputs = torch.tensor(mask)", "return outputs.tolist()"),
    ],
)
def test_nothing_is_waited_for(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert judged(tmp_path, *lines) == (Applicability.SAFE, "")
