"""What asks somebody else must not wait for the answer in the pool in which others infer."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.lint import check
from servelint.project.config import Config, FixConfig

SERVICE = """\
import json
import os
import urllib.parse
import urllib.request

import psycopg
import requests
import spacy
import torch
from fastapi import FastAPI
from sqlalchemy import JSON, Column
from sqlalchemy.orm import DeclarativeBase
from supabase import Client, create_client

app = FastAPI()


class Note(DeclarativeBase):
    words = Column(JSON)


nlp = spacy.load("en")


def store() -> Client:
    return create_client(os.environ["URL"], os.environ["KEY"])


class Answers:
    def note(self, text):
        {note}

    def answer(self, text):
        found = nlp(text)
        self.note(text)
        return found


answers = Answers()


@app.post("/answer")
async def answer(text: str):
    {lines}


@app.post("/other")
def other(text: str):
    return requests.get(text)
"""
WHOLE = "return answers.answer(text)"


def reason(folder: Path, note: str, lines: str = WHOLE, offload: str = "auto") -> str:
    (folder / "main.py").write_text(SERVICE.format(note=note, lines=lines))
    config = Config(root=folder, select=("SRV101",), fix=FixConfig(offload=offload))
    fixes = [f.fix for f in check([], config).findings if f.function == "answer"]
    assert fixes
    assert None not in fixes
    return next(fix.reason for fix in fixes if fix is not None)


def told(called: str, where: str = "Answers.note") -> str:
    return f"`{called}()` in `{where}` waits for an answer, and predictions would wait for that"


@pytest.mark.parametrize(
    ("note", "called"),
    [
        ("requests.post('https://example.org', json=text)", "requests.post"),
        ("store().table('notes').insert({'text': text}).execute()", "store().table"),
        ("urllib.request.urlopen(text)", "urllib.request.urlopen"),
        ("psycopg.connect(text).execute(text)", "psycopg.connect"),
    ],
)
def test_what_is_asked_below_the_call(tmp_path: Path, note: str, called: str) -> None:
    assert reason(tmp_path, note) == told(called)


def test_what_is_asked_in_a_block(tmp_path: Path) -> None:
    lines = "with torch.no_grad():\n        found = nlp(text)\n        {}\n    return found"
    assert reason(tmp_path, "pass", lines.format("requests.post(text)")) == told("requests.post", "answer")
    assert reason(tmp_path, "pass", lines.format("str(text)")) == ""


@pytest.mark.parametrize(
    ("note", "lines", "offload"),
    [
        ("return json.dumps(text)", WHOLE, "auto"),
        ("return Note().words.get(text)", WHOLE, "auto"),
        ("print(urllib.parse.quote(text), os.environ['URL'])", WHOLE, "auto"),
        # what is asked does not come into the pool, or there is no such pool
        ("requests.post(text)", "return nlp(text), requests", "auto"),
        ("requests.post(text)", WHOLE, "to-thread"),
    ],
)
def test_what_asks_nobody(tmp_path: Path, note: str, lines: str, offload: str) -> None:
    assert reason(tmp_path, note, lines, offload) == ""
