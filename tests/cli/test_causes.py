"""A load that is made once for all who ask is told once, with the places that ask; each place keeps its own state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "models.py": """\
        import functools
        import joblib

        _model = None


        def kept():
            global _model
            if _model is None:
                _model = joblib.load("churn.joblib")
            return _model


        @functools.cache
        def cached(name):
            return joblib.load(name)


        def anew():
            return joblib.load("churn.joblib")
        """,
    "app.py": """\
        from fastapi import FastAPI
        from models import anew, cached, kept

        app = FastAPI()


        @app.get("/a")
        async def a() -> str:
            return str(kept())  # line 9


        @app.get("/b")
        async def b() -> str:
            return str(kept())  # line 14


        @app.get("/c")
        async def c() -> str:
            return str(cached("one")) + str(anew())  # line 19


        @app.get("/d")
        async def d() -> str:
            return str(cached("two")) + str(anew())  # line 24
        """,
    "more.py": """\
        from app import app
        from models import kept


        @app.get("/e")
        async def e() -> str:
            return str(kept())  # line 7
        """,
}


@pytest.fixture
def service(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text("\n".join(line[8:] for line in text.split("\n")))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'churn'\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "servelint", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def found(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    document = json.loads(run(folder, "check", "--no-cache", "--output-format", "json", *arguments))
    findings: list[dict[str, Any]] = document["findings"]
    return [one for one in findings if one["code"] == "SRV102"]


def places(findings: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(Path(one["path"]).name, one["line"]) for one in findings]


def test_one_finding_names_all_who_ask(service: Path) -> None:
    findings = found(service)
    # What loads anew for each call, or is told what to load, is a cause at each of them.
    assert places(findings) == [("app.py", 9), *[("app.py", 19)] * 2, *[("app.py", 24)] * 2]
    kept, *others = findings
    assert "here and in 2 other places" in kept["message"]
    assert places(kept["trace"]) == [("app.py", 9), ("models.py", 10), ("app.py", 14), ("more.py", 7)]
    assert [step["message"] for step in kept["trace"][2:]] == ["and from `b`", "and from `e`"]
    assert all("other place" not in one["message"] for one in others)


def test_who_is_asked_about_is_told_even_if_the_first_is_not(service: Path) -> None:
    assert places(found(service, "more.py")) == [("more.py", 7)]


def test_a_place_that_is_suppressed_does_not_speak_for_the_others(service: Path) -> None:
    text = (service / "app.py").read_text()
    (service / "app.py").write_text(text.replace("# line 9", "# servelint: ignore[SRV102] warmed up by hand"))
    assert ("app.py", 14) in places(found(service))


def test_a_baseline_has_every_place(service: Path) -> None:
    run(service, "baseline")
    assert found(service) == [] == found(service, "more.py")
    (service / "app.py").write_text((service / "app.py").read_text().replace('"/a"', '"/A"'))
    assert found(service) == []


def test_the_explanation_says_with_which_it_is_told(service: Path) -> None:
    assert "reported: SRV102 blocking-model-load, with app.py:9" in run(
        service, "check", "--no-cache", "--explain", "more.py:7"
    )
    assert "reported: SRV102 blocking-model-load (error" in run(
        service, "check", "--no-cache", "--explain", "app.py:9"
    )


def test_a_fix_goes_by_the_places(service: Path) -> None:
    run(service, "fix", "--unsafe-fixes")
    assert found(service, "--select", "SRV102") == []
