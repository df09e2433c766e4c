"""Catalogue files of a project's own: what they add, who wins, and what is said of a file that does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import Project, Servelint

import servelint as package
from servelint.knowledge import compiled
from servelint.project import libraries
from servelint.project.config import Config, ConfigError
from servelint.store import rules_dir

SCHEMA = json.loads((Path(package.__file__).parent / "schemas" / "library.schema.json").read_text())
ACME = """\
library: Acme
modules: [acme]
source: wheel acme==1.2
version: "1.2"

functions:
  acme.connect: {role: load, returns: acme.Engine}

types:
  acme.Engine:
    classes: ["acme.{engine.,}Engine"]
    construct: cheap
    methods:
      score:
        role: inference
        chain: ["acme/engine.py:12: acme.engine.Engine.score calls self.net"]
      name: cheap
"""
SERVICE = """\
import acme
from fastapi import FastAPI

app = FastAPI()
engine = acme.connect()


@app.get("/")
async def endpoint(x: float):
    engine.name()
    return engine.score(x)
"""
CONFIGURATION = 'libraries = ["servelint-libraries/*.yaml"]\n'


def test_a_file_adds_to_the_catalogue(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": SERVICE})
    assert servelint("check", "--output-format", "concise").out == ""
    project.write({"servelint.toml": CONFIGURATION, "servelint-libraries/acme.yaml": ACME})
    (found,) = json.loads(servelint("check", "--output-format", "json").out)["findings"]
    assert (found["line"], found["library"], found["confidence"]) == (11, "Acme", "high")
    assert found["trace"][-1]["message"] == "Acme 1.2: acme.engine.Engine.score calls self.net"
    assert servelint("check", "--isolated", "--output-format", "concise").out == ""


def test_a_file_that_changes_is_read_again(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": SERVICE, "servelint.toml": CONFIGURATION, "servelint-libraries/acme.yaml": ACME})
    assert servelint("check").status == 1
    changed = ACME.replace("role: inference", "role: cheap")
    project.write({"servelint-libraries/acme.yaml": changed, ".gitignore": "servelint-libraries\n"})
    assert servelint("check").status == 0
    project.write({"servelint-libraries/acme.yaml": ACME})
    assert servelint("check").status == 1


def test_the_file_of_the_project_wins_over_the_catalogue(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": SERVICE.replace("acme.connect()", "joblib.load('m')").replace("acme", "joblib"),
            "servelint.toml": CONFIGURATION,
            "servelint-libraries/joblib.yaml": """\
library: joblib
source: our own measurements
functions:
  joblib.load: {role: load, returns: ours.Small}
types:
  ours.Small: {methods: {score: cheap}}
""",
        }
    )
    assert servelint("check").status == 0
    known = libraries.extended(
        compiled.catalogue(), Config(project.root, libraries=("servelint-libraries/*",))
    )
    assert known.libraries["joblib"].context == compiled.catalogue().libraries["joblib"].context


REFUSED = [
    ("library: [", 2, "is not valid YAML"),
    ("- a\n", 1, "a mapping is needed"),
    ("source: x\n", 1, "`library` is missing"),
    ("library: a\nsource: x\nfunctons: {}\n", 3, "unknown key `functons`; did you mean `functions`?"),
    ("library: a\nsource: x\nfunctions:\n  a.f: infer\n", 4, "'infer' is not a valid Role"),
    ("library: a\nsource: x\nfunctions:\n  a.f: cheap\n  a.f: load\n", 5, "`a.f` stands here twice"),
    ("library: a\nsource: x\nfunctions:\n  a.f: {role: load, returns: a.T}\n", 4, "there is no type `a.T`"),
    ("library: a\nsource: x\nfunctions:\n  a.f: {role: load, returns: self}\n", 4, "there is no type `self`"),
    ("library: a\nsource: x\nfunctions:\n  'a.{b': cheap\n", 4, "has a `{` without its `}`"),
    ("library: a\nsource: x\nfunctions:\n  'a b': cheap\n", 4, "has other characters"),
    (
        "library: a\nsource: x\ntypes:\n  T:\n    methods:\n      m: {role: cheap, return: T}\n",
        6,
        "unknown key `return`",
    ),
    ("library: a\nsource: x\ntypes:\n  T:\n    inherits: [T]\n", 4, "`T` inherits from itself"),
    ("library: a\nsource: x\ntypes:\n  T:\n    open: 1\n", 5, "`open` has to be true or false, not 1"),
    (
        "library: a\nsource: x\ngil: {verdict: maybe}\n",
        3,
        "`gil`: the verdict has to be one of releases, holds",
    ),
    ("library: a\nsource: x\nconfidence: sure\n", 3, "'sure' is not a valid Confidence"),
    ("library: a\nsource: x\nfunctions:\n  a.f: {role: load, chain: [here]}\n", 4, "`chain` has to be lines"),
    ("library: a\nsource: x\nmodules: ['a/b']\n", 3, "`a/b` is no name of a module"),
    ("library: &a x\nsource: *a\n", 2, "aliases are not read here"),
    ("library: a\nsource: x\nadvice: " + "[" * 40 + "]" * 40 + "\n", 3, "is nested too deeply"),
    ("library: !!python/name:os.system x\n", 1, "the tag"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_what_does_not_fit_is_named_with_its_line(
    project: Project, servelint: Servelint, text: str, line: int, message: str
) -> None:
    project.write({"app.py": SERVICE, "servelint.toml": CONFIGURATION, "servelint-libraries/a.yaml": text})
    result = servelint("check")
    assert result.status == 2
    assert f"servelint-libraries/a.yaml:{line}: " in result.err
    assert message in result.err


@pytest.mark.parametrize("pattern", ["/etc/*.yaml", "../*.yaml", "**/*.yaml", "missing/*.yaml", "out/*.yaml"])
def test_files_are_of_the_project(project: Project, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "elsewhere.yaml").write_text(ACME)
    (project.root / "out").mkdir()
    (project.root / "out" / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(ConfigError, match="libraries"):
        libraries.files(Config(project.root, libraries=(pattern,)))


def test_the_schema_fits_what_there_is() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for path in [*sorted((rules_dir() / "libraries").glob("*.yaml"))]:
        assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))] == [], (
            path
        )
    assert not validator.is_valid(yaml.safe_load(ACME.replace("role: load", "rule: load")))
    assert not validator.is_valid(yaml.safe_load(ACME.replace("inference", "infer")))
