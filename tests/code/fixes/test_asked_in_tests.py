"""Calls of one object that belong together where the first is made in the test of an `if` or `while`."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HOME = """\
from vosk import KaldiRecognizer, Model

rec = KaldiRecognizer(Model("m"), 16000)
"""
SERVICE = """\
import json

from fastapi import FastAPI, WebSocket
from vosk import KaldiRecognizer, Model

{head}
app = FastAPI()


@app.websocket("/ws")
async def heard(ws: WebSocket):
    {own}
    while True:
        data = await ws.receive_bytes()
        {lines}
"""
IN_TEST = "if rec.AcceptWaveform(data):\n            await ws.send_json(json.loads(rec.Result()))"
NEGATED = "if not rec.AcceptWaveform(data):\n            continue\n        await ws.send_json(json.loads(rec.Result()))"
GIVEN = "done = rec.AcceptWaveform(data)\n        await ws.send_text(rec.Result() if done else '')"
LAST = "await ws.send_text(rec.FinalResult() if rec.AcceptWaveform(data) else '')"
ALONE = "if rec.AcceptWaveform(data):\n            await ws.send_text('heard')"
IMPORTED = "from home import rec"
MADE = 'rec = KaldiRecognizer(Model("m"), 16000)'


@pytest.mark.parametrize("head", [IMPORTED, MADE])
@pytest.mark.parametrize("lines", [IN_TEST, NEGATED, GIVEN, LAST])
def test_another_request_may_come_between(tmp_path: Path, head: str, lines: str) -> None:
    found = judged(tmp_path, SERVICE.format(head=head, own="await ws.accept()", lines=lines))
    assert found
    assert all(applicability is Applicability.UNSAFE for applicability, _ in found)
    assert any("belongs to the call: another request may come between" in reason for _, reason in found)


@pytest.mark.parametrize(("head", "own", "lines"), [("", MADE, IN_TEST), (IMPORTED, "pass", ALONE)])
def test_nobody_else_asks(tmp_path: Path, head: str, own: str, lines: str) -> None:
    found = judged(tmp_path, SERVICE.format(head=head, own=own, lines=lines))
    assert found
    assert all("belongs to the call" not in reason for _, reason in found)


def judged(folder: Path, text: str) -> list[tuple[Applicability, str]]:
    (folder / "home.py").write_text(HOME)
    (folder / "main.py").write_text(text)
    found = check([], Config(root=folder, select=("SRV101",))).findings
    return [(each.fix.applicability, each.fix.reason) for each in found if each.fix is not None]
