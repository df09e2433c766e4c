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


def test_the_end_of_a_text_above_the_function_is_no_comment(tmp_path: Path) -> None:
    head = HEAD.rstrip() + '\nTEXT = """\n# not a comment"""\n'
    text = head + endpoint("clf = joblib.load(PATH)", "return clf.predict(row)")
    after = fixed(tmp_path, text)
    assert after.startswith(head + "_clf = joblib.load(PATH)\n")


def test_in_the_lifespan(tmp_path: Path) -> None:
    text = LIFESPAN + endpoint("return joblib.load(PATH).predict(row)")
    loaded = "    app.state.loaded_model = joblib.load(PATH)\n    yield\n"
    assert fixed(tmp_path, text) == LIFESPAN.replace("    yield\n", loaded) + endpoint(
        "return app.state.loaded_model.predict(row)"
    )


def test_what_a_thread_builds_for_every_request(tmp_path: Path) -> None:
    head = HEAD.replace("import shap\n", "import onnxruntime\n")
    body = "return onnxruntime.InferenceSession(PATH).run(None, row)"
    above = "_loaded_model = onnxruntime.InferenceSession(PATH)\n\n\n"
    assert fixed(tmp_path, head + endpoint(body, kind="def")) == head + above + endpoint(
        "return _loaded_model.run(None, row)", kind="def"
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
        "def load_model():\n    global model\n    model = joblib.load(PATH)\n\n\n"
        + endpoint("load_model()", "return model.predict(row)"),
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
        "for its effect",
    ],
)
def test_what_has_to_be_loaded_again(tmp_path: Path, text: str) -> None:
    for finding in loads(tmp_path, HEAD + text):
        assert finding.fix is None or "when the service starts" not in finding.fix.title


DETECTORS = """\
import joblib
from fastapi import FastAPI
from ultralytics import YOLO

app = FastAPI()
"""


@pytest.mark.parametrize("variable", ["net = {0}", "print({0}.predict(url))"])
def test_each_load_has_a_name_of_its_own(tmp_path: Path, variable: str) -> None:
    """Also in the fixes as they are advertised: an editor may apply them all at once."""
    text = DETECTORS
    for name in ("ships", "planes", "trains"):
        load = variable.format(f'YOLO("{name}.pt")')
        text += f'\n\n@app.post("/{name}")\nasync def {name}(url: str):\n    {load}\n'
        text += "    return net.predict(url)\n" if "net" in variable else "    return 1\n"
    fixes = [f.fix for f in loads(tmp_path, text) if f.fix is not None and "starts" in f.fix.title]
    made = [e.content.split(" = ") for fix in fixes for e in fix.edits if " = " in e.content]
    assert len(made) == 3
    assert len({name for name, _ in made}) == len(made)
    for fix in fixes:
        names = {e.content.split(" = ")[0] for e in fix.edits}
        assert len(names) == 1, "what is used is what was loaded"


def test_each_load_in_the_lifespan_has_a_name_of_its_own(tmp_path: Path) -> None:
    one = endpoint('clf = joblib.load("a.joblib")', "return clf.predict(row)")
    other = endpoint('clf = joblib.load("b.joblib")', "return clf.predict(row)").replace(
        "predict(row: ", "q(row: "
    )
    found = loads(tmp_path, LIFESPAN + one + "\n\n" + other)
    fixes = [finding.fix for finding in found if finding.fix is not None]
    assert [[e.content.strip() for e in fix.edits] for fix in fixes] == [
        ['app.state.clf = joblib.load("a.joblib")', "app.state.clf"],
        ['app.state.clf_2 = joblib.load("b.joblib")', "app.state.clf_2"],
    ]


def test_threads_do_not_get_a_model_that_they_must_not_share(tmp_path: Path) -> None:
    text = DETECTORS + "\n\n" + endpoint('net = YOLO("ships.pt")', "return net.predict(row)", kind="def")
    (finding,) = loads(tmp_path, text)
    assert finding.fix is None
    assert "must not use it at once" in finding.unfixable


@pytest.mark.parametrize(
    ("load", "known"),
    [("onnxruntime.InferenceSession(PATH).run(None, row)", True), ("joblib.load(PATH).predict(row)", False)],
)
def test_a_model_that_threads_will_share_says_so(tmp_path: Path, load: str, known: bool) -> None:
    text = HEAD.replace("import shap\n", "import onnxruntime\n") + endpoint(f"return {load}", kind="def")
    (finding,) = loads(tmp_path, text)
    assert finding.fix is not None
    assert ("whether they may is not known" in finding.fix.reason) is not known
