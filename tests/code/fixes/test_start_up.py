"""Loads that every request makes: done once at start-up, where nothing in them depends on the request."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import joblib
import shap
from fastapi import FastAPI, Request

PATH = "model.joblib"
app = FastAPI()
model = joblib.load(PATH)


"""
LIFESPAN = """\
from contextlib import asynccontextmanager

import joblib
from fastapi import FastAPI, Request

PATH = "model.joblib"


@asynccontextmanager
async def lifespan(app):
    yield


app = FastAPI(lifespan=lifespan)


"""


def endpoint(*lines: str, kind: str = "async def", parameters: str = "row: list") -> str:
    return "\n".join(('@app.post("/p")', f"{kind} predict({parameters}):", *(f"    {n}" for n in lines), ""))


def loads(folder: Path, text: str) -> list[Finding]:
    (folder / "main.py").write_text(text)
    return list(check([], Config(root=folder, select=("SRV102", "SRV107"))).findings)


def fixed(folder: Path, text: str) -> str:
    (finding,) = loads(folder, text)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    settings = Config(root=folder, select=("SRV102", "SRV107"))
    outcome = edits.apply(check([], settings), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    return outcome.after[folder / "main.py"].decode()


def test_a_global_above_the_function(tmp_path: Path) -> None:
    text = HEAD + endpoint("clf = joblib.load(PATH)", "return clf.predict(row)")
    assert fixed(tmp_path, text) == HEAD + "_clf = joblib.load(PATH)\n\n\n" + endpoint(
        "clf = _clf", "return clf.predict(row)"
    )


def test_in_the_lifespan(tmp_path: Path) -> None:
    text = LIFESPAN + endpoint("return joblib.load(PATH).predict(row)")
    loaded = "    app.state.loaded_model = joblib.load(PATH)\n    yield\n"
    assert fixed(tmp_path, text) == LIFESPAN.replace("    yield\n", loaded) + endpoint(
        "return app.state.loaded_model.predict(row)"
    )


def test_what_a_thread_builds_for_every_request(tmp_path: Path) -> None:
    text = HEAD + endpoint("return shap.TreeExplainer(model).shap_values(row)", kind="def")
    above = "_loaded_model = shap.TreeExplainer(model)\n\n\n"
    assert fixed(tmp_path, text) == HEAD + above + endpoint(
        "return _loaded_model.shap_values(row)", kind="def"
    )


@pytest.mark.parametrize(
    "text",
    [
        endpoint("return joblib.load(row[0]).predict(row)"),
        endpoint("path = PATH", "return joblib.load(path).predict(row)"),
        endpoint(
            "try:",
            "    clf = joblib.load(PATH)",
            "except OSError:",
            "    return 1",
            "return clf.predict(row)",
        ),
        endpoint("if row:", "    clf = joblib.load(PATH)", "    return clf.predict(row)"),
        endpoint("global model", "model = joblib.load(PATH)", "return model.predict(row)"),
        endpoint("request.app.state.model = joblib.load(PATH)", "return model.predict(row)").replace(
            "row: list", "request: Request, row: list"
        ),
        endpoint("clf = joblib.load(PATH)", "return str(clf)"),
        endpoint("return joblib.load(LATER).predict(row)") + '\n\nLATER = "x"\n',
        endpoint("return joblib.load(PATH).predict(row)")
        + "\n\ndef set_path(path):\n    global PATH\n    PATH = path\n",
        "def make():\n    path = PATH\n\n"
        + "".join(f"    {line}\n" for line in endpoint("return joblib.load(path).predict(row)").splitlines())
        + "\n    return predict\n",
    ],
    ids=[
        "request",
        "variable",
        "handled",
        "sometimes",
        "global",
        "state",
        "only loads",
        "later",
        "changes",
        "closure",
    ],
)
def test_what_has_to_be_loaded_again(tmp_path: Path, text: str) -> None:
    for finding in loads(tmp_path, HEAD + text):
        assert finding.fix is None or "when the service starts" not in finding.fix.title
