"""A new `await` must not come where others count on nothing coming between, or where time is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Finding
from servelint.lint import check
from servelint.project.config import Config

RULES = ("SRV101", "SRV102")


def reasons(folder: Path, **files: str) -> dict[str, str]:
    """Why each fix is unsafe, empty for a safe one, by what is called."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    found: list[Finding] = list(check([], Config(root=folder, select=RULES)).findings)
    assert all(finding.fix is not None for finding in found)
    return {finding.identity[1]: finding.fix.reason for finding in found if finding.fix is not None}


HELD = "voice = None\nnames = []\n"
SPEECH = """\
import joblib
from fastapi import FastAPI

{imports}

app = FastAPI()


@app.post("/say")
async def say(text: str):
{lines}
"""
ASKED = """\
    {inside}
    if held.voice is None:
        held.voice = joblib.load("voice.joblib")
    return text
"""


@pytest.mark.parametrize(
    ("imports", "inside"), [("import held", "pass"), ("", "import held"), ("", "from pkg import held")]
)
def test_what_another_module_holds_is_shared(tmp_path: Path, imports: str, inside: str) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "held.py").write_text(HELD)
    text = SPEECH.format(imports=imports, lines=ASKED.format(inside=inside))
    (reason,) = reasons(tmp_path, held=HELD, main=text).values()
    assert reason == "`held.voice` is used before and after the call: another request may come between"


def test_what_the_function_makes_is_not(tmp_path: Path) -> None:
    lines = ASKED.format(inside="held = type('Held', (), {'voice': None})()")
    assert set(reasons(tmp_path, main=SPEECH.format(imports="", lines=lines)).values()) == {""}


SERVICE = """\
import asyncio

import joblib
from fastapi import FastAPI

app = FastAPI()


class Speaker:
    def __init__(self):
        self.voice = None
        self.ready = False
        self.lock = asyncio.Lock()

    async def load(self):
        {first}
        voice = joblib.load("voice.joblib")
        self.voice = voice
        {set}

    async def prepare(self):
        await self.load()


speaker = Speaker()


@app.post("/say")
async def say(text: str):
    {lines}
    return text
"""
READY = "self.ready = True"
ASKS = "    if not speaker.ready:\n        await speaker.load()"
COUNTING = "`say` asks for `speaker.ready` and calls `load`, which did not wait so far"


def speaker(first: str = "pass", set_: str = READY, lines: str = ASKS) -> str:
    return SERVICE.format(first=first, set=set_, lines=lines.strip())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (speaker(), COUNTING),
        (speaker(lines="    speaker.ready or await speaker.load()"), COUNTING),
        (
            speaker(lines="    if speaker.ready:\n        return text\n    await speaker.load()"),
            COUNTING,
        ),
        (
            speaker(lines=ASKS.replace("load()", "prepare()")),
            COUNTING.replace("calls `load`", "calls `prepare`"),
        ),
        # asked before waiting for the lock, and not again
        (
            speaker(
                lines="    if not speaker.ready:\n        async with speaker.lock:\n"
                "            await speaker.load()"
            ),
            COUNTING,
        ),
        # what is entered around both keeps nobody out
        (
            speaker(
                lines="    async with speaker.session():\n        if not speaker.ready:\n"
                "            await speaker.load()"
            ),
            COUNTING,
        ),
        # the caller says that it is ready
        (
            speaker(set_="pass", lines=f"{ASKS}\n        speaker.ready = True"),
            "`say` uses `speaker.ready` before and after `load`, which did not wait so far",
        ),
    ],
)
def test_who_asks_before_calling_counts_on_no_interruption(tmp_path: Path, text: str, reason: str) -> None:
    assert reasons(tmp_path, main=text) == {"joblib.load()": reason}


@pytest.mark.parametrize(
    "text",
    [
        # it could be interrupted before
        speaker(first="await asyncio.sleep(0)"),
        # nobody asks for what it sets
        speaker(set_="pass"),
        speaker(lines="    await speaker.load()"),
        speaker(lines="    if text:\n        await speaker.load()"),
        # nobody comes between
        speaker(
            lines="    async with speaker.lock:\n        if not speaker.ready:\n"
            "            await speaker.load()"
        ),
        speaker(lines="    if not speaker.ready:\n        asyncio.create_task(speaker.load())"),
    ],
)
def test_where_nobody_counts_on_it(tmp_path: Path, text: str) -> None:
    assert reasons(tmp_path, main=text) == {"joblib.load()": ""}


LOCKED = """\
    async with speaker.lock:
        if not speaker.ready:
            await speaker.load()"""


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("Semaphore()", ""),
        ("Semaphore(1)", ""),
        ("BoundedSemaphore(1)", ""),
        ("Semaphore(4)", COUNTING),
        ("Semaphore(value=4)", COUNTING),
        ("Semaphore(COUNT)", COUNTING),
    ],
)
def test_a_semaphore_keeps_others_out_where_it_lets_in_one(tmp_path: Path, made: str, reason: str) -> None:
    text = speaker(lines=LOCKED).replace("asyncio.Lock()", f"asyncio.{made}")
    assert reasons(tmp_path, main=text) == {"joblib.load()": reason}


LAZY = """\
import joblib
from fastapi import FastAPI

app = FastAPI()


class Store:
    def __init__(self):
        self._encoder = {first}

    @property
    def encoder(self):
        {encoder}

    def add(self, text):
        return self.encoder.predict([text])


store = Store()


@app.post("/add")
async def add(text: str):
    return store.add(text)
"""
FILLED = """if self._encoder is None:
            self._encoder = joblib.load("encoder.joblib")
        return self._encoder"""


def test_a_property_that_fills_itself(tmp_path: Path) -> None:
    text = LAZY.format(first="None", encoder=FILLED)
    (reason,) = reasons(tmp_path, main=text).values()
    assert reason == "`Store.encoder` writes `self._encoder`, which requests share"


def test_a_property_that_is_filled_when_made(tmp_path: Path) -> None:
    text = LAZY.format(first='joblib.load("encoder.joblib")', encoder="return self._encoder")
    assert set(reasons(tmp_path, main=text).values()) == {""}


READER = """\
import asyncio
import logging
import time

import joblib
from fastapi import FastAPI

app = FastAPI()
log = logging.getLogger(__name__)
model = joblib.load("model.joblib")
version = 1
text = ""
seen = {{}}


{writer}


@app.post("/p")
async def predict(row: str):
    global version
{lines}
"""
RELOAD = """\
@app.post("/reload")
async def reload(path: str):
    global model, version
    model = path
    version = path"""
ANSWER = "    scores = model.predict([row])\n    return scores, version"
MEANWHILE = "`version` is read after the call, and `reload` may set it meanwhile"


def answering(writer: str = RELOAD, lines: str = ANSWER) -> str:
    return READER.format(writer=writer, lines=lines)


def reason_of_predict(folder: Path, text: str) -> str:
    return reasons(folder, main=text)["model.predict()"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (answering(), MEANWHILE),
        (answering(RELOAD.replace("    model = path\n", ""), "    before = version\n" + ANSWER), MEANWHILE),
        (
            answering(RELOAD.replace("async def", "def")),
            MEANWHILE,
        ),
        (
            answering(
                "@app.delete('/s')\nasync def forget(row: str):\n    del seen[row]",
                "    if row not in seen:\n        return None\n    return model.predict([row]), seen[row]",
            ),
            "`seen` is read after the call, and `forget` may set it meanwhile",
        ),
    ],
)
def test_what_is_read_after_the_call_belongs_to_what_was_read_before(
    tmp_path: Path, text: str, reason: str
) -> None:
    assert reason_of_predict(tmp_path, text) == reason


@pytest.mark.parametrize(
    "text",
    [
        # nobody sets it while requests are under way, or only where nothing was
        answering("pass"),
        answering(RELOAD.replace('@app.post("/reload")', '@app.on_event("startup")')),
        answering(RELOAD.replace("    version = path", "    if version is None:\n        version = path")),
        answering(
            "def load():\n    global model, version\n    model = version = joblib.load('2')\n\n\n"
            "@app.get('/v')\nasync def known():\n    if version is None:\n        load()\n    return version"
        ),
        # it has nothing to do with what was read before
        answering(RELOAD.replace("    model = path\n", "")),
        # something could come between before
        answering(lines=ANSWER.replace("    return", "    await asyncio.sleep(0)\n    return")),
        answering(lines=ANSWER.replace("version", "row")),
    ],
)
def test_what_is_read_after_the_call_and_stays(tmp_path: Path, text: str) -> None:
    assert reason_of_predict(tmp_path, text) == ""


TAKEN = "    start = time.perf_counter()\n    scores = model.predict([row])\n"
WAITED = (
    "the time since `start` decides something, and then has the time in it that the call waits for a thread"
)
RETURNED = WAITED.replace("decides something", "is kept or returned")
SLOW = "    if time.perf_counter() - start > 2:\n        return []\n    return scores"
ENDED = "    end = time.perf_counter()\n    if"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (TAKEN + SLOW, WAITED),
        (TAKEN.replace("start =", "start: float =") + SLOW, WAITED),
        (TAKEN + SLOW.replace("time.perf_counter()", "end").replace("    if", ENDED, 1), WAITED),
        (
            TAKEN + "    took = time.perf_counter() - start\n    rounded = round(took, 2)\n"
            "    return scores if rounded < 2 else []",
            WAITED,
        ),
        (
            TAKEN + "    app.state.took = time.perf_counter() - start\n"
            "    if app.state.took > 3:\n        return []\n    return scores",
            WAITED,
        ),
        (
            TAKEN + "    seen['took'] += time.perf_counter() - start\n"
            "    while seen['took'] > 3:\n        seen['took'] -= 1\n    return scores",
            WAITED,
        ),
        (
            TAKEN + "    left = 5 - (time.perf_counter() - start)\n"
            "    queue.get(timeout=left)\n    return scores",
            WAITED,
        ),
        # decides nothing, and is kept or returned
        (TAKEN + "    return scores, time.perf_counter() - start", RETURNED),
        (TAKEN + "    end = time.perf_counter()\n    took = end - start\n    return scores, took", RETURNED),
        (
            TAKEN + "    took = time.perf_counter() - start\n    rounded = round(took, 2)\n"
            "    return {'scores': scores, 'took': rounded}",
            RETURNED,
        ),
        (
            TAKEN + "    took = time.perf_counter() - start\n    seen['took'] = took\n"
            "    if took > 2:\n        log.warning('slow')\n"
            "    return len(scores) / took if took > 0 else 0",
            RETURNED,
        ),
        # only told, or not what is around the call
        (TAKEN + '    log.info("took %s", time.perf_counter() - start)\n    return scores', ""),
        (
            "    start: float = 0.0\n    scores = model.predict([row])\n    return scores, time.time() - start",
            "",
        ),
        (
            TAKEN + "    took = time.perf_counter() - start\n    shown = round(took, 2)\n"
            "    print(f'{shown} s')\n    return scores",
            "",
        ),
        (TAKEN + "    return scores, start", ""),
        (
            "    start = time.time()\n    took = time.time() - start\n    return model.predict([row]), took",
            "",
        ),
        # it is waited for in it as it is
        (TAKEN + "    await asyncio.sleep(0)\n    return scores, time.perf_counter() - start", ""),
    ],
)
def test_time_that_is_taken(tmp_path: Path, lines: str, reason: str) -> None:
    assert reason_of_predict(tmp_path, answering("pass", lines)) == reason


KEPT = RETURNED.replace("start", "began")
WHOLE = (
    "    'Answer.'\n    if not row:\n        raise ValueError(row)\n    log.info('asked')\n"
    "    began = time.time()\n    row = row.strip()\n    scores = model.predict([row])\n"
    "    return {'scores': scores, 'total_ms': (time.time() - began) * 1000}"
)
STOPPED = (
    "    row = row.strip()\n    began = time.time()\n    sorted(row)\n    ended = time.time()\n"
    "    scores = model.predict([row])\n    return scores, ended - began"
)
PREPARED = "    row = row.strip()\n    began = time.time()\n    scores = model.predict([row])\n"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (PREPARED + "    return scores, time.time() - began", KEPT),
        (
            PREPARED + "    ended = time.time()\n    latency_ms = round((ended - began) * 1000, 2)\n"
            "    return {'scores': scores, 'latency_ms': latency_ms}",
            KEPT,
        ),
        (PREPARED + "    seen['took'] = time.time() - began\n    return scores", KEPT),
        (PREPARED + "    latency.observe(time.time() - began)\n    return scores", KEPT),
        (
            PREPARED + "    took = time.time() - began\n    global text\n    text = took\n    return scores",
            KEPT,
        ),
        # before the function began, the request waited; since then it did not
        (WHOLE, KEPT),
        (
            TAKEN + "    took = time.perf_counter() - start\n"
            "    return {'scores': scores, 'inference_time_ms': took * 1000}",
            RETURNED,
        ),
        # what is awaited on another way
        (
            PREPARED.replace("    scores", "    if not row:\n        return await said(row)\n    scores")
            + "    return scores, time.time() - began",
            KEPT,
        ),
        (
            PREPARED.replace(
                "    scores = model.predict([row])\n",
                "    try:\n        scores = model.predict([row])\n"
                "    except ValueError:\n        await said(row)\n        raise\n",
            )
            + "    return scores, time.time() - began",
            KEPT,
        ),
        # only said, not around the call, or something was awaited in it
        (PREPARED + "    took = time.time() - began\n    log.info('%s', took)\n    return scores", ""),
        (
            PREPARED + "    took = round(time.time() - began, 2)\n    print(f'{took} s')\n"
            "    if took > 2:\n        log.warning('slow', extra={'took': took})\n    return scores",
            "",
        ),
        (WHOLE.replace("row = row.strip()", "row = await said(row)"), ""),
        (
            PREPARED.replace("    scores", "    if not row:\n        row = await said(row)\n    scores")
            + "    return scores, time.time() - began",
            "",
        ),
        (
            PREPARED + "    began = time.time()\n    sorted(scores)\n    return scores, time.time() - began",
            "",
        ),
        (STOPPED, ""),
    ],
)
def test_time_that_is_kept(tmp_path: Path, lines: str, reason: str) -> None:
    assert reason_of_predict(tmp_path, answering("pass", lines)) == reason


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ("await asyncio.gather(said(model.predict([row])), said(row))", "asyncio.gather"),
        ("await asyncio.gather(said(row), said(model.predict([row])))", "asyncio.gather"),
        ("await asyncio.gather(*[said(model.predict([row])), said(row)])", "asyncio.gather"),
        ("await asyncio.wait([said(row), said(model.predict([row]))])", "asyncio.wait"),
        ("await both(said(row), model.predict([row]))", "both"),
        # nothing beside it
        ("await asyncio.gather(said(model.predict([row])))", ""),
        ("await asyncio.create_task(said(model.predict([row])))", ""),
        ("await both(row, model.predict([row]))", ""),
        ("both(await said(row), model.predict([row]))", ""),
    ],
)
def test_coroutines_that_are_made_beside_the_call(tmp_path: Path, line: str, function: str) -> None:
    helper = "async def said(text):\n    await asyncio.sleep(0)\n    return text"
    expected = (
        f"the call is among the arguments of `{function}`: "
        "coroutines that are made beside it would wait for it, or never be awaited if it fails"
    )
    reason = reason_of_predict(tmp_path, answering(helper, f"    return {line}"))
    assert reason == (expected if function else "")


STATE = """\
_cache = {}


def get_cache():
    return _cache


def new_cache():
    return {}


class Store:
    def __init__(self):
        self.items = {}

    def all(self):
        return self.items

    def copied(self):
        return dict(self.items)

    def noted(self, rows):
        self.all()[1] = rows
"""
GETTING = """\
import joblib
import state
from fastapi import FastAPI
from state import Store, get_cache, new_cache

app = FastAPI()
model = joblib.load("m")
store = Store()
KEPT = dict(a=[])


@app.post("/a")
async def a(rows: list):
    return score(rows)


def score(rows):
    {line}
    return model.predict(rows)
"""


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("cache = get_cache(); cache[1] = rows", False),
        ("state.get_cache()[1] = rows", False),
        ("store.all()[1] = rows", False),
        ("store.noted(rows)", False),
        ("[part.append(1) for part in KEPT.values()]", False),
        ("for key, part in sorted(KEPT.items()): part.append(key)", False),
        ("add = KEPT['a'].append; add(1)", False),
        ("with KEPT['a'] as part: part.append(1)", False),
        ("match KEPT:\n        case {'a': part}:\n            part.append(1)", False),
        ("[part.append(1) for part in rows]", True),
        ("add = [].append; add(1)", True),
        ("add = joblib.add; add(1)", True),
        ("match rows:\n        case [part, *_]:\n            part.append(KEPT)", True),
        ("cache = new_cache(); cache[1] = rows", True),
        ("state.new_cache()[1] = rows", True),
        ("store.copied()[1] = rows", True),
        ("store = Store(); store.all()[1] = rows", True),
        ("get_cache()", True),
    ],
)
def test_what_another_file_or_a_method_gives_is_shared(tmp_path: Path, line: str, safe: bool) -> None:
    found = reasons(tmp_path, state=STATE, main=GETTING.format(line=line))
    assert [not reason for reason in found.values()] == [safe], found
