"""`servelint init`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from servelint.cli import options
from servelint.cli.terminal import complain, style_for, write
from servelint.escape import visible
from servelint.finding import ExitStatus
from servelint.project import disk
from servelint.project.config import ConfigError, find
from servelint.project.listing.files import shown_path
from servelint.project.listing.repository import default_branch, work_tree
from servelint.project.text.source import split_lines
from servelint.project.text.writing import LEADS_OUT, leads_out, replace_file
from servelint.version import __version__

EPILOG = """\b
Examples:
  servelint init                       show what would be written, ask, write
  servelint init --yes --no-workflow   configuration and hook only, without asking
"""

_CONFIGURATION = """\
# servelint: https://pypi.org/project/servelint
# `servelint config` shows every option; `servelint rule` lists the rules.
fail-on = "warning"
min-confidence = "medium"
"""

_HOOK = """\
  - repo: local
    hooks:
      - id: servelint
        name: servelint
        entry: servelint check
        language: python
        additional_dependencies: ["servelint=={version}"]
        types: [text]
        require_serial: true
"""

_WORKFLOW = """\
name: servelint
on:
  pull_request:
  push:
    branches: [{branch}]
permissions:
  contents: read
jobs:
  servelint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install servelint=={version}
      - run: servelint check --output-format github
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A file to write. `before` is what is in it now, empty for a new one."""

    path: Path
    before: str
    after: str


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--configuration/--no-configuration", default=True, help="servelint.toml.")
@click.option("--hook/--no-hook", default=True, help="The hook in .pre-commit-config.yaml.")
@click.option("--workflow/--no-workflow", default=True, help=".github/workflows/servelint.yaml.")
@click.option("--yes", "-y", is_flag=True, help="Write without asking.")
def command(*, folder: Path, configuration: bool, hook: bool, workflow: bool, yes: bool) -> int:
    """Set up configuration, pre-commit hook and workflow in the repository of FOLDER.

    Shows what it will write and asks first. What is there already is left as it is.
    """
    root = _root(folder.absolute())
    wanted = [(configuration, _configuration), (hook, _hook), (workflow, _workflow)]
    planned = [item for chosen, plan in wanted if chosen for item in plan(root)]
    if not planned:
        write("Everything is set up already.\n")
        return ExitStatus.CLEAN
    for item in planned:
        if leads_out(item.path, root):
            raise options.Failure(f"{item.path}: not written: {LEADS_OUT}")
        if not item.before and os.path.lexists(item.path):
            raise options.Failure(f"{item.path}: not written: something else is there")
        _show(item)
    if not yes and not sys.stdin.isatty():
        raise options.Failure("nothing was written: there is no terminal to ask on; `--yes` does not ask")
    if not yes and not click.confirm("Write this?", default=True):
        write("Nothing was written.\n")
        return ExitStatus.CLEAN
    for item in planned:
        try:
            item.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(item.path, item.after.encode())
        except OSError as error:
            raise options.Failure(f"{item.path}: cannot be written: {error.strerror}") from error
        write(f"wrote {visible(shown_path(item.path, Path.cwd()))}\n")
    write("Next: `servelint check`; `servelint baseline` accepts what is there today.\n")
    return ExitStatus.CLEAN


def _root(folder: Path) -> Path:
    tree = work_tree(folder)
    return Path(tree.root) if tree is not None else folder


def _show(item: Planned) -> None:
    style = style_for(sys.stdout)
    what = "add to" if item.before else "create"
    write(style.paint(f"{what} {visible(shown_path(item.path, Path.cwd()))}", "bold") + "\n")
    added = item.after.removeprefix(item.before)
    write(
        "".join(f"{style.paint('+ ' + line, 'green')}\n" for line in split_lines(added.rstrip("\n"))) + "\n"
    )


def _configuration(root: Path) -> Iterator[Planned]:
    try:
        present = find(root)
    except ConfigError as error:
        raise options.Failure(str(error)) from error
    if present is None or present.parent != root:
        yield Planned(root / "servelint.toml", "", _CONFIGURATION)


def _hook(root: Path) -> Iterator[Planned]:
    path = root / ".pre-commit-config.yaml"
    hook = _HOOK.format(version=__version__)
    if not path.exists():
        yield Planned(path, "", f"repos:\n{hook}")
        return
    before = _text(path)
    if "servelint" in before:
        return
    after = before if before.endswith("\n") else before + "\n"
    after += hook
    if _is_list_of_repositories(before) and _is_list_of_repositories(after):
        yield Planned(path, before, after)
    else:
        complain(f"{path.name} is written in a way that cannot be added to; add this to its `repos:`")
        click.echo(hook, err=True)


def _content(path: Path) -> bytes:
    """The content of a file that is there; raises `Failure`."""
    try:
        return disk.read(path)
    except OSError as error:
        raise options.Failure(f"{path}: cannot be read: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return _content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise options.Failure(f"{path}: is not UTF-8") from error


def _is_list_of_repositories(text: str) -> bool:
    """Whether a hook can be appended: the file ends inside a `repos:` list in block style."""
    import yaml

    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return False
    if not isinstance(document, yaml.MappingNode) or not document.value:
        return False
    key, repositories = document.value[-1]
    return (
        key.value == "repos"
        and isinstance(repositories, yaml.SequenceNode)
        and all(isinstance(item, yaml.MappingNode) for item in repositories.value)
    )


def _workflow(root: Path) -> Iterator[Planned]:
    folder = root / ".github" / "workflows"
    path = folder / "servelint.yaml"
    present = [file for file in folder.glob("*.y*ml") if file.is_file()]
    if not any(b"servelint" in _content(file) for file in present):
        tree = work_tree(root)
        branch = default_branch(tree) if tree is not None else "main"
        yield Planned(path, "", _WORKFLOW.format(version=__version__, branch=branch))
