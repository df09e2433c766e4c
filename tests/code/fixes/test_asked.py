"""A global that may be None is used as it was when the function asked, and typed code knows that it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import torch
from fastapi import FastAPI, HTTPException

model = None
other = None


def load():
    global model
    model = torch.load("model.pt")


app = FastAPI()
app.add_event_handler("startup", load)


"""
HELD = "with torch.no_grad():\n        scores = model(rows)"
KEPT = "def run_inference(model=model):"
NOT_KEPT = "def run_inference():"


def fixed(folder: Path, body: str) -> str:
    (folder / "main.py").write_text(f'{HEAD}@app.post("/p")\nasync def predict(rows: list):\n    {body}\n')
    outcome = edits.apply(check([], Config(root=folder, select=("SRV101",))), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    return outcome.after[folder / "main.py"].decode()


@pytest.mark.parametrize(
    "test",
    [
        "if model is None:\n        raise HTTPException(503)\n",
        "if not model:\n        return []\n",
        "if not rows or model is None:\n        return []\n",
    ],
)
def test_what_was_asked_is_what_runs(tmp_path: Path, test: str) -> None:
    text = fixed(tmp_path, f"{test}    {HELD}\n    return scores.tolist()")
    assert KEPT in text
    assert "copy_context().run, run_inference\n" in text or "_inference_executor, run_inference" in text


@pytest.mark.parametrize("test", ["model", "model is not None", "rows and model is not None"])
def test_in_the_branch_of_the_answer(tmp_path: Path, test: str) -> None:
    held = HELD.replace("\n", "\n    ")
    assert KEPT in fixed(tmp_path, f"if {test}:\n        {held}\n        return scores\n    return []")


@pytest.mark.parametrize(
    "body",
    [
        f"{HELD}\n    return scores",
        f"if model is None:\n        rows = rows[:1]\n    {HELD}\n    return scores",
        f"if model is None and not rows:\n        return []\n    {HELD}\n    return scores",
        f"if other is None:\n        return []\n    {HELD}\n    return scores",
    ],
)
def test_what_is_not_known_is_read_when_it_is_needed(tmp_path: Path, body: str) -> None:
    assert NOT_KEPT in fixed(tmp_path, body)


def test_a_block_that_sets_it_anew_reads_it_then(tmp_path: Path) -> None:
    body = "with torch.no_grad():\n        load()\n        scores = model(rows)\n    return scores"
    assert NOT_KEPT in fixed(tmp_path, f"if model is None:\n        return []\n    {body}")
