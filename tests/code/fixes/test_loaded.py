"""What a file loads when it is imported, a function of it need not load again."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
PATH = "scaler.pkl"
scaler = joblib.load("scaler.pkl")
other = joblib.load(PATH)


@app.post("/p")
async def predict(row: list, path: str):
"""


def judged(folder: Path, *lines: str) -> tuple[Applicability, str]:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    (finding,) = check([], Config(root=folder, select=("SRV102",))).findings
    assert finding.fix is not None
    return finding.fix.applicability, finding.fix.reason


@pytest.mark.parametrize(
    ("call", "line", "name"),
    [("joblib.load('scaler.pkl')", 6, "scaler"), ("joblib.load(PATH)", 7, "other")],
)
def test_the_global_is_to_be_used(tmp_path: Path, call: str, line: int, name: str) -> None:
    reason = f"line {line} loads the same into `{name}` when the file is imported: use that"
    assert judged(tmp_path, f"scaler = {call}", "return len(row)") == (Applicability.UNSAFE, reason)


@pytest.mark.parametrize(
    "lines",
    [
        ("scaler = joblib.load('another.pkl')",),
        ("scaler = joblib.load(path)",),
        ("PATH = path", "scaler = joblib.load(PATH)"),
        ("app.state.scaler = joblib.load(PATH)",),
    ],
)
def test_something_else_is_loaded(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert judged(tmp_path, *lines, "return len(row)") == (Applicability.SAFE, "")


def test_who_loads_it_anew_for_everybody_means_it(tmp_path: Path) -> None:
    lines = ("global scaler", "scaler = joblib.load('scaler.pkl')", "return len(row)")
    assert "use that" not in judged(tmp_path, *lines)[1]
