"""The trees that are measured: copies, so that nobody's folder is written to."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCALES = (1, 2, 4)
LINES = 350
_HEAD = """\
import numpy as np
from fastapi import FastAPI
from joblib import load

app = FastAPI()
model = load("model.joblib")


@app.post("/predict")
async def predict(rows: list[list[float]]) -> list[float]:
    return model.predict(np.asarray(rows)).tolist()
"""
_ENDPOINT = """

@app.get("/statistics/{number}")
async def statistics_{number}(values: list[float], smallest: float = 0.0) -> dict[str, float]:
    kept = np.asarray([value for value in values if value >= smallest])
    if not len(kept):
        return {{"mean": 0.0, "deviation": 0.0}}
    return {{"mean": float(kept.mean()), "deviation": float(kept.std())}}
"""


@dataclass(frozen=True, slots=True)
class Named:
    """A folder and what it is called in the results: `LABEL=FOLDER`, else the name of the folder."""

    label: str
    folder: Path

    @classmethod
    def parse(cls, text: str) -> Named:
        """Raises ValueError for what is no folder."""
        label, equals, name = text.rpartition("=")
        folder = Path(name if equals else text).resolve()
        if not folder.is_dir():
            raise ValueError(f"{text}: no folder")
        return cls(label or folder.name, folder)


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """A copy of the folder in a folder of its own, as a repository; links stay links.

    Without a repository, servelint would take the folder of a file that is named for the whole project.
    """
    with tempfile.TemporaryDirectory(prefix="speed-") as name:
        copy = Path(shutil.copytree(folder, Path(name).resolve() / "tree", symlinks=True))
        if not (copy / ".git").exists():
            for command in (("init", "--quiet"), ("add", "--all", "--force")):
                subprocess.run(("git", *command), cwd=copy, check=True, capture_output=True)
        yield copy


@contextmanager
def multiplied(tree: Path) -> Iterator[dict[int, Path]]:
    """Folders with one, two and four copies of the tree side by side, without its repository.

    The files are hard links: nobody writes to them.
    """
    with tempfile.TemporaryDirectory(prefix="speed-", dir=tree.parent) as name:
        folders = {scale: Path(name) / str(scale) for scale in SCALES}
        for scale, folder in folders.items():
            for number in range(scale):
                shutil.copytree(
                    tree,
                    folder / f"copy{number}",
                    symlinks=True,
                    copy_function=_link,
                    ignore=shutil.ignore_patterns(".git"),
                )
        yield folders


def _link(source: str, target: str) -> str:
    os.link(source, target, follow_symlinks=False)
    return target


def touch(path: Path, number: int) -> None:
    """Change the file, and what it says differs for every number."""
    with path.open("ab") as file:
        file.write(b"\n# changed for the %d. time\n" % number)


def one_file() -> str:
    """A service of 350 lines, one of which blocks; the last ones are comments."""
    endpoints = (LINES - _HEAD.count("\n")) // _ENDPOINT.count("\n")
    text = _HEAD + "".join(_ENDPOINT.format(number=number) for number in range(endpoints))
    return text + "# That was all.\n" * (LINES - text.count("\n"))
