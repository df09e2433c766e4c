"""The fix of a handler is unsafe where no application of the project includes its router."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

ROUTER = """\
import joblib
from fastapi import APIRouter

router = APIRouter()
model = joblib.load("scores.joblib")


@router.post("/")
async def scored(rows: list):
    return model.predict(rows)
"""
OTHER = """\
from fastapi import APIRouter

router = APIRouter()
"""
APPLICATION = """\
from fastapi import FastAPI

from routers import other

app = FastAPI()
app.include_router(other.router)
"""
REASON = "no application of the project includes the router of this file"


def _fix(root: Path, files: dict[str, str]) -> Fix:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (finding,) = check([], Config(root=root, select=("SRV101",))).findings
    assert finding.fix is not None
    return finding.fix


def _project(**further: str) -> dict[str, str]:
    files = {"routers/__init__.py": "", "routers/other.py": OTHER, "routers/scores.py": ROUTER}
    return {**files, "main.py": APPLICATION, **further}


@pytest.mark.parametrize(
    "further", [{}, {"trees.py": 'import importlib\n\nxgb = importlib.import_module("xgboost")\n'}]
)
def test_a_router_that_nobody_includes(tmp_path: Path, further: dict[str, str]) -> None:
    fix = _fix(tmp_path, _project(**further))
    assert (fix.applicability, fix.reason) == (Applicability.UNSAFE, REASON)


def test_a_file_of_the_same_name_elsewhere_is_included(tmp_path: Path) -> None:
    application = APPLICATION + "\nfrom prices.scores import router\n\napp.include_router(router)\n"
    further = {"main.py": application, "prices/__init__.py": "", "prices/scores.py": OTHER}
    assert _fix(tmp_path, _project(**further)).reason == REASON


@pytest.mark.parametrize(
    "further",
    [
        {"main.py": APPLICATION + "\nfrom routers.scores import router\n\napp.include_router(router)\n"},
        {"main.py": APPLICATION.replace("import other", "import other, scores")},
        {"main.py": APPLICATION + "\nimport importlib\n\nimportlib.import_module(input())\n"},
        {"routers/__init__.py": "import pkgutil\n"},
        {
            "main.py": APPLICATION
            + "\nfrom importlib import import_module\n\n[*map(import_module, input())]\n"
        },
        {"main.py": APPLICATION + "\n__import__(f'routers.{input()}')\n"},
        {"settings.py": 'ROUTERS = ["routers.other", "routers.scores"]\n'},
        {"settings.py": 'SERVED = "routers.scores:router"\n'},
        {"elsewhere/run.py": "from api.scores import router\n"},  # another folder, by whatever path
        {"tests/test_scores.py": "from routers.scores import scored\n"},
        {"routers/other.py": "", "main.py": APPLICATION.replace("app.include_router(other.router)\n", "")},
        {"routers/scores.py": ROUTER + "\n\ndef start(app):\n    app.include_router(router)\n"},
        {"routers/scores.py": ROUTER.replace("APIRouter", "FastAPI")},
        {"routers/scores.py": ROUTER + "\n\nif __name__ == '__main__':\n    serve(router)\n"},
    ],
)
def test_routers_that_may_be_included(tmp_path: Path, further: dict[str, str]) -> None:
    assert _fix(tmp_path, _project(**further)).applicability is Applicability.SAFE
