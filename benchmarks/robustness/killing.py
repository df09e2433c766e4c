"""The loop of kill -9: `servelint fix` is killed at a random moment; what does it leave behind?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .projects import Project, read, write

_COMMAND = (sys.executable, "-P", "-m", "servelint")
_UNFINISHED = ".servelint-tmp"
_SERVICE = """\
from fastapi import FastAPI
from joblib import load

app = FastAPI()
model = load("model{number}.joblib")


@app.post("/predict/{number}")
async def predict(rows: list[list[float]]) -> list[float]:
    return model.predict(rows).tolist()
"""
_PATIENCE = 120.0


def services(count: int = 40) -> Project:
    """A project with as many services that block, each in a file that a safe fix changes."""
    return {f"service{number}/app.py": _SERVICE.format(number=number).encode() for number in range(count)}


@dataclass(frozen=True, slots=True)
class Result:
    """How often a run was killed before it wrote, while it wrote, after it; and what was wrong afterwards."""

    moments: Counter[str]
    faults: list[str]

    def table(self) -> Iterator[str]:
        """Markdown, a line at a time."""
        yield "| killed | times |"
        yield "|---|---|"
        for moment in ("before it wrote", "between two files", "after it wrote"):
            yield f"| {moment} | {self.moments[moment]} |"
        yield ""
        yield f"{len(self.faults)} faults."
        yield from (f"- {fault}" for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Bench:
    """The project before and after a fix that nobody disturbs, and how long that takes."""

    before: Project
    after: Project
    found: object
    seconds: float

    @classmethod
    def prepare(cls, project: Project) -> Bench:
        """Fix a copy. Raises ValueError for a project in which nothing is fixed."""
        with _copy(project) as folder:
            start = time.perf_counter()
            _finished(folder, "fix", "--quiet")
            seconds = time.perf_counter() - start
            after = read(folder)
            found = _found(folder)
        if after == project:
            raise ValueError("there is nothing to fix in the project")
        return cls(project, after, found, seconds)

    def try_once(self, rng: Random) -> tuple[str, list[str]]:
        """Kill one run; when that was, and what is wrong then."""
        with _copy(self.before) as folder:
            process = subprocess.Popen(
                (*_COMMAND, "fix", "--quiet", "--isolated", "."),
                cwd=folder,
                env=_environment(folder),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._wait(process, folder, rng)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            left = read(folder)
            faults = list(self.torn(left))
            changed = sum(left.get(name) != content for name, content in self.before.items())
            faults += self._after_the_next_run(folder)
        wanted = sum(self.after.get(name) != content for name, content in self.before.items())
        moment = "before it wrote" if not changed else "between two files"
        return ("after it wrote" if changed == wanted else moment), faults

    def _wait(self, process: subprocess.Popen[bytes], folder: Path, rng: Random) -> None:
        """Some time; for every second run, until the first files are being written and a little longer.

        Writing takes a small part of a run: a moment that is only random would rarely hit it.
        """
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, self.seconds * 1.1))
            return
        first = min(name for name, content in self.before.items() if self.after.get(name) != content)
        unchanged = (folder / first).stat().st_ino
        while process.poll() is None and (folder / first).stat().st_ino == unchanged:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.03))

    def torn(self, left: Project) -> Iterator[str]:
        """Files that are neither as before nor as after."""
        for name in self.before.keys() | left.keys():
            if name.endswith(_UNFINISHED):
                continue
            if left.get(name) not in (self.before.get(name), self.after.get(name)):
                yield f"{name} is neither old nor new"

    def _after_the_next_run(self, folder: Path) -> Iterator[str]:
        """What the next run does not put right: it has the cache of the one that was killed."""
        told = _finished(folder, "fix", "--quiet")
        if told:
            yield f"the next run says {told!r}"
        now = read(folder)
        yield from (f"{name} stays" for name in now if name.endswith(_UNFINISHED))
        yield from (
            f"{name} is not as after a fix" for name in self.after if now.get(name) != self.after[name]
        )
        if _found(folder) != self.found or _found(folder, "--no-cache") != self.found:
            yield "another check finds something else"


def kill(project: Project, times: int, seed: int) -> Result:
    """Kill so many runs."""
    bench = Bench.prepare(project)
    rng = Random(seed)
    result = Result(Counter(), [])
    for number in range(times):
        moment, faults = bench.try_once(rng)
        result.moments[moment] += 1
        for fault in faults:
            print(f"run {number}, killed {moment}: {fault}", flush=True)
        result.faults.extend(faults)
    return result


@contextmanager
def _copy(project: Project) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="robustness-kill-") as name:
        folder = Path(name).resolve() / "project"
        folder.mkdir()
        write(project, folder)
        # A file that has just been written is not trusted to be the one that a cache has seen.
        for file in folder.rglob("*"):
            os.utime(file, (1e9, 1e9))
        yield folder


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "SERVELINT_CACHE_DIR": str(folder.parent / "cache")}


def _finished(folder: Path, *arguments: str) -> str:
    """What a run says that ends by itself; other statuses than 0 and 1 are told with it."""
    ran = _run(folder, *arguments)
    return ran.stderr if ran.returncode in (0, 1) else f"exit status {ran.returncode}: {ran.stderr}"


def _found(folder: Path, *arguments: str) -> object:
    """What a check says."""
    ran = _run(folder, "check", "--output-format", "json", *arguments)
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        return f"exit status {ran.returncode}: {ran.stderr}"
    return report["findings"], report["errors"]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*_COMMAND, *arguments, "--isolated", "."),
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
