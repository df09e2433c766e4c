"""Twice as much to read costs twice as much: counted in calls, which no busy machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from servelint import lint
from servelint.project.config import Config

HEAD = "import torch\nfrom fastapi import FastAPI\n\napp = FastAPI()\nmodel = torch.nn.Linear(1, 1)\n"
ENDPOINT = "\n@app.post('/{name}')\nasync def {name}(x):\n{body}    return x\n"
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


KINDS: dict[str, Callable[[int], str]] = {
    "calls": _in_one("    model(x)\n"),
    "calls apart": _in_one("    y = model(x)\n    print(y, x)\n    x = await x\n"),
    "blocks": _in_one("    with torch.no_grad():\n        y = model(x)\n    x = await x\n"),
    "blocks together": _in_one("    with torch.no_grad():\n        y = model(x)\n"),
    "elif": _elif,
    "endpoints": _endpoints,
    "functions": _functions,
}


def _steps(folder: Path, text: str) -> int:
    (folder / "app.py").write_text(text, encoding="utf-8")
    steps = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        report = lint.check([folder], Config(folder))
    finally:
        sys.setprofile(None)
    assert report.findings
    assert not report.problems
    return steps


@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_much_costs_twice_as_much(kind: str, tmp_path: Path) -> None:
    make = KINDS[kind]
    _steps(tmp_path, make(1))  # what is read once a process
    first, second, third = (_steps(tmp_path, make(number)) for number in (60, 120, 240))
    assert second / first < MOST
    assert third / second < MOST
