"""The repository itself: nothing lies around, tools are found anywhere, and what is promised is what is run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePath

import pytest
import yaml

ROOT = Path(__file__).parents[1]
KNOWN = {
    ".ci",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".pre-commit-hooks.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "action.yml",
    "benchmarks",
    "docs",
    "examples",
    "hatch_build.py",
    "pyproject.toml",
    "rules",
    "src",
    "templates",
    "tests",
    "website",
}


def tracked(*patterns: str) -> list[str]:
    """The files that git knows, as paths relative to the root."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]


def readme_commands() -> list[str]:
    """The first command below each heading that has one."""
    sections = re.split(r"^## ", (ROOT / "README.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    firsts = (re.search(r"^    (\S.*)$", section, re.MULTILINE) for section in sections)
    return [found[1] for found in firsts if found]


def test_every_entry_of_the_root_is_a_known_one() -> None:
    assert {PurePath(name).parts[0] for name in tracked()} == KNOWN


def installed_programs() -> frozenset[str]:
    """The programs that distributions of this environment have put next to its interpreter."""
    return frozenset(
        PurePath(file).stem
        for distribution in metadata.distributions()
        for file in distribution.files or ()
        if PurePath(file).parent.name in ("bin", "Scripts")
    ) | {"servelint"}


def commands(tree: ast.AST) -> Iterator[ast.Constant]:
    """The first words of lists and tuples that are run, or are written like the words of a command."""
    run = {id(node.args[0]) for node in ast.walk(tree) if isinstance(node, ast.Call) and runs(node)}
    for node in ast.walk(tree):
        # A command has options or arguments; a list of names may begin with that of a program.
        if isinstance(node, ast.List | ast.Tuple) and (len(node.elts) > 1 or id(node) in run):
            first = node.elts[0]
            options = (
                word
                for word in node.elts[1:]
                if isinstance(word, ast.Constant) and str(word.value)[:1] == "-"
            )
            named = isinstance(first, ast.Constant) and isinstance(first.value, str)
            if isinstance(first, ast.Constant) and named and (id(node) in run or any(options)):
                yield first


def runs(call: ast.Call) -> bool:
    """Whether the call starts the program that its first argument names."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return bool(call.args) and name in ("run", "Popen", "check_call", "check_output")


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('["ruff", "check", "--fix"]', ["ruff"]),
        ('[sys.executable, "-m", "ruff", "--fix"]', []),
        ('["ruff", "mypy"]', []),
        ('subprocess.run(["ruff", "format"])', ["ruff"]),
        ('subprocess.Popen(["servelint"])', ["servelint"]),
    ],
)
def test_a_bare_name_is_seen(text: str, bare: list[str]) -> None:
    assert [word.value for word in commands(ast.parse(text))] == bare


def test_tools_are_found_next_to_the_interpreter() -> None:
    """Outside an activated environment a bare name is another program, or none."""
    programs = installed_programs()
    assert {"ruff", "pytest", "servelint"} <= programs
    faults = [
        f"{name}:{word.lineno}: {word.value}"
        for name in tracked("tests/**.py")
        if not name.startswith("tests/fixtures/")
        for word in commands(ast.parse((ROOT / name).read_text("utf-8")))
        if word.value in programs
    ]
    assert faults == []


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    """They are taken from the README, so they cannot stand in the script as well."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    first, *_, last = readme_commands()
    assert ".venv/bin/servelint check" in first
    assert ".venv/bin/python -m pytest" in last
    assert first not in script
    assert last not in script
    taken = re.search(r"^command_of\(\) \{.*?^\}$", script, re.MULTILINE | re.DOTALL)
    assert taken
    for name, heading, command in (("try", "Try it", first), ("test", "Test it", last)):
        asked = f'{taken[0]}\ncommand_of "{heading}"'
        done = subprocess.run(["bash", "-ec", asked], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == f"{command}\n"
        assert f'{name}=$(command_of "{heading}")' in script
        assert re.search(rf'^(?:status=0; )?bash -ec "\${name}"', script, re.MULTILINE)


def test_nothing_is_found_here_but_what_is_accepted() -> None:
    command = [sys.executable, "-m", "servelint", "check", "--no-cache", "--output-format", "concise"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_everything_left_out_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    start = lines.index("[tool.servelint]")
    settings = tomllib.loads("\n".join(lines[start : lines.index("", start)]))["tool"]["servelint"]
    assert set(settings) == {"extend-exclude"}
    for path in settings["extend-exclude"]:
        (line,) = (line for line in lines[start:] if f'"{path}"' in line)
        assert re.search(r" # \w+", line), line


def test_the_hooks_of_this_repository_run_what_ci_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    names = {hook["id"] for repository in hooks["repos"] for hook in repository["hooks"]}
    assert names == {"ruff-check", "ruff-format", "servelint"}
    command = [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
