"""The examples of the rule pages: the bad one is found, the good one is not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from servelint import check
from servelint.finding import Confidence, Severity
from servelint.knowledge.pages import codes, page
from servelint.project.config import Config

# What a file of a fenced block's language is called; a first line such as `# app/main.py` says otherwise.
NAMES = {
    "python": "app.py",
    "yaml": "manifest.yaml",
    "dockerfile": "Dockerfile",
    "sh": "start.sh",
    "toml": "pyproject.toml",
}
# The application that the manifests of the pages start.
SERVED = """\
import joblib
import sklearn
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("churn.joblib")


@app.post("/predict")
async def predict(features: list[float]) -> float:
    return model.predict_proba([features])[0][1]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
"""


def codes_in(section: str, folder: Path) -> set[str]:
    """The rules that are found in the examples of a section."""
    if "```python" not in section:
        (folder / "app").mkdir()
        (folder / "app" / "main.py").write_text(SERVED)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks, "a section without an example"
    for number, (language, text) in enumerate(blocks):
        named = re.match(r"# ([\w./-]+\.\w+|[\w./-]*Dockerfile)\n", text)
        name = named[1] if named else NAMES[language]
        path = folder / name
        if path.exists():
            path = folder / f"{number}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    config = replace(Config(folder), report_unused=True, min_confidence=Confidence.LOW, fail_on=Severity.INFO)
    return {finding.code for finding in check([folder], config).findings}


@pytest.mark.parametrize("code", codes())
def test_the_bad_example_is_found(code: str, tmp_path: Path) -> None:
    assert code in codes_in(page(code).sections["Bad"], tmp_path)


@pytest.mark.parametrize("code", codes())
def test_the_good_example_is_not(code: str, tmp_path: Path) -> None:
    assert code not in codes_in(page(code).sections["Good"], tmp_path)
