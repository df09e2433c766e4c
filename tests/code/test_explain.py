"""`servelint check --explain PATH:LINE` says how the calls on a line are judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.cli import run

SERVICE = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
async def predict(row: list[float]):
    return model.predict([row])


@app.post("/plain")
def plain(row: list[float]):
    return model.predict([row])
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    path = tmp_path / "service.py"
    path.write_text(SERVICE)
    return path


def explained(place: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = run(["check", "--explain", place])
    told = capfd.readouterr()
    return status, told.out + told.err


def test_a_blocking_call_names_binding_type_and_verdict(
    service: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, text = explained(f"{service}:10", capfd)
    assert status == 0
    assert "predict runs on the event loop while serving (endpoint of FastAPI)" in text
    assert "bound at service.py:5: joblib.load()" in text
    assert "verdict: blocks (inference, high confidence)" in text


def test_a_plain_def_says_where_it_runs(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "plain is no coroutine and no loop-bound callback" in explained(f"{service}:15", capfd)[1]


def test_a_line_without_a_call(service: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert explained(f"{service}:3", capfd) == (0, f"There is no call on line 3 of {service}.\n")


@pytest.mark.parametrize("place", ["nothing.py:3", "service.py", "service.py:x"])
def test_a_place_that_does_not_exist(place: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, text = explained(place, capfd)
    assert status == 2
    assert "needs an existing file and a line" in text
