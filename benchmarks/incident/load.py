"""The load and what it saw: Locust for predictions, an observer for `/health` and the loop's lag."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .pod import HERE, Machine, ask

# Requests under way when the load ends get this long to be answered.
_LAST_ANSWERS_SECONDS = 20
_LAG = re.compile(r"^bankchurn_event_loop_lag_seconds (\S+)$", re.MULTILINE)


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank); not a number without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


@dataclass(slots=True)
class Answers:
    """What the users saw. Latencies are in milliseconds, of answered predictions only."""

    requests: int
    failures: Counter[str]
    latencies: list[float]
    seconds: float
    # For every second since the first answer, how many requests ended with an answer and how many without.
    timeline: dict[str, list[int]]

    @property
    def failed(self) -> float:
        """The share of requests that were not answered with 200."""
        return self.failures.total() / self.requests if self.requests else 0.0

    @classmethod
    def read(cls, log: Path, seconds: float) -> Answers:
        ended, latencies, failures = [], [], Counter[str]()
        for line in log.read_text(encoding="utf-8").splitlines():
            end, latency, status = line.split()
            ended.append((float(end), status == "200"))
            if status == "200":
                latencies.append(float(latency))
            else:
                failures[status] += 1
        return cls(len(ended), failures, latencies, seconds, per_second(ended))


def per_second(ended: list[tuple[float, bool]]) -> dict[str, list[int]]:
    """How many requests ended well and how many badly, for every second from the first that ended."""
    first = min((end for end, _ in ended), default=0.0)
    seconds = int(max((end for end, _ in ended), default=0.0) - first) + 1
    counted = {"answered": [0] * seconds, "failed": [0] * seconds}
    for end, ok in ended:
        counted["answered" if ok else "failed"][int(end - first)] += 1
    return counted


def run_locust(url: str, users: int, seconds: float, folder: Path, machine: Machine) -> Answers:
    """Let so many users ask for predictions for so long; return what they saw."""
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError(f"load goes to the loopback interface only, not to {url}")
    log = folder / "requests.log"
    cpus = ",".join(map(str, machine.other_cpus))
    command = ["taskset", "--cpu-list", cpus, sys.executable, "-m", "locust", "--headless", "--only-summary"]
    command += ["--locustfile", str(HERE / "locustfile.py"), "--host", url]
    command += ["--users", str(users), "--spawn-rate", str(users)]
    command += ["--run-time", f"{seconds:.0f}s", "--stop-timeout", str(_LAST_ANSWERS_SECONDS)]
    command += ["--exit-code-on-error", "0", "--loglevel", "WARNING"]
    environment = os.environ | {
        "INCIDENT_CUSTOMERS": str(folder / "customers.json"),
        "INCIDENT_REQUESTS": str(log),
    }
    with (folder / "locust.log").open("wb") as output:
        subprocess.run(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            check=True,
            timeout=seconds + _LAST_ANSWERS_SECONDS + 60,
        )
    return Answers.read(log, seconds)


@dataclass(slots=True)
class Observer:
    """Asks the pod itself for `/health`, and now and then for its loop's lag.

    It waits for an answer and a quarter of a second before it asks again: a blocked pod is asked less often.
    """

    pod_port: int
    health: list[float] = field(default_factory=list)  # milliseconds, answered ones
    unanswered: int = 0
    lag: float = float("nan")  # the worst, in milliseconds; not a number if the loop never told
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        asked = 0
        # A new connection each time, as a probe makes; the kubelet's timeouts do not apply here.
        while not self._stop.wait(0.25):
            asked += 1
            self._ask_health()
            if asked % 12 == 0:
                self._ask_lag()

    def _ask_health(self) -> None:
        started = time.perf_counter()
        if ask(self.pod_port, "/health", timeout=30) is None:
            self.unanswered += 1
        else:
            self.health.append((time.perf_counter() - started) * 1000)

    def _ask_lag(self) -> None:
        found = _LAG.search(ask(self.pod_port, "/metrics", timeout=30) or "")
        if found:
            self.lag = max(float(found[1]) * 1000, self.lag)  # in this order: NaN is not larger
