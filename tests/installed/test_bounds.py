"""What one question leads to in a package is bounded by counts, and the answer does not hang on what was asked before."""

from __future__ import annotations

import json
from pathlib import Path

import packages_of_tests as packages
import pytest
from conftest import Project, Servelint

from servelint.code.installed import judging
from servelint.code.judge.blocking import Judge
from servelint.code.judge.outcomes import Blocking
from servelint.code.values.values import Frame

SERVICE = """\
from fastapi import FastAPI
from many import Codec

app = FastAPI()
codec = Codec()


@app.post("/pack")
async def pack(x: float):
    return codec.pack(x)


@app.post("/rate")
async def rate(x: float):
    return codec.rate(x)  # expect
"""
KINDS = 12
# Every kind encodes its parts, and what is passed differs from kind to kind and from depth to depth.
MANY = (
    "import torch\n\nnet = torch.jit.load('net.pt')\n\n\nclass Codec:\n"
    "    def pack(self, value):\n        return first(value)\n\n"
    "    def rate(self, value):\n        first(value)\n        return run(net, value)\n\n\n"
    "def run(model, value):\n    return model(value)\n\n\n"
    "def encode(value):\n    return [" + ", ".join(f"kind{n}(value)" for n in range(KINDS)) + "]\n\n\n"
    "def first(value):\n    return encode([value])\n\n\n"
    + "".join(
        f"def kind{n}(value):\n    return {{'kind': {n}, 'parts': [encode([value, {n}])]}}\n\n\n"
        for n in range(KINDS)
    )
)


@pytest.fixture
def service(project: Project) -> Project:
    """A service that asks a package of functions that all lead to each other."""
    project.write({"app.py": SERVICE})
    packages.install(packages.environment(project.root), "many", "1", {"many/__init__.py": MANY})
    return project


def checked(servelint: Servelint, *arguments: str) -> list[tuple[int, str]]:
    result = servelint("check", "--output-format", "json", *arguments)
    assert result.status in (0, 1), result.err
    return [(item["line"], item["code"]) for item in json.loads(result.out)["findings"]]


EXPECTED = [
    (number, "SRV101") for number, line in enumerate(SERVICE.splitlines(), 1) if line.endswith("# expect")
]


def test_a_function_is_not_judged_again_for_each_thing_that_it_is_given(
    service: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Frame] = []
    judge = Judge.in_body_of

    def counted(self: Judge, frame: Frame) -> Blocking | None:
        if isinstance(self, judging.Inside):
            judged.append(frame)
        return judge(self, frame)

    monkeypatch.setattr(Judge, "in_body_of", counted)
    assert checked(servelint, "--no-cache") == EXPECTED
    # Two questions, each with the kinds, what leads to them, and `run`.
    assert len(judged) <= 2 * (KINDS + 6)


class TestWhereTheBoundIsReached:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(judging.Inside, "is_exhausted", property(lambda self: self.bodies > 3))

    def test_nothing_is_found_and_that_is_explained_cold_and_warm(
        self, service: Project, servelint: Servelint
    ) -> None:
        assert checked(servelint, "--no-cache") == []
        line = EXPECTED[0][0]
        cold = servelint("check", "--explain", f"app.py:{line}").out
        assert (
            "many 1 is installed, and a call into it leads to more functions than are looked at for one"
            in cold
        )
        assert servelint("check", "--explain", f"app.py:{line}").out == cold

    def test_what_was_learned_of_the_package_answers(self, project: Project, servelint: Servelint) -> None:
        service = SERVICE.replace("many", "audonnx").replace("Codec", "Model")
        project.write({"app.py": service.replace("codec.rate(x)", "codec(x)")})
        package = MANY.replace("Codec", "Model").replace("def rate", "def __call__")
        files = {
            "audonnx/__init__.py": "from audonnx.core.model import Model\n",
            "audonnx/core/__init__.py": "",
        }
        folder = packages.environment(project.root)
        packages.install(folder, "audonnx", "1", files | {"audonnx/core/model.py": package})
        assert checked(servelint) == EXPECTED
        assert checked(servelint) == EXPECTED


def test_the_same_is_found_whatever_was_asked_before(
    service: Project, servelint: Servelint, tmp_path: Path
) -> None:
    first, second = SERVICE.split('@app.post("/pack")')
    pack, rate = second.split('@app.post("/rate")')
    project = {
        "app.py": f'{first}@app.post("/rate")' + rate,
        "before.py": f'{first}@app.post("/pack")' + pack,
    }
    service.write(project)
    alone = checked(servelint, "--no-cache", "app.py")
    assert alone == checked(servelint, "--no-cache")
    assert [code for _, code in alone] == ["SRV101"]
