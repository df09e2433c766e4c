"""What a thread reads in several steps must not be written on the event loop meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.code.fixes.doubts.writers import MAXIMUM_FILES
from servelint.lint import check
from servelint.project.config import Config

SERVICE = """\
import asyncio
import threading

import joblib
from fastapi import FastAPI

app = FastAPI()


class Models:
    def __init__(self):
        self.model = joblib.load("a.joblib")
        self.names = ["no", "yes"]
        self.known = {{}}
        self.lock = threading.Lock()

    def answer(self, row):
{answer}

    def put(self, name):
{put}


class Others:
    def __init__(self):
        self.model = self.names = None

    def put(self, name):
        self.model, self.names = name, name


models = Models()
{more}


@app.post("/answer")
async def answer(row: str):
{lines}
"""
SERVED = '@app.post("/put")\nasync def put(name: str):\n    models.put(name)'
ONCE = "        return self.model.predict([row])"
NAMED = "        scores = self.model.predict([row])\n        return self.names[scores[0]]"
BOTH = '        self.model = joblib.load(name)\n        self.names = ["no", "yes", "maybe"]'
THROUGH = "        return [self.model.predict([v]) for v in self.known.values()]"
ADDED = "        self.known[name] = name"
ANEW = """\
        if self.model is None or self.model.name != name:
            self.model = joblib.load(name)
            self.names = [name]"""
CALLED = "    return models.answer(row)"


def reason(folder: Path, answer: str = ONCE, put: str = BOTH, more: str = SERVED, lines: str = CALLED) -> str:
    text = SERVICE.format(answer=answer, put=put, more=more, lines=lines)
    (folder / "main.py").write_text(text)
    found = check([], Config(root=folder, select=("SRV101",))).findings
    fixes = [f.fix for f in found if f.function == "answer" and f.identity[1] == "models.answer()"]
    (fix,) = fixes
    assert fix is not None
    return fix.reason


@pytest.mark.parametrize(
    ("answer", "put", "expected"),
    [
        (
            THROUGH,
            ADDED,
            "the thread goes through `self.known`, and `put` may add to it or take from it meanwhile",
        ),
        (
            THROUGH.replace("self.known.values()", "enumerate(self.known)").replace("[v]", "[str(v)]"),
            "        if name not in self.known:\n            self.known[name] = name",
            "the thread goes through `self.known`, and `put` may add to it or take from it meanwhile",
        ),
        (
            "        known = self.known\n        for v in known:\n            self.model.predict([v])",
            "        del self.known[name]",
            "the thread goes through `self.known`, and `put` may add to it or take from it meanwhile",
        ),
        (NAMED, BOTH, "the thread reads `self.model` and `self.names`, and `put` may set it meanwhile"),
        (
            "        if self.model is None:\n            return None\n" + ONCE,
            "        self.model = None",
            "the thread reads `self.model` more than once, and `put` may set it meanwhile",
        ),
        (
            "        if row in self.known:\n            row = self.known[row]\n" + ONCE,
            "        self.known.pop(name)",
            "the thread reads `self.known` more than once, and `put` may set it meanwhile",
        ),
        (
            ONCE,
            "        self.model = joblib.load(name)\n        self.model.set_params(verbose=0)",
            "the thread reads `self.model`, and `put` may have put something unfinished there meanwhile",
        ),
        (
            NAMED,
            ANEW,
            "the thread reads `self.model` and `self.names`, and `put` may set it meanwhile",
        ),
    ],
)
def test_what_the_thread_reads_and_the_loop_writes(
    tmp_path: Path, answer: str, put: str, expected: str
) -> None:
    assert reason(tmp_path, answer, put) == expected


def test_what_is_read_around_the_call_too(tmp_path: Path) -> None:
    lines = "    scores = models.answer(row)\n    return scores, models.names"
    expected = (
        "the call and what is around it read `self.model` and `models.names`, and `put` may set it meanwhile"
    )
    assert reason(tmp_path, lines=lines) == expected
    # others could come between before
    waited = lines.replace("    return", "    await asyncio.sleep(0)\n    return")
    assert reason(tmp_path, lines=waited) == ""


LOCKED = "        with self.lock:\n    "


@pytest.mark.parametrize(
    ("answer", "put", "more"),
    [
        # one read of what is replaced as a whole, or of what stays
        (ONCE, BOTH, SERVED),
        (NAMED, "        self.names = [name]", SERVED),
        (NAMED, ADDED, SERVED),
        # only one of them is read
        (
            "        if row:\n    " + ONCE + "\n        else:\n    " + ONCE,
            "        self.model = joblib.load(name)",
            SERVED,
        ),
        ("        assert self.model is not None\n" + ONCE, "        self.model = joblib.load(name)", SERVED),
        # gone through in one step
        (THROUGH.replace("self.known.values()", "list(self.known.values())"), ADDED, SERVED),
        (THROUGH, "        self.known = {name: name}", SERVED),
        # nobody writes while the service serves, nobody on the loop, or only what is missing
        (NAMED, BOTH, "models.put('b')"),
        (NAMED, BOTH, SERVED.replace('app.post("/put")', 'app.on_event("startup")')),
        (NAMED, BOTH, SERVED.replace("async def", "def")),
        (NAMED, BOTH.replace("        ", "        if self.model is None:\n            ", 1), SERVED),
        (NAMED, "        if self.model is not None:\n            return\n" + BOTH, SERVED),
        (NAMED, BOTH, SERVED.replace("    models", "    if not models.model:\n        models")),
        (NAMED, BOTH, "others = Others()\n\n\n" + SERVED.replace("models.put", "others.put")),
    ],
)
def test_what_nobody_can_disturb(tmp_path: Path, answer: str, put: str, more: str) -> None:
    assert reason(tmp_path, answer, put, more) == ""


def test_one_lock_for_both(tmp_path: Path) -> None:
    def locked(body: str) -> str:
        return "        with self.lock:\n" + "\n".join(f"    {line}" for line in body.splitlines())

    assert reason(tmp_path, locked(NAMED), locked(BOTH)) == ""
    assert "meanwhile" in reason(tmp_path, locked(NAMED), BOTH)
    assert "meanwhile" in reason(tmp_path, NAMED, locked(BOTH))


WRITTEN = """\
from fastapi import APIRouter

router = APIRouter()


@router.post("/fill")
async def fill(number: int):
    router.all[number].model = None
"""


@pytest.mark.parametrize(("files", "many"), [(MAXIMUM_FILES, False), (MAXIMUM_FILES + 1, True)])
def test_what_very_many_files_write_is_not_looked_into(tmp_path: Path, files: int, many: bool) -> None:
    others = [f"other{number}" for number in range(files)]
    for other in others:
        (tmp_path / f"{other}.py").write_text(WRITTEN)
    told = f"more than {MAXIMUM_FILES} files may write it meanwhile"
    assert (told in reason(tmp_path, more=f"import {', '.join(others)}")) is many


GONE = "        self.model = None"
LOST = "the thread uses `self.model`, and `put` may set it to None meanwhile"
HANDED = """\
@app.post("/put")
async def put(name: str):
    await asyncio.get_running_loop().run_in_executor(None, models.put, name)"""
IDLE = """\
async def idle():
    while True:
        await asyncio.sleep(60)
        if not models.gone:
            await asyncio.to_thread(models.put, "")


@app.post("/wake")
async def wake():
    asyncio.create_task(idle())"""
LIFESPAN = """\
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    yield
    models.put("")


app = FastAPI(lifespan=lifespan)"""
TAKEN = "        return self.model.predict(self.known[row])"


@pytest.mark.parametrize(
    ("answer", "put", "more", "expected"),
    [
        (ONCE, GONE, SERVED, LOST),
        (ONCE, GONE, SERVED.replace("async def", "def"), LOST),
        (ONCE, GONE, HANDED, LOST),
        (ONCE, GONE + "\n        self.gone = True", IDLE, LOST),
        (ONCE, "        del self.model", SERVED, LOST.replace("set it to None", "delete it")),
        (
            TAKEN,
            "        self.known.pop(name, None)",
            SERVED,
            "the thread uses `self.known`, and `put` may take from it meanwhile",
        ),
        (
            TAKEN,
            "        self.known = {}",
            SERVED,
            "the thread uses `self.known`, and `put` may empty it meanwhile",
        ),
    ],
)
def test_what_the_thread_uses_once_and_others_take_away(
    tmp_path: Path, answer: str, put: str, more: str, expected: str
) -> None:
    assert reason(tmp_path, answer, put, more) == expected


@pytest.mark.parametrize(
    ("answer", "put", "more"),
    [
        # at start-up, or when no request comes any more
        (ONCE, GONE, LIFESPAN),
        (ONCE, GONE, SERVED.replace('app.post("/put")', 'app.on_event("shutdown")')),
        (ONCE, GONE, SERVED.replace('app.post("/put")', 'app.on_event("startup")')),
        # the thread asks for what it then uses, or is ready for want of it
        (
            "        model = self.model\n        return model.predict([row]) if model else None",
            GONE,
            SERVED,
        ),
        (TAKEN.replace("self.known[row]", "self.known.get(row)"), "        self.known.clear()", SERVED),
        (
            f"        try:\n    {TAKEN}\n        except KeyError:\n            return None",
            "        self.known.pop(name, None)",
            SERVED,
        ),
        # a flag
        (ONCE, "        self.busy = False", SERVED),
    ],
)
def test_what_nobody_takes_away(tmp_path: Path, answer: str, put: str, more: str) -> None:
    assert reason(tmp_path, answer, put, more) == ""


def test_one_lock_of_the_loop_around_the_call_and_who_takes_it_away(tmp_path: Path) -> None:
    more = "guard = asyncio.Lock()\n\n\n" + SERVED.replace(
        "    models.put(name)", "    async with guard:\n        models.model = None"
    )
    lines = "    async with guard:\n        return models.answer(row)"
    assert reason(tmp_path, more=more, lines=lines) == ""
    assert reason(tmp_path, more=more) == LOST


def test_a_lock_helps_who_asks_inside(tmp_path: Path) -> None:
    def locked(body: str) -> str:
        return "        with self.lock:\n" + "\n".join(f"    {line}" for line in body.splitlines())

    asked = f"        if self.model is None:\n            return None\n{ONCE}"
    assert reason(tmp_path, locked(ONCE), locked(GONE)) == LOST
    assert reason(tmp_path, locked(asked), locked(GONE)) == ""


GLOBAL = """\
import asyncio

import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("a.joblib")


def load():
    global model
    if model is None:
        model = joblib.load("a.joblib")


def unload():
    global model
    model = None


@app.post("/unload")
async def leave():
    {leave}


@app.post("/answer")
async def answer(rows: list[str]):
{lines}
"""
AFTER = "    scores = model.predict(rows)\n"
UNLOADED = "`model` is used after the call, and `unload` may set it to None meanwhile"


def first_reason(folder: Path, lines: str, leave: str) -> str:
    (folder / "main.py").write_text(GLOBAL.format(lines=lines, leave=leave))
    first = check([], Config(root=folder, select=("SRV101",))).findings[0].fix
    assert first is not None
    return first.reason


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (AFTER + "    return scores, model.classes_", UNLOADED),
        (AFTER + "    return scores, model.predict(rows)", UNLOADED),
        (
            "    found = []\n    for row in rows:\n        found += model.predict([row])\n    return found",
            UNLOADED,
        ),
        # what is asked for once more, what others could take away before too, and what is not come to
        (AFTER + "    if model is None:\n        return None\n    return scores, model.classes_", ""),
        (AFTER + "    load()\n    return scores, model.classes_", ""),
        (AFTER + "    await asyncio.sleep(0)\n    return scores, model.classes_", ""),
        ("    if rows:\n        return model.predict(rows)\n    return model.classes_", ""),
        (
            "    if rows:\n        a = model.predict(rows)\n    else:\n        a = model.classes_\n    return a",
            "",
        ),
        (AFTER + "    return scores", ""),
    ],
)
def test_what_the_function_uses_after_the_call(tmp_path: Path, lines: str, expected: str) -> None:
    assert first_reason(tmp_path, lines, "await asyncio.to_thread(unload)") == expected
    assert not expected or "`model`" in first_reason(tmp_path, lines, "unload()")
