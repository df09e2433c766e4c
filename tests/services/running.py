"""Runs a service as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import joblib
from gated import Gate

from .watched import Notebook, WatchedModel

_STARTUP_SECONDS = 60.0
_TESTS = Path(__file__).parents[1]
_STAND_INS = Path(__file__).parent / "stand_ins"


@dataclass(frozen=True)
class Running:
    """A service that answers at `port`; its model waits at `gate` and writes into `notebook`."""

    port: int
    gate: Gate
    notebook: Notebook

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, rows: list[list[float]], request: str = "") -> httpx.Response:
        return httpx.post(self.url + path, json={"rows": rows}, headers={"x-request-id": request}, timeout=30)

    def health(self) -> httpx.Response:
        return httpx.get(self.url + "/health", timeout=30)


def command(framework: str, port: int) -> list[str]:
    """How a service in this framework is started: by itself where it brings a server, else by uvicorn."""
    if framework in ("aiohttp", "sanic"):
        return [sys.executable, "service.py", str(port)]
    return [sys.executable, "-m", "uvicorn", "service:app", "--host", "127.0.0.1", "--port", str(port)]


@contextmanager
def running(framework: str, service: Path, model: Any, work: Path) -> Iterator[Running]:
    """Run the service in folder `service` with the fitted `model`; its files go to the folder `work`."""
    work.mkdir()
    gate, notebook = Gate(work), Notebook(work / "notes")
    joblib.dump(WatchedModel(model, gate, notebook), work / "model.joblib")
    port = _free_port()
    path = os.pathsep.join(map(str, (_TESTS, _STAND_INS)))
    environment = {"MODEL": str(work / "model.joblib"), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(
            command(framework, port), cwd=service, env=os.environ | environment, stdout=log, stderr=log
        )
        service_at = Running(port, gate, notebook)
        try:
            _wait_until_up(process, service_at, work / "log")
            yield service_at
        finally:
            gate.open()
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_until_up(process: subprocess.Popen[bytes], service: Running, log: Path) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if service.health().is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the service did not start:\n" + log.read_text(encoding="utf-8"))
