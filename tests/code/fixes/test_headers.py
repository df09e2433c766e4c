"""However a file begins: a fix puts its imports and its pool where they are bound before they are used."""

from __future__ import annotations

import asyncio
import builtins
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config
from servelint.project.text.source import decode
from servelint.project.text.splice import splice

# What may stand above the service; each may come by itself.
ABOVE = (
    "#!/usr/bin/env python\n",
    "# -*- coding: utf-8 -*-\n",
    "\n\n",
    "# Licensed to whom it may concern.\n",
)
DOCSTRING = (
    '"""Serves."""\n',
    "'''Serves.\n\nimport this\n'''\n",
    'r"""S"""; version = 2\n',
    '"""S"""; import re\n',
)
FUTURE = ("from __future__ import annotations\n", "from __future__ import (\n    annotations,\n)\n")
HEAD = (
    '__author__ = "somebody"\n',
    '__version__: str = "1"\n__all__ = ["app"]\n',
    "import os\n",
    "import os; import re\n",
    "import asyncio as aio\n",
    "import concurrent.futures\n",
    "from concurrent.futures import Future, ThreadPoolExecutor as Threads\n",
    "from functools import (\n    partial,\n    reduce,\n)\n",
    "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import asyncio\n    from x import y\n",
    "import typing\nif typing.TYPE_CHECKING: import contextvars\n",
    "try:\n    import ujson as json\nexcept ImportError:\n    import json\n",
    "try:\n    import fast\nexcept ImportError:\n    fast = None\n",
    "try:\n    import asyncio\nexcept ImportError:\n    asyncio = None\n",
    "from helpers import *\n",
    "import sys\nsys.path.insert(0, '.')\n",
    "if True:\n    import os\n",
    "import os as path; path.environ['A'] = '1'\n",
    "import logging\nlog = logging.getLogger(__name__)\n",
    "WORKERS = 2\n",
    "import asyncio\nasyncio = asyncio\n",
    "def early(value):\n    return value\n",
    "@staticmethod\ndef decorated(value):\n    return value\n",
    "class ThreadPoolExecutor:\n    pass\n",
    "from mine import ThreadPoolExecutor\n",
    "from mine import run_in_executor, get_running_loop\n",
)
SERVICE = (
    "import joblib\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = joblib.load('m.joblib')\n",
    "from fastapi import FastAPI\nimport joblib\napp = FastAPI(); model = joblib.load('m.joblib')\n",
    "import joblib, fastapi\napp = fastapi.FastAPI()\nmodel = joblib.load('m.joblib')\nimport os.path\n",
)
ENDPOINT = (
    '@app.post("/p")\nasync def predict(row):\n    return model.predict(row)\n',
    '@app.post("/p")\nasync def predict(row): return model.predict(row, check=True)\n',
    '@app.post("/p")\nasync def predict(row):\n    import asyncio\n    return [model.predict(row)]\n',
    "async def predict(row):\n    found = model.predict(row)\n    return found\n\n\napp.post('/p')(predict)",
)


def module(name: str, **members: object) -> types.ModuleType:
    made = types.ModuleType(name)
    for key, value in members.items():
        setattr(made, key, value)
    return made


class Application:
    def post(self, _: str) -> Any:
        return lambda function: function


class Model:
    def predict(self, row: object, **_: object) -> object:
        return ("seen", row)


STANDINS = {
    "fastapi": module("fastapi", FastAPI=Application),
    "joblib": module("joblib", load=lambda _: Model()),
    "helpers": module("helpers", help_with=print),
    "mine": module("mine", ThreadPoolExecutor=None, run_in_executor=None, get_running_loop=None),
    "ujson": module("ujson"),
}


def importing(name: str, *rest: Any) -> Any:
    """What the generated files import: stand-ins, and modules of the standard library."""
    if name in STANDINS:
        return STANDINS[name]
    if name.partition(".")[0] not in sys.stdlib_module_names:
        raise ImportError(name)
    return builtins.__import__(name, *rest)


def run(text: bytes) -> dict[str, Any]:
    """The globals of a file once it has been imported."""
    path = list(sys.path)
    scope: dict[str, Any] = {
        "__name__": "service",
        "__builtins__": {**vars(builtins), "__import__": importing},
    }
    try:
        exec(compile(text, "service.py", "exec", dont_inherit=True), scope)
    finally:
        sys.path[:] = path
    return scope


def answer(scope: dict[str, Any]) -> object:
    return asyncio.run(scope["predict"]([1]))


@st.composite
def files(draw: st.DrawFn) -> str:
    above = draw(st.lists(st.sampled_from(ABOVE), unique=True, max_size=3))
    above.sort(key=lambda text: (not text.startswith("#!"), "coding" not in text))
    docstring = draw(st.sampled_from(["", *DOCSTRING]))
    future = "" if ";" in docstring else draw(st.sampled_from(["", "", *FUTURE]))
    head = draw(st.lists(st.sampled_from(HEAD), unique=True, max_size=4))
    gap = draw(st.sampled_from(["", "\n", "\n\n"]))
    service, endpoint = draw(st.sampled_from(SERVICE)), draw(st.sampled_from(ENDPOINT))
    text = "".join((*above, docstring, future, *(part + gap for part in head), service, "\n\n", endpoint))
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=files())
def test_the_file_still_loads_and_answers(tmp_path: Path, text: str) -> None:
    path, before = tmp_path / "service.py", text.encode()
    path.write_bytes(before)
    assert answer(run(before)) in (("seen", [1]), [("seen", [1])]), "the example is right"
    report = check([path], Config(root=tmp_path, select=("SRV101",)))
    (finding,) = report.findings
    outcome = edits.apply(report, unsafe=True)
    if finding.fix is None:
        assert finding.unfixable
        assert not outcome.after
        return
    assert not outcome.rejected, "what is advertised is what is applied"
    after = outcome.after[path]
    assert after == splice(decode(path, before), finding.fix.edits)
    scope = run(after)
    assert answer(scope) == answer(run(before))
    assert scope.get("__doc__") == run(before).get("__doc__")
    for pool in (value for name, value in scope.items() if name == "_inference_executor"):
        pool.shutdown()
    for line in before.splitlines():
        if b"predict" not in line:
            assert line in after
    path.write_bytes(after)
    assert not edits.apply(check([path], Config(root=tmp_path, select=("SRV101",))), unsafe=True).after


def fixed(folder: Path, head: str, endpoint: str = ENDPOINT[0], service: str = SERVICE[0]) -> str:
    path = folder / "service.py"
    path.write_text(f"{head}{service}\n\n{endpoint}")
    outcome = edits.apply(check([path], Config(root=folder, select=("SRV101",))), unsafe=True)
    return outcome.after[path].decode()


@pytest.mark.parametrize("head", [part for part in HEAD if "asyncio = " not in part])
def test_these_are_all_repaired(tmp_path: Path, head: str) -> None:
    assert "_inference_executor = " in fixed(tmp_path, head)


def test_what_the_file_says_of_itself_stays_above(tmp_path: Path) -> None:
    after = fixed(tmp_path, '\n# Ours.\n__author__ = "us"\n__version__ = "1"\n\n')
    assert after.startswith(
        '\n# Ours.\n__author__ = "us"\n__version__ = "1"\n\nimport asyncio\n'
        "from concurrent.futures import ThreadPoolExecutor\n\nimport joblib\n"
    )
    assert after.index("import FastAPI") < after.index("_inference_executor = ") < after.index("app = ")


def test_what_is_imported_already_is_not_imported_again(tmp_path: Path) -> None:
    after = fixed(tmp_path, "import logging\nlogging.info('starts')\nimport asyncio\n")
    assert after.count("import asyncio") == 1


def test_another_class_of_the_name_is_left_alone(tmp_path: Path) -> None:
    after = fixed(tmp_path, "from mine import ThreadPoolExecutor\n")
    assert "_inference_executor = concurrent.futures.ThreadPoolExecutor(" in after
    assert after.count("import ThreadPoolExecutor") == 1


TRIES = """\
import os
from pathlib import Path

try:
    import numpy as np
except ImportError:
    np = None

try:
    import cupy as cp
except ImportError:
    cp = np
    print("no cupy")
"""


def test_the_pool_stands_below_imports_that_may_fail(tmp_path: Path) -> None:
    after = fixed(tmp_path, TRIES)
    assert 'print("no cupy")\n' in after
    assert after.startswith(
        "import asyncio\nimport os\nfrom concurrent.futures import ThreadPoolExecutor\nfrom pathlib import Path\n"
    )
    assert after.index("import FastAPI") < after.index("_inference_executor = ") < after.index("app = ")


def test_what_uses_the_import_above_it_stays_below_it(tmp_path: Path) -> None:
    head = "import os\nimport logging\nimport warnings\nwarnings.filterwarnings('ignore')\n\n"
    after = fixed(tmp_path, head)
    assert after.startswith(
        "import os\nimport logging\nimport asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "import warnings\nwarnings.filterwarnings('ignore')\n"
    )


def test_a_setting_below_the_last_import_stays_there(tmp_path: Path) -> None:
    service = SERVICE[0].replace("\n\n", "\nimport time\nstarted = time.perf_counter()\n\n", 1)
    after = fixed(tmp_path, "import os\n", service=service)
    assert "\nimport time\nstarted = time.perf_counter()\n\n_inference_executor = " in after


def test_imports_go_where_most_of_their_kind_are(tmp_path: Path) -> None:
    head = "import os\n\nos.environ['A'] = '1'\n\nimport json\nimport re\n\n"
    after = fixed(tmp_path, head)
    assert after.startswith("import os\n\nos.environ['A'] = '1'\n\nimport asyncio\nimport json\n")
    assert after.index("import FastAPI") < after.index("_inference_executor = ") < after.index("app = ")


THREADPOOL = """\
from fastapi import FastAPI
{imported}
from sentence_transformers import SentenceTransformer
import requests_html
import openai

app = FastAPI()
encoder = SentenceTransformer("mini")


@app.post("/a")
async def a(text: str):
    return await {spelled}(encoder.encode, text)


@app.post("/b")
async def b(text: str):
    return encoder.encode(text)
"""


@pytest.mark.parametrize(
    ("imported", "spelled"),
    [
        ("from fastapi.concurrency import run_in_threadpool", "run_in_threadpool"),
        ("from starlette.concurrency import run_in_threadpool", "run_in_threadpool"),
        ("import fastapi.concurrency", "fastapi.concurrency.run_in_threadpool"),
    ],
)
def test_the_name_that_the_file_has_is_used(tmp_path: Path, imported: str, spelled: str) -> None:
    text = THREADPOOL.format(imported=imported, spelled=spelled)
    path = tmp_path / "service.py"
    path.write_text(text)
    after = edits.apply(check([path], Config(root=tmp_path)), unsafe=True).after[path].decode()
    assert after == text.replace(
        "return encoder.encode(text)", f"return await {spelled}(encoder.encode, text)"
    )


def test_a_stub_is_no_service(tmp_path: Path) -> None:
    (tmp_path / "service.pyi").write_text(f"{SERVICE[0]}\n\n{ENDPOINT[0]}")
    assert not check([], Config(root=tmp_path)).findings
