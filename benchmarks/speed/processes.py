"""What a command costs: CPU time, wall time and memory, as the kernel counted them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

# `ru_maxrss` is in bytes there, and in kilobytes everywhere else.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Cost(TypedDict):
    """Seconds of CPU (user and system, of the command and all that it waited for), seconds, bytes.

    `peak` is the resident memory of the largest of the processes. On Linux it is no less than that of the
    process that started the command, which is why the harness itself imports little.
    """

    cpu: float
    wall: float
    peak: int


class CommandError(RuntimeError):
    """A command could not be measured: it crashed, or it took too long."""


def measure(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    timeout: float,
    statuses: Sequence[int] = (0,),
) -> Cost:
    """Run a command in `folder`; raises CommandError after `timeout` seconds or for another exit status."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        with _bounded(process, timeout):
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in statuses:
            errors.seek(0)
            told = errors.read().decode(errors="replace").strip().splitlines()
            reason = told[-1] if told else f"more than {timeout:.0f} s" if wall >= timeout else "no message"
            raise CommandError(f"{Path(command[0]).name}: exit status {process.returncode}: {reason}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"cpu": round(cpu, 4), "wall": round(wall, 4), "peak": usage.ru_maxrss * MAXRSS_UNIT}


@contextmanager
def _bounded(process: subprocess.Popen[bytes], timeout: float) -> Iterator[None]:
    """End the command, and what it has started, after so many seconds, or when this process is to end."""
    timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        timer.cancel()
