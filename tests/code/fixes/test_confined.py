"""In a pool of one thread what is written stays in order, if all who use it move there."""

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import threading

from fastapi import FastAPI, Request
from ultralytics import YOLO

app = FastAPI()


class Detector:
    def __init__(self):
        self.model = YOLO("yolo.pt")
        self.total = 0
        self.conf = 0.1
        self.results = None

{inside}
    def detect(self, picture, conf):
        self.conf = conf
        self.total += 1
        return self._run(picture)

    def _run(self, picture):
        self.results = self.model(picture, conf=self.conf)
        return self.results[0].boxes


detector = Detector()


@app.post("/detect")
async def detect(picture: str, conf: float):
    return detector.detect(picture, conf)


@app.post("/fixed")
async def fixed(picture: str):
    boxes = detector.detect(picture, 0.5)
    return {answer}


@app.get("/stats")
async def stats():
    return {{"total": detector.total, "twice": detector.total * 2}}


{more}
"""
APART = "does not move to the same thread, and uses `self."


LAST = "    @property\n    def last(self):\n        return self.results\n"


def service(answer: str = "boxes", more: str = "", inside: str = "") -> str:
    return SERVICE.format(answer=answer, more=more, inside=inside)


def reasons(folder: Path, text: str) -> list[str | None]:
    """Why each fix is unsafe, empty for a safe one, None where there is none; in the order of lines."""
    (folder / "main.py").write_text(text)
    found = check([], Config(root=folder, select=("SRV101",))).findings
    return [finding.fix.reason if finding.fix is not None else None for finding in found]


def test_all_who_write_move_to_one_thread(tmp_path: Path) -> None:
    assert reasons(tmp_path, service()) == ["", ""]


@pytest.mark.parametrize(
    "more",
    [
        "def forget():\n    detector.results = None\n    detector.conf = 0",  # nobody calls it
        "@app.get('/n')\nasync def names():\n    return [detector.results]",
        "detector.detect('warm-up.png', 0.5)",
    ],
)
def test_nobody_else_uses_it_while_requests_are_answered(tmp_path: Path, more: str) -> None:
    assert reasons(tmp_path, service(more=more)) == ["", ""]


@pytest.mark.parametrize(
    "text",
    [
        # what the next request may have set when this one goes on
        service("detector.results[0].names"),
        service("detector.last[0].names", inside=LAST),
        service("boxes, detector.total"),
        # others run it beside the pool
        service(more="@app.post('/plain')\ndef plain(picture: str):\n    return detector.detect(picture, 1)"),
        service(more="threading.Thread(target=detector.detect, args=('a', 1)).start()"),
        service(more="@app.post('/conf')\nasync def conf(conf: float):\n    detector.conf = conf"),
        # or look at two things that belong together
        service(more="@app.get('/b')\nasync def both():\n    return detector.conf, detector.results"),
    ],
)
def test_somebody_else_uses_it(tmp_path: Path, text: str) -> None:
    found = reasons(tmp_path, text)
    assert found
    assert all(reason and "requests share" in reason for reason in found), found


def test_one_of_them_stays(tmp_path: Path) -> None:
    more = "@app.get('/r')\nasync def asked(request: Request):\n    return detector.detect(request, 1)"
    found = reasons(tmp_path, service(more=more))
    assert found[2] == "`request` belongs to the task that handles the request"
    assert all(reason is not None and APART in reason for reason in found[:2]), found
