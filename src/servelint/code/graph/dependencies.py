"""Which distributions a project asks for, by the files in which it says so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from servelint.code.facts.contents import Files
from servelint.project.text import toml

_NAMES = ("pyproject.toml", "requirements.txt", "requirements.in", "Pipfile", "setup.cfg", "environment.yml")
# A requirement as PEP 508 spells it, at the beginning of a line, also in quotes or behind a dash.
_REQUIREMENT = re.compile(
    r"""^[\s"'-]*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[[^\]\n]*\])?\s*((?:[<>=!~^][^;#"'\n]*)?)""",
    re.MULTILINE,
)
_BOUND = re.compile(r"(<=?|==?=?|~=|\^)\s*v?(\d{1,9})(?:\.(\d{1,9}))?")


class Dependencies:
    """The distributions that are asked for near each file. Files that cannot be read ask for none."""

    def __init__(self, tree: Files) -> None:
        self._root = str(tree.root)
        self._read = tree.read
        self._known: dict[str, Mapping[str, str]] = {}

    def near(self, path: str) -> Mapping[str, str]:
        """The distributions of the nearest folder upward that asks for any: normalised name to version."""
        folder = os.path.dirname(path)
        if folder not in self._known:
            found = dict(self._in_folder(folder))
            above = len(folder) > len(self._root)
            self._known[folder] = found if found or not above else self.near(folder)
        return self._known[folder]

    def is_below(self, path: str, distribution: str, major: int) -> bool:
        """Whether only versions below a major one of the distribution are asked for near the file."""
        wanted = self.near(path).get(distribution, "")
        return any(
            _excludes(sign, int(number), minor, major) for sign, number, minor in _BOUND.findall(wanted)
        )

    def _in_folder(self, folder: str) -> Iterator[tuple[str, str]]:
        for name in _NAMES:
            try:
                text = self._read(Path(folder, name)).decode("utf-8", "replace")
            except OSError:
                continue
            yield from _of_toml(text) if name.endswith((".toml", "Pipfile")) else _of_lines(text)


def _excludes(sign: str, number: int, minor: str, major: int) -> bool:
    """Whether a version bound leaves out the major version and all above it."""
    if sign == "<":
        return number < major or (number == major and int(minor or 0) == 0)
    return number < major


def normalised(name: str) -> str:
    """The name of a distribution as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of_lines(text: str) -> Iterator[tuple[str, str]]:
    for name, version in _REQUIREMENT.findall(text):
        yield normalised(name), version.strip()


def _of_toml(text: str) -> Iterator[tuple[str, str]]:
    data = toml.table(text) or {}
    project = _table(data, "project")
    lists = [project.get("dependencies"), *_table(project, "optional-dependencies").values()]
    for item in (item for items in lists if isinstance(items, list) for item in items):
        yield from _of_lines(item if isinstance(item, str) else "")
    poetry = _table(_table(data, "tool"), "poetry")
    for table in (_table(poetry, "dependencies"), _table(data, "packages")):
        for name, version in table.items():
            asked = version.get("version", "") if isinstance(version, dict) else version
            yield normalised(name), asked if isinstance(asked, str) else ""


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}
