"""Nothing is imported before it is needed: by the names of loaded modules, for time depends on the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import Project

SCRIPT = """
import sys
from servelint import cli
status = cli.run(sys.argv[1:])
print("loaded", *sys.modules)
sys.exit(status)
"""
PARSING = frozenset({"servelint.code.facts.extract", "libcst", "tree_sitter"})
NEVER = frozenset({"asyncio", "pygls", "libcst", "importlib.metadata", "rich", "difflib"})
PLAIN = "def double(x):\n    return 2 * x\n"
ENDPOINT = (
    "import joblib\n\nmodel = joblib.load('m')\n\n\nasync def predict(row):\n    return model.predict(row)\n"
)


def loaded(*arguments: str, status: int = 0) -> set[str]:
    """The modules that a command has loaded when it is done."""
    run = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    assert (run.returncode, run.stderr.partition("Traceback")[1]) == (status, ""), run.stderr
    last = run.stdout.splitlines()[-1].split()
    assert last[0] == "loaded"
    return set(last[1:])


def unwanted(names: frozenset[str] | set[str], *arguments: str, status: int = 0) -> list[str]:
    """Those of the names that a command loads all the same."""
    return sorted(loaded(*arguments, status=status) & names)


def test_the_names_tell_of_what_is_loaded(project: Project) -> None:
    project.write({"app.py": ENDPOINT, "k8s/pod.yaml": "kind: Pod\n"})
    assert "servelint.code.facts.extract" in loaded("check", "--no-cache", status=1)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check", "--help"], ["fix", "--help"]])
def test_help(arguments: list[str]) -> None:
    assert unwanted(NEVER | PARSING | {"yaml"}, *arguments) == []


def test_outside_a_repository_git_is_not_started(project: Project) -> None:
    project.write({"app.py": ENDPOINT})
    assert unwanted({"subprocess"}, "check", "--no-cache", status=1) == []


def test_the_data_is_read_from_yaml_once(project: Project) -> None:
    project.write({"app.py": ENDPOINT})
    loaded("check", "--no-cache", status=1)
    assert unwanted({"yaml", "servelint.knowledge.catalogue", "json"}, "check", "--no-cache", status=1) == []


def test_a_project_without_anything_to_check(project: Project) -> None:
    project.write({"notes.txt": "nothing\n"})
    assert unwanted(NEVER | PARSING | {"yaml"}, "check", "--no-cache") == []


def test_a_project_without_python_files(project: Project) -> None:
    project.write({"Dockerfile": "FROM scratch\n"})
    assert unwanted(NEVER | PARSING | {"servelint.code", "tomllib"}, "check", "--no-cache") == []


def test_a_project_without_manifests(project: Project) -> None:
    project.write({"app.py": PLAIN})
    assert unwanted(NEVER | PARSING | {"servelint.manifests"}, "check", "--no-cache") == []


def test_a_finding_is_shown_without_the_libraries_that_edit(project: Project) -> None:
    project.write({"app.py": ENDPOINT})
    assert unwanted(NEVER | {"tree_sitter"}, "check", "--no-cache", status=1) == []
