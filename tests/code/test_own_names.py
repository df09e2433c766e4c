"""What a project says of its own names: `blocking-calls`, `offloads`, `loop-bound`, `startup`."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import check
from servelint.project.config import Config

SERVICE = """\
import acme.scoring
import joblib
from acme.threads import in_thread
from fastapi import FastAPI

from engine import Engine, run_somewhere

app = FastAPI()
model = joblib.load("churn.joblib")
engine = Engine()


@app.post("/own")
async def own(x: float):
    acme.scoring.linear.score(x)
    acme.scoring.linear.describe(x)
    engine.native(x)


@app.post("/offloaded")
async def offloaded(x: float):
    await in_thread(model.predict, [[x]])
    await run_somewhere(model.predict([[x]]))


def hook(x: float):
    return model.predict([[x]])


async def build():
    return joblib.load("churn.joblib")
"""
ENGINE = """\
class Engine:
    def native(self, x):
        return x


def run_somewhere(work):
    return work
"""


def lines(folder: Path, config: Config) -> list[tuple[int, str]]:
    (folder / "service.py").write_text(SERVICE)
    (folder / "engine.py").write_text(ENGINE)
    return [(item.span.line, item.code) for item in check([folder], config).findings]


WITHOUT = [(23, "SRV101"), (31, "SRV102")]


def test_without_configuration(tmp_path: Path) -> None:
    assert lines(tmp_path, Config(tmp_path)) == WITHOUT


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        ({"blocking_calls": ("acme.**.score",)}, [(15, "SRV101")]),
        ({"blocking_calls": ("engine.Engine.native",)}, [(17, "SRV101")]),
        ({"offloads": ("engine.run_somewhere",)}, [(23, "SRV101"), (23, "SRV103")]),
        ({"loop_bound": ("service.ho*",)}, [(27, "SRV101")]),
        ({"startup": ("service.build",)}, [(31, "SRV102")]),
    ],
    ids=str,
)
def test_own_names(
    config: dict[str, tuple[str, ...]], changed: list[tuple[int, str]], tmp_path: Path
) -> None:
    """`changed` are the findings that are there only with, or only without, the configuration."""
    found = lines(tmp_path, Config(tmp_path, **config))  # type: ignore[arg-type]
    assert set(found) ^ set(WITHOUT) == set(changed)
