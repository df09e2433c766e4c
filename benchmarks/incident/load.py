"""The load and what it saw: users for predictions, an observer for `/health` and the loop's lag."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .pod import HERE, Machine, ask
from .users import GAVE_UP

# How long a user waits before giving up: 10 s, as OkHttp does by default
# (https://square.github.io/okhttp/5.x/okhttp/okhttp3/-ok-http-client/read-timeout-millis.html). It is between
# the 5 s of httpx (https://www.python-httpx.org/advanced/timeouts/) and the 15 s that Envoy gives a route
# (https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts).
PATIENCE_SECONDS = 10.0
_LAG = re.compile(r"^bankchurn_event_loop_lag_seconds (\S+)$", re.MULTILINE)


def percentile(values: list[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank); not a number without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


@dataclass(slots=True)
class Answers:
    """What the users saw. Latencies are in milliseconds, of answered predictions only.

    `began` is when the first request was sent, in seconds since the epoch; the timeline counts from there.
    """

    requests: int
    failures: Counter[str]
    latencies: list[float]
    seconds: float
    began: float
    timeline: dict[str, list[int]]

    @property
    def failed(self) -> float:
        """The share of requests that were not answered with 200."""
        return self.failures.total() / self.requests if self.requests else 0.0

    @property
    def gave_up(self) -> float:
        """The share of requests whose user did not wait any longer."""
        return self.failures[GAVE_UP] / self.requests if self.requests else 0.0

    @classmethod
    def read(cls, log: Path, seconds: float) -> Answers:
        """The answers in a log as `users.py` writes it."""
        ended, latencies, failures, began = [], [], Counter[str](), float("inf")
        for line in log.read_text(encoding="utf-8").splitlines():
            end, latency, status = line.split()
            began = min(began, float(end) - float(latency) / 1000)
            ended.append((float(end), status))
            if status == "200":
                latencies.append(float(latency))
            else:
                failures[status] += 1
        return cls(len(ended), failures, latencies, seconds, began, per_second(ended, began))


def per_second(ended: list[tuple[float, str]], began: float) -> dict[str, list[int]]:
    """How many requests were answered, failed, or were given up, in every second since the first was sent."""
    seconds = int(max((end - began for end, _ in ended), default=0.0)) + 1
    counted = {"answered": [0] * seconds, "failed": [0] * seconds, "gave_up": [0] * seconds}
    for end, status in ended:
        kind = {"200": "answered", GAVE_UP: "gave_up"}.get(status, "failed")
        counted[kind][int(end - began)] += 1
    return counted


def send_users(
    url: str, users: int, seconds: float, folder: Path, machine: Machine, patience: float = PATIENCE_SECONDS
) -> Answers:
    """Let so many users ask for predictions for so long; return what they saw."""
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError(f"load goes to the loopback interface only, not to {url}")
    log = folder / "requests.log"
    cpus = ",".join(map(str, machine.other_cpus))
    command = ["taskset", "--cpu-list", cpus, sys.executable, "-m", "benchmarks.incident.users"]
    command += ["--url", url, "--users", str(users), "--seconds", str(seconds), "--patience", str(patience)]
    command += ["--customers", str(folder / "customers.json"), "--log", str(log)]
    with (folder / "users.log").open("wb") as output:
        subprocess.run(
            command,
            cwd=HERE.parents[1],
            stdout=output,
            stderr=output,
            check=True,
            timeout=seconds + patience + 60,
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
