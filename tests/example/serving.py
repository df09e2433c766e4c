"""Starts the example service as a process of its own."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_STARTUP_SECONDS = 60.0
_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


def _announce(log: IO[str], lines: list[str], address: queue.Queue[str]) -> None:
    """Read the log to its end, so that the server never waits for a reader; pass on where it listens."""
    for line in log:
        lines.append(line)
        if found := _RUNNING.search(line):
            address.put(found[1])
    address.put("")


@contextmanager
def serve(service: Path, model: Path) -> Iterator[str]:
    """Run the service in folder `service` with the models in folder `model`; yield its base URL."""
    command = [sys.executable, "-m", "uvicorn", "bankchurn.app:app", "--host", "127.0.0.1", "--port", "0"]
    tests = str(Path(__file__).parents[1])  # for unpickling the gated models
    process = subprocess.Popen(
        command,
        cwd=service,
        env=os.environ | {"BANKCHURN_MODEL_DIR": str(model), "PYTHONPATH": tests, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    address: queue.Queue[str] = queue.Queue()
    assert process.stderr is not None
    reader = threading.Thread(target=_announce, args=(process.stderr, lines, address))
    reader.start()
    try:
        url = address.get(timeout=_STARTUP_SECONDS)
        assert url, "the service did not start:\n" + "".join(lines)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # uvicorn waits for a blocked loop as long as it blocks
            process.kill()
            process.wait()
        reader.join()
        process.stderr.close()
