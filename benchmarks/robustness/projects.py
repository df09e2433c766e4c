"""Small projects in memory: the fixtures of the tests, and folders made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeAlias

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
# Contents by name; names are relative, with `/`, and may hold bytes that are not text as Python has them.
Project: TypeAlias = "dict[str, bytes]"
_LARGEST = 40
_COMPILED = "__pycache__"


def fixtures(root: Path = FIXTURES) -> tuple[Project, ...]:
    """Every folder of fixtures with few files as a project, in the order of names."""
    folders = [root / kind for kind in ("code", "services")]
    folders = [child for folder in folders for child in sorted(folder.iterdir())]
    for reader in sorted((root / "manifests").iterdir()):
        folders += [reader, *(child for child in sorted(reader.iterdir()) if child.is_dir())]
    projects = (read(folder) for folder in folders if folder.is_dir())
    return tuple(project for project in projects if 0 < len(project) <= _LARGEST)


def read(folder: Path) -> Project:
    """The regular files of a folder, without a repository and compiled files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in _files(folder)
        if not {".git", _COMPILED} & set(path.relative_to(folder).parts)
    }


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def write(project: Mapping[str, bytes], folder: Path) -> None:
    """Make the files. One that cannot be made (a name that the system refuses) is left out."""
    for name, content in project.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except (OSError, ValueError):
            continue


def is_safe(name: str) -> bool:
    """Whether a name stays inside the folder of the project."""
    parts = name.split("/")
    return not name.startswith("/") and not {"", ".", "..", ".git"} & set(parts) and "\0" not in name


def ending(name: str) -> str:
    """What the name says of the kind of file: its suffix, else the whole name."""
    path = PurePosixPath(name)
    return path.suffix or path.name
