"""What of the load harness can be tested without load."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.incident import __main__ as command
from benchmarks.incident import ingress, record
from benchmarks.incident.__main__ import options, plan
from benchmarks.incident.calibrate import calibrate
from benchmarks.incident.kubelet import Kubelet, PodSpec, Probe
from benchmarks.incident.load import Answers, per_second, percentile, run_locust
from benchmarks.incident.pod import Machine, ask, free_port
from benchmarks.incident.report import table
from benchmarks.incident.scenarios import SCENARIOS

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


class Answering(BaseHTTPRequestHandler):
    """A pod that answers everything."""

    protocol_version = "HTTP/1.1"
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Failing(Answering):
    status = 500


@contextmanager
def served(handler: type[Answering]) -> Iterator[int]:
    """A pod on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_without_nginx_requests_go_to_the_pod_ready_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "nginx", lambda: None)
    with served(Answering) as port:
        proxy = ingress.Ingress(tmp_path, port, Machine.here())
        proxy.start()
        try:
            assert proxy.port == port
            for ready in (True, False):
                proxy.set_ready(ready)
                assert ask(proxy.port, "/health", timeout=10) == "ok"
        finally:
            proxy.stop()


def test_nginx_is_found_where_debian_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "nginx"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ingress.nginx() == str(own)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert ingress.nginx() in {None, "/usr/sbin/nginx"}


def test_calibration_counts_what_was_answered() -> None:
    with served(Answering) as port:
        able = calibrate(port, {"age": 40}, 0.2)
    assert able.latency > 0
    assert able.rate > 0


def test_calibration_does_not_count_failures() -> None:
    with served(Failing) as port, pytest.raises(RuntimeError, match="answered 500"):
        calibrate(port, {"age": 40}, 0.2)


def test_a_plan_measures_variants_in_turn() -> None:
    rounds = plan(options(["--scenario", "severe", "--scenario", "light", "--runs", "2"]))
    assert [each.scenario.name for each in rounds] == ["severe", "severe", "light", "light"]
    assert [each.first for each in rounds] == [True, False, True, False]
    assert [variant.name for variant in rounds[0].variants] == ["unfixed", "fixed"]


def test_a_quick_plan_is_short() -> None:
    rounds = plan(options(["--quick"]))
    assert [each.scenario.name for each in rounds] == [each.name for each in SCENARIOS]
    assert max(each.seconds for each in rounds) <= 40


def test_a_variant_that_the_scenario_lacks_plans_nothing() -> None:
    assert plan(options(["--scenario", "light", "--variant", "pool of 8"])) == []


def test_every_scenario_can_be_judged() -> None:
    assert all("fixed" in {variant.name for variant in scenario.variants} for scenario in SCENARIOS)


def run_of(variant: str, **changes: Any) -> dict[str, Any]:
    return {"variant": variant, "requests": 100, "failed": 0.0, "restarts": 0} | changes


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([run_of("fixed"), run_of("unfixed", failed=0.9, restarts=3)], []),
        ([run_of("fixed", failed=0.005)], []),
        ([run_of("fixed", failed=0.02)], ["severe: the fixed service failed 2.0% of the predictions"]),
        ([run_of("fixed", restarts=1)], ["severe: the fixed service was restarted 1 times"]),
        ([run_of("fixed", requests=0)], ["severe: nobody asked the fixed service anything"]),
        ([run_of("unfixed")], ["severe: the fixed service was not measured"]),
    ],
)
def test_what_the_check_says(runs: list[dict[str, Any]], said: list[str]) -> None:
    records = {"severe": {"runs": runs}, "light": {"runs": [run_of("fixed", failed=1.0)]}}
    assert list(record.disappointments(records, ["severe"])) == said


def test_a_scenario_that_was_not_measured_is_said() -> None:
    assert list(record.disappointments({}, ["light"])) == ["light: the fixed service was not measured"]


def test_a_report_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results.json").write_bytes((record.RESULTS / "results.json").read_bytes())
    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr(command, "missing", lambda: iter(()))
    monkeypatch.setattr(command, "measure_all", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(command, "write_report", lambda records, out: drawn.append(records))
    monkeypatch.setattr("sys.argv", ["benchmarks.incident", "--report", "--out", str(tmp_path)])
    command.main()
    assert drawn == [record.read()]


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing has been measured"):
        command.report(tmp_path)


def test_the_table_is_that_of_the_results() -> None:
    text = (record.RESULTS / "results.md").read_text(encoding="utf-8")
    assert text == "\n".join(table(record.read())) + "\n"
