"""The direction of imports between rooms: the table is the architecture, and the code keeps to it.

A room is a folder of `src/servelint` (below `code/` and `manifests/` each subfolder), or a module at the top. It
imports from itself and from the rooms that its line names, and from no other, whether at the top of a module, inside
a function or for types alone. Lines stand in the order of the flow: a room names only rooms above it, so that
no circle exists outside one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import servelint

SOURCE = Path(servelint.__file__).parent
LARGEST_MODULE = 500  # lines
LARGEST_ROOM = 14  # modules
ALLOWED = {
    # what everything speaks of
    "version": "",
    "finding": "",
    "escape": "",
    "serving": "finding",
    "store": "version",
    # what rules/ says, and what is on disk
    "knowledge": "finding store",
    "boundary": "finding knowledge",
    "project/text": "finding",
    "project": "finding store knowledge project/text",
    "project/listing": "finding project",
    "project/reported": "finding escape knowledge project/text project project/listing",
    # Python
    "code/facts": "finding store boundary project/text project",
    "code/names": "knowledge code/facts",
    "code/graph": "finding knowledge boundary project/text project code/facts code/names",
    "code/values": "knowledge code/facts code/names code/graph",
    "code/loop": "knowledge code/facts code/names code/graph code/values",
    "code/judge": (
        "finding serving knowledge project/text project code/facts code/names code/graph "
        "code/values code/loop"
    ),
    "code/installed": (
        "finding store knowledge boundary project project/listing code/facts code/names code/graph "
        "code/values code/judge"
    ),
    "code/rules": "finding knowledge boundary code/facts code/names code/values code/loop code/judge",
    "code/fixes/text": (
        "finding knowledge project/text project code/facts code/graph code/values code/judge"
    ),
    "code/fixes/pools": (
        "finding knowledge project project/text code/facts code/names code/graph code/values code/judge "
        "code/fixes/text"
    ),
    "code/fixes/blocks": (
        "finding knowledge code/facts code/loop code/judge code/fixes/text code/fixes/pools"
    ),
    "code/fixes/doubts": (
        "finding knowledge project/text code/facts code/graph code/values code/loop code/judge "
        "code/fixes/text code/fixes/pools code/fixes/blocks"
    ),
    "code/fixes/beside": (
        "finding knowledge project/text code/facts code/names code/graph code/values code/loop code/judge "
        "code/fixes/text code/fixes/pools code/fixes/blocks code/fixes/doubts"
    ),
    "code/fixes/verification": "finding project/text code/fixes/text",
    "code/fixes": (
        "finding knowledge boundary project code/facts code/graph code/values "
        "code/loop code/judge code/fixes/text code/fixes/pools code/fixes/blocks code/fixes/doubts "
        "code/fixes/beside code/fixes/verification"
    ),
    "code": (
        "finding serving store boundary project project/listing code/judge code/installed code/rules "
        "code/fixes code/facts"
    ),
    # manifests
    "manifests/documents": "finding boundary project/text",
    "manifests/shell": "knowledge boundary manifests/documents",
    "manifests/python": "knowledge boundary project/text manifests/documents manifests/shell",
    "manifests/forms": (
        "finding knowledge boundary project/text manifests/documents manifests/shell manifests/python"
    ),
    "manifests/runners": "boundary knowledge manifests/documents manifests/shell manifests/forms",
    "manifests/helm": "boundary knowledge manifests/documents manifests/shell manifests/forms",
    "manifests/deployed": (
        "finding serving knowledge boundary project project/text manifests/documents manifests/shell "
        "manifests/python manifests/forms manifests/runners manifests/helm"
    ),
    "manifests/rules": (
        "finding serving knowledge manifests/documents manifests/shell manifests/forms manifests/deployed"
    ),
    "manifests/fixes": (
        "finding serving boundary project/text manifests/documents manifests/shell "
        "manifests/forms manifests/deployed"
    ),
    "manifests": (
        "finding serving boundary manifests/forms manifests/deployed manifests/rules manifests/fixes"
    ),
    # the flow, and how it is said
    "served": "finding serving",
    "lint": (
        "finding serving project/text project project/listing project/reported code/judge code manifests served"
    ),
    "stalls": "finding project lint",
    "learning": "knowledge code/graph code/installed",
    "fleet": "version escape project project/listing project/text",
    "run": "project project/listing project/reported lint",
    "annotate": "finding project/text project/reported lint",
    "unified": "",
    "edits": (
        "finding project/text project/listing project/reported code/fixes/verification manifests lint unified"
    ),
    "__init__": "version project lint run",
    "explanation": "finding knowledge project/listing project/reported project/text code/judge lint run",
    "reports": "version finding escape knowledge project/text project/listing project/reported lint",
    "reports/html": "version finding serving escape knowledge project/text lint unified reports",
    "messages": "",
    "server": (
        "version finding escape knowledge project/text project project/listing project/reported "
        "lint run annotate messages"
    ),
    "cli": (
        "version finding escape store knowledge project/text project project/listing "
        "project/reported lint stalls learning fleet run annotate edits explanation reports server"
    ),
    "__main__": "cli",
}


def modules() -> dict[str, Path]:
    """Every module by its path below `servelint`, without a suffix: `code/facts/scan`, `code/__init__`."""
    return {path.relative_to(SOURCE).with_suffix("").as_posix(): path for path in SOURCE.rglob("*.py")}


MODULES = modules()


def room(module: str) -> str:
    """The room that a module is in."""
    folder, _, name = module.rpartition("/")
    return folder or name


def imported(path: Path) -> Iterator[str]:
    """The modules of servelint that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, inner = name.partition(".")
            if package == "servelint":
                yield module_of(inner.replace(".", "/"))


def module_of(name: str) -> str:
    """The module that holds what is imported as `name`."""
    for candidate in (name, f"{name}/__init__" if name else "__init__", name.rpartition("/")[0]):
        if candidate in MODULES:
            return candidate
    return f"{name.rpartition('/')[0]}/__init__".removeprefix("/")


def test_every_room_has_its_line() -> None:
    assert {room(module) for module in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
def test_it_imports_what_its_line_names(name: str) -> None:
    used = {
        room(target) for module, path in MODULES.items() if room(module) == name for target in imported(path)
    }
    assert used - {name} == set(ALLOWED[name].split())


def test_a_line_names_only_rooms_above_it() -> None:
    above: set[str] = set()
    for name, allowed in ALLOWED.items():
        assert set(allowed.split()) <= above, name
        above.add(name)


def test_rooms_are_small_enough_to_know() -> None:
    rooms = [room(module) for module in MODULES if not module.endswith("__init__")]
    assert {
        name: rooms.count(name) for name in rooms if "/" in name and rooms.count(name) > LARGEST_ROOM
    } == {}


def test_modules_are_small_enough_to_read() -> None:
    sizes = {module: len(path.read_text("utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: size for module, size in sizes.items() if size > LARGEST_MODULE} == {}


def test_every_room_says_what_it_is_for() -> None:
    for module, path in MODULES.items():
        said = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert said, module
        assert said.split("\n\n")[0].endswith((".", "!")), module
