"""What of the load harness can be tested without load."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from benchmarks.incident.kubelet import Kubelet, PodSpec, Probe
from benchmarks.incident.load import Answers, per_second, percentile, run_locust
from benchmarks.incident.pod import Machine, ask, free_port

DEPLOYMENT = Path(__file__).parents[2] / "examples" / "bankchurn" / "k8s" / "deployment.yaml"


def test_the_probes_are_those_of_the_manifest() -> None:
    spec = PodSpec.read(DEPLOYMENT)
    assert spec.readiness == Probe("/health", initial_delay=0, period=5, timeout=3, failures=3)
    assert spec.liveness == Probe("/health", initial_delay=15, period=10, timeout=5, failures=3)
    assert spec.grace_seconds == 30


def test_a_probe_without_numbers_has_those_of_kubernetes() -> None:
    assert Probe.parse({"httpGet": {"path": "/"}}) == Probe("/", 0, 10, 1, 3)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert percentile(values, 50) == 3.0
    assert percentile(values, 95) == 5.0
    assert math.isnan(percentile([], 50))


def test_answers_are_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_text(
        "100.0 12.5 200\n100.4 3.0 503\n101.2 20.0 200\n102.9 9.0 ConnectionError\n", encoding="utf-8"
    )
    answers = Answers.read(log, seconds=3)
    assert answers.failed == 0.5
    assert dict(answers.failures) == {"503": 1, "ConnectionError": 1}
    assert answers.latencies == [12.5, 20.0]
    assert answers.timeline == {"answered": [1, 1, 0], "failed": [1, 0, 1]}


def test_no_answers_are_no_failures(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_text("", encoding="utf-8")
    assert Answers.read(log, seconds=1).failed == 0.0
    assert per_second([]) == {"answered": [0], "failed": [0]}


def test_load_goes_to_the_loopback_interface_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        run_locust("http://192.0.2.1:80", 1, 1, tmp_path, Machine(0, (0,)))


def test_nobody_answers_on_a_free_port() -> None:
    assert ask(free_port(), "/health", timeout=1) is None


class SilentPod:
    """Records starts and stops; nothing listens on its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: list[str] = []
        self.started = threading.Event()

    def start(self) -> None:
        self.calls.append("start")
        self.started.set()

    def stop(self) -> None:
        self.calls.append("stop")


def test_a_pod_that_never_answers_is_made_unready_and_restarted() -> None:
    told: list[bool] = []
    probe = Probe("/health", period=0.01, timeout=1, failures=3)
    pod = SilentPod()
    kubelet = Kubelet(pod, PodSpec(probe, probe, 1), told.append)  # type: ignore[arg-type]
    kubelet.start()
    assert pod.started.wait(30)
    kubelet.stop()
    assert pod.calls[:2] == ["stop", "start"]
    assert kubelet.restarts >= 1
    assert told[0] is False
    assert kubelet.failed_probes >= 3
    assert kubelet.unready_seconds > 0
