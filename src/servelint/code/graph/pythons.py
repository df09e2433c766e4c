"""Which Python a service may run on: the oldest that the files near it state, as far as its code allows that.

What is installed (an image, a pin) counts before what is allowed (`requires-python`, classifiers).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from servelint.code.facts.contents import Files
from servelint.code.graph.project import Project
from servelint.code.graph.reach import Reach
from servelint.project.text import toml

# What is not stated is taken to be new.
NEWEST = 99
_IMAGE = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)", re.IGNORECASE | re.MULTILINE)
_ARGUMENT = re.compile(r"^[ \t]*ARG[ \t]+(\w+)=[\"']?([^\s\"']+)", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)(?::-([^}]*))?\}?")
_OF_IMAGE = re.compile(r"python[:-]?(?:v)?3\.(\d{1,3})")
_INSTALLED = re.compile(r"\bpython\s?={0,2}\s?3\.(\d{1,3})")
# What `python3` is in the systems that images are made from (https://packages.ubuntu.com/python3).
_SYSTEMS = ((re.compile(r"ubuntu:?-?(?:18\.04|bionic)"), 6), (re.compile(r"ubuntu:?-?(?:20\.04|focal)"), 8))
_LOWER = re.compile(r"(?<![<!=.\d])(?:(?:>=|\^|~=|~|={2,3}|>)\s*)?v?3\.(\d{1,3})")
_EXCLUDED = re.compile(r"(?:<=?|!=)\s*[\d.*]+")
_CLASSIFIER = re.compile(r"Programming Language :: Python :: 3\.(\d{1,3})")
_REQUIRES = re.compile(r"python_requires\s*=\s*[\"']?([^\"'\n)]+)")
_VERSION = re.compile(r"^(?:python-)?3\.(\d{1,3})", re.MULTILINE)
# Functions of the standard library that a service may use, and the Python that has them.
_EVIDENCE = {"to_thread": 9, "get_running_loop": 7, "TaskGroup": 11, "timeout": 11}


class Pythons:
    """Knows the Pythons of one project's services, by the second number of the version."""

    def __init__(self, tree: Files, project: Project, reach: Reach) -> None:
        self._root = str(tree.root)
        self._tree = tree
        self._project = project
        self._reach = reach
        self._pinned: dict[str, int | None] = {}
        self._bounds: dict[str, int | None] = {}

    def of(self, path: str) -> int:
        """The oldest Python 3 that may run the file."""
        folder = os.path.dirname(path)
        stated = self._nearest(folder, self._pinned, self._pins)
        if stated is None or stated == NEWEST:
            stated = self._nearest(folder, self._bounds, self._allowed)
        if stated is None or stated >= max(_EVIDENCE.values()):
            return NEWEST if stated is None else stated
        return max(stated, self._used(path))

    def _used(self, path: str) -> int:
        """What the code of the service does not run without."""
        beside = self._reach.beside(path)
        return max(
            (
                minor
                for name, minor in _EVIDENCE.items()
                for module, _, site in self._project.calls(name)
                if module.path in beside and _is_of_asyncio(site.call.function)
            ),
            default=0,
        )

    def _nearest(
        self, folder: str, known: dict[str, int | None], stated: Callable[[str], Iterator[int]]
    ) -> int | None:
        """What the nearest folder upward states."""
        if folder not in known:
            found = min(stated(folder), default=None)
            above = len(folder) > len(self._root)
            known[folder] = (
                self._nearest(os.path.dirname(folder), known, stated) if (found is None and above) else found
            )
        return known[folder]

    def _pins(self, folder: str) -> Iterator[int]:
        """What is installed by the files of a folder, or of one for images in it.

        An image that does not say is that of the service all the same, not one further up.
        """
        for path in self._images.get(folder, ()):
            yield next(_of_image(self._read(path)), NEWEST)
        for name in (".python-version", "runtime.txt"):
            yield from map(int, _VERSION.findall(self._read(Path(folder, name))))
        for name in ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml"):
            yield from map(int, _INSTALLED.findall(self._read(Path(folder, name))))
        requires = _table(toml.table(self._read(Path(folder, "Pipfile"))) or {}, "requires")
        for key in ("python_version", "python_full_version"):
            yield from map(int, _VERSION.findall(str(requires.get(key, ""))))

    @cached_property
    def _images(self) -> dict[str, list[Path]]:
        """What images are made from, by its folder, and by the one above where that has no code itself."""
        with_code = {str(path.parent) for path in self._tree.python}
        found: dict[str, list[Path]] = {}
        for path in self._tree.manifests:
            name, parent = path.name.lower(), str(path.parent)
            if "dockerfile" in name or "containerfile" in name:
                found.setdefault(parent, []).append(path)
                if parent not in with_code:
                    found.setdefault(os.path.dirname(parent), []).append(path)
        return found

    def _allowed(self, folder: str) -> Iterator[int]:
        """What the files of a folder allow."""
        text = self._read(Path(folder, "pyproject.toml"))
        data = toml.table(text) or {}
        poetry = _table(_table(_table(data, "tool"), "poetry"), "dependencies")
        asked = [_table(data, "project").get("requires-python"), poetry.get("python")]
        setups = [self._read(Path(folder, name)) for name in ("setup.cfg", "setup.py")]
        asked += [bound for setup in setups for bound in _REQUIRES.findall(setup)]
        bounds = [bound for one in asked if isinstance(one, str) for bound in _lower(one)]
        yield from bounds or (int(minor) for one in (text, *setups) for minor in _CLASSIFIER.findall(one))

    def _read(self, path: Path) -> str:
        try:
            return self._tree.read(path).decode("utf-8", "replace")
        except OSError:
            return ""


def _of_image(text: str) -> Iterator[int]:
    """The Python of the last stage that states one."""
    given = dict(_ARGUMENT.findall(text))
    parts = _IMAGE.split(text)
    for image, lines in zip(parts[-2::-2], parts[-1::-2], strict=False):
        named = _VARIABLE.sub(lambda m: given.get(m[1], m[2] or ""), image).lower()
        found = _INSTALLED.findall(lines) or _OF_IMAGE.findall(named)
        system = next((minor for name, minor in _SYSTEMS if name.search(named)), None)
        if not found and system is not None and "python3" in lines and "conda" not in lines:
            found = [str(system)]
        if found:
            yield min(map(int, found))
            return


def _lower(bound: str) -> Iterator[int]:
    yield from map(int, _LOWER.findall(_EXCLUDED.sub("", bound)))


def _is_of_asyncio(function: object) -> bool:
    return getattr(getattr(function, "value", None), "id", "") == "asyncio"


def _table(data: Any, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}
