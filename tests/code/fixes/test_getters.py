"""What gives the object of a moved call moves with it where it waits for a lock, or blocks itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import threading

import joblib
from fastapi import FastAPI

app = FastAPI()
lock = threading.Lock()
model = None


def get_model():
    global model
    with lock:
        if model is None:
            model = joblib.load("model.joblib")
        return model


def loaded():
    return model


class Held:
    @property
    def model(self):
        return get_model()


held = Held()


@app.on_event("startup")
def start():
    get_model()


@app.post("/p")
async def predict(rows: list):
"""


def fixed(folder: Path, *lines: str) -> str:
    """The function after the safe fixes, each call on one line."""
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    config = Config(root=folder, select=("SRV101", "SRV102"))
    report = check([], config)
    assert {f.fix.applicability for f in report.findings if f.fix is not None} == {Applicability.SAFE}
    outcome = edits.apply(report, unsafe=False)
    assert not outcome.rejected
    list(edits.write(outcome))
    assert not edits.apply(check([], config), unsafe=True).after
    text = (folder / "main.py").read_text().partition("async def predict")[2]
    text = re.sub(r"\s*\n\s*\)", ")", re.sub(r"\(\n\s*", "(", text))
    return text.replace("asyncio.get_running_loop().run_in_executor(_inference_executor, ", "offload(")


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("return get_model().predict(rows)", "return await offload(lambda: get_model().predict(rows))"),
        ("return held.model.predict(rows)", "return await offload(lambda: held.model.predict(rows))"),
        (
            "return get_model().predict(rows).tolist()",
            "return await offload(lambda: get_model().predict(rows).tolist())",
        ),
        (
            "x = [get_model().predict(row) for row in rows]",
            "x = await offload(lambda: [get_model().predict(row) for row in rows])",
        ),
        (
            "while get_model().predict(rows): pass",
            "while await offload(lambda: get_model().predict(rows)): pass",
        ),
        (
            "if get_model().predict(rows)[0]: pass",
            "if (await offload(lambda: get_model().predict(rows)))[0]: pass",
        ),
    ],
)
def test_a_getter_that_takes_a_lock_moves_too(tmp_path: Path, line: str, after: str) -> None:
    assert f"    {after}\n" in fixed(tmp_path, line)


def test_in_a_loop_the_row_is_passed(tmp_path: Path) -> None:
    after = fixed(tmp_path, "for row in rows:", "    x = get_model().predict(row)", "return x")
    assert "def run_inference(row):\n            x = get_model().predict(row)\n" in after
    assert "await offload(run_inference, row)" in after


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("return loaded().predict(rows)", "return await offload(loaded().predict, rows)"),
        ("return model.predict(rows)", "return await offload(model.predict, rows)"),
    ],
)
def test_what_waits_for_nothing_stays(tmp_path: Path, line: str, after: str) -> None:
    assert after in fixed(tmp_path, line)
