"""Fixes of offloads that go wrong: SRV103, SRV104, SRV106, SRV108 and SRV109."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import asyncio
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
import torch
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")
pool = ThreadPoolExecutor(max_workers=1)


def score(row):
    return model.predict(row)


async def fetch(row):
    return row


"""
START = '@app.post("/p")\nasync def predict(row: list):\n'
LOOP = "asyncio.get_running_loop().run_in_executor"
OWN_POOL = f"""
with ThreadPoolExecutor() as own:
    a = await {LOOP}(own, score, row)
    return a, await {LOOP}(own, score, row)
"""
CONTEXT = (
    f"""
with torch.no_grad():
    out = await {LOOP}(pool, model.predict, row)
    best = out[0]
return best
""",
    f"""\
def run_inference():
    with torch.no_grad():
        out = model.predict(row)
        best = out[0]
    return best

best = await {LOOP}(pool, run_inference)
return best""",
)
LAMBDA_IN_CONTEXT = """\
def run_inference():
    with torch.no_grad():
        return (lambda: model.predict(row))()

return await asyncio.to_thread(run_inference)"""


def found(folder: Path, rule: str, body: str) -> list[Finding]:
    (folder / "pyproject.toml").write_text("[tool.ruff]\nline-length = 140\n")
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    (folder / "main.py").write_text(HEAD + START + lines)
    return list(check([], Config(root=folder, select=(rule,))).findings)


def fixed(folder: Path, rule: str, body: str) -> str:
    (finding,) = found(folder, rule, body)
    assert finding.fix is not None
    outcome = edits.apply(check([], Config(root=folder, select=(rule,))), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    lines = outcome.after[folder / "main.py"].decode().partition(START)[2].splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (
            "SRV103",
            f"return await {LOOP}(pool, model.predict(row))",
            f"return await {LOOP}(pool, model.predict, row)",
        ),
        (
            "SRV103",
            f"return await {LOOP}(pool, model.predict(row, y=1))",
            f"return await {LOOP}(pool, functools.partial(model.predict, row, y=1))",
        ),
        ("SRV106", "asyncio.to_thread(score, row)", "await asyncio.to_thread(score, row)"),
        ("SRV106", f"{LOOP}(pool, score, row)", f"await {LOOP}(pool, score, row)"),
        (
            "SRV109",
            f"return await {LOOP}(None, score, row)",
            f"return await {LOOP}(pool, score, row)",
        ),
        (
            "SRV109",
            "return (await asyncio.to_thread(model.predict, row, y=1))[0]",
            f"return (await {LOOP}(pool, functools.partial(model.predict, row, y=1)))[0]",
        ),
        ("SRV104", OWN_POOL, f"a = await {LOOP}(pool, score, row)\nreturn a, await {LOOP}(pool, score, row)"),
        (
            "SRV104",
            f"own = ThreadPoolExecutor(2)\nreturn await {LOOP}(own, score, row)",
            f"return await {LOOP}(pool, score, row)",
        ),
        (
            "SRV104",
            f"return await {LOOP}(ThreadPoolExecutor(2), score, row)",
            f"return await {LOOP}(pool, score, row)",
        ),
        ("SRV108", *CONTEXT),
        (
            "SRV108",
            "with torch.no_grad():\n    return await asyncio.to_thread(lambda: model.predict(row))",
            LAMBDA_IN_CONTEXT,
        ),
    ],
)
def test_the_fix(tmp_path: Path, rule: str, before: str, after: str) -> None:
    assert fixed(tmp_path, rule, before) == after


@pytest.mark.parametrize(
    ("rule", "body", "reason"),
    [
        ("SRV103", f"return await {LOOP}(pool, score(row), 1)", "other arguments follow it"),
        (
            "SRV104",
            f"own = ProcessPoolExecutor(2)\nreturn await {LOOP}(own, score, row)",
            "when the service starts",
        ),
        ("SRV104", "own = ThreadPoolExecutor(2)\nreturn list(own.map(score, row))", "not everything in it"),
        (
            "SRV104",
            f"own = ThreadPoolExecutor(2)\nreturn await {LOOP}(own, print, row)",
            "not everything in it",
        ),
        ("SRV106", "return await asyncio.to_thread(fetch, row)", "await `fetch` itself"),
        (
            "SRV108",
            f"with torch.no_grad():\n    f = {LOOP}(pool, score, row)\n    return await f",
            "in the function that",
        ),
        (
            "SRV109",
            "return await asyncio.gather(asyncio.to_thread(score, row))",
            "not awaited where it stands",
        ),
    ],
)
def test_left_to_a_person(tmp_path: Path, rule: str, body: str, reason: str) -> None:
    for finding in found(tmp_path, rule, body):
        assert finding.fix is None
        assert reason in finding.unfixable


@pytest.mark.parametrize(
    ("rule", "body", "reason"),
    [
        ("SRV103", f"return await {LOOP}(None, model.predict(row))", "nothing says that two threads"),
        ("SRV104", f"return await {LOOP}(ThreadPoolExecutor(2), score, row)", "wait for each other"),
        ("SRV106", "asyncio.to_thread(score, row)", "it has never run so far"),
        ("SRV106", f"{LOOP}(pool, score, row)", "the function then waits for it"),
        ("SRV109", f"return await {LOOP}(None, score, row)", "wait for each other"),
    ],
)
def test_unsafe_with_a_reason(tmp_path: Path, rule: str, body: str, reason: str) -> None:
    (finding,) = found(tmp_path, rule, body)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert reason in finding.fix.reason


def test_a_pool_of_one_thread_calls_nothing_twice_at_once(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "SRV103", f"return await {LOOP}(pool, model.predict(row))")
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE


def test_a_context_that_was_lost_is_entered_safely(tmp_path: Path) -> None:
    body = f"with torch.no_grad():\n    return await {LOOP}(pool, model.predict, row)"
    (finding,) = found(tmp_path, "SRV108", body)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE


def test_a_helper_gets_the_function_uncalled(tmp_path: Path) -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "code" / "dispatchers_with_context"
    shutil.copytree(fixture, tmp_path, dirs_exist_ok=True)
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV103",))), unsafe=True)
    after = outcome.after[tmp_path / "app.py"].decode()
    for helper in ("with_context", "with_context_and_names", "with_names"):
        assert f" = await {helper}(model.predict, [[x]])" in after
    assert not outcome.rejected
    assert not outcome.report.findings


EAGER = """\
async def run_elsewhere(function, *args):
    return await asyncio.to_thread(function, *args)


@app.post("/a")
async def a(row: list):
    return await asyncio.to_thread(model.predict(row))


@app.post("/b")
async def b(row: list):
    return await run_elsewhere(model.predict(row))
"""


def test_what_is_advertised_is_applied_although_less_is_found_then(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + EAGER)
    report = check([], Config(root=tmp_path))
    assert [(item.code, item.fix is not None) for item in report.findings] == [("SRV103", True)] * 2
    outcome = edits.apply(report, unsafe=True)
    assert not outcome.rejected
    assert not any(item.code == "SRV103" for item in outcome.report.findings)
    assert "run_elsewhere(model.predict, row)" in outcome.after[tmp_path / "main.py"].decode()


QUEUES = """\
import asyncio
import threading

import httpx
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer

app = FastAPI()
model = SentenceTransformer("small")
arrived = threading.Event()


def embed(texts):
    return model.encode(texts).tolist()


def embed_when_told(texts):
    arrived.wait()
    return embed(texts)


def embed_page(address):
    return embed(httpx.get(address).text)


def embed_from(queue):
    return embed(queue.get())


async def elsewhere(function, *args):
    return await asyncio.to_thread(function, *args)


def embed_known(known, key):
    return embed(known.get(key))


@app.post("/p")
async def predict(texts: list):
"""


@pytest.mark.parametrize(
    ("call", "applicability"),
    [
        ("await asyncio.to_thread(embed, texts)", Applicability.SAFE),
        ("await asyncio.to_thread(model.encode, texts)", Applicability.SAFE),
        ("await asyncio.to_thread(embed_known, {}, 1)", Applicability.SAFE),
        ("await asyncio.to_thread(embed_when_told, texts)", Applicability.UNSAFE),
        ("await asyncio.to_thread(embed_page, texts)", Applicability.UNSAFE),
        ("await asyncio.to_thread(embed_from, texts)", Applicability.UNSAFE),
        (
            "await asyncio.gather(asyncio.get_running_loop().run_in_executor(None, embed, texts))",
            Applicability.UNSAFE,
        ),
    ],
)
def test_what_must_not_run_twice_at_once_and_waits_for_nothing_may_queue(
    tmp_path: Path, call: str, applicability: Applicability
) -> None:
    (tmp_path / "main.py").write_text(f"{QUEUES}    return {call}\n")
    (finding,) = check([], Config(root=tmp_path, select=("SRV109",))).findings
    assert finding.fix is not None
    assert finding.fix.applicability is applicability


@pytest.mark.parametrize(
    "limit",
    ["asyncio.wait_for(predict([]), 3)", "asyncio.wait([], timeout=3)", "asyncio.timeout(3).reschedule(1)"],
)
def test_where_somebody_gives_up_after_a_time_nothing_may_queue(tmp_path: Path, limit: str) -> None:
    text = (
        f"{QUEUES}    return await asyncio.to_thread(embed, texts)\n\n\nasync def ask():\n    await {limit}\n"
    )
    (tmp_path / "main.py").write_text(text)
    (finding,) = check([], Config(root=tmp_path, select=("SRV109",))).findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE


def test_what_runs_whatever_it_is_given_may_not_make_it_queue(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(f"{QUEUES}    return await elsewhere(embed, texts)\n")
    for finding in check([], Config(root=tmp_path, select=("SRV109",))).findings:
        assert finding.fix is None or finding.fix.applicability is Applicability.UNSAFE


def test_a_name_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    taken = "_inference_executor = _inference_threads = 1\n"
    text = HEAD.replace("pool = ThreadPoolExecutor(max_workers=1)\n", taken)
    (tmp_path / "main.py").write_text(text + START + "    return await asyncio.to_thread(score, row)\n")
    (finding,) = check([], Config(root=tmp_path, select=("SRV109",))).findings
    assert finding.fix is None
    assert "for something else" in finding.unfixable


def test_the_files_of_a_service_share_one_pool(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(QUEUES.partition("@app.post")[0])
    router = (
        "import asyncio\n\nfrom fastapi import APIRouter\n\nfrom models import embed\n\nrouter = APIRouter()\n\n\n"
        "@router.post('/{}')\nasync def {}(texts: list):\n    return await asyncio.to_thread(embed, texts)\n"
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(router.format(name, name))
    (tmp_path / "main.py").write_text(
        "from fastapi import FastAPI\n\nimport a\nimport b\n\napp = FastAPI()\n"
        "app.include_router(a.router)\napp.include_router(b.router)\n"
    )
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV109",))), unsafe=True)
    assert not outcome.report.findings
    assert b"ThreadPoolExecutor(" in outcome.after[tmp_path / "inference_executor.py"]
    for name in ("a", "b"):
        text = outcome.after[tmp_path / f"{name}.py"].decode()
        assert "from inference_executor import inference_executor\n" in text
        assert "ThreadPoolExecutor" not in text


BROKEN = """\
@asynccontextmanager
async def lifespan(app):
    yield


app = FastAPI(lifespan=lifespan)
model = SentenceTransformer("small")


@app.post("/p")
async def predict(texts: list):
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(
        None, partial(model.encode, [texts[0], texts[1]], show_progress_bar=False)
    )
"""


def test_a_line_that_gets_too_long_is_broken(tmp_path: Path) -> None:
    head = (
        "import asyncio\nfrom contextlib import asynccontextmanager\nfrom functools import partial\n\n"
        "from fastapi import FastAPI\nfrom sentence_transformers import SentenceTransformer\n\n\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 88\n")
    (tmp_path / "main.py").write_text(head + BROKEN)
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV109",))), unsafe=True)
    text = outcome.after[tmp_path / "main.py"].decode()
    assert text.endswith(
        "run_in_executor(\n        app.state.inference_executor,\n"
        "        partial(model.encode, [texts[0], texts[1]], show_progress_bar=False),\n    )\n"
    )


def test_what_blocks_and_what_is_offloaded_already_get_one_pool(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").touch()
    head = "import asyncio\n\nimport joblib\nfrom fastapi import {0}\n\n{1}model = joblib.load('m')\n\n\n"
    routes = head.format("APIRouter", "router = APIRouter()\n") + (
        "@router.post('/q')\nasync def other(row: list):\n    return await asyncio.to_thread(model.predict, row)\n"
    )
    app = head.format(
        "FastAPI", "from .routes import router\n\napp = FastAPI()\napp.include_router(router)\n"
    ) + ("@app.post('/p')\nasync def predict(row: list):\n    return model.predict(row)\n")
    (tmp_path / "service" / "routes.py").write_text(routes)
    (tmp_path / "service" / "app.py").write_text(app)
    outcome = edits.apply(check([], Config(root=tmp_path, select=("SRV101", "SRV109"))), unsafe=True)
    texts = [content.decode() for content in outcome.after.values()]
    assert sum(text.count("= ThreadPoolExecutor(") for text in texts) == 1
    assert sum(text.count("from .inference_executor import inference_executor\n") for text in texts) == 2


PLACES = """\
import asyncio

import joblib
import torch
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer

app = FastAPI()
encoder = SentenceTransformer("small")
model = joblib.load("model.joblib")
lock = asyncio.Lock()
slots = asyncio.Semaphore(2)
session = open("session")


def build_item_index(rows):
    return encoder.encode(rows)


def ingest_file(rows):
    return encoder.encode(rows)


def create_embeddings(rows):
    return encoder.encode(rows)


def build_answer(rows):
    return encoder.encode(rows)


def prepare(rows):
    return ingest_file(rows)


def learn(rows):
    return model.fit(rows)


@app.post("/p")
async def run(rows: list, gate_lock):
"""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("await asyncio.to_thread(build_item_index, rows)", "would wait for `build_item_index`"),
        ("await asyncio.to_thread(ingest_file, rows)", "would wait for `ingest_file`"),
        ("await asyncio.to_thread(prepare, rows)", "would wait for `ingest_file`"),
        (
            "async with lock:\n        await asyncio.to_thread(encoder.encode, rows)",
            "`async with lock` bounds already how many run at once",
        ),
        (
            "async with slots:\n        await asyncio.to_thread(encoder.encode, rows)",
            "`async with slots` bounds already how many run at once",
        ),
        (
            "async with gate_lock:\n        await asyncio.to_thread(encoder.encode, rows)",
            "`async with gate_lock` bounds already how many run at once",
        ),
        # decoys: it is built in a moment, or is the prediction, and what is entered bounds nothing
        ("await asyncio.to_thread(create_embeddings, rows)", ""),
        ("await asyncio.to_thread(build_answer, rows)", ""),
        ("async with session:\n        await asyncio.to_thread(encoder.encode, rows)", ""),
        ("async with lock:\n        pass\n    await asyncio.to_thread(encoder.encode, rows)", ""),
    ],
)
def test_what_the_default_executor_is_the_place_for(tmp_path: Path, lines: str, why: str) -> None:
    (tmp_path / "main.py").write_text(f"{PLACES}    {lines}\n")
    (finding,) = check([], Config(root=tmp_path, select=("SRV109",))).findings
    assert (finding.fix is None) is bool(why)
    assert why in finding.unfixable


def test_training_is_no_inference(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(f"{PLACES}    await asyncio.to_thread(learn, rows)\n")
    assert not check([], Config(root=tmp_path, select=("SRV109",))).findings


def test_what_is_awaited_as_it_is_may_be_timed(tmp_path: Path) -> None:
    body = (
        "start = time.time()\n    with torch.no_grad():\n        out = await asyncio.to_thread(model.predict, row)\n"
        "    return out, time.time() - start\n"
    )
    (tmp_path / "main.py").write_text(f"import time\n{HEAD}{START}    {body}")
    (finding,) = check([], Config(root=tmp_path, select=("SRV108",))).findings
    assert finding.fix is not None
    assert "the time since" not in finding.fix.reason
