"""Calls that belong together, of one object of which nothing is known: another request may come between."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio

import vendored_vision
from fastapi import FastAPI
from transformers import pipeline

app = FastAPI()
lock = asyncio.Lock()
pipe = pipeline("text-classification")


class Service:
    def __init__(self):
        self.session = vendored_vision.InferenceSession()

    def described(self, face):
        return self.session.predict_feature(face)

    async def detect(self, image, deep):
"""
DETECT = "faces = self.session.run_inference(image)"
DESCRIBE = "marks = self.session.predict_marks(image, faces)"
APART = ("if not faces:", "    return []")
END = "return list(faces)"


def judged(folder: Path, *lines: str) -> list[tuple[Applicability, str]]:
    end = "\n\nservice = Service()\n\n\n@app.post('/p')\nasync def p(image: str, deep: bool):\n"
    end += "    return await service.detect(image, deep)\n"
    (folder / "main.py").write_text(HEAD + "".join(f"        {line}\n" for line in lines) + end)
    found = check([], Config(root=folder, select=("SRV101",))).findings
    return [(each.fix.applicability, each.fix.reason) for each in found if each.fix is not None]


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ((DETECT, *APART, DESCRIBE, END), 2),
        ((DETECT, *APART, "return [self.described(face) for face in faces]"), 2),
        (
            ("session = self.session", "faces = session.run_inference(image)", *APART, DESCRIBE, END),
            2,
        ),
        ((DETECT, *APART, "return self.session.landmarks(faces)"), 1),
        ((DETECT, *APART, "faces = self.session.run_inference(faces)", END), 2),
        ((DETECT, *APART, "return self.session.names(list(faces))"), 1),
    ],
)
def test_another_request_may_come_between(tmp_path: Path, lines: tuple[str, ...], count: int) -> None:
    found = judged(tmp_path, *lines)
    assert len(found) == count
    assert all(applicability is Applicability.UNSAFE for applicability, _ in found)
    assert all("calls the same object, and another request may come between" in reason for _, reason in found)


@pytest.mark.parametrize(
    "lines",
    [
        (DETECT, DESCRIBE, END),  # they move as one
        (DETECT, *APART, "more = self.session.run_inference(image + 'x')", END),
        (DETECT, *APART, "name = self.session.name()", END),
        (DETECT, "await asyncio.sleep(0)", DESCRIBE, END),
        (
            "async with lock:",
            f"    {DETECT}",
            "    if not faces:",
            "        return []",
            f"    {DESCRIBE}",
            END,
        ),
        (
            "if deep:",
            "    return self.session.run_inference(image)",
            "return self.session.predict_marks(image)",
        ),
        ("labels = pipe(image)", "if not labels:", "    return []", "return pipe(labels[0]['label'])"),
        (
            "session = vendored_vision.InferenceSession()",
            "faces = session.run_inference(image)",
            *APART,
            "return session.predict_marks(faces)",
        ),
    ],
)
def test_what_may_come_one_by_one(tmp_path: Path, lines: tuple[str, ...]) -> None:
    found = judged(tmp_path, *lines)
    assert found
    assert not any("calls the same object" in reason for _, reason in found)
