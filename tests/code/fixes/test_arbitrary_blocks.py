"""Handlers of any shape give the same answers and errors before and after the fix."""

from __future__ import annotations

import asyncio
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from servelint import edits
from servelint.lint import check
from servelint.project.config import Config

HEAD = """\
import threading

import joblib
from fastapi import FastAPI

app = FastAPI()
model = joblib.load("model.joblib")
lock = threading.RLock()


"""
VARIABLES = st.sampled_from("abc")


class Model:
    """Adds one; cannot do with multiples of seven."""

    def predict(self, x: int) -> int:
        if x % 7 == 0:
            raise ValueError(x)
        return x + 1


class App:
    """A decorator for everything."""

    def post(self, _: str) -> Any:
        return lambda function: function


def values() -> st.SearchStrategy[str]:
    plain = st.one_of(VARIABLES, st.integers(0, 9).map(str))
    return st.one_of(
        plain,
        plain.map(lambda x: f"model.predict({x})"),
        plain.map(lambda x: f"model.predict({x}) * 2"),
        plain.map(lambda x: f"sum(model.predict(n) for n in range({x} % 3))"),
        plain.map(lambda x: f"[model.predict(n) for n in range(1, {x} % 3 + 1)][-1]"),
    )


def simple() -> st.SearchStrategy[list[str]]:
    return st.one_of(
        st.builds(lambda name, value: [f"{name} = {value}"], VARIABLES, values()),
        st.builds(lambda name, value: [f"{name} += {value}"], VARIABLES, values()),
        st.builds(lambda value: [f"seen.append({value})"], values()),
        st.builds(lambda value: [f"return {value}, seen"], values()),
        st.just(["await asyncio.sleep(0)"]),
    )


def inside(header: str, body: list[str]) -> list[str]:
    return [header, *(f"    {line}" for line in body)]


def compound(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    body = st.lists(inner, min_size=1, max_size=3).map(
        lambda parts: [line for part in parts for line in part]
    )
    return st.one_of(
        st.builds(lambda b: inside("with lock:", b), body),
        st.builds(lambda b: inside("with lock:", b), body),
        st.builds(lambda x, b: inside(f"if {x} % 2:", b), VARIABLES, body),
        st.builds(lambda x, b: inside(f"for {x} in range(1, 4):", b), VARIABLES, body),
        st.builds(
            lambda b, x: [*inside("try:", b), *inside("except ValueError:", [f"seen.append({x})"])],
            body,
            VARIABLES,
        ),
    )


def handlers() -> st.SearchStrategy[list[list[str]]]:
    statement = st.recursive(simple(), compound, max_leaves=5)
    body = st.lists(statement, min_size=1, max_size=6).map(
        lambda parts: [line for part in parts for line in part]
    )
    return st.lists(body, min_size=8, max_size=8)


def written(bodies: list[list[str]]) -> str:
    parts = ["import asyncio\n", HEAD]
    for number, body in enumerate(bodies):
        lines = ["seen = []", "b = 2", *body, "return a, b, c, seen"]
        head = f'@app.post("/{number}")\nasync def handle{number}(a):\n'
        parts.append(head + "".join(f"    {line}\n" for line in lines) + "\n\n")
    return "".join(parts)


def answers(text: str, count: int) -> list[str]:
    """What each handler answers to two requests, or the error that it ends with."""
    names: dict[str, Any] = {"__name__": "main"}
    exec(compile(text, "main.py", "exec"), names)
    found = []
    for number in range(count):
        for argument in (1, 7):
            try:
                found.append(repr(asyncio.run(names[f"handle{number}"](argument))))
            except (ValueError, IndexError, TypeError) as error:
                found.append(type(error).__name__)
            except NameError:  # in a nested function an unset variable is not an UnboundLocalError
                found.append(NameError.__name__)
    return found


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, members in {"joblib": {"load": lambda _: Model()}, "fastapi": {"FastAPI": App}}.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)


@given(handlers())
@settings(
    max_examples=10,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a check is too slow for shrinking
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_same_answers(tmp_path_factory: pytest.TempPathFactory, bodies: list[list[str]]) -> None:
    folder: Path = tmp_path_factory.mktemp("service")
    before = written(bodies)
    (folder / "main.py").write_text(before)
    outcome = edits.apply(check([], Config(root=folder, select=("SRV101",))), unsafe=True)
    assert not outcome.rejected
    after = outcome.after.get(folder / "main.py", before.encode()).decode()
    assert answers(after, len(bodies)) == answers(before, len(bodies)), after
