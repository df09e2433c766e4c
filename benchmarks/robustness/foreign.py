"""Foreign code: folders as they come, with an endpoint that blocks appended to each Python file."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .ledger import Ledger, key
from .oracles import Failure
from .pool import Limits, Worker
from .projects import Project, read
from .shrinking import shrink

# Without it, files that no service imports are not even parsed.
_ENDPOINT = b"""

from fastapi import FastAPI as _Probed
from joblib import load as _probed_load

_probed_app = _Probed()
_probed_model = _probed_load("model.joblib")


@_probed_app.post("/predict")
async def _probed_predict(rows):
    return _probed_model.predict(rows)
"""
_LARGEST = 1_000_000
_TEST = re.compile("test", re.IGNORECASE)


@dataclass(slots=True)
class Survey:
    """What became of the files: `silent` are those that Python parses and nothing is said of."""

    ledger: Ledger
    python: int = 0
    others: int = 0
    silent: list[str] = field(default_factory=list)

    def table(self) -> Iterator[str]:
        """Markdown, a line at a time."""
        yield f"{self.python:,} Python files with an endpoint, {self.others:,} others."
        yield from self.ledger.table()
        if self.silent:
            yield ""
            yield f"Nothing is said of {len(self.silent)} files that Python parses:"
            yield from (f"- {name}" for name in self.silent[:20])


def usual_folders() -> tuple[Path, ...]:
    """CPython's tests, where they are installed, and the packages of this environment."""
    library = Path(sysconfig.get_path("stdlib"))
    packages = [Path(name) for name in sys.path if name.endswith("site-packages")]
    return tuple(folder for folder in (library / "test", *packages) if folder.is_dir())


def survey(folders: Sequence[Path], size: int, limits: Limits, kept: Path, *, fixes: bool) -> Survey:
    """Judge the folders, so many files at a time; what fails is made smaller and kept."""
    found = Survey(Ledger(kept))
    with Worker(limits) as worker:
        for folder in folders:
            print(folder, flush=True)
            for batch in batches(folder, size):
                _judge(worker, batch, found, fixes=fixes)
    return found


def batches(folder: Path, size: int) -> Iterator[Project]:
    """The files of a folder in projects of so many files, with endpoints; the largest are left out.

    What is named like a test is named otherwise: of tests nothing is reported.
    """
    files = ((name, content) for name, content in sorted(read(folder).items()) if len(content) <= _LARGEST)
    while batch := dict(itertools.islice(files, size)):
        yield {_TEST.sub("examine", name): with_endpoint(name, content) for name, content in batch.items()}


def with_endpoint(name: str, content: bytes) -> bytes:
    """The content with the endpoint behind it, if it is Python."""
    return content + _ENDPOINT if name.endswith((".py", ".pyi")) else content


def _judge(worker: Worker, batch: Project, found: Survey, *, fixes: bool) -> None:
    verdict = worker.judge(batch, fixes=fixes)
    found.python += sum(_ENDPOINT in content for content in batch.values())
    found.others += sum(_ENDPOINT not in content for content in batch.values())
    for failure in found.ledger.note(verdict):
        print(f"  {failure['kind']}: {failure['place']}", flush=True)
        found.ledger.keep(failure, _smaller(worker, batch, failure, fixes=fixes), {})
    if not verdict["failures"]:
        found.silent += silent(batch, verdict["named"])


def _smaller(worker: Worker, batch: Project, failure: Failure, *, fixes: bool) -> Project:
    def fails(project: Project) -> bool:
        verdict = worker.judge(project, fixes=fixes)
        return any(key(other) == key(failure) for other in verdict["failures"])

    return shrink(batch, fails, worker.limits.seconds * 5)


def silent(batch: Mapping[str, bytes], named: Sequence[str]) -> list[str]:
    """Files with an endpoint that Python parses, but that no finding and no problem names."""
    return [
        name
        for name, content in batch.items()
        if name.endswith(".py") and name not in set(named) and _parses(content)
    ]


def _parses(content: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
