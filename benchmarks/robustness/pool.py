"""Worker processes and what is asked of them: a project in, a verdict out, whatever becomes of the worker."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from . import projects
from .oracles import Verdict, unsettled
from .projects import Project

ROOT = Path(__file__).parents[2]
# A worker grows with what it has seen, and a fresh one shows what only the first input of a process does.
_INPUTS = 150
# The clock runs on while others have the CPU: it only ends what waits for something that never comes.
_WALL = 6.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one input: CPU seconds and megabytes of address space."""

    seconds: float = 20.0
    megabytes: int = 2048


@dataclass(slots=True)
class Worker:
    """A process that is started when it is needed, and anew when it has died or seen enough."""

    limits: Limits
    hash_seed: int = 0
    _process: subprocess.Popen[str] | None = None
    _seen: int = 0
    _home: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="robustness-home-")
    )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()
        self._home.cleanup()

    def judge(
        self,
        project: Mapping[str, bytes],
        *,
        unsafe: bool = False,
        configured: bool = False,
        fixes: bool = True,
    ) -> Verdict:
        """The verdict over a project; that it took too long or killed the process is one as well."""
        with tempfile.TemporaryDirectory(prefix="robustness-", ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve() / "project"
            folder.mkdir()
            projects.write(project, folder)
            return self._ask(
                {
                    "folder": str(folder),
                    "unsafe": unsafe,
                    "configured": configured,
                    "fixes": fixes,
                    "seconds": self.limits.seconds,
                }
            )

    def _ask(self, job: Mapping[str, object]) -> Verdict:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has died: so says the answer that does not come
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            came = selector.select(self.limits.seconds * _WALL)
        line = process.stdout.readline() if came else ""
        if line:
            verdict: Verdict = json.loads(line)
            return verdict
        return self._died(process, waiting=not came)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and (self._seen >= _INPUTS or self._process.poll() is not None):
            self._end()
        if self._process is None:
            command = (sys.executable, "-m", f"{__package__}.worker", str(self.limits.megabytes))
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            self._seen = 0
        self._seen += 1
        return self._process

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SERVELINT_")}
        home = self._home.name
        return kept | {"HOME": home, "SERVELINT_CACHE_DIR": home, "PYTHONHASHSEED": str(self.hash_seed)}

    def _died(self, process: subprocess.Popen[str], *, waiting: bool) -> Verdict:
        if not waiting:
            process.wait()
        code = process.returncode
        self._end()
        if waiting or code == -signal.SIGXCPU:
            how = "by the clock" if waiting else "of CPU time"
            return _lost("time out", f"more than {self.limits.seconds:g} s {how}")
        name = signal.Signals(-code).name if code and code < 0 else f"exit status {code}"
        return _lost("killed", name)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _lost(kind: str, place: str) -> Verdict:
    return unsettled([{"kind": kind, "place": place, "detail": place}])


@dataclass(frozen=True, slots=True)
class Pair:
    """Two workers that differ in the order of sets: what they say must not."""

    one: Worker
    other: Worker

    def compare(self, project: Project, *, unsafe: bool, configured: bool, both: bool) -> Verdict:
        """The verdict of the first; if asked, whether the other says the same."""
        verdict = self.one.judge(project, unsafe=unsafe, configured=configured)
        if both and not verdict["failures"]:
            second = self.other.judge(project, unsafe=unsafe, configured=configured)
            verdict["failures"] += second["failures"]  # with one, as a time out, it may have no digest
            if not second["failures"] and second["digest"] != verdict["digest"]:
                verdict["failures"].append(
                    {"kind": "unstable", "place": "between processes", "detail": "another PYTHONHASHSEED"}
                )
        return verdict
