"""The commands around the check: rule, config, init, completion, help."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import Project, Servelint

from servelint import __version__
from servelint.cli.commands import COMMANDS
from servelint.knowledge.pages import PageError, codes, page, parse


def test_every_rule_is_listed_and_explained(servelint: Servelint) -> None:
    listed = servelint("rule").out.splitlines()
    assert [line.split()[0] for line in listed] == list(codes())
    for code in codes():
        explained = servelint("rule", code.lower())
        assert explained.status == 0
        assert explained.out.startswith(f"# {code} {page(code).name}\n")
    by_name = servelint("rule", "unreadable-file", "--output-format", "json")
    assert json.loads(by_name.out)[0]["code"] == "SRV000"


@pytest.mark.parametrize("code", codes())
def test_every_page_has_the_form(code: str) -> None:
    about = page(code)
    assert about.why.endswith(".")
    assert about.instead
    assert {"Why", "Bad", "Good", "Fix", "When not to follow it", "References"} <= set(about.sections)
    assert about.url.startswith("http")


@pytest.mark.parametrize(
    "text",
    [
        "# SRV999 other-rule\n",
        "# SRV000 unreadable-file\n\nWhy.\n",
        "# SRV000 unreadable-file\n\n**Instead:** x\n",
    ],
)
def test_a_page_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(PageError):
        parse("SRV000", text)


def test_a_page_in_colour(servelint: Servelint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = servelint("rule", "SRV000").out
    assert out.startswith("\x1b[1mSRV000 unreadable-file\x1b[0m\n")
    assert "```" not in out


def test_the_configuration_in_force_and_where_it_came_from(project: Project, servelint: Servelint) -> None:
    project.write(
        {"pyproject.toml": '[tool.servelint]\nfail-on = "error"\nfix.max-workers = 2\n', "a.py": ""}
    )
    out = servelint("config", "--ignore", "SRV000").out
    assert f"# project root: {project.root}\n# configuration: pyproject.toml\n" in out
    assert 'ignore = ["SRV000"]  # command line\n' in out
    assert 'fail-on = "error"  # pyproject.toml:2\n' in out
    assert "fix.max-workers = 2  # pyproject.toml:3\n" in out
    assert 'select = ["SRV"]  # default\n' in out
    values = json.loads(servelint("config", "--output-format", "json").out)
    assert values["fail-on"] == {"value": "error", "origin": "pyproject.toml:2"}
    assert json.loads(servelint("config", "--schema").out)["properties"]["select"]


def test_init_shows_asks_and_writes(project: Project, servelint: Servelint) -> None:
    project.write({".pre-commit-config.yaml": "repos:\n  - repo: meta\n    hooks:\n      - id: identity\n"})
    project.git("init", "-q")
    refused = servelint("init", stdin="")
    assert refused.status == 2
    assert "create servelint.toml" in refused.out
    assert "+   - repo: local" in refused.out
    assert "there is no terminal to ask on" in refused.err
    assert not (project.root / "servelint.toml").exists()
    assert servelint("init", "--yes").status == 0
    assert tomllib.loads(project.read("servelint.toml"))["fail-on"] == "warning"
    hooks = yaml.safe_load(project.read(".pre-commit-config.yaml"))
    assert [item["repo"] for item in hooks["repos"]] == ["meta", "local"]
    workflow = yaml.safe_load(project.read(".github/workflows/servelint.yaml"))
    assert workflow["jobs"]["servelint"]["steps"]
    assert servelint("config").status == 0
    again = servelint("init", "--yes")
    assert (again.status, again.out) == (0, "Everything is set up already.\n")


@pytest.mark.parametrize(
    ("files", "branch"),
    [
        ({}, "main"),
        ({"refs/heads/master": "0" * 40}, "master"),
        ({"refs/heads/master": "0" * 40, "refs/heads/main": "0" * 40}, "main"),
        ({"refs/remotes/origin/HEAD": "ref: refs/remotes/origin/release/2.x\n"}, "release/2.x"),
        ({"refs/remotes/origin/HEAD": "ref: refs/remotes/origin/a]\n  b: [c\n"}, "main"),
    ],
)
def test_the_workflow_runs_on_the_branch_that_there_is(
    files: dict[str, str], branch: str, project: Project, servelint: Servelint
) -> None:
    project.git("init", "-q", "-b", "change")
    project.write({f".git/{name}": text for name, text in files.items()})
    servelint("init", "--yes")
    assert f"    branches: [{branch}]\n" in project.read(".github/workflows/servelint.yaml")


def test_init_leaves_alone_what_it_cannot_add_to(project: Project, servelint: Servelint) -> None:
    text = "repos: [{repo: meta, hooks: [{id: identity}]}]\n"
    project.write({".pre-commit-config.yaml": text})
    result = servelint("init", "--yes", "--no-workflow", "--no-configuration")
    assert "cannot be added to" in result.err
    assert project.read(".pre-commit-config.yaml") == text


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts(shell: str, servelint: Servelint) -> None:
    assert "_SERVELINT_COMPLETE" in servelint("completion", shell).out


def test_rule_codes_are_completed(project: Project) -> None:
    environment = {
        "_SERVELINT_COMPLETE": "bash_complete",
        "COMP_WORDS": "servelint check --select SRV00",
        "COMP_CWORD": "3",
    }
    script = "from servelint.cli import main; main()"
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    assert out.split() == ["plain,SRV000", "plain,SRV001"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name: str, servelint: Servelint) -> None:
    result = servelint(name, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: servelint {name}")
    assert name == "server" or "Examples:" in result.out


def test_the_version_and_the_module(servelint: Servelint) -> None:
    assert servelint("--version").out == f"servelint {__version__}\n"
    out = subprocess.run(
        [sys.executable, "-m", "servelint", "-V"], capture_output=True, text=True, check=True, cwd=Path("/")
    ).stdout
    assert out == f"servelint {__version__}\n"
