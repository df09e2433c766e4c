"""`servelint fix` on blocking calls: what is written, what is unsafe, and what is left to a person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config, FixConfig
from servelint.project.text.source import decode
from servelint.project.text.splice import splice

HEAD = """\
import joblib
import torch
from fastapi import FastAPI, Request
from sqlalchemy.orm import Session

app = FastAPI()
model = joblib.load("model.joblib")
seen = {}


"""


def found(folder: Path, body: str, head: str = HEAD, config: FixConfig | None = None) -> list[Finding]:
    """The blocking calls of a service whose file ends in `body`."""
    (folder / "main.py").write_text(head + body)
    report = check([], Config(root=folder, select=("SRV101", "SRV102"), fix=config or FixConfig()))
    return list(report.findings)


def fixed(folder: Path, body: str, head: str = HEAD, config: FixConfig | None = None) -> str:
    """The text after all fixes, which leave nothing fixable and change nothing when run again."""
    (folder / "main.py").write_text(head + body)
    settings = Config(root=folder, select=("SRV101", "SRV102"), fix=config or FixConfig())
    outcome = edits.apply(check([], settings), unsafe=True)
    assert not outcome.rejected
    list(edits.write(outcome))
    assert not edits.apply(check([], settings), unsafe=True).after
    return (folder / "main.py").read_text()


def handler(*lines: str, parameters: str = "row: list") -> str:
    return "\n".join(
        ('@app.post("/p")', f"async def predict({parameters}):", *(f"    {n}" for n in lines), "")
    )


LOOP = "await asyncio.get_running_loop().run_in_executor("


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = model.predict(row)", f"x = {LOOP}_inference_executor, model.predict, row)"),
        ("x = model.predict()", f"x = {LOOP}_inference_executor, model.predict)"),
        ("x = model.predict(*row)", f"x = {LOOP}_inference_executor, model.predict, *row)"),
        (
            "x = model.predict(row, y=1)",
            f"x = {LOOP}_inference_executor, functools.partial(model.predict, row, y=1))",
        ),
        ("x = model.predict(row)[0]", f"x = ({LOOP}_inference_executor, model.predict, row))[0]"),
        ("x = model.predict(row).tolist()", f"x = ({LOOP}_inference_executor, model.predict, row)).tolist()"),
        ("x = -model.predict(row) ** 2", f"x = -{LOOP}_inference_executor, model.predict, row) ** 2"),
        (
            "x = [model.predict(r) for r in row]",
            f"x = [{LOOP}_inference_executor, model.predict, r) for r in row]",
        ),
    ],
)
def test_the_call_is_awaited(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 140\n")
    text = fixed(tmp_path, handler(before))
    assert f"    {after}\n" in text
    assert "import asyncio\n" in text
    assert text.count("from concurrent.futures import ThreadPoolExecutor\n") == 1
    assert ("import functools\n" in text) == ("functools" in after)


def test_a_long_call_gets_several_lines(tmp_path: Path) -> None:
    text = fixed(tmp_path, handler("the_probabilities = model.predict(row, first=1111111, second=2222222)"))
    assert (
        "    the_probabilities = await asyncio.get_running_loop().run_in_executor(\n"
        "        _inference_executor,\n"
        "        functools.partial(model.predict, row, first=1111111, second=2222222),\n"
        "    )\n"
    ) in text


def test_comments_inside_a_call_stay(tmp_path: Path) -> None:
    body = handler("x = model.predict(", "    row,  # one row", ")")
    assert "        row,  # one row\n" in fixed(tmp_path, body)


def test_what_belongs_to_the_loop_is_not_made_in_a_thread(tmp_path: Path) -> None:
    head = "from vllm import AsyncLLMEngine\n" + HEAD
    (finding,) = found(tmp_path, handler("return AsyncLLMEngine.from_engine_args(row).generate(row)"), head)
    assert finding.fix is None
    assert "works on the event loop" in finding.unfixable


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            handler("return model.predict(row, session)", parameters="row: list, session: Session"),
            "`session`",
        ),
        (handler("global seen", "seen = seen or model.predict(row)"), "`seen` is used before and after"),
        (
            "def score(row):\n    seen[row] = model.predict(row)\n\n\n" + handler("return score(row)"),
            "writes `seen`",
        ),
        (handler("with undo():", "    return model.predict(row)"), "may belong to the thread"),
    ],
)
def test_unsafe_with_a_reason(tmp_path: Path, body: str, reason: str) -> None:
    (finding,) = found(tmp_path, body)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert reason in finding.fix.reason


def test_what_needs_the_loop_is_unsafe(tmp_path: Path) -> None:
    helper = (
        "import asyncio\n\n\n"
        "def score(row):\n    asyncio.get_running_loop()\n    return model.predict(row)\n\n\n"
    )
    (finding,) = found(tmp_path, helper + handler("return score(row)"))
    assert finding.fix is not None
    assert "needs the event loop" in finding.fix.reason


def test_the_pool_is_made_in_the_lifespan(tmp_path: Path) -> None:
    head = (
        "from contextlib import asynccontextmanager\n\nimport joblib\nfrom fastapi import FastAPI\n\n\n"
        "@asynccontextmanager\nasync def lifespan(app):\n"
        "    try:\n        yield\n    finally:\n        print()\n\n\n"
        'app = FastAPI(lifespan=lifespan)\nmodel = joblib.load("m")\n\n\n'
    )
    text = fixed(tmp_path, handler("return model.predict(row)"), head)
    assert (
        "    app.state.inference_executor = ThreadPoolExecutor(\n"
        '        max_workers=1, thread_name_prefix="inference"\n'
        "    )\n"
        "    try:\n        yield\n    finally:\n"
        "        app.state.inference_executor.shutdown(wait=False, cancel_futures=True)\n        print()\n"
    ) in text
    assert "app.state.inference_executor, model.predict, row" in text


def test_a_pool_of_the_project_is_used(tmp_path: Path) -> None:
    pool = "from concurrent.futures import ThreadPoolExecutor\n\npool = ThreadPoolExecutor(1)\n\n\n"
    text = fixed(tmp_path, pool + handler("return model.predict(row)"))
    assert "run_in_executor(pool, model.predict, row)" in text
    assert text.count("ThreadPoolExecutor(") == 1


def test_context_variables_are_kept(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 170\n")
    text = fixed(tmp_path, handler("return model.predict(row)"), "import structlog\n" + HEAD)
    run = "contextvars.copy_context().run"
    assert f"{LOOP}_inference_executor, {run}, functools.partial(model.predict, row))" in text


@pytest.mark.parametrize(
    "imported",
    [
        "import dspy",
        "import mlflow",
        "from langfuse import observe",
        "from langgraph.graph import StateGraph",
        "from langchain_core.runnables import RunnableLambda",
        "from llama_index.core import Settings",
        "from loguru import logger",
    ],
)
def test_libraries_that_read_context_variables_find_them(tmp_path: Path, imported: str) -> None:
    """Tracing, callbacks and configuration are kept there: a safe fix must not cut them off."""
    text = fixed(tmp_path, handler("return model.predict(row)"), f"{imported}\n{HEAD}")
    assert "contextvars.copy_context().run" in text


def test_a_result_that_is_iterated_is_awaited_first(tmp_path: Path) -> None:
    text = fixed(tmp_path, handler("for label in model.predict(row):", "    print(label)"))
    assert "    for label in await asyncio.get_running_loop().run_in_executor(\n" in text


@pytest.mark.parametrize(
    "helper",
    [
        "return next(n for n in model.predict(row) if n)",
        "try:\n        return next(iter(model.predict(row)))\n    except ValueError:\n        return 0",
    ],
)
def test_what_may_raise_stop_iteration_stays(tmp_path: Path, helper: str) -> None:
    body = f"def first(row):\n    {helper}\n\n\n" + handler("return first(row)")
    (finding,) = found(tmp_path, body)
    assert finding.fix is None
    assert "in `first` may raise StopIteration" in finding.unfixable


@pytest.mark.parametrize(
    "helper",
    [
        "return next((n for n in model.predict(row) if n), None)",
        "try:\n        return next(iter(model.predict(row)))\n    except StopIteration:\n        return 0",
        "return model.predict(row).to(next(model.parameters()).device)",
    ],
)
def test_what_raises_no_stop_iteration_moves(tmp_path: Path, helper: str) -> None:
    body = f"def first(row):\n    {helper}\n\n\n" + handler("return first(row)")
    (finding,) = found(tmp_path, body)
    assert finding.fix is not None


OTHER_SERVICE = """\
import joblib
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/p")
async def predict(row: list):
    return await run_in_threadpool(model.predict, row)
"""


def test_the_form_of_the_service_is_followed(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(OTHER_SERVICE)
    text = fixed(tmp_path, handler("return model.predict(row)"), "import other\n" + HEAD)
    assert "return await run_in_threadpool(model.predict, row)\n" in text


def test_the_form_of_another_service_is_not(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(OTHER_SERVICE)
    assert "run_in_executor(" in fixed(tmp_path, handler("return model.predict(row)"))


@pytest.mark.parametrize(
    ("form", "after"),
    [
        ("to-thread", "await asyncio.to_thread(model.predict, row, y=1)"),
        ("run-in-threadpool", "await run_in_threadpool(model.predict, row, y=1)"),
        ("anyio", "await anyio.to_thread.run_sync(functools.partial(model.predict, row, y=1))"),
        ("project:jobs.offload", "await offload(model.predict, row, y=1)"),
    ],
)
def test_the_configured_form(tmp_path: Path, form: str, after: str) -> None:
    (finding,) = found(tmp_path, handler("return model.predict(row, y=1)"), config=FixConfig(offload=form))
    assert finding.fix is not None
    source = (tmp_path / "main.py").read_text()
    text = splice(decode(tmp_path / "main.py", source.encode()), finding.fix.edits).decode()
    assert after in text


def test_a_global_pool_where_code_is_copied_is_unsafe(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, handler("return model.predict(row)"), "from ray import serve\n" + HEAD)
    assert finding.fix is not None
    assert "copies the code" in finding.fix.reason


@pytest.mark.parametrize(
    "line",
    [
        "return Answer(the_most_probable_class=model.predict(row, batch_size=1))",
        "return Answer(the_most_probable_class=model.predict(row, batch_size=1), model_version=1)",
        'return Answer({"class": model.predict(row, batch_size=1), "version": "2026-11", "model": 1})',
        "return float(the_most_probable_of_all(model.predict(row, batch_size=1, threshold=0.5)))",
        "return float(model.predict(row, batch_size=1, threshold=0.5, and_another=True)[0])",
        "return [1, model.predict(row, batch_size=1, threshold=0.5, and_another=True)]",
        "return Answer(row, model.predict(row)).body",
        "answer = model.predict(the_first_argument, the_second_argument, batch_size=32, threshold=0.5)",
    ],
)
def test_long_lines_are_laid_out_as_ruff_does(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 88\n")
    fixed(tmp_path, handler(line))
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--diff", "main.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == ""


def test_imports_are_sorted_as_ruff_does(tmp_path: Path) -> None:
    """The standard library's, a library's and another of the same module."""
    head = HEAD.replace("import joblib\n", "from concurrent.futures import Future\n\nimport joblib\n")
    for offload in ("anyio", "run-in-threadpool", "run-in-executor"):
        fixed(tmp_path, handler("return model.predict(row, y=1)"), head, FixConfig(offload=offload))
        command = [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--select",
            "I",
            "main.py",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout


def test_an_import_in_the_function_is_used(tmp_path: Path) -> None:
    lines = ('"""Scores."""', "print(row)", "import asyncio as aio", "return model.predict(row)")
    text = fixed(tmp_path, handler(*lines))
    assert "    return await aio.get_running_loop().run_in_executor(\n" in text
    assert "\nimport asyncio" not in text


def test_a_module_whose_name_is_taken_gets_another(tmp_path: Path) -> None:
    text = fixed(tmp_path, handler("x = model.predict(row)", "import asyncio", "return x"))
    assert text.startswith("import asyncio as _asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n")
    assert "    x = await _asyncio.get_running_loop().run_in_executor(" in text


def test_a_pool_whose_name_is_taken_gets_another(tmp_path: Path) -> None:
    head = HEAD + "ThreadPoolExecutor = _inference_executor = concurrent = 1\n"
    text = fixed(tmp_path, handler("return model.predict(row)"), head)
    assert "import concurrent.futures as _futures\n" in text
    assert "_inference_threads = _futures.ThreadPoolExecutor(" in text
    assert "        _inference_threads, model.predict, row\n" in text


def test_where_all_names_are_taken_there_is_no_fix(tmp_path: Path) -> None:
    lines = ("asyncio = _asyncio = 1", "return model.predict(row, asyncio)")
    (finding,) = found(tmp_path, handler(*lines))
    assert finding.fix is None
    assert "uses the name `_asyncio` for something else" in finding.unfixable
