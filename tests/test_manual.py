"""The manual says what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from servelint.config import load, option_names
from servelint.reports import FORMATS

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


def test_the_inputs_of_the_action_are_in_the_manual() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    manual = (DOCS / "ci.md").read_text()
    assert not [name for name in action["inputs"] if f"| `{name}` |" not in manual]


@pytest.mark.parametrize("page", ["ci.md", "editors.md", "configuration.md"])
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
