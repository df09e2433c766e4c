"""A result on a GPU is read in the thread that waits for it: what works on it alone moves with the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import torch
from fastapi import FastAPI
from lightgbm import Booster
from pydantic import BaseModel

app = FastAPI()
model = torch.load("model.pt")
trees = Booster(model_file="a.txt")
LABELS = ["a", "b"]


class Answer(BaseModel):
    score: float


def keep(score):
    print(score)


@app.post("/p")
async def predict(row: list, threshold: float):
"""
RUN = "await asyncio.get_running_loop().run_in_executor("


def fixed(folder: Path, *lines: str, unsafe: bool = False) -> list[str]:
    """The function's body after the safe fixes, or after all."""
    (folder / "pyproject.toml").write_text("[tool.ruff]\nline-length = 240\n")
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    config = Config(root=folder, select=("SRV101", "SRV102"))
    outcome = edits.apply(check([], config), unsafe=unsafe)
    assert not outcome.rejected
    assert not outcome.report.findings
    text = outcome.after[folder / "main.py"].decode().partition("threshold: float):\n")[2]
    text = text.replace("contextvars.copy_context().run, ", "").replace(
        "functools.partial(model, row)", "model, row"
    )
    return [line.removeprefix("    ") for line in text.splitlines()]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            ["logits = model(row)", "label = logits.argmax(-1).item()", "return {'label': label}"],
            [
                "def run_inference():",
                "    logits = model(row)",
                "    label = logits.argmax(-1).item()",
                "    return label",
                "",
                f"label = {RUN}_inference_executor, run_inference)",
                "return {'label': label}",
            ],
        ),
        (
            [
                "logits = model(row)",
                "chances = torch.softmax(logits, dim=1)",
                "best = chances.max()",
                "score, label = float(best.item()), LABELS[chances.argmax().item()]",
                "keep(score)",
                "return label",
            ],
            [
                "def run_inference():",
                "    logits = model(row)",
                "    chances = torch.softmax(logits, dim=1)",
                "    best = chances.max()",
                "    score, label = float(best.item()), LABELS[chances.argmax().item()]",
                "    return score, label",
                "",
                f"score, label = {RUN}_inference_executor, run_inference)",
                "keep(score)",
                "return label",
            ],
        ),
        (
            ["with torch.no_grad():", "    logits = model(row)", "return logits.cpu().tolist()"],
            [
                "def run_inference():",
                "    with torch.no_grad():",
                "        logits = model(row)",
                "    return logits.cpu().tolist()",
                "",
                f"return {RUN}_inference_executor, run_inference)",
            ],
        ),
        (
            ["score = model(row).item()", "return score"],
            [f"score = {RUN}_inference_executor, lambda: model(row).item())", "return score"],
        ),
        (
            ["return {'scores': [round(one, 3) for one in model(row)[0].tolist()]}"],
            [
                f"return {RUN}_inference_executor, lambda: {{'scores': [round(one, 3) for one in model(row)[0].tolist()]}})"
            ],
        ),
    ],
)
def test_the_reading_moves_too(tmp_path: Path, before: list[str], after: list[str]) -> None:
    assert fixed(tmp_path, *before) == after


CALL = f"{RUN}_inference_executor, model, row)"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # nothing is read
        (["logits = model(row)", "return logits.shape"], [f"logits = {CALL}", "return logits.shape"]),
        # something else comes between, or is needed for it
        (
            ["logits = model(row)", "keep(row)", "return logits.item()"],
            [f"logits = {CALL}", "keep(row)", "return logits.item()"],
        ),
        (
            ["logits = model(row)", "return logits.item() > threshold"],
            [f"logits = {CALL}", "return logits.item() > threshold"],
        ),
        # code of the project would run in the thread
        (
            ["logits = model(row)", "return Answer(score=logits.item())"],
            [f"logits = {CALL}", "return Answer(score=logits.item())"],
        ),
        (
            ["return Answer(score=model(row).item())"],
            [f"return Answer(score=({CALL}).item())"],
        ),
        # no tensor of PyTorch
        (
            ["scores = trees.predict(row)", "return scores.tolist()"],
            [f"scores = {RUN}_inference_executor, trees.predict, row)", "return scores.tolist()"],
        ),
    ],
)
def test_what_stays(tmp_path: Path, before: list[str], after: list[str]) -> None:
    # unsafe where the loop would wait for the reading
    assert fixed(tmp_path, *before, unsafe=True) == after
