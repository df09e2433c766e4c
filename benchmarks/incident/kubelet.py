"""Probes that do what the kubelet's do, with the numbers of the example's own manifest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .pod import Pod, ask


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container. Times are in seconds; the defaults are those of Kubernetes."""

    path: str
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    failures: int = 3

    @classmethod
    def parse(cls, manifest: dict[str, Any]) -> Probe:
        return cls(
            path=manifest["httpGet"]["path"],
            initial_delay=manifest.get("initialDelaySeconds", 0),
            period=manifest.get("periodSeconds", 10),
            timeout=manifest.get("timeoutSeconds", 1),
            failures=manifest.get("failureThreshold", 3),
        )


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What the kubelet needs of a Deployment."""

    readiness: Probe
    liveness: Probe
    grace_seconds: float

    @classmethod
    def read(cls, deployment: Path) -> PodSpec:
        spec = yaml.safe_load(deployment.read_text(encoding="utf-8"))["spec"]["template"]["spec"]
        container = spec["containers"][0]
        return cls(
            Probe.parse(container["readinessProbe"]),
            Probe.parse(container["livenessProbe"]),
            spec.get("terminationGracePeriodSeconds", 30),
        )


class Kubelet:
    """Runs both probes; takes the pod out of service when unready, restarts it when not alive.

    `ready` is told of every change. As in the kubelet's prober
    (https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/prober/worker.go), a container that is
    being killed stays an endpoint until it has ended or its readiness probe has failed often enough, and a
    new one is unready until its first probe is answered. The second restart and those after it wait for the
    back-off of 10, 20, 40 ... seconds, as a crash loop does.

    `settled` is about the first container: it has been up for long when the probes begin here, so that the
    initial delays have passed. `unready` has the spells out of service and `restarted` the restarts, in
    seconds since the epoch.
    """

    def __init__(
        self, pod: Pod, spec: PodSpec, ready: Callable[[bool], None], *, settled: bool = False
    ) -> None:
        self.pod = pod
        self.spec = spec
        self.unready: list[tuple[float, float]] = []
        self.restarted: list[float] = []
        self.failed_probes = 0
        self._settled = settled
        self._ready = ready
        self._lock = threading.Lock()
        self._unready_since: float | None = None
        self._container = 0  # counts containers: an answer about an old one means nothing
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._probe, args=(probe, failed, passed), daemon=True)
            for probe, failed, passed in (
                (spec.readiness, self._set_unready, self._set_ready),
                (spec.liveness, self._restart, lambda: None),
            )
        ]

    @property
    def restarts(self) -> int:
        """How often the container was restarted."""
        return self._container

    @property
    def unready_seconds(self) -> float:
        """How long the pod was out of service, over all spells that have ended."""
        return sum(end - begin for begin, end in self.unready)

    def start(self) -> None:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._set_ready()  # so that seconds without an end are counted too

    def _probe(self, probe: Probe, failed: Callable[[], None], passed: Callable[[], None]) -> None:
        container, failures = -1, 0
        while not self._stop.is_set():
            if container != self._container:
                container, failures = self._container, 0
                delay = 0.0 if self._settled and not container else probe.initial_delay
                if self._stop.wait(max(0.0, self._started + delay - time.monotonic())):
                    return
            asked = time.monotonic()
            ok = ask(self.pod.port, probe.path, probe.timeout) is not None
            if container == self._container:
                failures = 0 if ok else failures + 1
                self.failed_probes += not ok
                if ok:
                    passed()
                elif failures >= probe.failures:
                    failed()
            self._stop.wait(max(0.0, asked + probe.period - time.monotonic()))

    def _set_ready(self) -> None:
        with self._lock:
            if self._unready_since is not None:
                self.unready.append((self._unready_since, time.time()))
                self._unready_since = None
                self._ready(True)

    def _set_unready(self) -> None:
        with self._lock:
            if self._unready_since is None:
                self._unready_since = time.time()
                self._ready(False)

    def _restart(self) -> None:
        self.pod.stop()
        self._set_unready()
        self.restarted.append(time.time())
        if self._container and self._stop.wait(10.0 * 2 ** (self._container - 1)):
            return
        self.pod.start()
        self._started = time.monotonic()
        self._container += 1
