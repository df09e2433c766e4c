"""The scheduled workflow: GitHub would accept it, and every command in it exists and is called as it wants."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.incident.__main__ import options, plan
from benchmarks.incident.ingress import EMBEDDED

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOAD_WINDOW = ROOT / ".github" / "workflows" / "load-window.yml"


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def commands(workflow: Path) -> list[list[str]]:
    """The words of every line of every script."""
    scripts = [step["run"] for step in steps(workflow) if "run" in step]
    return [shlex.split(line) for script in scripts for line in script.splitlines()]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_github_accepts_it(workflow: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, str(workflow)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_its_scripts_parse_and_take_no_input_as_code(workflow: Path) -> None:
    for step in steps(workflow):
        if script := step.get("run"):
            assert "${{" not in script
            done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_the_load_window_measures_what_there_is() -> None:
    (command,) = (
        words for words in commands(LOAD_WINDOW) if words[:2] == ["python", "-m"] and words[2] != "pip"
    )
    assert command[2] == "benchmarks.incident"
    chosen = options(command[3:])
    rounds = plan(chosen)
    assert chosen.check
    assert chosen.quick
    assert chosen.front == EMBEDDED
    timeout = yaml.safe_load(LOAD_WINDOW.read_text(encoding="utf-8"))["jobs"]["incident"]["timeout-minutes"]
    assert sum(each.bound for each in rounds) < timeout * 60 / 2, "the rest is for installing"


def test_the_load_window_needs_no_root() -> None:
    jobs = yaml.safe_load(LOAD_WINDOW.read_text(encoding="utf-8"))["jobs"]
    assert not [step for step in jobs["incident"]["steps"] if "sudo" in step.get("run", "")]


def test_the_load_window_keeps_its_report() -> None:
    (upload,) = (step for step in steps(LOAD_WINDOW) if "upload-artifact" in step.get("uses", ""))
    chosen = next(options(words[3:]) for words in commands(LOAD_WINDOW) if "benchmarks.incident" in words)
    assert Path(upload["with"]["path"]) == chosen.out
    (shown,) = (words for words in commands(LOAD_WINDOW) if words[0] == "cat")
    assert Path(shown[1]) == chosen.out / "results.md"


def test_the_load_window_installs_what_there_is() -> None:
    (install,) = (words for words in commands(LOAD_WINDOW) if words[1:4] == ["-m", "pip", "install"])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert install[install.index("--editable") + 1] == ".[example]"
    assert "example" in extras
    required = ROOT / install[install.index("--requirement") + 1]
    names = {line.partition(">")[0] for line in required.read_text().splitlines() if not line.startswith("#")}
    assert {"aiohttp", "matplotlib", "psutil"} <= names
    (cache,) = (step["with"] for step in steps(LOAD_WINDOW) if "setup-python" in step.get("uses", ""))
    for path in cache["cache-dependency-path"].split():
        assert (ROOT / path).exists()


def test_promtool_is_given_files_that_exist() -> None:
    (step,) = (
        step for step in steps(LOAD_WINDOW) if "promtool" in step.get("run", "") and "apt" not in step["run"]
    )
    folder = ROOT / step["working-directory"]
    called = [shlex.split(line) for line in step["run"].splitlines()]
    assert [words[:3] for words in called] == [["promtool", "check", "rules"], ["promtool", "test", "rules"]]
    assert all((folder / words[3]).exists() for words in called)
