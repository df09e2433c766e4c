"""`offload = "def"`: an endpoint that awaits nothing loses its `async`, where that puts it into a thread."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config, FixConfig
from servelint.project.text.source import decode
from servelint.project.text.splice import splice

HEAD = """\
import asyncio

import onnxruntime
from fastapi import FastAPI

app = FastAPI()
session = onnxruntime.InferenceSession("model.onnx")
count = 0


"""
ENDPOINT = '@app.post("/p")\nasync def predict(row: list):\n    return session.run(None, row)\n'


def found(folder: Path, text: str, **others: str) -> list[Finding]:
    (folder / "main.py").write_text(text)
    for name, content in others.items():
        (folder / f"{name}.py").write_text(content)
    return list(
        check([], Config(root=folder, select=("SRV101", "SRV102"), fix=FixConfig(offload="def"))).findings
    )


def fixed(folder: Path, text: str, **others: str) -> str:
    (finding,) = found(folder, text, **others)
    assert finding.fix is not None
    path = folder / "main.py"
    mine = [edit for edit in finding.fix.edits if edit.span.path == path]
    return splice(decode(path, text.encode()), mine).decode()


def test_async_is_dropped(tmp_path: Path) -> None:
    assert fixed(tmp_path, HEAD + ENDPOINT) == HEAD + ENDPOINT.replace("async def", "def")


def test_it_is_safe_where_the_library_is_thread_safe(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, HEAD + ENDPOINT)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert finding.fix.title == "Make `predict` a plain `def`, which FastAPI runs in a thread"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("onnxruntime.InferenceSession(", "llama_cpp.Llama(", "two threads"),
        ("    return", "    global count\n    count += 1\n    return", "writes `count`"),
        ("    return", "    asyncio.create_task(log())\n    return", "needs the event loop"),
    ],
)
def test_it_is_unsafe_where_many_threads_may_disturb(
    tmp_path: Path, before: str, after: str, reason: str
) -> None:
    text = (HEAD + ENDPOINT).replace(before, after)
    if "llama" in after:
        text = text.replace("import onnxruntime", "import llama_cpp").replace("session.run(", "session(")
    (finding,) = found(tmp_path, text)
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.UNSAFE
    assert reason in finding.fix.reason


def test_thread_local_contexts_move_along(tmp_path: Path) -> None:
    body = "    with torch.no_grad():\n        return list(session.run(None, row))\n"
    text = (HEAD + ENDPOINT).replace("    return session.run(None, row)\n", body)
    assert "\ndef predict(" in fixed(tmp_path, "import torch\n" + text)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ENDPOINT.replace("    return", "    await asyncio.sleep(0)\n    return"),
        HEAD + ENDPOINT.replace("    return", "    async with lock:\n        pass\n    return"),
        HEAD + ENDPOINT + "\n\nasync def again(row):\n    return await predict(row)\n",
        HEAD + ENDPOINT.replace("@app", "@traced\n@app"),
        HEAD + ENDPOINT.replace("@app.post", "@app.websocket"),
        HEAD + ENDPOINT.replace('@app.post("/p")', '@app.middleware("http")'),
        HEAD + ENDPOINT.replace('@app.post("/p")\n', ""),
        HEAD.replace("from fastapi import FastAPI", "from sanic import Sanic").replace(
            "FastAPI()", 'Sanic("x")'
        )
        + ENDPOINT,
        HEAD + ENDPOINT.replace("return session", "yield session"),
    ],
    ids=[
        "await",
        "async with",
        "awaited",
        "decorator",
        "websocket",
        "middleware",
        "helper",
        "sanic",
        "yield",
    ],
)
def test_async_stays(tmp_path: Path, text: str) -> None:
    for finding in found(tmp_path, text):
        assert finding.fix is None or "plain `def`" not in finding.fix.title


@pytest.mark.parametrize(
    "other",
    [
        "from main import predict\n",
        "import main\n\n\nasync def test_it():\n    assert await main.predict([])\n",
        "from main import *\n",
    ],
)
def test_async_stays_where_another_file_uses_the_function(tmp_path: Path, other: str) -> None:
    (finding,) = found(tmp_path, HEAD + ENDPOINT, test_main=other)
    assert finding.fix is not None
    assert "Await" in finding.fix.title


def test_another_function_of_that_name_does_not_matter(tmp_path: Path) -> None:
    other = "import main\n\n\ndef test_it(model):\n    assert model.predict(main.app)\n"
    assert "\ndef predict(" in fixed(tmp_path, HEAD + ENDPOINT, test_main=other)
