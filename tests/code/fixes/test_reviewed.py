"""What a maintainer asked to change in fixes: where the lines stand, and which form they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.code.judge.applications import CodeApplication
from servelint.finding import Applicability
from servelint.lint import check
from servelint.project.config import Config

ENDPOINT = """\
app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/p")
async def predict(rows: list):
    return model.predict(rows)
"""


def fixed(folder: Path, text: str, *codes: str, unsafe: bool = True) -> str:
    (folder / "main.py").write_text(text)
    outcome = edits.apply(check([], Config(root=folder, select=codes or ("SRV101",))), unsafe=unsafe)
    assert not outcome.rejected
    list(edits.write(outcome))
    return (folder / "main.py").read_text()


def test_comments_at_the_end_of_a_function_stay_with_it(tmp_path: Path) -> None:
    text = """\
from contextlib import asynccontextmanager

import joblib
from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI):
    yield
    print("bye")

    # Give the memory of the card back as well?

# What follows is about the routes.
app = FastAPI(lifespan=lifespan)
model = joblib.load("model.joblib")


@app.post("/a")
async def a(rows: list):
    return model.predict(rows, check=True)


@app.post("/b")
async def b(rows: list):
    return model.predict(rows, check=False)


@app.post("/c")
async def c(rows: list):
    return model.predict(rows, check=None)
"""
    lines = fixed(tmp_path, text).splitlines()
    comment = lines.index("    # Give the memory of the card back as well?")
    assert comment < next(n for n, line in enumerate(lines) if "def in_inference_pool" in line)
    assert lines[comment - 2] == '    print("bye")'
    assert lines[lines.index("# What follows is about the routes.") + 1] == "app = FastAPI(lifespan=lifespan)"


def test_a_statement_above_the_imports_stays_above_them(tmp_path: Path) -> None:
    lines = fixed(
        tmp_path, f'print("starts")\nstep = 0\nimport joblib\nfrom fastapi import FastAPI\n\n{ENDPOINT}'
    ).splitlines()
    assert lines[:4] == ['print("starts")', "step = 0", "", "import asyncio"]
    pool = next(n for n, line in enumerate(lines) if line.startswith("_inference_executor ="))
    assert pool > lines.index("from fastapi import FastAPI")


def test_the_pool_stands_below_imports_that_something_is_prepared_for(tmp_path: Path) -> None:
    text = (
        'import os\n\nos.environ["A"] = "1"\n\nimport joblib\nfrom fastapi import FastAPI\n\n'
        f"{ENDPOINT}\n\nimport late\n"
    )
    lines = fixed(tmp_path, text).splitlines()
    pool = next(n for n, line in enumerate(lines) if line.startswith("_inference_executor ="))
    assert lines.index("from fastapi import FastAPI") < pool < lines.index("app = FastAPI()")


def test_a_comment_above_imports_stays_with_them(tmp_path: Path) -> None:
    lines = fixed(
        tmp_path, f'"""Serves."""\n\n# Libraries\nimport joblib\nfrom fastapi import FastAPI\n\n{ENDPOINT}'
    ).splitlines()
    assert lines[lines.index("# Libraries") + 1] == "import joblib"
    assert lines.index("import asyncio") < lines.index("# Libraries")


SERVED = 'FROM python:3.12\nCOPY . .\nCMD ["uvicorn", "main:app", "--workers", "4", "--host", "0.0.0.0"]\n'
PROXY = """\
import httpx
import torch
from fastapi import FastAPI

app = FastAPI()


@app.get("/p")
async def forward():
    async with httpx.AsyncClient() as client:
        return (await client.get("http://model/p")).json()
"""
OFF_THE_LOOP = """\
import asyncio

import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/p")
async def predict(rows: list):
    return await asyncio.to_thread(model.predict, rows)
"""


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (PROXY, False),
        (OFF_THE_LOOP, True),
        (OFF_THE_LOOP.replace("await asyncio.to_thread(model.predict, rows)", "model.classes_"), True),
    ],
    ids=["none", "offloaded", "loaded"],
)
def test_several_workers_of_a_service_without_a_model_are_left(tmp_path: Path, text: str, safe: bool) -> None:
    (tmp_path / "Dockerfile").write_text(SERVED)
    (tmp_path / "main.py").write_text(text)
    [finding] = check([], Config(root=tmp_path, select=("SRV201",))).findings
    assert finding.fix is not None
    assert (finding.fix.applicability is Applicability.SAFE) is safe


def test_a_service_with_a_file_that_cannot_be_read_has_an_answer(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(SERVED)
    (tmp_path / "main.py").write_text(f"import broken\n{PROXY}")
    (tmp_path / "broken.py").write_text(f"import torch\n\nx = {'lambda: ' * 400}1\n")
    report = check([], Config(root=tmp_path))
    assert [finding.code for finding in report.findings] == ["SRV201"]


def test_an_application_is_judged_once_however_often_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    real = CodeApplication._runs_model
    monkeypatch.setattr(
        CodeApplication, "_runs_model", lambda self, path: judged.append(path) or real(self, path)
    )
    (tmp_path / "main.py").write_text(PROXY)
    starts = "".join(f"  s{n}: {{build: ., command: uvicorn main:app --workers 4}}\n" for n in range(9))
    (tmp_path / "compose.yaml").write_text(f"services:\n{starts}")
    (tmp_path / "Dockerfile").write_text("FROM python:3.12\nCOPY . .\n")
    assert len(check([], Config(root=tmp_path)).findings) == 9
    assert judged == [str(tmp_path / "main.py")]


KEPT = """\
import joblib
from fastapi import FastAPI


def singleton(cls):
    made = {}

    def get(*args):
        if cls not in made:
            made[cls] = cls(*args, "a")
        return made[cls]

    return get


@singleton
class Once:
    def __init__(self, name):
        self.model = joblib.load(name)

    def embed(self, text):
        return self.model.predict([text])


class Each:
    def __init__(self, name="a"):
        self.model = joblib.load(name)

    def embed(self, text):
        return self.model.predict([text])


app = FastAPI()


@app.post("/once")
def once(text: str):
    service = Once()
    return service.embed(text)


# The first of two.
@app.post("/each")
def each(text: str):
    service = Each()
    return service.embed(text)


@app.post("/again")
def again(text: str):
    service = Each()
    return service.embed(text)
"""


def test_a_singleton_is_not_rebuilt_and_a_class_gets_one_global(tmp_path: Path) -> None:
    text = fixed(tmp_path, KEPT, "SRV107")
    assert "    service = Once()\n" in text
    assert text.count("_service = Each()\n") == 1
    assert text.count("    service = _service\n") == 2
    assert "_service = Each()\n\n\n# The first of two.\n" in text
    compile(text, "main.py", "exec")


def test_a_class_that_lacks_an_argument_is_not_moved(tmp_path: Path) -> None:
    text = KEPT.replace("@singleton\n", "@configured\n").replace("def singleton", "def configured")
    assert "    service = Once()\n" in fixed(tmp_path, text, "SRV107")


def test_a_probe_does_not_wait_behind_predictions(tmp_path: Path) -> None:
    probes = """

@app.get("/api/healthz")
async def healthz():
    return model.run(None, {"x": [0]}) is not None


@app.head(path="/readyz")
async def readyz():
    return model.run(None, {"x": [2]}) is not None


@app.get("/healthy/people")
async def healthy():
    return model.run(None, {"x": [1]})


@app.post("/predict/health")
async def health(rows: list):
    return model.run(None, {"x": [3]})
"""
    made = ENDPOINT.replace('joblib.load("model.joblib")', 'InferenceSession("model.onnx")')
    made = made.replace("model.predict(rows)", 'model.run(None, {"x": rows})')
    head = "from fastapi import FastAPI\nfrom onnxruntime import InferenceSession\n\n"
    text = fixed(tmp_path, f"{head}{made}{probes}")
    assert 'await asyncio.to_thread(model.run, None, {"x": [0]})' in text
    assert 'await asyncio.to_thread(model.run, None, {"x": [2]})' in text
    assert 'asyncio.to_thread(model.run, None, {"x": [1]})' not in text
    assert 'asyncio.to_thread(model.run, None, {"x": [3]})' not in text
    assert text.count("run_in_executor(") == 3


def test_imports_that_are_sorted_whatever_their_form_stay_so(tmp_path: Path) -> None:
    head = "from collections.abc import Mapping\nimport gc\nfrom http import HTTPStatus\nimport json\n\n"
    text = fixed(tmp_path, f"{head}from fastapi import FastAPI\nimport joblib\n\n{ENDPOINT}")
    assert text.startswith(
        "import asyncio\nfrom collections.abc import Mapping\n"
        "from concurrent.futures import ThreadPoolExecutor\nimport gc\n"
    )
