"""One run: a variant under a load."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from .calibrate import Capacity, calibrate
from .ingress import Ingress
from .kubelet import Kubelet, PodSpec
from .load import Answers, Observer, percentile, send_users
from .pod import Machine, MemoryWatch, Pod, free_port, wait_until_listening
from .scenarios import FIXED, Scenario, Variant


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs have in common."""

    services: dict[str, Path]
    models: Path
    folder: Path
    machine: Machine
    spec: PodSpec
    front: str
    patience: float

    def pod(self, variant: Variant) -> Pod:
        """A pod that has not been started."""
        return Pod(
            variant,
            self.services,
            self.models,
            self.machine,
            free_port(),
            self.folder / "pod.log",
            self.spec.grace_seconds,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run. Latencies are in milliseconds, memory in megabytes, `failed` is a share.

    `gave_up` is the share of requests that their users gave up on, a part of `failed`. `unready` has the
    spells out of service and `restarted` the restarts, in seconds since the load began. `elsewhere` is how
    many CPUs other processes than these kept busy, on average over the run.
    """

    scenario: str
    variant: str
    users: int
    requests: int
    failed: float
    failures: dict[str, int]
    gave_up: float
    answered_a_second: float
    p50: float
    p95: float
    p99: float
    health_p50: float
    health_p95: float
    health_worst: float
    health_unanswered: int
    loop_lag: float
    failed_probes: int
    unready_seconds: float
    restarts: int
    memory: float
    elsewhere: float
    timeline: dict[str, list[int]]
    unready: list[tuple[float, float]]
    restarted: list[float]

    def as_json(self) -> dict[str, Any]:
        """For the raw results."""
        return asdict(self)


def capacity(bench: Bench, customer: dict[str, object], seconds: float) -> Capacity:
    """Calibrate with the fixed service, which is the one that keeps answering."""
    pod = bench.pod(FIXED)
    pod.start()
    try:
        wait_until_listening(pod.port)
        calibrate(pod.port, customer, 1.0)  # warm up
        return calibrate(pod.port, customer, seconds)
    finally:
        pod.stop()


def processor_seconds() -> tuple[float, float]:
    """Processor time since the start: of everything on this machine, and of this process and its children."""
    machine = psutil.cpu_times()
    ours = os.times()
    return sum(machine) - machine.idle - machine.iowait, sum(ours[:4])


def measure(bench: Bench, scenario: Scenario, variant: Variant, users: int, seconds: float) -> Run:
    """Serve the variant, let the users at it for so long, and return what was seen."""
    started, (machine, ours) = time.monotonic(), processor_seconds()
    with ExitStack() as running:
        pod = bench.pod(variant)
        ingress = Ingress(bench.folder, pod.port, bench.machine, bench.front)
        kubelet = Kubelet(pod, bench.spec, ingress.set_ready, settled=True)
        observer, memory = Observer(pod.port), MemoryWatch(pod)
        pod.start()
        running.callback(pod.stop)
        ingress.start()
        running.callback(ingress.stop)
        wait_until_listening(pod.port)
        pod.settle()
        ingress.set_ready(True)
        if scenario.probes:
            kubelet.start()
            running.callback(kubelet.stop)
        for watch in (observer, memory):
            watch.start()
            running.callback(watch.stop)
        answers = send_users(
            f"http://127.0.0.1:{ingress.port}", users, seconds, bench.folder, bench.machine, bench.patience
        )
    # Children count once they have ended, which all of them have by now.
    machine_now, ours_now = processor_seconds()
    elsewhere = (machine_now - machine - (ours_now - ours)) / (time.monotonic() - started)
    return _run(scenario, variant, users, answers, observer, kubelet, memory.peak, elsewhere)


def _run(
    scenario: Scenario,
    variant: Variant,
    users: int,
    answers: Answers,
    observer: Observer,
    kubelet: Kubelet,
    memory: float,
    elsewhere: float,
) -> Run:
    unready = within(kubelet.unready, answers.began, len(answers.timeline["answered"]))
    restarted = [
        each - answers.began
        for each in kubelet.restarted
        if each < answers.began + len(answers.timeline["answered"])
    ]
    return Run(
        scenario=scenario.name,
        variant=variant.name,
        users=users,
        requests=answers.requests,
        failed=answers.failed,
        failures=dict(answers.failures),
        gave_up=answers.gave_up,
        answered_a_second=len(answers.latencies) / answers.seconds,
        p50=percentile(answers.latencies, 50),
        p95=percentile(answers.latencies, 95),
        p99=percentile(answers.latencies, 99),
        health_p50=statistics.median(observer.health) if observer.health else float("nan"),
        health_p95=percentile(observer.health, 95),
        health_worst=max(observer.health, default=float("nan")),
        health_unanswered=observer.unanswered,
        loop_lag=observer.lag,
        failed_probes=kubelet.failed_probes,
        unready_seconds=sum(end - begin for begin, end in unready),
        restarts=len(restarted),
        memory=memory,
        elsewhere=max(0.0, elsewhere),
        timeline=answers.timeline,
        unready=unready,
        restarted=restarted,
    )


def within(spells: list[tuple[float, float]], began: float, seconds: float) -> list[tuple[float, float]]:
    """What lies of the spells in so many seconds after `began`, counted from there."""
    cut = ((max(0.0, begin - began), min(seconds, end - began)) for begin, end in spells)
    return [(begin, end) for begin, end in cut if begin < end]
