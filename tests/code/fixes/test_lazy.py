"""A load at the first use gets a lock where a fix brings threads to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import threading

import joblib
from fastapi import FastAPI

app = FastAPI()
_model = None
_scaler = None
_models = {}


"""
GLOBAL = """\
def get_model():
    global _model
    if _model is None:
        # from the volume
        _model = joblib.load("model.joblib")
    return _model


"""
TAIL = """\
@app.post("/p")
async def predict(row: str):
    return get_model().predict(row)


"""
PLAIN = "    return get_model().predict(row)\n"
GUARD = """\
def get_model():
    global _model
    if _model is not None:
        return _model
    _model = joblib.load("model.joblib")
    return _model


"""
KEYED = """\
def get_model(name="a"):
    if name not in _models:
        _models[name] = joblib.load(name)
    return _models[name]


"""
TWO = """\
def get_model():
    global _model, _scaler
    if _model is None:
        _model = joblib.load("model.joblib")
        _scaler = joblib.load("scaler.joblib")
    return _model


def scale(row):
    get_model()
    return _scaler.transform(row)


"""
OBJECT = """\
class Scores:
    def __init__(self):
        self.model = None
        self.name = "model.joblib"

    def load(self):
        if not self.model:
            self.model = joblib.load(self.name)

    def predict(self, row):
        self.load()
        return self.model.predict(row)


scores = Scores()


def get_model():
    return scores


"""


HOLDING = """\
_other = threading.Lock()


def load(path):
    with _other:
        return joblib.load(path)


def other():
    with _other:
        return get_model()


"""


def checked(folder: Path, text: str) -> Applicability:
    (folder / "main.py").write_text(text)
    fixes = [f.fix for f in check([], Config(root=folder, select=("SRV101",))).findings if f.fix is not None]
    assert all(("which requests share" in fix.reason) is bool(fix.reason) for fix in fixes)
    (applicability,) = {fix.applicability for fix in fixes}
    return applicability


def fixed(folder: Path, text: str) -> str:
    """The file after the safe fix, after which nothing is left."""
    assert checked(folder, text) is Applicability.SAFE
    outcome = edits.apply(check([], Config(root=folder, select=("SRV101",))), unsafe=False)
    assert not outcome.rejected
    assert not outcome.report.findings
    return outcome.after[folder / "main.py"].decode()


def test_a_global(tmp_path: Path) -> None:
    text = fixed(tmp_path, HEAD + GLOBAL + TAIL)
    assert "_model = None\n_scaler = None\n" not in text
    assert "\n_model = None\n_model_lock = threading.Lock()\n_scaler = None\n" in text
    assert (
        "def get_model():\n"
        "    global _model\n"
        "    with _model_lock:\n"
        "        if _model is None:\n"
        "            # from the volume\n"
        '            _model = joblib.load("model.joblib")\n'
        "    return _model\n"
    ) in text


def test_a_guard_that_returns(tmp_path: Path) -> None:
    text = fixed(tmp_path, HEAD.replace("import threading\n\n", "") + GUARD + TAIL)
    assert text.count("import threading\n") == 1
    assert (
        "    with _model_lock:\n"
        "        if _model is not None:\n"
        "            return _model\n"
        '        _model = joblib.load("model.joblib")\n'
        "    return _model\n"
    ) in text


def test_a_file_that_has_another_use_for_the_name_of_the_module(tmp_path: Path) -> None:
    head = HEAD.replace("import threading\n\n", "").replace(
        "_model = None", "threading = True\n_model = None"
    )
    text = fixed(tmp_path, head + GLOBAL + TAIL)
    assert "import threading as _threading\n" in text
    assert "_model_lock = _threading.Lock()\n" in text


def test_one_load_for_each_name(tmp_path: Path) -> None:
    text = fixed(tmp_path, HEAD + KEYED + TAIL)
    assert "\n_models = {}\n_models_lock = threading.Lock()\n" in text
    assert "    with _models_lock:\n        if name not in _models:\n            _models[name] = " in text


def test_two_that_are_loaded_together(tmp_path: Path) -> None:
    text = fixed(tmp_path, HEAD + TWO + TAIL)
    assert "\n_model = None\n_scaler = None\n_model_lock = threading.Lock()\n" in text


def test_the_lock_is_seen_by_the_next_check(tmp_path: Path) -> None:
    other = TAIL.replace("/p", "/q").replace("def predict", "def again")
    fixed_text = fixed(tmp_path, HEAD + TWO + TAIL)
    assert checked(tmp_path, fixed_text + other) is Applicability.SAFE


@pytest.mark.parametrize(
    "loads",
    [
        # nothing that is there before is asked for, or something else is done too
        GLOBAL.replace("if _model is None", "if True"),
        GLOBAL.replace("    if _model", "    count.append(1)\n    if _model") + "count = []\n\n\n",
        # undone, or set elsewhere, without the lock
        GLOBAL + "def unload():\n    global _model\n    _model = None\n\n\n",
        GLOBAL + "def reload():\n    global _model\n    _model = joblib.load('b')\n\n\n",
        KEYED + "def clear():\n    _models.clear()\n\n\n",
        # another model for another request
        TWO.replace("_model is None", "_model is None or _name != 'a'") + "_name = 'b'\n\n\n",
        # seen by others before all of it is done
        TWO.replace("    get_model()\n", "    if _model is None:\n        return row\n"),
        GLOBAL.replace("    return", "        _model.warm_up()\n    return")
        + "def ready():\n    return _model.ready\n\n\n",
        # what infers would keep requests for other rows waiting
        KEYED.replace("joblib.load(name)", "_models['m'].predict(name)"),
        # it waits for itself
        GLOBAL.replace("joblib.load(", "get_model() or joblib.load("),
        # it is called by who holds a lock, and takes it
        GLOBAL.replace("joblib.load(", "load(") + HOLDING,
        # the name is taken
        GLOBAL + "_model_lock = 1\n\n\n",
        # an object may be copied, have no room for a lock, or be made without its constructor
        OBJECT,
        # it would be held while they predict
        GUARD.replace("        return _model\n", "        return _model.predict(1)\n"),
        GLOBAL.replace("    return", "    else:\n        _model.predict(1)\n    return"),
        # what runs meanwhile is the project's, and may come back
        GLOBAL.replace("joblib.load(", "read(") + "def read(path):\n    return joblib.load(path)\n\n\n",
        GLOBAL.replace('"model.joblib"', "where.path")
        + "class Where:\n    @property\n    def path(self):\n        return get_model()\n\n\nwhere = Where()\n\n\n",
    ],
)
def test_what_stays_unsafe(tmp_path: Path, loads: str) -> None:
    assert checked(tmp_path, HEAD + loads + TAIL) is Applicability.UNSAFE
