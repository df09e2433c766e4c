"""Code below a folder that is there for something else than to serve is not changed by a safe fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("scores.joblib")


@app.post("/")
async def root(rows: list):
    return model.predict(rows)
"""
STARTED = """\
import asyncio
from concurrent.futures import ThreadPoolExecutor

import joblib
from fastapi import FastAPI

app = FastAPI()
pool = ThreadPoolExecutor(max_workers=1)
model = joblib.load("scores.joblib")


@app.post("/")
async def root(rows: list):
    return await asyncio.get_running_loop().run_in_executor(pool, model.predict(rows))
"""


def _fix(root: Path, path: str, text: str = SERVICE) -> Fix:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    found = check([], Config(root=root)).findings
    (fix,) = [one.fix for one in found if one.fix is not None]
    return fix


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("legacy/main.py", "legacy/"),
        ("shop/Legacy/api/main.py", "Legacy/"),
        ("benchmark/main.py", "benchmark/"),
        ("archived/main.py", "archived/"),
        ("third-party/scores/main.py", "third-party/"),
        ("src/shop-testdata/code/main.py", "shop-testdata/"),
        ("shop/main copy.py", "main copy.py"),
        ("api.old/main.py", "api.old/"),
    ],
)
def test_what_may_be_kept_on_purpose(tmp_path: Path, path: str, kept: str) -> None:
    fix = _fix(tmp_path, path)
    assert fix.applicability is Applicability.UNSAFE
    assert fix.reason == f"`{kept}` may be kept as it is on purpose"


@pytest.mark.parametrize(
    "path",
    ["main.py", "threshold/main.py", "vendors/main.py", "benchmark.py", "photocopy.py", "gold/main.py"],
)
def test_other_places(tmp_path: Path, path: str) -> None:
    fix = _fix(tmp_path, path)
    assert fix.applicability is Applicability.SAFE


@pytest.mark.parametrize("path", ["service spoken.py", "app (1).py", "shop/main+.py"])
def test_what_no_import_can_name(tmp_path: Path, path: str) -> None:
    fix = _fix(tmp_path, path)
    assert fix.applicability is Applicability.UNSAFE
    assert fix.reason == f"`{Path(path).name}` may be a copy: no import can name it"


@pytest.mark.parametrize(
    "end", ["\n\nif __name__ == '__main__':\n    start(app)\n", "\n\nimport uvicorn\n\nuvicorn.run(app)\n"]
)
def test_what_is_a_program_though_no_import_can_name_it(tmp_path: Path, end: str) -> None:
    assert _fix(tmp_path, "service spoken.py", SERVICE + end).applicability is Applicability.SAFE


@pytest.mark.parametrize("path", ["my-app.py", "01_app.py", "größe.py"])
def test_what_a_server_can_be_told_of(tmp_path: Path, path: str) -> None:
    assert _fix(tmp_path, path).applicability is Applicability.SAFE


def test_only_folders_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "archive" / "shop"
    root.mkdir(parents=True)
    assert _fix(root, "main.py").applicability is Applicability.SAFE


def test_other_fixes_than_those_of_calls(tmp_path: Path) -> None:
    assert _fix(tmp_path / "one", "main.py", STARTED).applicability is Applicability.SAFE
    fix = _fix(tmp_path / "two", "vendor/main.py", STARTED)
    assert fix.applicability is Applicability.UNSAFE
    assert fix.reason == "`vendor/` may be kept as it is on purpose"
