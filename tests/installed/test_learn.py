"""`servelint learn`: what is read of wheels and environments is a catalogue file that says the same."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import packages_of_tests as packages
import pytest
import yaml
from conftest import Project, Servelint
from test_environment import EXPECTED, SERVICE, findings, lines
from test_libraries import CONFIGURATION, SCHEMA

from benchmarks import learned as again
from benchmarks.prune import pruned
from servelint import learning
from servelint.finding import Confidence
from servelint.knowledge import compiled, learned
from servelint.knowledge.layers import under
from servelint.knowledge.types import Role


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return packages.wheel(tmp_path, "acme-ml", "1.2", packages.ACME)


def test_a_wheel_becomes_a_file_and_the_file_finds_the_same(
    project: Project, servelint: Servelint, wheel: Path
) -> None:
    project.write({"app/main.py": SERVICE, "servelint.toml": "fail-on = 'error'\n"})
    learned = servelint("learn", str(wheel))
    assert (learned.status, learned.out) == (
        0,
        "servelint-libraries/acme-ml.yaml: 2 functions, 3 classes of acme-ml 1.2\n",
    )
    data = yaml.safe_load(project.read("servelint-libraries/acme-ml.yaml"))
    jsonschema.validate(data, SCHEMA)
    assert data["source"] == "wheel acme-ml==1.2"
    scorer = data["types"]["acme_ml.engine.Scorer"]
    assert scorer["classes"] == ["acme_ml.Scorer", "acme_ml.engine.Scorer", "acme_ml.native.Scorer"]
    assert scorer["construct"]["role"] == "load"
    assert scorer["attributes"] == {"inner": "acme_ml.engine.Net", "net": "torch.Loaded"}
    assert scorer["methods"]["score"]["role"] == "inference"
    assert scorer["methods"]["ascore"] == "coroutine"
    assert scorer["methods"]["stream"]["role"] == "lazy"
    assert "name" not in scorer["methods"]
    assert scorer["methods"]["score"]["chain"][0].endswith(": acme_ml.engine.Scorer.score calls self._run")
    assert data["types"]["acme_ml.reader.Reader"]["classes"] == ["acme_ml.Reader", "acme_ml.reader.Reader"]
    project.write({"servelint.toml": CONFIGURATION})
    found = findings(servelint)
    native = next(n for n, line in enumerate(SERVICE.splitlines(), 1) if "native_scorer()" in line)
    assert lines(found) == [line for line in EXPECTED if line != native or native in lines(found)]
    assert {item["confidence"] for item in found if item["trace"]} == {"medium"}
    assert any(step.get("package") == "acme-ml 1.2" for item in found for step in item["trace"])


def test_an_environment_is_read_and_what_the_catalogue_has_is_left_out(
    project: Project, servelint: Servelint
) -> None:
    folder = packages.environment(project.root, "env")
    packages.install(folder, "acme-ml", "1.2", packages.ACME)
    packages.install(folder, "team-vision", "3", packages.SHARED)
    packages.install(folder, "plainlib", "2", packages.PLAIN)
    packages.install(
        folder, "whisper", "1", {"whisper/__init__.py": "import torch\nmodel = torch.load('x')\n"}
    )
    assert servelint("learn", "--environment", "env").status == 0
    written = sorted(path.name for path in (project.root / "servelint-libraries").iterdir())
    assert written == ["acme-ml.yaml", "team-vision.yaml"]
    data = yaml.safe_load(project.read("servelint-libraries/team-vision.yaml"))
    (entry,) = data["functions"].values()
    assert any("[acme-ml 1.2]: " in link for link in entry["chain"])


MAKING = {
    "making/__init__.py": """\
        import torch
        from making.models import Net

        ENGINES = {"net": Net(), "table": str}

        def build_net(warm=True):
            net = Net()
            net(torch.zeros(1))
            return net

        def get_scores(x):
            return Net()(x)

        def fit(x):
            return Net()(x)

        def first(x):
            return x

        def one_of(name, x):
            return ENGINES[name](x)

        first(Net())
        """,
    "making/models.py": """\
        import torch

        class Net(torch.nn.Module):
            def forward(self, x):
                return x
        """,
}


def test_what_is_learned_of_functions_is_what_they_are_for(
    project: Project, servelint: Servelint, tmp_path: Path
) -> None:
    path = packages.wheel(tmp_path, "making", "1", MAKING)
    assert servelint("learn", str(path)).status == 0
    data = yaml.safe_load(project.read("servelint-libraries/making.yaml"))
    said = {name: (entry["role"], entry.get("returns")) for name, entry in data["functions"].items()}
    assert said == {
        "making.build_net": ("load", "making.models.Net"),
        "making.get_scores": ("inference", None),
        "making.fit": ("training", None),
    }


def test_a_file_that_is_there_is_kept(project: Project, servelint: Servelint, wheel: Path) -> None:
    project.write({"servelint-libraries/acme-ml.yaml": "corrected\n"})
    kept = servelint("learn", str(wheel))
    assert kept.status == 2
    assert "--force" in kept.err
    assert project.read("servelint-libraries/acme-ml.yaml") == "corrected\n"
    assert servelint("learn", str(wheel), "--force").status == 0
    assert "library: acme-ml" in project.read("servelint-libraries/acme-ml.yaml")


def test_what_cannot_be_learned_is_said(project: Project, servelint: Servelint, tmp_path: Path) -> None:
    (tmp_path / "broken-1-py3-none-any.whl").write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "empty-1-py3-none-any.whl", "w") as archive:
        archive.writestr("../../escape.py", "import torch\n")
    for name, message in (("broken", "is no wheel"), ("empty", "no folder *.dist-info")):
        told = servelint("learn", str(tmp_path / f"{name}-1-py3-none-any.whl"))
        assert told.status == 2
        assert message in told.err
    assert "Name a distribution, a wheel or an sdist" in servelint("learn").err
    assert "no distribution" in servelint("learn", "--", "--index-url=x").err
    assert not (project.root / "servelint-libraries").exists()


def test_only_wheels_are_taken_from_the_index(
    project: Project, servelint: Servelint, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    class Done:
        returncode, stderr = 0, ""

    def run(command: list[str], **_: object) -> Done:
        asked.append(command)
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir(parents=True)
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return Done()

    monkeypatch.setattr(learning.subprocess, "run", run)
    assert servelint("learn", "acme-ml==1.2").status == 0
    assert asked[0][-1] == "acme-ml==1.2"
    assert {"--no-deps", "--only-binary", ":all:"} <= set(asked[0])


def test_the_schema_is_printed(servelint: Servelint) -> None:
    assert json.loads(servelint("learn", "--schema").out) == SCHEMA


def _problems(top: str) -> Iterator[object]:
    """What does not hold in the file about a module."""
    known = under(compiled.catalogue(), learned.of([top]))
    (library,) = learned.of([top]).libraries.values()
    if top not in library.modules or top in compiled.catalogue().modules:
        yield library.modules
    named = [entry.returns for entry in library.functions.values()]
    for one in library.types.values():
        entries = (*one.methods.values(), *filter(None, [one.construct]))
        named += [*one.inherits, *one.attributes.values(), *(entry.returns for entry in entries)]
        yield from (entry for entry in entries if entry.confidence is not Confidence.MEDIUM)
        yield from (entry for entry in entries if entry.role is Role.REMOTE)
    yield from (name for name in named if name not in ("", "self") and name not in known.types)


PRUNED: dict[str, Any] = {
    "library": "things",
    "modules": ["things"],
    "functions": {
        "things.load": {"role": "load", "returns": "things.core.Net", "chain": ["a", "b", "c"]},
        "{things.cli.run,things.api.run,things.run}": {"role": "inference", "chain": ["a"]},
        "things.cli.serve": {"role": "inference", "chain": ["a"]},
        "things.main": {"role": "inference", "chain": ["a"]},
        "things.test_net": {"role": "inference", "chain": ["a"]},
        "things.export_onnx": {"role": "inference", "chain": ["a"]},
        "things.post": {"role": "remote", "chain": ["a"]},
        "things.smooth": {"role": "inference", "chain": ["x calls f, scipy.optimize.minimize (SciPy)"]},
        "things.predict": {"role": "inference", "chain": ["x calls f, scipy.optimize.minimize (SciPy)"]},
        "things.zeros": {"role": "cheap", "returns": "torch.Tensor"},
        "others.run": {"role": "inference", "chain": ["a"]},
    },
    "types": {
        "things.core.Net": {
            "classes": ["things.core.Net"],
            "inherits": ["torch.Module", "gone.Base"],
            "methods": {
                "forward": {"role": "inference", "chain": ["a"]},
                "encode": {"role": "inference", "returns": "torch.Tensor", "chain": ["a"]},
                "training_step": {"role": "inference", "chain": ["a"]},
                "loss": {"role": "inference"},
                "config": "inference",
            },
            "attributes": {"layer": "torch.Module", "head": "things.core.Head"},
        },
        "things.core.Head": {"classes": ["things.core.Head"], "inherits": ["torch.Module"]},
        "things.Layer": {"classes": ["things.Layer"], "inherits": ["torch.Module"]},
        "things.train.Trainer": {"classes": ["things.train.Trainer"], "construct": {"role": "load"}},
    },
}


def test_what_no_service_calls_is_left_out() -> None:
    data = pruned(PRUNED)
    assert data is not None
    assert data["functions"] == {
        "things.load": {"role": "load", "returns": "things.core.Net", "chain": ["a", "c"]},
        "{things.api.run,things.run}": {"role": "inference", "chain": ["a"]},
        "things.predict": PRUNED["functions"]["things.predict"],
    }
    assert data["types"] == {
        "things.core.Net": {
            "classes": ["things.core.Net"],
            "inherits": ["torch.Module"],
            "construct": "cheap",
            "methods": {"encode": {"role": "inference", "chain": ["a"]}},
        },
        "things.Layer": {"classes": ["things.Layer"], "inherits": ["torch.Module"], "construct": "cheap"},
    }
    assert pruned({**PRUNED, "modules": ["nothing"]}) is None


class TestLearnedBefore:
    """`rules/learned`: what servelint comes with of libraries that nobody has described."""

    def test_holds_together(self) -> None:
        broken = {top: found for top in sorted(learned.modules()) if (found := list(_problems(top)))}
        assert broken == {}

    def test_is_of_what_services_import(self) -> None:
        tops = learned.modules()
        assert len(tops) > 250
        assert tops.isdisjoint(again.ORDINARY | again.LEFT_OUT)

    def test_is_used_without_the_package(self, project: Project, servelint: Servelint) -> None:
        project.write({"app.py": LEARNED_SERVICE})
        (found,) = findings(servelint)
        assert (found["line"], found["confidence"]) == (9, "medium")
        assert found["trace"][-1]["package"] == "deepmultilingualpunctuation 1.0.1"

    def test_three_wheels_are_learned_again(self, tmp_path: Path) -> None:
        wheels = [
            packages.wheel(tmp_path, "acme-ml", "1.2", packages.ACME),
            packages.wheel(tmp_path, "plainlib", "2", packages.PLAIN),
            packages.wheel(tmp_path, "joblib", "9", {"joblib/__init__.py": "import torch\nx = torch.load\n"}),
        ]
        again.main(list(map(str, wheels)), tmp_path / "learned")
        (path,) = (tmp_path / "learned").iterdir()
        data = json.loads(path.read_text())
        assert (path.name, data["version"], data["confidence"]) == ("acme_ml.json", "1.2", "medium")
        assert len(data["types"]["acme_ml.reader.Reader"]["methods"]["read"]["chain"]) == 2


LEARNED_SERVICE = """\
from deepmultilingualpunctuation import PunctuationModel
from fastapi import FastAPI

app = FastAPI()
model = PunctuationModel()

@app.get("/")
async def endpoint(text: str):
    return model.restore_punctuation(text)
"""
