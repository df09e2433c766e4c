"""Code that nobody calls by name runs in the thread as well, and what it does to others makes a fix unsafe."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Fix
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import heapq
from functools import cached_property, lru_cache

import joblib
import torch
from fastapi import Depends, FastAPI

app = FastAPI()
model = joblib.load("model.joblib")
_seen = []
_state = {"last": [], "n": 0}


"""
TAIL = """\


@app.post("/p")
async def predict(rows: list[float]):
    return score(rows)
"""
OF_OBJECT = """\
    def score(self, rows):
        return self.model.predict(rows)


scorer = Scorer()


def score(rows):
    return scorer.score(rows)
"""
PROPERTY = """\
class Scorer:
    def __init__(self):
        self._model = None

    @property
    def model(self):
        if self._model is None:
            self._model = joblib.load("model.joblib")
        return self._model

"""
CACHED = """\
class Scorer:
    @cached_property
    def model(self):
        return joblib.load("model.joblib")

"""
DESCRIPTOR = """\
class Lazy:
    value = None

    def __get__(self, holder, owner):
        if self.value is None:
            self.value = joblib.load("model.joblib")
        return self.value


class Scorer:
    model = Lazy()

"""
LOOKED_UP = """\
class Models:
    def __getattr__(self, name):
        found = joblib.load(name)
        setattr(self, name, found)
        return found


models = Models()


def score(rows):
    return models.fraud.predict(rows)
"""
ITEM = """\
class Models(dict):
    def __missing__(self, name):
        self[name] = joblib.load(name)
        return self[name]


models = Models()


def score(rows):
    return models["fraud"].predict(rows)
"""
CONTEXT = """\
class Depth:
    level = 0

    def __enter__(self):
        self.level += 1

    def __exit__(self, *raised):
        self.level -= 1


depth = Depth()


def score(rows):
    with depth:
        return model.predict(rows)
"""
ITERATED = """\
class Models:
    def __init__(self):
        self.loaded = []

    def __iter__(self):
        if not self.loaded:
            self.loaded.append(joblib.load("a"))
        return iter(self.loaded)


models = Models()


def score(rows):
    return [one.predict(rows) for one in models]
"""
GENERATOR = """\
def batches(rows):
    for row in rows:
        _seen.append(row)
        yield [row]


def score(rows):
    return [model.predict(batch) for batch in batches(rows)]
"""
OPERATOR = """\
class Total:
    sum = 0

    def __add__(self, other):
        self.sum = self.sum + other
        return self.sum


total = Total()


def score(rows):
    return total + model.predict(rows)[0]
"""
FORWARD = """\
class Net(torch.nn.Module):
    steps = 0

    def forward(self, rows):
        self.steps += 1
        return rows


net = Net()


def score(rows):
    return net(rows)
"""
SETTER = """\
class Last:
    rows = ()

    @property
    def last(self):
        return self.rows

    @last.setter
    def last(self, rows):
        self.rows = rows


kept = Last()


def score(rows):
    kept.last = rows
    return model.predict(rows)
"""
KEY = """\
def noted(row):
    _seen.append(row)
    return row


def score(rows):
    return model.predict(sorted(rows, key=noted))
"""
LAMBDA = """\
def score(rows):
    return model.predict(sorted(rows, key=lambda row: _seen.append(row) or row))
"""
SETATTR = """\
class Holder:
    pass


holder = Holder()


def score(rows):
    setattr(holder, "rows", rows)
    return model.predict(rows)
"""
CLASS = """\
class Count:
    n = 0


def score(rows):
    Count.n += 1
    return model.predict(rows)
"""
GLOBALS = """\
def score(rows):
    globals()["_rows"] = rows
    return model.predict(rows)
"""
ALIAS = """\
def score(rows):
    last = _state["last"]
    last.append(rows)
    return model.predict(rows)
"""
NESTED = """\
def score(rows):
    _state["last"].append(rows)
    return model.predict(rows)
"""
ELEMENT = """\
def score(rows):
    for one in _seen:
        one.rows = rows
    return model.predict(rows)
"""
HEAP = """\
def score(rows):
    heapq.heappush(_seen, rows)
    return model.predict(rows)
"""
IN_TURNS = """\
def one(rows, depth):
    if depth:
        two(rows, depth - 1)
    rows.append(depth)


def two(rows, depth):
    if depth:
        one(rows, depth - 1)


def first(rows):
    one([], 3)
    return model.predict(rows)


def score(rows):
    two(_seen, 3)
    return model.predict(rows)


@app.post("/first")
async def prepare(rows: list):
    return first(rows)
"""
GIVEN = """\
def noted(rows, into):
    into.append(rows)


def handed(rows, seen):
    noted(rows, seen)


def score(rows):
    handed(rows, seen=_seen)
    return model.predict(rows)
"""
CLOSURE = """\
def make():
    rounds = []

    def scored(rows):
        rounds.append(rows)
        return model.predict(rows)

    return scored


score = make()
"""
STATEMENTS = {
    "by a function": "np.copyto(_buffer, rows)",
    "by a keyword": "np.multiply(rows, 2, out=_buffer)",
    "elements with numbers": "for number, one in enumerate(_seen):\n        one.append(number)",
    "elements by name": "for name, one in _state.items():\n        one.append(name)",
    "two at once": "one, other = _seen, _state\n    one.append(other)",
    "drawn": "next(_buffer, None)",
    "handed to map": "list(map(_seen.append, rows))",
    "a file": "_buffer.write(rows)",
    "given by a function": "given()['last'] = rows",
    "given and named": "state = given()\n    state['last'] = rows",
    "keywords": "keywords(seen=_seen)",
    "default": "default(rows)",
    "one for all": "Single().rows",
}
FUNCTIONS = """\
import numpy as np

_buffer = np.zeros(3)


def given():
    return _state


def keywords(**all):
    all["seen"].append(1)


def default(rows, seen=[]):
    seen.append(rows)


class Single:
    made = None

    def __new__(cls):
        cls.made = cls.made or object.__new__(cls)
        return cls.made


"""
WRITING = {
    **{
        name: f"{FUNCTIONS}def score(rows):\n    {statement}\n    return model.predict(rows)\n"
        for name, statement in STATEMENTS.items()
    },
    "property": PROPERTY + OF_OBJECT,
    "cached property": CACHED + OF_OBJECT,
    "descriptor": DESCRIPTOR + OF_OBJECT,
    "looked up": LOOKED_UP,
    "item": ITEM,
    "context": CONTEXT,
    "iterated": ITERATED,
    "generator": GENERATOR,
    "operator": OPERATOR,
    "forward": FORWARD,
    "setter": SETTER,
    "key": KEY,
    "lambda": LAMBDA,
    "setattr": SETATTR,
    "class": CLASS,
    "globals": GLOBALS,
    "alias": ALIAS,
    "nested": NESTED,
    "element": ELEMENT,
    "heap": HEAP,
    "given": GIVEN,
    "in turns": IN_TURNS.partition("@app")[0],
    "closure": CLOSURE,
    "in place": "buffer = torch.zeros(8)\n\n\ndef score(rows):\n    buffer.copy_(rows)\n    return model.predict(buffer)\n",
    "view": "buffer = torch.zeros(8)\n\n\ndef score(rows):\n    view = buffer[:]\n    view[0] = rows\n    return model.predict(buffer)\n",
}
SQLITE = """\
import sqlite3

file = sqlite3.connect("scores.db")


class Scorer:
    def __init__(self):
        self._file = sqlite3.connect("scores.db")

    @property
    def file(self):
        return self._file

    def score(self, rows):
        self.file.execute("select 1")
        return model.predict(rows)


scorer = Scorer()
"""
LOCAL = """\
import threading

local = threading.local()
local.threshold = 1
"""
BOUND = {
    "set": "import contextvars\n\nuser = contextvars.ContextVar('user')\n\n\ndef score(rows):\n"
    "    user.set(1)\n    return model.predict(rows)\n",
    "directory": "import os\n\n\ndef score(rows):\n    os.chdir('/')\n    return model.predict(rows)\n",
    "seed": "import random\n\n\ndef score(rows):\n    random.seed(0)\n    return model.predict(rows)\n",
    "environment": "import os\n\n\ndef score(rows):\n    os.environ.update(A='1')\n    return model.predict(rows)\n",
    "environment of a name": "from os import environ\n\n\ndef score(rows):\n    environ.pop('A')\n"
    "    return model.predict(rows)\n",
    "search path": "import sys\n\n\ndef score(rows):\n    sys.path.insert(0, '.')\n    return model.predict(rows)\n",
    "signal": "import signal\n\n\ndef score(rows):\n    signal.alarm(9)\n    return model.predict(rows)\n",
    "connection": SQLITE + "\n\ndef score(rows):\n    file.execute('')\n    return model.predict(rows)\n",
    "connection of an object": SQLITE + "\n\ndef score(rows):\n    return scorer.score(rows)\n",
    "local": LOCAL + "\n\ndef score(rows):\n    return model.predict(rows) > local.threshold\n",
    "identity": "import threading\n\n\ndef score(rows):\n    threading.get_ident()\n"
    "    return model.predict(rows)\n",
    "local set": LOCAL + "\n\ndef score(rows):\n    local.rows = rows\n    return model.predict(rows)\n",
}
HARMLESS = {
    "own connection": """\
import sqlite3


def score(rows):
    file = sqlite3.connect("scores.db")
    file.execute("select 1")
    return model.predict(rows)
""",
    "property": """\
class Scorer:
    @property
    def model(self):
        return model

"""
    + OF_OBJECT,
    "local": """\
def noted(rows, into):
    into.append(rows)


def score(rows):
    found = []
    noted(rows, found)
    found[0] = rows
    return model.predict(found)
""",
    "copy": """\
def score(rows):
    last = list(_seen)
    last.append(rows)
    return model.predict(last)
""",
    "closure": """\
def score(rows):
    found = []

    def add(row):
        found.append(row)

    for row in rows:
        add(row)
    return model.predict(found)
""",
    "clause": """\
class User:
    id = torch.zeros(8)


def score(rows):
    User.id.requires_grad_(False)
    return model.predict(User.id.in_(rows))
""",
    "environment that is read": "import os\n\n\ndef score(rows):\n    os.environ.get('A')\n"
    "    found = os.environ.copy()\n    found.update(A='1')\n    return model.predict(rows)\n",
    "in place of its own": """\
def score(rows):
    own = torch.zeros(8)
    own.copy_(rows)
    return model.predict(own)
""",
    "function of a module": """\
def score(rows):
    return torch.add(model.predict(rows), 1)
""",
}


def fix_of(folder: Path, text: str) -> Fix:
    (folder / "app.py").write_text(text)
    findings = check([], Config(root=folder, select=("SRV101", "SRV102"))).findings
    (fix,) = {finding.fix for finding in findings}
    assert fix is not None
    return fix


@pytest.mark.parametrize("name", WRITING)
def test_what_runs_without_a_call_and_writes_makes_a_fix_unsafe(tmp_path: Path, name: str) -> None:
    fix = fix_of(tmp_path, HEAD + WRITING[name] + TAIL)
    assert fix.applicability is Applicability.UNSAFE
    assert "requests share" in fix.reason or "two threads may both do" in fix.reason


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_request_has_for_itself_may_be_changed(tmp_path: Path, name: str) -> None:
    assert fix_of(tmp_path, HEAD + HARMLESS[name] + TAIL).applicability is Applicability.SAFE


@pytest.mark.parametrize("name", BOUND)
def test_what_belongs_to_a_thread_a_task_or_the_process(tmp_path: Path, name: str) -> None:
    fix = fix_of(tmp_path, HEAD + BOUND[name] + TAIL)
    assert fix.applicability is Applicability.UNSAFE
    assert any(word in fix.reason for word in ("does not see", "whole process", "one thread"))


def test_what_functions_in_turns_change_is_known_whichever_is_asked_first(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HEAD + IN_TURNS + TAIL)
    found = check([], Config(root=tmp_path, select=("SRV101",))).findings
    (reason,) = (f.fix.reason for f in found if f.fix is not None and f.function != "prepare")
    assert reason.startswith("`two` changes `_seen`")


def test_a_lock_that_is_acquired_around_the_call(tmp_path: Path) -> None:
    text = (
        TAIL.replace("    return", "    lock.acquire()\n    found =")
        + "    lock.release()\n    return found\n"
    )
    score = (
        "import threading\n\nlock = threading.Lock()\n\n\ndef score(rows):\n    return model.predict(rows)\n"
    )
    fix = fix_of(tmp_path, HEAD + score + text)
    assert fix.applicability is Applicability.UNSAFE
    assert fix.reason.startswith("`lock.acquire()` may be held around the call")


@pytest.mark.parametrize("change", ["own.rows = rows", "own.set_rows(rows)", "found = own.fit(rows)"])
def test_what_is_changed_for_a_request_is_not_loaded_for_all(tmp_path: Path, change: str) -> None:
    body = f"    own = joblib.load('a')\n    {change}\n    return own.predict(1)"
    (tmp_path / "app.py").write_text(HEAD + TAIL.replace("    return score(rows)", body))
    for finding in check([], Config(root=tmp_path, select=("SRV102",))).findings:
        assert finding.fix is not None
        assert "when the service starts" not in finding.fix.title
