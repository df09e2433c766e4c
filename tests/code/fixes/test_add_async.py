"""Plain functions that a model server runs on its loop, and would await: they become coroutines."""

from __future__ import annotations

from pathlib import Path

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import check
from servelint.project.config import Config

KSERVE = """\
import joblib
from kserve import Model


class Scores(Model):
    def load(self):
        self.model = joblib.load("m.joblib")

    def predict(self, payload, headers=None):
        return {"scores": self.model.predict(payload)}
"""
TOOL = """\
import joblib
from mcp.server.fastmcp import FastMCP

server = FastMCP("scores")
model = joblib.load("m.joblib")


@server.tool()
def score(row: list) -> list:
    return model.predict(row)
"""


def found(folder: Path, text: str) -> Finding:
    (folder / "main.py").write_text(text)
    (finding,) = check([], Config(root=folder, select=("SRV101",))).findings
    return finding


def fixed(folder: Path) -> str:
    outcome = edits.apply(check([], Config(root=folder, select=("SRV101",))), unsafe=True)
    assert not outcome.rejected
    assert not outcome.report.findings
    return outcome.after[folder / "main.py"].decode()


def applicability(finding: Finding) -> Applicability | None:
    return finding.fix.applicability if finding.fix is not None else None


def test_a_method_of_a_model_server(tmp_path: Path) -> None:
    assert applicability(found(tmp_path, KSERVE)) is Applicability.SAFE
    text = fixed(tmp_path)
    assert "    async def predict(self, payload, headers=None):\n" in text
    assert "await asyncio.get_running_loop().run_in_executor(" in text
    assert "    def load(self):\n" in text


def test_a_tool(tmp_path: Path) -> None:
    assert applicability(found(tmp_path, TOOL)) is Applicability.SAFE
    assert "@server.tool()\nasync def score(row: list) -> list:\n" in fixed(tmp_path)


def test_callers_in_the_project_await_it(tmp_path: Path) -> None:
    caller = "\n\nasync def both(row):\n    return score(row)[0]\n"
    assert applicability(found(tmp_path, TOOL)) is Applicability.SAFE
    (tmp_path / "main.py").write_text(TOOL + caller)
    assert "    return (await score(row))[0]\n" in fixed(tmp_path)


def test_a_caller_that_cannot_await_makes_it_unsafe(tmp_path: Path) -> None:
    finding = found(tmp_path, TOOL + "\n\ndef warm():\n    score([1])\n\n\nwarm()\n")
    assert applicability(finding) is Applicability.UNSAFE
    assert finding.fix is not None
    assert "`warm` calls it and cannot await" in finding.fix.reason


def test_a_test_that_calls_it_makes_it_unsafe(tmp_path: Path) -> None:
    (tmp_path / "test_main.py").write_text(
        "from main import Scores\n\n\ndef test():\n    Scores().predict([1])\n"
    )
    assert applicability(found(tmp_path, KSERVE)) is Applicability.UNSAFE


def test_another_decorator_may_call_it(tmp_path: Path) -> None:
    text = TOOL.replace("@server.tool()\n", "@server.tool()\n@timed\n").replace(
        "model =", "from timing import timed\n\nmodel ="
    )
    assert found(tmp_path, text).fix is None


def test_a_framework_that_would_not_await_it(tmp_path: Path) -> None:
    assert found(tmp_path, KSERVE.replace("def predict", "def __call__")).fix is None


HANDLER = """\
import joblib
from {framework} import {names}

model = joblib.load("m.joblib")
{app}

@{decorator}("/predict"{option})
def predict({parameter}) -> float:
    return model.predict([1])[0]
"""


def handler(option: str = "") -> str:
    return HANDLER.format(
        framework="litestar", names="post", app="", decorator="post", option=option, parameter="data: list"
    )


def test_handlers_of_frameworks_that_await_what_they_get(tmp_path: Path) -> None:
    assert applicability(found(tmp_path, handler())) is Applicability.SAFE
    assert '@post("/predict")\nasync def predict(data: list) -> float:\n' in fixed(tmp_path)
    sanic = HANDLER.format(
        framework="sanic",
        names="Sanic",
        app='app = Sanic("scores")\n',
        decorator="app.post",
        option="",
        parameter="request",
    )
    assert applicability(found(tmp_path, sanic)) is Applicability.SAFE


def test_a_handler_that_says_where_it_runs_stays_a_plain_one(tmp_path: Path) -> None:
    """Litestar warns of `sync_to_thread` beside a coroutine."""
    finding = found(tmp_path, handler(", sync_to_thread=False"))
    assert finding.fix is None
    assert "or register it with `sync_to_thread=True`, which runs it in a thread" in finding.unfixable
