"""Attributes of a shared object that are set for a call: with an `await` between, another request sets others."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
from fastapi import FastAPI
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("t")
model = AutoModelForSeq2SeqLM.from_pretrained("m")
app = FastAPI()


@app.post("/translate")
async def translate(source: str, texts: list[str], rows: dict):
    {lines}
"""
IN_LOOP = """\
tokenizer.src_lang = source
    results = []
    for text in texts:
        tokens = tokenizer(text, return_tensors="pt")
        print(len(tokens))
        results.append(model.generate(**tokens))
    return results"""
BEHIND = """\
tokenizer.src_lang = source
    results = model.generate(**rows)
    print(len(results))
    return [results, tokenizer.encode(source)]"""
INSIDE = """\
model.beams = len(source)
    print(source)
    return model.generate(**rows)"""
GIVEN = """\
tokenizer.src_lang = source
    results = model.generate(**rows)
    print(len(results))
    return join(tokenizer, results)"""
BACK_TO_TEXT = """\
tokenizer.src_lang = source
    tokens = tokenizer(source, return_tensors="pt")
    print(len(tokens))
    results = model.generate(**tokens)
    print(len(results))
    return tokenizer.decode(results[0])"""
AFTERWARDS = """\
results = model.generate(**rows)
    print(len(results))
    tokenizer.src_lang = source
    return [results, tokenizer(source)]"""
OWN = """\
tokenizer = AutoTokenizer()
    tokenizer.src_lang = source
    results = model.generate(**rows)
    print(len(results))
    return [results, tokenizer(source)]"""


@pytest.mark.parametrize("lines", [IN_LOOP, BEHIND, INSIDE, GIVEN])
def test_another_request_may_set_it(tmp_path: Path, lines: str) -> None:
    reasons = told(tmp_path, lines)
    assert any("is set for the call: another request may set it in between" in each for each in reasons)


@pytest.mark.parametrize("lines", [BACK_TO_TEXT, AFTERWARDS, OWN])
def test_nothing_heeds_it_behind_the_await(tmp_path: Path, lines: str) -> None:
    reasons = told(tmp_path, lines)
    assert reasons
    assert all("is set for the call" not in each for each in reasons)


def told(folder: Path, lines: str) -> list[str]:
    """The reasons of the fixes; empty strings for safe ones, and no other for unsafe ones."""
    (folder / "main.py").write_text(SERVICE.format(lines=lines))
    found = check([], Config(root=folder, select=("SRV101",))).findings
    fixes = [each.fix for each in found if each.fix is not None]
    assert all(fix.reason or fix.applicability is Applicability.SAFE for fix in fixes)
    return [fix.reason for fix in fixes]
