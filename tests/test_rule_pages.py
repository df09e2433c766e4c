"""The examples of the rule pages: the bad one is found, the good one is not, and what is shown is what is said.

`python tests/test_rule_pages.py` writes what the pages show of findings and repairs anew.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from servelint import check, edits
from servelint.finding import Applicability, Confidence, Severity
from servelint.knowledge.pages import codes, page
from servelint.project.config import Config
from servelint.reports import render
from servelint.reports.style import Style

RULES = Path(__file__).parents[1] / "rules"
WIDTH = 100

# What a file of a fenced block's language is called; a first line such as `# app/main.py` says otherwise.
NAMES = {
    "python": "app.py",
    "yaml": "manifest.yaml",
    "dockerfile": "Dockerfile",
    "sh": "start.sh",
    "toml": "pyproject.toml",
}
# The application that the manifests of the pages start.
SERVED = """\
import joblib
import sklearn
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("churn.joblib")


@app.post("/predict")
async def predict(features: list[float]) -> float:
    return model.predict_proba([features])[0][1]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
"""


def lay_out(section: str, folder: Path) -> None:
    """Write the examples of a section into the folder, with an application where they only start one."""
    if "```python" not in section:
        (folder / "app").mkdir()
        (folder / "app" / "main.py").write_text(SERVED)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks, "a section without an example"
    for number, (language, text) in enumerate(blocks):
        named = re.match(r"# ([\w./-]+\.\w+|[\w./-]*Dockerfile)\n", text)
        name = named[1] if named else NAMES[language]
        path = folder / name
        if path.exists():
            path = folder / f"{number}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def codes_in(section: str, folder: Path) -> set[str]:
    """The rules that are found in the examples of a section."""
    lay_out(section, folder)
    config = replace(Config(folder), report_unused=True, min_confidence=Confidence.LOW, fail_on=Severity.INFO)
    return {finding.code for finding in check([folder], config).findings}


@pytest.mark.parametrize("code", codes())
def test_the_bad_example_is_found(code: str, tmp_path: Path) -> None:
    assert code in codes_in(page(code).sections["Bad"], tmp_path)


@pytest.mark.parametrize("code", codes())
def test_the_good_example_is_not(code: str, tmp_path: Path) -> None:
    assert code not in codes_in(page(code).sections["Good"], tmp_path)


def shown(code: str, folder: Path) -> dict[str, str]:
    """What is printed about the bad example, and the diff that repairs it: the safe one where there are two."""
    lay_out(page(code).sections["Bad"], folder)
    report = check([folder], replace(Config(folder), report_unused=True))
    own = replace(report, findings=tuple(item for item in report.findings if item.code == code))
    style = Style(folder, width=WIDTH, summary=False)
    parts = {"finding": f"```text\n{render('text', own, style)}```"}
    fixes = [finding.fix for finding in own.findings if finding.fix is not None]
    if fixes:
        unsafe = all(fix.applicability is Applicability.UNSAFE for fix in fixes)
        outcome = edits.apply(report, unsafe=unsafe)
        here = {finding.span.path for finding in own.findings}
        after = {path: text for path, text in outcome.after.items() if path in here}
        patch = edits.patch(replace(outcome, after=after), folder).decode()
        parts["repair"] = f"```diff\n{patch}```"
    return parts


def written(code: str, folder: Path) -> str:
    """The page with what it shows as it is now."""
    text = (RULES / f"{code}.md").read_text("utf-8")
    for name, content in shown(code, folder).items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        assert found, f"{code}.md shows no {name}"
        text = f"{before}{begin}{content}\n{end}{rest.partition(end)[2]}"
    return text


@pytest.mark.parametrize("code", codes())
def test_the_page_shows_what_is_said(code: str, tmp_path: Path) -> None:
    assert (RULES / f"{code}.md").read_text("utf-8") == written(code, tmp_path), (
        "run `python tests/test_rule_pages.py`"
    )


@pytest.mark.parametrize("code", codes())
def test_the_page_has_every_part(code: str) -> None:
    parts = [
        "Why",
        "Bad",
        "As it looks",
        "Good",
        "Fix",
        "When not to follow it",
        "What it does not see",
        "References",
    ]
    sections = list(page(code).sections)
    assert [part for part in sections if part in parts] == parts
    assert set(sections) - set(parts) <= {"Measured", "Simulated", "What it sees"}


# What the forms in the lists of `What it sees` are made of.
AROUND = """\
import asyncio
import concurrent.futures
import functools
import multiprocessing
import queue
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
model = joblib.load("churn.joblib")
{shared}
ready = threading.Event()
jobs = queue.Queue()
work = model.predict


def drawn(rows):
    for row in rows:
        yield model.predict([row])


@app.post("/predict")
async def predict(rows: list[float]):
    loop = asyncio.get_running_loop()
    {form}
"""
FORMS = [
    (code, form)
    for code in codes()
    for form in re.findall(r"^- `(.*?)`$", page(code).sections.get("What it sees", ""), re.MULTILINE)
]


def test_pages_have_such_lists() -> None:
    assert {code for code, _ in FORMS} >= {"SRV104", "SRV105", "SRV106"}


@pytest.mark.parametrize(("code", "form"), FORMS)
def test_each_form_in_a_list_is_found(code: str, form: str, tmp_path: Path) -> None:
    shared = "" if "pool =" in form or "as pool" in form else "pool = ThreadPoolExecutor(1)"
    path = tmp_path / "app.py"
    path.write_text(AROUND.format(form=form, shared=shared))
    line = path.read_text().splitlines().index(f"    {form}") + 1
    config = replace(Config(tmp_path), min_confidence=Confidence.LOW)
    assert code in {item.code for item in check([path], config).findings if item.span.line == line}


@pytest.mark.parametrize(
    "form",
    ["jobs.get_nowait()", "jobs.get(block=False)", "ready.wait(timeout=0)", "pool.shutdown(wait=False)"],
)
def test_what_the_page_says_does_not_wait_is_left_alone(form: str, tmp_path: Path) -> None:
    assert f"`{form}`" in " ".join(page("SRV105").text.split())
    path = tmp_path / "app.py"
    path.write_text(AROUND.format(form=form, shared="pool = ThreadPoolExecutor(1)"))
    assert "SRV105" not in {item.code for item in check([path], Config(tmp_path)).findings}


if __name__ == "__main__":
    for each in codes():
        with TemporaryDirectory() as place:
            (RULES / f"{each}.md").write_text(written(each, Path(place).resolve()), "utf-8")
