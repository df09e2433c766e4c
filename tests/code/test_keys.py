"""What is passed as a key is looked up once, in however many ways the names of a function are made of each other."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest
from listed import ROOT, Listing

from servelint.code import rules
from servelint.code.judge.analysis import Analysis
from servelint.code.loop.keys import MAXIMUM_CALLERS, Key, Keys
from servelint.code.values.values import Frame
from servelint.project.config import Config
from servelint.project.listing.files import Tree

APP = """\
import joblib
from fastapi import FastAPI

app = FastAPI()
models = {{}}


def get(name):
    if name not in models:
        models[name] = joblib.load(name)
    return models[name]


@app.on_event("startup")
def start():
    get("a")


@app.get("/")
async def answer(x0):
{lines}
    return get(x0)
"""
WIDTH = 8


def test_names_that_are_made_of_each_other_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[tuple[Frame, str, int]] = Counter()
    look_up = Keys._of_bound

    def counted(self: Keys, frame: Frame, name: str, depth: int) -> set[Key]:
        asked[frame, name, depth] += 1
        return look_up(self, frame, name, depth)

    monkeypatch.setattr(Keys, "_of_bound", counted)
    names = ", ".join(f"x{number}" for number in range(WIDTH))
    lines = "\n".join(f"    x{number} = unknown({names})" for number in range(WIDTH))
    tree = cast("Tree", Listing({"app.py": APP.format(lines=lines).encode()}))
    found = list(rules.findings(Analysis(tree, Config(ROOT))))
    assert [finding.code for finding in found] == ["SRV102"]
    assert {depth for _, _, depth in asked} == set(range(1, MAXIMUM_CALLERS + 1))
    assert set(asked.values()) == {1}
