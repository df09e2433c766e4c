"""Libraries of which a process may make one call at a time: no thread may use one beside the event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config, FixConfig

OCR = """\
import fitz
import pytesseract


def texts(contents):
    return [pytesseract.image_to_string(page.get_pixmap()) for page in fitz.open(stream=contents)]
"""
PARSER = """\
import fitz
import pypdfium2
from lxml import etree


def attached(contents):
    return fitz.open(stream=contents).embfile_get(0)


def pages(contents):
    return len(pypdfium2.PdfDocument(contents))


def parsed(contents):
    return etree.fromstring(contents)
"""
MAIN = """\
from fastapi import FastAPI
from ocr import texts
from parser import attached, pages, parsed

app = FastAPI()


@app.post("/ocr")
async def ocr(contents: bytes):
    return texts(contents)
"""
OTHER = """

@app.post("/other")
{kind} other(contents: bytes):
    return {call}(contents)
"""


def judged(folder: Path, more: str, **fix: str) -> list[tuple[Applicability, str]]:
    for name, text in (("ocr", OCR), ("parser", PARSER), ("main", MAIN + more)):
        (folder / f"{name}.py").write_text(text)
    config = Config(root=folder, select=("SRV1",), fix=FixConfig(**fix))
    found = [finding.fix for finding in check([], config).findings]
    return [(each.applicability, each.reason) for each in found if each is not None]


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_another_endpoint_uses_it_on_another_thread(tmp_path: Path, kind: str) -> None:
    ((applicability, reason),) = judged(tmp_path, OTHER.format(kind=kind, call="attached"))
    assert applicability is Applicability.UNSAFE
    assert reason == "`attached` uses fitz too, on another thread, and only one at a time may use that"


@pytest.mark.parametrize(
    "more",
    [
        "",
        OTHER.format(kind="async def", call="pages"),  # another library
        OTHER.format(kind="async def", call="parsed"),
        OTHER.format(kind="async def", call="texts"),  # goes to the same thread
        "\n\ndata = attached(b'')\n",  # before the service serves
    ],
)
def test_nobody_else_uses_it(tmp_path: Path, more: str) -> None:
    found = judged(tmp_path, more)
    assert {applicability for applicability, _ in found} == {Applicability.SAFE}


def test_several_threads_would_use_it(tmp_path: Path) -> None:
    ((applicability, reason),) = judged(tmp_path, "", offload="to-thread")
    assert applicability is Applicability.UNSAFE
    assert "fitz" in reason


def test_what_stays_for_that_is_left_by_other_fixes_of_its_function(tmp_path: Path) -> None:
    asked = MAIN.replace("from ocr", "import openai\nfrom ocr").replace(
        "    return texts(contents)\n",
        "    found = texts(contents)\n    return openai.responses.create(input=found)\n",
    )
    for name, text in (("ocr", OCR), ("parser", PARSER)):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "main.py").write_text(asked + OTHER.format(kind="async def", call="attached"))
    found = check([], Config(root=tmp_path, select=("SRV1",))).findings
    reasons = [finding.fix.reason for finding in found if finding.fix is not None]
    assert len(reasons) == 2
    assert reasons[1] == "line 11 of `ocr` stays on the event loop (`texts()`)"
