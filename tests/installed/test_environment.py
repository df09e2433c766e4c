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

from servelint.code.installed import following, source
from servelint.code.installed import packages as installed

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


class TestWhichPackagesAreRead:
    @pytest.fixture
    def looked_at(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The packages whose imports are looked for."""
        found: list[str] = []
        look = following.Following._look_for_imports
        monkeypatch.setattr(
            following.Following,
            "_look_for_imports",
            lambda self, package: found.append(package.module) or look(self, package),
        )
        return found

    def test_what_a_distribution_requires_is_enough(
        self, service: Path, servelint: Servelint, looked_at: list[str]
    ) -> None:
        assert lines(findings(servelint)) == EXPECTED
        assert looked_at == ["acme_ml"]
        packages.install(service, "acme-ml", "1.2", packages.ACME, ("torch>=2", "numpy"))
        assert lines(findings(servelint)) == EXPECTED
        assert looked_at == ["acme_ml"]

    def test_what_requires_something_else_is_looked_at_where_the_project_imports_it(
        self, service: Path, servelint: Servelint, looked_at: list[str]
    ) -> None:
        packages.install(service, "acme-ml", "1.2", packages.ACME, ("numpy",))
        assert lines(findings(servelint)) == EXPECTED
        assert looked_at == ["acme_ml"]

    @pytest.mark.parametrize(("needs", "found"), [((), 1), (("numpy",), 0), (("numpy", "torch"), 1)])
    def test_what_another_package_needs_is_looked_at_where_it_requires_nothing(
        self, project: Project, servelint: Servelint, needs: tuple[str, ...], found: int
    ) -> None:
        project.write({"app.py": OF_TWO})
        folder = packages.environment(project.root)
        packages.install(folder, "team-vision", "3", packages.SHARED, ("acme-ml",))
        packages.install(folder, "acme-ml", "1.2", packages.ACME, needs)
        assert len(findings(servelint)) == found

    def test_what_is_large_and_requires_nothing_stands_on_its_own(
        self, project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project.write({"app.py": OF_TWO})
        folder = packages.environment(project.root)
        packages.install(folder, "team-vision", "3", packages.SHARED, ("acme-ml",))
        packages.install(folder, "acme-ml", "1.2", packages.ACME)
        monkeypatch.setattr(following, "MOST_UNDECLARED", 3)
        assert findings(servelint) == []

    @pytest.mark.parametrize("list_of", ["RECORD", "top_level.txt"])
    def test_a_module_belongs_to_the_distribution_that_lists_it(
        self, service: Path, servelint: Servelint, list_of: str
    ) -> None:
        packages.install(service, "other", "9", {"acme_ml_tools/__init__.py": ""})
        info = service / "acme_ml-1.2.dist-info"
        listed = (info / "RECORD").read_text()
        (info / "RECORD").unlink()
        info = info.rename(service / "things-7.dist-info")
        (info / "METADATA").write_text("Name: things\nVersion: 7\nRequires-Dist: torch\n")
        (info / list_of).write_text(listed if list_of == "RECORD" else "acme_ml\n")
        steps = [step for item in findings(servelint) for step in item["trace"]]
        assert {step.get("package") for step in steps} == {None, "things 7"}


# What a function does is what it does as a rule: `quick` by default, `deep` where somebody asks for it.
CHOOSY = """\
import torch

USUAL = "quick"
net = torch.jit.load("net.pt")

def deep(x):
    return net(x)

def quick(x):
    return x.strip()

def by_name(x, engine="quick"):
    if engine == "quick":
        return quick(x)
    elif engine == "deep":
        return deep(x)
    return x

def by_else(x, engine="quick"):
    if engine in ("quick", "fast"):
        return quick(x)
    else:
        return deep(x)

def by_constant(x, engine=USUAL):
    if engine == USUAL:
        return quick(x)
    elif engine.startswith("deep"):
        return deep(x)

def by_flag(x, rerank=False, model=None):
    if rerank and model is not None:
        return deep(x)
    if not rerank:
        return quick(x)

def usually_deep(x, engine="deep"):
    if engine not in ("quick",):
        return deep(x)

def set_inside(x, engine="quick"):
    engine = engine or "deep"
    if engine == "deep":
        return deep(x)

def asked(x, engine):
    if engine == "deep":
        return deep(x)

def not_sure(x, engine=USUAL):
    if engine == "deep":
        return deep(x)

def given(x, weights=None):
    if weights is not None:
        return deep(weights)

def handed_on(x, engine="quick"):
    return by_name(x, engine)
"""


@pytest.mark.parametrize(
    ("name", "deep"),
    [
        ("by_name", False),
        ("by_else", False),
        ("by_constant", False),
        ("by_flag", False),
        ("handed_on", False),
        ("usually_deep", True),
        ("set_inside", True),
        ("asked", True),
        ("not_sure", True),
        ("given", True),
    ],
)
def test_a_function_of_a_library_is_judged_by_what_it_does_as_a_rule(
    project: Project, servelint: Servelint, name: str, deep: bool
) -> None:
    project.write(
        {
            "app.py": "from fastapi import FastAPI\nimport choosy\napp = FastAPI()\n"
            f"@app.get('/')\nasync def get(x: str):\n    return choosy.{name}(x)\n"
        }
    )
    packages.install(packages.environment(project.root), "choosy", "1", {"choosy.py": CHOOSY})
    assert len(findings(servelint)) == deep


TWO_WAYS = """\
import torch

net = torch.jit.load("net.pt")

def around(x):
    return first(x)

def first(x):
    return net(x)

def score(x):
    around(x)
    return net(x)
"""


def test_the_first_call_that_infers_stands_for_a_function(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": "from fastapi import FastAPI\nimport ways\napp = FastAPI()\n"
            "@app.get('/')\nasync def get(x: float):\n    return ways.score(x)\n"
        }
    )
    packages.install(packages.environment(project.root), "ways", "1", {"ways.py": TWO_WAYS})
    (found,) = findings(servelint)
    assert [step["line"] for step in found["trace"][1:]] == [12, 6, 9]


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


class TestEdited:
    """Packages that are installed to be edited stand elsewhere."""

    @pytest.fixture
    def elsewhere(self, project: Project, tmp_path: Path) -> Path:
        project.write({"app/main.py": SERVICE})
        folder = tmp_path / "work" / "src"
        packages.install(folder, "acme-ml", "1.2", packages.ACME)
        for info in folder.glob("*.dist-info"):
            info.rename(packages.environment(project.root) / info.name)
        return folder

    def site(self, project: Project) -> Path:
        return next((project.root / ".venv").glob("lib/*/site-packages"))

    def test_a_line_names_their_folder(
        self, elsewhere: Path, project: Project, servelint: Servelint, tmp_path: Path
    ) -> None:
        assert findings(servelint) == []
        trap = f"import os; open({str(tmp_path / 'run')!r}, 'w')"
        (self.site(project) / "acme.pth").write_text(f"# a note\n{trap}\n/not/there\n\n{elsewhere}\n")
        found = findings(servelint)
        assert lines(found) == EXPECTED
        assert {step.get("package") for item in found for step in item["trace"]} == {None, "acme_ml"}
        assert not (tmp_path / "run").exists()

    def test_a_table_names_them(self, elsewhere: Path, project: Project, servelint: Servelint) -> None:
        other = {"acme_ml": str(elsewhere / "acme_ml"), "renamed": str(elsewhere.parent / "other")}
        (self.site(project) / "__editable___acme_ml_1_2_finder.py").write_text(
            f"import sys\nMAPPING: dict[str, str] = {other!r}\nNAMESPACES: dict = {{}}\n"
        )
        assert lines(findings(servelint)) == EXPECTED

    def test_what_changes_there_is_read_again(
        self, elsewhere: Path, project: Project, servelint: Servelint
    ) -> None:
        (self.site(project) / "acme.pth").write_text(f"{elsewhere}\n")
        assert servelint("check").status == 1
        (elsewhere / "acme_ml" / "engine.py").write_text("class Scorer: ...\ndef load(path): ...\n")
        assert servelint("check").status == 0

    @pytest.mark.parametrize("place", [".", "app", ".."])
    def test_the_project_itself_is_no_package(
        self, elsewhere: Path, project: Project, servelint: Servelint, place: str
    ) -> None:
        (self.site(project) / "own.pth").write_text(f"{project.root / place}\n")
        assert findings(servelint) == []

    @pytest.mark.parametrize("text", ["MAPPING: dict = {", "MAPPING: dict = {'a': 1, **x}\n", "a\0b\n"])
    def test_what_cannot_be_read_names_nothing(
        self, elsewhere: Path, project: Project, servelint: Servelint, text: str
    ) -> None:
        (self.site(project) / "__editable___x_finder.py").write_text(text)
        (self.site(project) / "x.pth").write_text(text)
        assert findings(servelint) == []


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
