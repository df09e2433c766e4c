"""The manual says what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import Project

from servelint.lint import Report
from servelint.project.config import load, option_names
from servelint.reports import FORMATS
from servelint.version import __version__

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_every_option_is_in_the_manual_and_no_other() -> None:
    table = re.findall(r"^\| `([a-z.-]+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE)
    assert set(option_names()) == set(table)


def test_the_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(example)
    assert load(tmp_path / "pyproject.toml").blocking_calls == ("acme.scoring.**.score",)


def test_every_format_is_in_the_manual() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", (DOCS / "ci.md").read_text(), re.MULTILINE)) >= set(FORMATS)


def test_what_is_installed_by_a_version_is_this_one() -> None:
    text = (ROOT / "README.md").read_text() + (DOCS / "ci.md").read_text()
    named = re.findall(r"rev: v(\S+)|@v?(\d+\.\d+\.\d+)", text)
    assert {one or other for one, other in named} == {__version__}
    component, _ = yaml.safe_load_all((ROOT / "templates" / "servelint.yml").read_text())
    assert component["spec"]["inputs"]["version"]["default"] == __version__
    changes = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert changes[0] == __version__


def test_the_inputs_of_the_component_are_in_the_manual() -> None:
    component, _ = yaml.safe_load_all((ROOT / "templates" / "servelint.yml").read_text())
    manual = (DOCS / "ci.md").read_text()
    assert not [
        name for name in component["spec"]["inputs"] if f"`{name}`" not in manual and f"{name}:" not in manual
    ]


def test_the_inputs_of_the_action_are_in_the_manual() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    manual = (DOCS / "ci.md").read_text()
    assert not [name for name in action["inputs"] if f"| `{name}` |" not in manual]


@pytest.mark.usefixtures("toy_engine")
def test_the_examples_of_the_library_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write({"app/main.py": "async def a(m):\n    m.predict(1)\n", "deploy/Procfile": ""})
    first, second = re.findall(r"```python\n(.*?)```", (DOCS / "library.md").read_text(), re.DOTALL)
    with pytest.raises(SystemExit) as left:
        exec(compile(first, "library.md", "exec"), {})
    assert left.value.code == 1
    assert capsys.readouterr().out.startswith(f"SRV101 {project.root}/app/main.py 2 ")
    scope: dict[str, Report] = {}
    exec(compile(second, "library.md", "exec"), scope)
    assert len(scope["report"].findings) == 1
    members = re.findall(r"^\| (`.*?`) \|", (DOCS / "library.md").read_text(), re.MULTILINE)
    for name in re.findall(r"`(\w+)`", " ".join(members)):
        assert hasattr(scope["report"], name)


@pytest.mark.parametrize("page", ["ci.md", "editors.md", "configuration.md", "library.md"])
def test_examples_parse(page: str) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    for language, text in blocks:
        match language:
            case "yaml" | "json":
                yaml.safe_load(text)
            case "toml":
                tomllib.loads(text)
            case "python":
                compile(text, page, "exec")
