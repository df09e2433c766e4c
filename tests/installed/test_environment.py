"""Calls are followed into installed packages: which environment counts, what is found there, and within which limits."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import packages_of_tests as packages
import pytest
from conftest import Project, Servelint

from servelint.code.installed import packages as installed
from servelint.code.installed import source

SERVICE = """\
import acme_ml
from acme_ml import Reader, Scorer, load
from acme_ml.native import scorer as native_scorer
from fastapi import FastAPI

app = FastAPI()
scorer = load("model")
reader = Reader()
hub = Scorer.from_hub("small")


@app.post("/score")
async def score(x: float):
    scorer.name()  # returns at once
    acme_ml.version()
    await scorer.ascore(x)
    return scorer.score(x)  # expect


@app.post("/read")
async def read(x: float):
    return reader.read(x)  # expect


@app.post("/inner")
async def inner(x: float):
    return scorer.inner(x)  # expect


@app.post("/hub")
async def of_hub(x: float):
    return hub.score(x)  # expect


@app.post("/native")
async def native(x: float):
    return native_scorer().score(x)  # expect


@app.post("/stream")
async def stream(x: float):
    return [y for y in scorer.stream([x])]  # expect


@app.post("/reload")
async def reload(path: str):
    Scorer(path)  # expect
"""


@pytest.fixture
def service(project: Project) -> Path:
    """A service with an environment that has the library it uses; where packages go."""
    project.write({"app/main.py": SERVICE})
    folder = packages.environment(project.root)
    packages.install(folder, "acme-ml", "1.2", packages.ACME)
    return folder


def findings(servelint: Servelint, *arguments: str) -> list[dict[str, Any]]:
    result = servelint("check", "--no-cache", "--output-format", "json", *arguments)
    assert result.status in (0, 1), result.err
    found: list[dict[str, Any]] = json.loads(result.out)["findings"]
    return found


def lines(found: list[dict[str, Any]]) -> list[int]:
    return sorted(item["line"] for item in found)


EXPECTED = [number for number, line in enumerate(SERVICE.splitlines(), 1) if "# expect" in line]


def test_what_blocks_in_an_installed_package_is_found(service: Path, servelint: Servelint) -> None:
    assert lines(findings(servelint)) == EXPECTED


def test_without_it_nothing_is_known(service: Path, servelint: Servelint) -> None:
    assert findings(servelint, "--environment", "none") == []


def test_the_way_leads_into_the_package(service: Path, servelint: Servelint) -> None:
    found = next(item for item in findings(servelint) if item["line"] == EXPECTED[0])
    inside = [step for step in found["trace"] if "package" in step]
    assert [(step["path"], step["package"]) for step in inside] == [("acme_ml/engine.py", "acme-ml 1.2")] * 2
    assert inside[0]["message"] == "acme-ml 1.2: acme_ml.engine.Scorer.score calls self._run"
    assert "torch.Module.__call__" in inside[1]["message"]
    text = servelint("check", "--no-cache").out
    assert re.search(
        r"= in:  acme_ml/engine.py:\d+: acme-ml 1.2: acme_ml.engine.Scorer.score calls self._run", text
    )
    sarif = json.loads(servelint("check", "--no-cache", "--output-format", "sarif").out)
    flows = [result.get("codeFlows") for result in sarif["runs"][0]["results"]]
    assert '"uri": "acme_ml/engine.py", "uriBaseId": "%PACKAGES%"' in json.dumps(flows)


OF_TWO = """\
from fastapi import FastAPI
from team.vision import tag
from plainlib import predict
app = FastAPI()
@app.post("/")
async def endpoint(image: bytes):
    predict(image)
    return tag(image, None)
"""


SHY = {
    "shy/__init__.py": """\
import torch

ENGINES = {}

class Engine(torch.nn.Module):
    @classmethod
    def from_pretrained(cls, path):
        return ENGINES[path]()

class EngineConfig:
    @classmethod
    def from_pretrained(cls, path):
        return ENGINES[path]()
"""
}
LOADING = """\
from fastapi import FastAPI
from shy import Engine, EngineConfig
app = FastAPI()
@app.post("/")
async def endpoint(path: str):
    EngineConfig.from_pretrained(path)
    return Engine.from_pretrained(path)
"""


def test_what_is_called_like_a_load_is_one_where_nothing_is_found(
    project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": LOADING})
    packages.install(packages.environment(project.root), "shy", "1", SHY)
    (found,) = findings(servelint)
    assert (found["code"], found["line"], found["confidence"]) == ("SRV102", 7, "medium")


def test_a_package_that_blocks_through_another_one(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": OF_TWO})
    folder = packages.environment(project.root)
    packages.install(folder, "team-vision", "3", packages.SHARED)
    packages.install(folder, "plainlib", "2", packages.PLAIN)
    assert findings(servelint) == []
    packages.install(folder, "acme-ml", "1.2", packages.ACME)
    (found,) = findings(servelint)
    assert [step.get("package") for step in found["trace"]] == [
        None,
        "team-vision 3",
        "acme-ml 1.2",
        "acme-ml 1.2",
    ]


def test_what_the_project_has_itself_is_its_own(
    service: Path, project: Project, servelint: Servelint
) -> None:
    project.write(
        {"app/acme_ml.py": "class Scorer:\n    def score(self, x): ...\ndef load(path): return Scorer()\n"}
    )
    assert all("package" not in step for item in findings(servelint) for step in item["trace"])


class TestWhichEnvironment:
    def test_the_option_wins_over_what_is_found(
        self, service: Path, servelint: Servelint, tmp_path: Path
    ) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        assert findings(servelint, "--environment", str(empty)) == []

    @pytest.mark.parametrize("place", ["../elsewhere", "../elsewhere/lib/python3.11/site-packages"])
    def test_the_configuration_names_an_environment_or_a_folder(
        self, project: Project, servelint: Servelint, tmp_path: Path, place: str
    ) -> None:
        project.write({"app/main.py": SERVICE, "servelint.toml": f'environment = "{place}"\n'})
        packages.install(packages.environment(tmp_path, "elsewhere"), "acme-ml", "1.2", packages.ACME)
        assert lines(findings(servelint)) == EXPECTED
        assert findings(servelint, "--isolated") == []

    def test_isolated_ignores_what_is_found(self, service: Path, servelint: Servelint) -> None:
        assert findings(servelint, "--isolated") == []
        assert lines(findings(servelint, "--isolated", "--environment", ".venv")) == EXPECTED

    def test_the_active_environment_counts_last_and_for_the_command_line_only(
        self, project: Project, servelint: Servelint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import servelint as library

        project.write({"app/main.py": SERVICE})
        packages.install(packages.environment(tmp_path, "active"), "acme-ml", "1.2", packages.ACME)
        monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
        assert lines(findings(servelint)) == EXPECTED
        assert "# VIRTUAL_ENV" in servelint("config").out
        assert library.check([project.root]).findings == ()
        packages.environment(project.root)
        assert findings(servelint) == []

    def test_a_folder_that_only_looks_like_one_does_not_count(
        self, project: Project, servelint: Servelint
    ) -> None:
        project.write({"app/main.py": SERVICE})
        packages.install(packages.environment(project.root), "acme-ml", "1.2", packages.ACME)
        (project.root / ".venv" / "pyvenv.cfg").unlink()
        assert findings(servelint) == []

    def test_one_that_is_not_there_is_an_error(self, project: Project, servelint: Servelint) -> None:
        project.write({"app/main.py": SERVICE, "servelint.toml": 'environment = "missing"\n'})
        result = servelint("check")
        assert result.status == 2
        assert "there are no packages in" in result.err
        assert "servelint.toml:1" in result.err


class TestKept:
    def test_a_second_run_is_the_same_and_asks_nothing_of_the_package(
        self, service: Path, servelint: Servelint, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = servelint("check")
        assert servelint("check").out.splitlines()[:-4] == first.out.splitlines()[:-4]
        asked: list[str] = []
        monkeypatch.setattr(source.Source, "values", lambda _, name: asked.append(name) or ())
        project.write({"app/main.py": f"{SERVICE}\n"})
        again = servelint("check", "--output-format", "json")
        assert lines(json.loads(again.out)["findings"]) == EXPECTED
        assert asked == []

    def test_another_version_is_read_anew(self, service: Path, servelint: Servelint) -> None:
        assert servelint("check").status == 1
        for info in service.glob("*.dist-info"):
            for file in info.iterdir():
                file.unlink()
            info.rmdir()
        (service / "acme_ml" / "engine.py").unlink()
        packages.install(
            service, "acme-ml", "2.0", {**packages.ACME, "acme_ml/engine.py": "class Scorer: ...\n"}
        )
        assert servelint("check").status == 0


class TestLimits:
    def test_a_package_that_is_too_large_is_not_followed_and_explained(
        self, service: Path, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(installed, "MOST_FILES", 2)
        assert findings(servelint) == []

    def test_what_was_read_and_does_not_block_is_explained(
        self, service: Path, project: Project, servelint: Servelint
    ) -> None:
        packages.install(service, "plainlib", "2", packages.PLAIN)
        project.write(
            {
                "app/main.py": SERVICE
                + "\n\n@app.post('/p')\nasync def p(x):\n    return plainlib.other(x)\nimport plainlib\n"
            }
        )
        line = len(SERVICE.splitlines()) + 5
        told = servelint("check", "--explain", f"app/main.py:{line}").out
        assert "plainlib 2 is installed, and imports nothing that is known to block" in told

    def test_parsing_ends_after_so_many_files(
        self, service: Path, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source, "MOST_PARSED", 1)
        assert findings(servelint) == []

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_only_regular_files_are_read_and_no_link_to_a_folder_is_followed(
        self, service: Path, servelint: Servelint, tmp_path: Path
    ) -> None:
        os.mkfifo(service / "acme_ml" / "pipe.py")
        (service / "acme_ml" / "loop").symlink_to(service)
        assert lines(findings(servelint)) == EXPECTED

    def test_nothing_is_imported(self, service: Path, servelint: Servelint, tmp_path: Path) -> None:
        trap = f"open({str(tmp_path / 'run')!r}, 'w')\n"
        for name in ("acme_ml/trap.py", "trap.pth", "sitecustomize.py"):
            (service / name).write_text(f"import os; {trap}")
        findings(servelint)
        assert not (tmp_path / "run").exists()
