"""Calls that could move in one block, and do not since one has no safe fix: the other is half of the work then."""

from __future__ import annotations

from pathlib import Path

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import joblib
import librosa
from fastapi import FastAPI

app = FastAPI()


class Heard:
    def __init__(self):
        self.model = joblib.load("a.joblib")
        self.last = None

    def predict(self, sound):
        {line}
        return self.model.predict(sound)


heard = Heard()


@app.post("/hear")
async def hear(path: str):
    sound, rate = librosa.load(path)
    return heard.predict(sound)
"""


def test_one_stays_where_the_block_has_no_safe_fix(tmp_path: Path) -> None:
    first, second = judged(tmp_path, "self.last = sound")
    assert second == (Applicability.UNSAFE, "`Heard.predict` writes `self.last`, which requests share")
    assert first[0] is Applicability.UNSAFE
    assert first[1].endswith("of `hear` stays on the event loop (`heard.predict()`)")


def test_both_move_where_the_block_has_one(tmp_path: Path) -> None:
    assert judged(tmp_path, "pass") == [(Applicability.SAFE, "")] * 2


def judged(folder: Path, line: str) -> list[tuple[Applicability, str]]:
    (folder / "main.py").write_text(SERVICE.format(line=line))
    found = check([], Config(root=folder, select=("SRV101",))).findings
    return [(each.fix.applicability, each.fix.reason) for each in found if each.fix is not None]
