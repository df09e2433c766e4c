"""Names that a file has of a library by `from library import *`."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
{imports}
from fastapi import FastAPI

app = FastAPI()
{more}


@app.post("/")
async def root(path: str, text: str):
    learner = load_learner(path)
    return str(learner.predict(text)[0])
"""
MODELS = "from fastai.text.all import *\n"


def _codes(root: Path, imports: str, more: str = "") -> list[str]:
    (root / "main.py").write_text(SERVICE.format(imports=imports, more=more))
    return [found.code for found in check([], Config(root=root)).findings]


@pytest.mark.parametrize(
    "imports",
    [
        "from fastai.text.all import *",
        "from fastai.vision import *",
        "from fastai.vision.all import *\nfrom torch import *",
        "from models import *",
        "from fastai.vision.all import load_learner",
    ],
)
def test_what_the_library_lists(tmp_path: Path, imports: str) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    assert _codes(tmp_path, imports) == ["SRV102", "SRV101"]


@pytest.mark.parametrize(
    ("imports", "more"),
    [
        ("from fastai.vision.all import *\nfrom acme.tools import *", ""),
        ("from fastai.vision.all import *\nfrom .missing import *", ""),
        ("from fastai.vision.all import *\nfrom own import *", ""),
        ("from fastai.vision.all import *\nfrom acme import load_learner", ""),
        ("from fastai.vision.all import *", "load_learner = {}.get"),
        ("from fastai.vision.all import *", "def load_learner(path):\n    return path"),
    ],
)
def test_what_something_else_may_give(tmp_path: Path, imports: str, more: str) -> None:
    (tmp_path / "own.py").write_text("import acme\n\nload_learner = acme.given()\n")
    assert "SRV102" not in _codes(tmp_path, imports, more)


def test_the_fix_is_no_half_of_the_work(tmp_path: Path) -> None:
    _codes(tmp_path, "from fastai.vision.all import *")
    fixes = [found.fix for found in check([], Config(root=tmp_path)).findings]
    assert all(fix is not None and fix.applicability is Applicability.UNSAFE for fix in fixes)
