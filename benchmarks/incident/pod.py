"""A pod of one container: uvicorn, pinned to one CPU, started and ended as the kubelet does."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .scenarios import Variant

HERE = Path(__file__).parent
MEGABYTE = 1_000_000
_LOOK_SECONDS, _IDLE_LOOKS = 0.5, 3


@dataclass(frozen=True, slots=True)
class Machine:
    """Which CPU the pod has to itself, and which the load, the proxy and the probes share."""

    pod_cpu: int
    other_cpus: tuple[int, ...]

    @classmethod
    def here(cls) -> Machine:
        """The last CPU for the pod, the others for the rest. With one CPU both share it."""
        cpus = sorted(os.sched_getaffinity(0))
        return cls(cpus[-1], tuple(cpus[:-1]) or (cpus[-1],))


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Pod:
    """One container. `services` maps the `code` of a variant to the folder of the service's source."""

    variant: Variant
    services: dict[str, Path]
    models: Path
    machine: Machine
    port: int
    log: Path
    grace_seconds: float
    starts: int = 0
    killed_hard: int = 0
    _process: psutil.Popen | None = field(default=None, repr=False)

    def command(self) -> list[str]:
        """The server's command line."""
        offload = self.variant.code not in self.services
        target = "benchmarks.incident.offloads:app" if offload else "bankchurn.app:app"
        command = [sys.executable, "-m", "uvicorn", target, "--host", "127.0.0.1", "--port", str(self.port)]
        # What the example's requirements bring, also where uvloop and httptools happen to be installed.
        command += ["--loop", "asyncio", "--http", "h11", "--no-access-log", "--log-level", "warning"]
        return [*command, "--workers", str(self.variant.workers)] if self.variant.workers > 1 else command

    def start(self) -> None:
        """Start the container; it is not ready yet when this returns."""
        source = self.services.get(self.variant.code, self.services["unfixed"])
        environment = os.environ | {
            "BANKCHURN_MODEL_DIR": str(self.models),
            "INCIDENT_OFFLOAD": self.variant.code,
            "PYTHONPATH": os.pathsep.join([str(source), str(HERE.parents[1])]),
            "OMP_NUM_THREADS": "1",
            **self.variant.environment,
        }
        with self.log.open("ab") as log:
            self._process = psutil.Popen(
                ["taskset", "--cpu-list", str(self.machine.pod_cpu), *self.command()],
                cwd=source,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def stop(self) -> None:
        """SIGTERM, the grace period, SIGKILL."""
        process, self._process = self._process, None
        if process is None:
            return
        family = [*self._children(process), process]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(self.grace_seconds)
        except psutil.TimeoutExpired:
            self.killed_hard += 1
        for each in family:
            if each.is_running():
                each.kill()
        process.wait()

    @staticmethod
    def _children(process: psutil.Process) -> list[psutil.Process]:
        try:
            return list(process.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> float:
        """Resident megabytes of all processes of the container that nobody else shares."""
        return self._sum(lambda each: each.memory_full_info().uss / MEGABYTE)

    def settle(self, seconds: float = 60.0) -> None:
        """Return when the container idles, or after so long: one worker may listen before the others do."""
        deadline, idle = time.monotonic() + seconds, 0
        before = self._processor_seconds()
        while idle < _IDLE_LOOKS and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            now = self._processor_seconds()
            idle = idle + 1 if now - before < 0.1 * _LOOK_SECONDS else 0
            before = now

    def _processor_seconds(self) -> float:
        return self._sum(lambda each: sum(each.cpu_times()[:2]))

    def _sum(self, measure: Callable[[psutil.Process], float]) -> float:
        """The sum over all processes of the container."""
        if self._process is None:
            return 0.0
        total = 0.0
        for each in [self._process, *self._children(self._process)]:
            try:
                total += measure(each)
            except psutil.Error:  # it ended between being listed and being asked
                continue
        return total


class MemoryWatch(threading.Thread):
    """Asks for the pod's memory once a second; `peak` is the largest answer in megabytes."""

    def __init__(self, pod: Pod) -> None:
        super().__init__(daemon=True)
        self._pod = pod
        self._ended = threading.Event()
        self.peak = 0.0

    def run(self) -> None:
        while not self._ended.wait(1.0):
            self.peak = max(self.peak, self._pod.memory())

    def stop(self) -> None:
        self._ended.set()
        self.join()


def ask(port: int, path: str, timeout: float) -> str | None:
    """The body that a GET on the loopback interface is answered with; None without a good answer in time.

    Each call makes a connection of its own, as a probe does. `timeout` is in seconds, for each wait.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode() if answer.status < 400 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wait_until_listening(port: int, seconds: float = 60.0) -> None:
    """Return when something accepts connections on the port; raise TimeoutError if nothing does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on 127.0.0.1:{port} after {seconds:.0f} s")
