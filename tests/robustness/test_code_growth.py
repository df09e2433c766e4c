"""Twice as much to read costs twice as much: counted in calls, which no busy machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from servelint import edits, lint
from servelint.project.config import Config

HEAD = "import torch\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = torch.nn.Linear(1, 1)\n"
ENDPOINT = "\n@app.post('/{name}')\nasync def {name}(x):\n{body}    return x\n"
USED = """
kept = Kept()

@app.post('/p')
async def p(x):
    before = kept.v0
    x = model(x)
    return before, x, kept.v1
"""
MOST = 2.2


def _in_one(statement: str) -> Callable[[int], str]:
    return lambda number: HEAD + ENDPOINT.format(name="predict", body=statement * number)


def _elif(number: int) -> str:
    ways = "".join(f"    elif x == {n}:\n        x = model(x)\n" for n in range(number))
    return HEAD + ENDPOINT.format(name="predict", body=f"    if x == 0:\n        x = 1\n{ways}")


def _endpoints(number: int) -> str:
    return HEAD + "".join(ENDPOINT.format(name=f"p{n}", body="    x = model(x)\n") for n in range(number))


def _functions(number: int) -> str:
    calls = "".join(f"def f{n}(x):\n    return model(x)\n\n" for n in range(number))
    uses = "".join(f"    x = f{n}(x)\n" for n in range(number))
    return HEAD + calls + ENDPOINT.format(name="predict", body=uses)


def _unclosed(number: int) -> str:
    return _endpoints(1) + "class A(\n#" * number * 5 + "\n):\n    pass\n"


def _on_a_line(number: int) -> str:
    return HEAD + ENDPOINT.format(name="predict", body=f"    x = [{'model(x), ' * number}]\n")


def _imports(number: int) -> str:
    return "".join(f"import module{n}\n" for n in range(number)) + _endpoints(number)


def _parts_of_parts(number: int) -> str:
    parts = "".join(f"    a{n + 1} = a{n}.x\n" for n in range(number * 4))
    return HEAD + ENDPOINT.format(name="predict", body=f"    a0 = x\n{parts}    a0.pop()\n    x = model(x)\n")


def _loaded_at_startup(number: int) -> str:
    loads = "".join(f"    get('model{n}')\n" for n in range(number))
    return f"""import joblib
from fastapi import FastAPI

models = {{}}

def get(name):
    if name not in models:
        models[name] = joblib.load(name)
    return models[name]

async def lifespan(app):
{loads}    yield

app = FastAPI(lifespan=lifespan)

@app.post('/p')
async def p(x):
{loads}    return get('another').predict(x)
"""


def _changed_index(number: int) -> str:
    head = f"import faiss\n{HEAD}index = faiss.IndexFlatIP(4)\n"
    body = "    index.add(x)\n    x = model(x)\n    print(x)\n" * number
    return head + ENDPOINT.format(name="predict", body=body)


def _offloaded_beside(number: int) -> str:
    offloaded = "    x = await asyncio.to_thread(upsampler.enhance, x)\n    print(x)\n"
    body = f"{offloaded}    x = upsampler.enhance(x, outscale=1)\n"
    head = f"import asyncio\nfrom realesrgan import RealESRGANer\n{HEAD}upsampler = RealESRGANer(scale=4)\n"
    return head + "".join(ENDPOINT.format(name=f"p{n}", body=body) for n in range(number))


def _named_as_they_call(number: int) -> str:
    body = "    await message.answer(model(x))\n"
    one = ENDPOINT.format(name="answer", body=body).replace("(x):", "(message, x):")
    return HEAD + "".join(one.replace("'/answer'", f"'/{n}'") for n in range(number))


def _loaded_anew(number: int) -> str:
    load = "    model.eval()\n    loaded = torch.load('m.pt')\n    x = loaded(model(x))\n"
    body = "\n".join(load.replace("m.pt", f"m{n}.pt") for n in range(number))
    return HEAD + ENDPOINT.format(name="predict", body=body)


def _guarded(number: int) -> str:
    guards = "".join(
        f"        if x == {n}:\n            return\n        self.v{n} = x\n" for n in range(number)
    )
    return HEAD + f"class Kept:\n    def set(self, x):\n{guards}" + USED


def _below_settings(number: int) -> str:
    return "".join(f"x{n} = {n}\n" for n in range(number * 10)) + _endpoints(1)


def _in_a_block(number: int) -> str:
    body = "    with torch.no_grad():\n" + "        y = model(x)\n" * number
    return HEAD + ENDPOINT.format(name="predict", body=body)


def _of_one_name(number: int) -> str:
    return HEAD + ENDPOINT.format(name="p", body="    x = model(other.p(x))\n") * number


KINDS: dict[str, Callable[[int], str]] = {
    "calls": _in_one("    model(x)\n"),
    "calls apart": _in_one("    y = model(x)\n    print(y, x)\n    x = await x\n"),
    "blocks": _in_one("    with torch.no_grad():\n        y = model(x)\n    x = await x\n"),
    "blocks together": _in_one("    with torch.no_grad():\n        y = model(x)\n"),
    "elif": _elif,
    "endpoints": _endpoints,
    "functions": _functions,
    "unclosed classes": _unclosed,
    "calls on a line": _on_a_line,
    "imports": _imports,
    "calls in a block": _in_a_block,
    "settings above imports": _below_settings,
    "parts of parts": _parts_of_parts,
    "guards": _guarded,
    "functions of one name": _of_one_name,
    "loads at start-up": _loaded_at_startup,
    "changes of an index": _changed_index,
    "offloads beside calls": _offloaded_beside,
    "loads a request": _loaded_anew,
}
FIXED = (
    "calls",
    "elif",
    "endpoints",
    "calls on a line",
    "calls in a block",
    "settings above imports",
    "parts of parts",
    "offloads beside calls",
)


def _steps(folder: Path, text: str, *, fix: bool = False) -> int:
    (folder / "app.py").write_text(text, encoding="utf-8")
    steps = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        report = lint.check([folder], Config(folder))
        applied = edits.apply(report, unsafe=True).applied if fix else ()
    finally:
        sys.setprofile(None)
    assert report.findings
    assert not report.problems
    assert len(applied) == (len(report.findings) if fix else 0)
    return steps


@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_much_costs_twice_as_much(kind: str, tmp_path: Path) -> None:
    make = KINDS[kind]
    _steps(tmp_path, make(1))  # what is read once a process
    first, second, third = (_steps(tmp_path, make(number)) for number in (60, 120, 240))
    assert second / first < MOST
    assert third / second < MOST


@pytest.mark.parametrize("kind", FIXED)
def test_twice_as_much_to_repair_costs_twice_as_much(kind: str, tmp_path: Path) -> None:
    make = KINDS[kind]
    _steps(tmp_path, make(1), fix=True)
    first, second, third = (_steps(tmp_path, make(number), fix=True) for number in (60, 120, 240))
    assert second / first < MOST
    assert third / second < MOST


def test_functions_that_call_what_they_are_named_are_asked_once(tmp_path: Path) -> None:
    """Each of them may pass an argument to each: pairs of them, which are looked up, and no more than pairs."""
    _steps(tmp_path, _named_as_they_call(1))
    first, second = (_steps(tmp_path, _named_as_they_call(number)) for number in (60, 120))
    assert second / first < 3


def test_lambdas_in_lambdas_are_read_once(tmp_path: Path) -> None:
    body = f"    later = {'lambda: ' * 40}cache.append(x)\n    x = model(x)\n"
    _steps(tmp_path, f"{HEAD}cache = []\n" + ENDPOINT.format(name="predict", body=body))


def test_what_is_made_of_a_duration_is_followed_once(tmp_path: Path) -> None:
    sums = "".join(f"    d{n + 1} = d{n} + d{n}\n" for n in range(40))
    taken = f"    s = time.time()\n    x = model(x)\n    d0 = time.time() - s\n{sums}    print(d40)\n"
    _steps(tmp_path, f"import time\n{HEAD}" + ENDPOINT.format(name="predict", body=taken))
