"""What people get wrong when they move inference off the loop by hand, one test each, and how `fix` does it.

Where behaviour is the point, the fixed handler runs, with stand-ins for the libraries.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import threading

import joblib
import torch
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")
lock = threading.Lock()
count = 0


"""
RULES = ("SRV101", "SRV102", "SRV103", "SRV108", "SRV109")


def handler(*lines: str, parameters: str = "row") -> str:
    return "\n".join(
        ('@app.post("/p")', f"async def predict({parameters}):", *(f"    {line}" for line in lines), "")
    )


def service(library: str, made: str, called: str) -> str:
    return (
        f"import {library}\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = {made}\n\n\n"
        + handler(f"return {called}")
    )


def found(folder: Path, text: str, **others: str) -> list[Finding]:
    (folder / "main.py").write_text(text)
    for name, content in others.items():
        (folder / name.replace("_", ".")).write_text(content)
    return list(check([], Config(root=folder, select=RULES)).findings)


def fix_of(folder: Path, text: str) -> Any:
    (finding,) = found(folder, text)
    assert finding.fix is not None
    return finding.fix


def fixed(folder: Path, text: str, **others: str) -> str:
    """The file after all fixes, after which nothing is left."""
    found(folder, text, **others)
    outcome = edits.apply(check([], Config(root=folder, select=RULES)), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    return outcome.after[folder / "main.py"].decode()


class Model:
    """Stands for a model: says in which thread it ran, and what it saw there."""

    def __init__(self, seen: Callable[[], object]) -> None:
        self.seen = seen
        self.threads: list[str] = []

    def predict(self, row: Any, factor: int = 1) -> Any:
        self.threads.append(threading.current_thread().name)
        if row == "bad":
            raise ValueError(row)
        return [row * factor, self.seen()]

    __call__ = predict


class Gradients(threading.local):
    """Stands for what a thread knows of gradients."""

    on = True

    @contextmanager
    def no_grad(self) -> Iterator[None]:
        before, self.on = self.on, False
        yield
        self.on = before


class App:
    """Stands for a web application: a decorator for everything."""

    def post(self, _: str) -> Callable[[Any], Any]:
        return lambda function: function


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Loads a file and returns its names; `model` is the given one."""

    def load(text: str, model: Model, gradients: Gradients | None = None) -> dict[str, Any]:
        stand_ins = {
            "joblib": {"load": lambda _: model},
            "torch": {"no_grad": (gradients or Gradients()).no_grad},
            "fastapi": {"FastAPI": App},
            "structlog": {},
        }
        for name, members in stand_ins.items():
            module = types.ModuleType(name)
            module.__dict__.update(members)
            monkeypatch.setitem(sys.modules, name, module)
        names: dict[str, Any] = {"__name__": "main"}
        exec(compile(text, "main.py", "exec"), names)
        return names

    return load


def nothing() -> object:
    return None


def test_01_keyword_arguments(tmp_path: Path, run: Callable[..., Any]) -> None:
    model = Model(nothing)
    names = run(fixed(tmp_path, HEAD + handler("return model.predict(row, factor=3)")), model)
    assert asyncio.run(names["predict"](2)) == [6, None]
    assert model.threads == ["inference_0"]


def test_02_await_binds_loosely(tmp_path: Path, run: Callable[..., Any]) -> None:
    names = run(fixed(tmp_path, HEAD + handler("return model.predict(row)[0]")), Model(nothing))
    assert asyncio.run(names["predict"](2)) == 2


def test_03_context_variables(tmp_path: Path, run: Callable[..., Any]) -> None:
    trace = contextvars.ContextVar("trace", default="lost")
    text = fixed(tmp_path, "import structlog\n" + HEAD + handler("return model.predict(row)"))
    names = run(text, Model(trace.get))

    async def request() -> Any:
        trace.set("kept")
        return await names["predict"](2)

    assert asyncio.run(request())[1] == "kept"


def test_04_thread_local_modes(tmp_path: Path, run: Callable[..., Any]) -> None:
    gradients = Gradients()
    text = fixed(tmp_path, HEAD + handler("with torch.no_grad():", "    return model.predict(row)"))
    model = Model(lambda: gradients.on)
    assert asyncio.run(run(text, model, gradients)["predict"](2)) == [2, False]
    assert model.threads == ["inference_0"]


def test_05_lazy_results(tmp_path: Path) -> None:
    text = service("fastembed", "fastembed.TextEmbedding()", "[v for v in model.embed(row)]")
    assert "lambda: [v for v in model.embed(row)]" in fixed(tmp_path, text)


def test_05_lazy_results_that_are_read_later(tmp_path: Path) -> None:
    text = service("faster_whisper", 'faster_whisper.WhisperModel("small")', "[s.text for s in segments]")
    lines = ("segments, info = model.transcribe(row)", "a = 1", "b = 2", "c = 3", "return [")
    after = fixed(tmp_path, text.replace("return [", "\n    ".join(lines)))
    assert "model.transcribe, row" in after
    assert "lambda: [s.text for s in segments]" in after


def test_05_lazy_results_that_are_read_outside_the_block(tmp_path: Path) -> None:
    """Each has a fix of its own, although they stand close together."""
    text = service("faster_whisper", 'faster_whisper.WhisperModel("small")', "[s.text for s in segments]")
    lines = ("with open(row) as f:", "    segments, info = model.transcribe(f)", "return [")
    after = fixed(tmp_path, text.replace("return [", "\n    ".join(lines)))
    assert "model.transcribe, f" in after
    assert "lambda: [s.text for s in segments]" in after


def test_06_stop_iteration(tmp_path: Path) -> None:
    helper = "def first(row):\n    return next(iter(model.predict(row)))\n\n\n"
    (finding,) = found(tmp_path, HEAD + helper + handler("return first(row)"))
    assert finding.fix is None
    assert "StopIteration" in finding.unfixable


def test_07_coroutine_functions(tmp_path: Path, run: Callable[..., Any]) -> None:
    helper = "async def score(row):\n    return model.predict(row)\n\n\n"
    start = "import asyncio\n" + HEAD + helper
    text = fixed(
        tmp_path, start + handler("both = [score(row), score(row)]", "return await asyncio.gather(*both)")
    )
    assert "    both = [score(row), score(row)]\n" in text
    assert text.count("run_in_executor") == 1
    assert asyncio.run(run(text, Model(nothing))["predict"](2)) == [[2, None], [2, None]]


def test_08_the_call_instead_of_the_function(tmp_path: Path, run: Callable[..., Any]) -> None:
    pool = (
        "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n\npool = ThreadPoolExecutor(1)\n"
    )
    body = handler("return await asyncio.get_running_loop().run_in_executor(pool, model.predict(row))")
    model = Model(nothing)
    names = run(fixed(tmp_path, pool + HEAD + body), model)
    assert asyncio.run(names["predict"](2)) == [2, None]
    assert model.threads != ["MainThread"]


@pytest.mark.parametrize(
    "lines",
    [
        ("return [model.predict(part)[0] for part in row]",),
        (
            "out = []",
            "for part in row:",
            "    with lock:",
            "        out.append(model.predict(part)[0])",
            "return out",
        ),
    ],
    ids=["comprehension", "block"],
)
def test_09_late_binding(tmp_path: Path, run: Callable[..., Any], lines: tuple[str, ...]) -> None:
    text = fixed(tmp_path, HEAD + handler(*lines))
    assert asyncio.run(run(text, Model(nothing))["predict"]([1, 2, 3])) == [1, 2, 3]
    assert "predict, part" in text or "run_inference, part" in text


@pytest.mark.parametrize(
    "lines",
    [
        ("global count", "count += model.predict(row)"),
        ("global count", "before = count", "out = model.predict(row)", "count = before + 1", "return out"),
    ],
)
def test_10_another_request_between(tmp_path: Path, lines: tuple[str, ...]) -> None:
    fix = fix_of(tmp_path, HEAD + handler(*lines))
    assert fix.applicability is Applicability.UNSAFE
    assert "another request may come between" in fix.reason


def test_11_locks(tmp_path: Path, run: Callable[..., Any]) -> None:
    model = Model(nothing)
    text = fixed(tmp_path, HEAD + handler("with lock:", "    return model.predict(row)"))
    assert text.index("def run_inference") < text.index("with lock")  # else the loop would stand still
    names = run(text, model)
    model.seen = names["lock"].locked

    async def both() -> Any:
        return await asyncio.wait_for(asyncio.gather(names["predict"](1), names["predict"](2)), 5)

    assert asyncio.run(both()) == [[1, True], [2, True]]


@pytest.mark.parametrize(
    "body",
    [
        handler("score = lambda x: model.predict(x)", "return score(row)"),
        handler("return sorted(row, key=lambda x: model.predict(x))"),
        handler("def score(x=model.predict(row)):", "    return x", "return score()"),
        handler("@model.predict(row)", "def score():", "    return 1", "return score"),
        handler("return sum(model.predict(x)[0] for x in row)"),
        handler("return f'{model.predict(row)}'"),
        handler("class A:", "    x = model.predict(row)", "return A.x"),
    ],
)
def test_12_where_there_can_be_no_await(tmp_path: Path, body: str) -> None:
    found(tmp_path, HEAD + body)
    outcome = edits.apply(check([], Config(root=tmp_path, select=RULES)), unsafe=True)
    assert not outcome.rejected  # nothing was tried that does not compile
    for text in outcome.after.values():
        assert "for x in await" not in text.decode()


IMPLIED = """\
class Scores:
    def __enter__(self):
        return model.predict([1])

    def __exit__(self, *_):
        pass

    @property
    def total(self):
        model.predict([1])
        return str


"""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("with Scores() as scores: print(await row)", "`__enter__` is the inference"),
        ("with row.x(Scores()), Scores(): await row", "`__enter__` is the inference"),
        ("return Scores().total(await row)", "reading `Scores().total` is the inference"),
    ],
)
def test_12_what_the_language_calls_is_not_awaited_with_the_call_beside_it(
    tmp_path: Path, line: str, reason: str
) -> None:
    (finding,) = found(tmp_path, HEAD + IMPLIED + handler(line))
    assert finding.fix is None
    assert finding.unfixable.startswith(reason)


def test_13_the_loop_is_not_there(tmp_path: Path) -> None:
    helper = "import asyncio\n\n\ndef score(row):\n    asyncio.get_running_loop()\n    return model.predict(row)\n\n\n"
    fix = fix_of(tmp_path, HEAD + helper + handler("return score(row)"))
    assert fix.applicability is Applicability.UNSAFE
    assert "needs the event loop" in fix.reason


LLAMA = service("llama_cpp", 'llama_cpp.Llama("m.gguf")', "model(row)")
WORKLOAD = """\
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      containers:
        - {name: api, image: x, command: [uvicorn, "main:app"], resources: {limits: {cpu: "8"}}}
"""


def test_14_models_that_are_not_thread_safe(tmp_path: Path) -> None:
    text = fixed(tmp_path, LLAMA, k8s_yaml=WORKLOAD)
    assert "# One thread: the model is not safe to call from several at once.\n" in text
    assert "max_workers=1" in text


def test_14_in_a_pool_of_several(tmp_path: Path) -> None:
    pool = "from concurrent.futures import ThreadPoolExecutor\n\npool = ThreadPoolExecutor(4)\n"
    fix = fix_of(tmp_path, pool + LLAMA)
    assert fix.applicability is Applicability.UNSAFE
    assert "must not be called by two threads at once" in fix.reason


@pytest.mark.parametrize(
    ("imported", "parameter"),
    [
        ("from sqlalchemy.orm import Session\n", "session: Session"),
        ("from fastapi import Request\n", "given: Request"),
        ("", "websocket"),
        ("import sqlite3\n", "db: sqlite3.Connection"),
    ],
)
def test_15_what_belongs_to_a_thread_or_task(tmp_path: Path, imported: str, parameter: str) -> None:
    name = parameter.partition(":")[0]
    body = handler(f"return model.predict({name})", parameters=parameter)
    fix = fix_of(tmp_path, imported + HEAD + body)
    assert fix.applicability is Applicability.UNSAFE
    assert f"`{name}` belongs to the task" in fix.reason


def test_16_tokenizers(tmp_path: Path) -> None:
    text = service("transformers", 'transformers.pipeline("text-classification")', "model(row)")
    assert "max_workers=1" in fixed(tmp_path, text, k8s_yaml=WORKLOAD)


ONNX = service("onnxruntime", 'onnxruntime.InferenceSession("m.onnx")', "model.run(None, row)")


def test_17_no_more_threads_than_cpus(tmp_path: Path) -> None:
    half = WORKLOAD.replace('"8"', '"500m"')
    assert "max_workers=1" in fixed(tmp_path, ONNX, k8s_yaml=half)


def test_18_few_threads_even_with_many_cpus(tmp_path: Path) -> None:
    assert "max_workers=2" in fixed(tmp_path, ONNX, k8s_yaml=WORKLOAD)


def test_19_cancellation_leaves_the_pool_usable(tmp_path: Path, run: Callable[..., Any]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait() -> object:
        entered.set()
        return leave.wait(5)

    names = run(fixed(tmp_path, HEAD + handler("return model.predict(row)")), Model(wait))

    async def cancel() -> Any:
        task = asyncio.create_task(names["predict"](1))
        await asyncio.to_thread(entered.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()
        return await names["predict"](2)

    assert asyncio.run(cancel()) == [2, True]


def test_20_not_the_default_executor(tmp_path: Path) -> None:
    other = "import asyncio\n\n\nasync def elsewhere(row):\n    return await asyncio.to_thread(model.predict, row)\n\n\n"
    found(tmp_path, HEAD + other + handler("return model.predict(row)"))
    first = check([], Config(root=tmp_path, select=("SRV101", "SRV109"), ignore=()))
    (finding,) = (item for item in first.findings if item.code == "SRV101")
    assert finding.fix is not None
    assert "_inference_executor" in finding.fix.title


def test_21_the_pool_is_shut_down(tmp_path: Path) -> None:
    head = (
        "from contextlib import asynccontextmanager\n\nimport joblib\nfrom fastapi import FastAPI\n\n\n"
        "@asynccontextmanager\nasync def lifespan(app):\n    yield\n\n\n"
        'app = FastAPI(lifespan=lifespan)\nmodel = joblib.load("m")\n\n\n'
    )
    text = fixed(tmp_path, head + handler("return model.predict(row)"))
    made, ended = text.index("app.state.inference_executor ="), text.index(".shutdown(wait=False, cancel")
    assert made < text.index("    yield\n") < ended


def test_22_a_pool_made_before_fork(tmp_path: Path, run: Callable[..., Any]) -> None:
    """A server may import the application and then fork: nothing may have started a thread by then."""
    names = run(fixed(tmp_path, HEAD + handler("return model.predict(row)")), Model(nothing))
    child = os.fork()
    if not child:
        answer = asyncio.run(asyncio.wait_for(names["predict"](2), 10))
        os._exit(0 if answer == [2, None] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_23_exceptions_arrive_where_they_are_handled(tmp_path: Path, run: Callable[..., Any]) -> None:
    lines = ("try:", "    return model.predict(row)", "except ValueError as error:", "    return str(error)")
    names = run(fixed(tmp_path, HEAD + handler(*lines)), Model(nothing))
    assert asyncio.run(names["predict"]("bad")) == "bad"


def test_24_the_asynchronous_interface_is_named(tmp_path: Path) -> None:
    text = service("vllm", 'vllm.LLM("m")', "model.generate(row)")
    assert any("AsyncLLM" in finding.advice for finding in found(tmp_path, text))


def test_what_a_library_advises_is_not_about_loads(tmp_path: Path) -> None:
    text = service("vllm", "None", "vllm.LLM('m')")
    assert [(item.code, item.advice) for item in found(tmp_path, text)] == [("SRV102", "")]


def test_25_what_holds_the_gil_gets_one_thread(tmp_path: Path) -> None:
    text = service("dlib", "dlib.get_frontal_face_detector()", "model(row)")
    assert "max_workers=1" in fixed(tmp_path, text, k8s_yaml=WORKLOAD)


def test_26_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    before = (
        '"""Scores."""\r\nfrom __future__ import annotations\r\nfrom typing import TYPE_CHECKING\r\nimport joblib\r\n'
        "from fastapi import FastAPI\r\nif TYPE_CHECKING:\r\n    import asyncio\r\napp = FastAPI( )  # odd\r\n"
        "model = joblib.load('m')\r\n@app.post('/p')\r\nasync def predict(row):\r\n"
        "    return model.predict( row )  # one\r\n"
    )
    (tmp_path / "main.py").write_bytes(before.encode())
    outcome = edits.apply(check([], Config(root=tmp_path, select=RULES)), unsafe=True)
    after = outcome.after[tmp_path / "main.py"].decode()
    assert "\n" not in after.replace("\r\n", "")
    kept = [line for line in after.splitlines() if line in before.splitlines()]
    assert kept == [line for line in before.splitlines() if "model.predict" not in line]
    assert "_inference_executor, model.predict, row\r\n    )  # one\r\n" in after


def test_26_future_imports_stay_first(tmp_path: Path) -> None:
    head = "from __future__ import annotations\n" + HEAD.replace("import threading\n\n", "").replace(
        "lock = threading.Lock()\n", ""
    )
    lines = fixed(tmp_path, head + handler("return model.predict(row)")).splitlines()
    assert lines.index("from __future__ import annotations") < lines.index("import asyncio")


def test_what_is_no_call(tmp_path: Path) -> None:
    """Reading a property, or an operator, can be no argument of an offload: it is said what it is."""
    kept = (
        "class Scores:\n    def __init__(self, row):\n        self.row = row\n\n"
        "    @property\n    def best(self):\n        return model.predict(self.row)\n\n\n"
    )
    loop = ("scores = Scores(row)", "while scores.best > 1:", "    row.pop()")
    (finding,) = found(tmp_path, HEAD + kept + handler(*loop))
    assert finding.fix is None
    assert "reading `scores.best` is the inference" in finding.unfixable


def test_a_call_of_what_another_call_gives(tmp_path: Path) -> None:
    """One piece of work in one thread, not an `await` among the arguments of another."""
    lazy = (
        "import joblib\nfrom fastapi import FastAPI\n\napp = FastAPI()\nkept = {}\n\n\n"
        "def get_model(name):\n    if name not in kept:\n        kept[name] = joblib.load(name)\n    return kept[name]\n\n\n"
    )
    after = fixed(tmp_path, lazy + handler("return get_model(name).predict(row)", parameters="row, name"))
    assert "lambda: get_model(name).predict(row)" in after
    assert after.count("await ") == 1


def test_entering_is_what_blocks(tmp_path: Path) -> None:
    """To make the object in a thread would not help: the finding has no fix."""
    entered = (
        "import joblib\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
        "class Loaded:\n    def __enter__(self):\n        return joblib.load('m.joblib')\n\n"
        "    def __exit__(self, *_):\n        pass\n\n\n"
    )
    text = entered + handler("with Loaded() as model:", "    await send(model)")
    (tmp_path / "main.py").write_text(text)
    (finding,) = check([], Config(root=tmp_path, select=("SRV102",))).findings
    assert finding.fix is None
    assert "__enter__" in finding.unfixable


@pytest.mark.parametrize("others", [0, 4])
@pytest.mark.parametrize("typed", [False, True])
def test_what_a_test_has_said_of_an_attribute_stays_known(tmp_path: Path, typed: bool, others: int) -> None:
    """In a nested function a type checker would take `self.model` for None again.

    What the function says of types counts, however many others of the file say nothing.
    """
    returns = " -> object" if typed else ""
    kept = (
        "import joblib\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
        "class Scores:\n    def __init__(self) -> None:\n        self.model = joblib.load('m.joblib')\n\n"
        f"    async def both(self, row){returns}:\n        if self.model is None:\n            return None\n"
        "        label = self.model.predict(row)\n        scores = self.model.predict_proba(row)\n"
        "        return label, scores\n\n\nscores = Scores()\n\n\n"
    )
    text = handler("return await scores.both(row)").replace("):", f"){returns}:")
    text += "".join(f"\n\ndef untyped_{number}():\n    pass\n" for number in range(others))
    after = fixed(tmp_path, kept + text)
    assert ("def run_inference" in after) is not typed
