"""A container that a function has just made is nobody else's, whatever its variable holds elsewhere."""

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
model = joblib.load("model.joblib")
USUAL = {"n": 1, "names": []}


def score(rows, **given):
"""
TAIL = """\
    return model.predict(rows, **options)


@app.post("/p")
async def predict(rows: list[float]):
    return score(rows)
"""
BRANCHES = ["if given:", "    options = {made}", "    {changed}", "else:", "    options = USUAL"]


def applicability(folder: Path, lines: list[str]) -> Applicability:
    (folder / "main.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines) + TAIL)
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    assert finding.fix is not None
    assert ("`options" in finding.fix.reason) is bool(finding.fix.reason)
    return finding.fix.applicability


def branches(made: str = "USUAL.copy()", changed: str = "options.update(given)") -> list[str]:
    return [line.format(made=made, changed=changed) for line in BRANCHES]


@pytest.mark.parametrize(
    "lines",
    [
        branches(),
        branches("{**USUAL}"),
        branches("dict(USUAL)", "options['n'] = 2"),
        branches(changed="rows.sort() if False else options.update(given)"),
    ],
)
def test_a_copy_that_has_just_been_made(tmp_path: Path, lines: list[str]) -> None:
    assert applicability(tmp_path, lines) is Applicability.SAFE


@pytest.mark.parametrize(
    "lines",
    [
        branches("USUAL"),
        branches("USUAL or {}"),
        branches(changed="options['names'].append(1)"),
        branches(changed="options = USUAL; options.update(given)"),
        branches(changed="rows = sorted(rows, key=lambda _: options.update(given))"),
        # the variable is read, set or handed on before
        branches(changed="print(options); options.update(given)"),
        [*branches(changed="pass"), "options.update(given)"],
        ["options = USUAL", "for row in rows:", "    options.update(given)", "    options = {}"],
    ],
)
def test_what_others_may_have(tmp_path: Path, lines: list[str]) -> None:
    assert applicability(tmp_path, lines) is Applicability.UNSAFE
