"""What of the load harness can be tested without load."""

from __future__ import annotations

import itertools
import math
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.incident import __main__ as command
from benchmarks.incident import ingress, record, sweep
from benchmarks.incident.__main__ import options, plan
from benchmarks.incident.calibrate import calibrate
from benchmarks.incident.ingress import EMBEDDED, NGINX
from benchmarks.incident.kubelet import Kubelet, PodSpec, Probe
from benchmarks.incident.load import Answers, per_second, percentile, send_users
from benchmarks.incident.measure import within
from benchmarks.incident.pod import Machine, Pod, ask, free_port
from benchmarks.incident.report import table
from benchmarks.incident.scenarios import FIXED, SCENARIOS, SWEEP, SWEPT, UNFIXED

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
        "100.5 500.0 200\n100.4 3.0 503\n101.2 20.0 200\n102.9 9.0 ServerDisconnectedError\n"
        "110.1 10000.2 gave-up\n",
        encoding="utf-8",
    )
    answers = Answers.read(log, seconds=3)
    assert answers.failed == 0.6
    assert answers.gave_up == 0.2
    assert dict(answers.failures) == {"503": 1, "ServerDisconnectedError": 1, "gave-up": 1}
    assert answers.latencies == [500.0, 20.0]
    assert answers.began == 100.0
    assert answers.timeline == {
        "answered": [1, 1, *[0] * 9],
        "failed": [1, 0, 1, *[0] * 8],
        "gave_up": [*[0] * 10, 1],
    }


def test_no_answers_are_no_failures(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    log.write_text("", encoding="utf-8")
    assert Answers.read(log, seconds=1).failed == 0.0
    assert per_second([], 0.0) == {"answered": [0], "failed": [0], "gave_up": [0]}


def test_load_goes_to_the_loopback_interface_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        send_users("http://192.0.2.1:80", 1, 1, tmp_path, Machine(0, (0,)))


def test_nobody_answers_on_a_free_port() -> None:
    assert ask(free_port(), "/health", timeout=1) is None


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


class Dying(Answering):
    """A pod that answers its readiness probe and not the other."""

    def do_GET(self) -> None:
        self.status = 500 if self.path == "/live" else 200
        super().do_GET()


class WatchedPod(SilentPod):
    """Remembers what the endpoint was when the kubelet had killed the container."""

    def __init__(self, port: int, told: list[bool]) -> None:
        super().__init__()
        self.port = port
        self.told = told
        self.told_when_killed: list[bool] | None = None

    def stop(self) -> None:
        super().stop()
        if self.told_when_killed is None:
            self.told_when_killed = list(self.told)


def killed(*, settled: bool, initial_delay: float, seconds: float) -> tuple[Kubelet, WatchedPod]:
    """A kubelet that has watched a dying pod until it was restarted, or for so long."""
    told: list[bool] = []
    spec = PodSpec(Probe("/ready", period=0.01), Probe("/live", initial_delay, period=0.01), 1)
    with served(Dying) as port:
        pod = WatchedPod(port, told)
        kubelet = Kubelet(pod, spec, told.append, settled=settled)  # type: ignore[arg-type]
        kubelet.start()
        pod.started.wait(seconds)
        kubelet.stop()
    return kubelet, pod


def test_a_container_that_is_being_killed_stays_an_endpoint_until_it_has_ended() -> None:
    kubelet, pod = killed(settled=True, initial_delay=0, seconds=30)
    assert pod.told_when_killed == []
    assert pod.told[0] is False
    assert len(kubelet.restarted) >= 1
    assert kubelet.unready[0][0] <= kubelet.restarted[0]


@pytest.mark.parametrize(("settled", "seconds", "restarts"), [(True, 30, 1), (False, 0.3, 0)])
def test_the_first_container_has_been_up_before_the_load_came(
    settled: bool, seconds: float, restarts: int
) -> None:
    kubelet, _ = killed(settled=settled, initial_delay=60, seconds=seconds)
    assert kubelet.restarts == restarts


def test_a_pod_has_settled_when_all_its_workers_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = itertools.chain([0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 9.0], itertools.repeat(9.0))
    monkeypatch.setattr(Pod, "_processor_seconds", lambda _: next(used))
    monkeypatch.setattr("benchmarks.incident.pod._LOOK_SECONDS", 0.001)
    Pod(UNFIXED, {}, tmp_path, Machine(0, (0,)), 1, tmp_path / "log", 1).settle()
    assert next(used) == 9.0, "three looks in a row saw it idle, and no fourth was needed"


def test_spells_are_cut_to_the_load() -> None:
    spells = [(90.0, 99.0), (99.0, 103.0), (105.0, 107.0), (118.0, 140.0), (130.0, 131.0)]
    assert within(spells, 100.0, 20.0) == [(0.0, 3.0), (5.0, 7.0), (18.0, 20.0)]


@pytest.mark.parametrize("kind", [EMBEDDED, *([NGINX] if ingress.nginx() else [])])
def test_a_front_lets_requests_pass_while_the_pod_is_ready(kind: str) -> None:
    with served(Answering) as port, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx serves as another user than root
        proxy = ingress.Ingress(folder, port, Machine.here(), kind)
        proxy.start()
        try:
            for ready, answer in ((True, "ok"), (False, None), (True, "ok")):
                proxy.set_ready(ready)
                assert ask(proxy.port, "/health", timeout=10) == answer
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
    assert [each.anew for each in rounds] == [True, False, True, False]
    assert [variant.name for variant in rounds[-1].variants] == ["unfixed", "fixed"]


def test_runs_can_be_added_to_those_there_are() -> None:
    rounds = plan(options(["--scenario", "severe", "--runs", "2", "--add"]))
    assert [each.anew for each in rounds] == [False, False]


def test_a_scenario_says_how_often_it_is_measured() -> None:
    rounds = plan(options([]))
    measured = {
        name: len(list(same)) for name, same in itertools.groupby(each.scenario.name for each in rounds)
    }
    assert measured == {each.name: each.runs for each in SCENARIOS}
    assert measured["severe"] == 3


def test_the_sweep_is_one_word() -> None:
    rounds = plan(options(["--scenario", "sweep"]))
    assert {each.scenario.name for each in rounds} == {each.name for each in SWEEP}
    assert [each.load for each in SWEEP] == sorted(each.load for each in SWEEP)
    assert (SWEEP[0].load, SWEEP[-1].load) == (0.5, 8)
    assert all(each.variants == SWEPT for each in SWEEP)


def test_the_quick_form_takes_some_two_minutes_and_shows_three_points() -> None:
    rounds = plan(options(["--quick"]))
    assert len(rounds) == 3
    assert all(each.scenario in SWEEP for each in rounds)
    assert [each.scenario.load for each in rounds] == sorted(each.scenario.load for each in rounds)
    assert all(UNFIXED in each.variants for each in rounds)
    assert FIXED in rounds[-1].variants
    assert sum(each.calibrated for each in rounds) == 1
    assert sum(each.bound for each in rounds) <= 135, "and 15 s to train the models and to fix the service"


def test_the_quick_form_writes_no_file_unless_told_where() -> None:
    assert command.output(options(["--quick"])) is None
    assert command.output(options(["--quick", "--out", "report"])) == Path("report")
    assert command.output(options([])) == record.RESULTS


def test_a_quick_scenario_is_short() -> None:
    rounds = plan(options(["--quick", "--scenario", "severe", "--scenario", "light"]))
    assert [(each.scenario.name, each.seconds) for each in rounds] == [("severe", 40), ("light", 15)]


def test_a_variant_that_the_scenario_lacks_plans_nothing() -> None:
    assert plan(options(["--scenario", "light", "--variant", "pool of 8"])) == []


def test_every_scenario_can_be_judged() -> None:
    assert all("fixed" in {variant.name for variant in scenario.variants} for scenario in SCENARIOS)


def run_of(variant: str, **changes: Any) -> dict[str, Any]:
    return {"variant": variant, "requests": 100, "failed": 0.0, "gave_up": 0.0, "restarts": 0} | changes


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([run_of("fixed"), run_of("unfixed", failed=0.9, restarts=3)], []),
        ([run_of("fixed", failed=0.005)], []),
        ([run_of("fixed", failed=0.3, gave_up=0.3)], []),  # a slow machine has a long queue
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
    monkeypatch.setattr(command, "missing", lambda _: iter(()))
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


def seen(variant: str, *failed: float, **changes: Any) -> list[dict[str, Any]]:
    rest = {"answered_a_second": 60.0, "health_p95": 7.0, "health_worst": 9000.0, "unready_seconds": 0.0}
    return [
        {"variant": variant, "failed": each, "gave_up": 0.0, "restarts": 1} | rest | changes
        for each in failed
    ]


SEEN = {
    "half": {"runs": [*seen("unfixed", 0.0), *seen("fixed", 0.0)]},
    "severe": {
        "runs": [
            *seen("unfixed", 0.6, 0.7, 0.5, gave_up=0.1),
            *seen("fixed", 0.0, 0.001, 0.0, health_worst=200.0),
            *seen("plain def", 0.04),
        ]
    },
}


def test_the_table_of_the_sweep() -> None:
    _, _, *rows = sweep.lines(SEEN)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:4] for row in cells] == [
        ["0.5", "unfixed", "0%", "0%"],
        ["0.5", "fixed", "0%", "0%"],
        ["7", "unfixed", "60% (50% to 70%)", "10%"],
        ["7", "plain def", "4%", "0%"],
        ["7", "fixed", "0%", "0%"],
    ]


def test_the_curves_of_the_sweep() -> None:
    curves = sweep.curves(SEEN)
    assert list(curves) == ["unfixed", "fixed"], "one point is no curve"
    assert curves["unfixed"] == [(0.5, 0.0, 0.0, 0.0), (7, 0.6, 0.5, 0.7)]


def test_names_at_the_ends_of_curves_do_not_cover_each_other() -> None:
    assert sweep.apart([60.0, 0.0, 1.0, 0.0], 5.0) == [60.0, 0.0, 10.0, 5.0]


def test_the_picture_of_the_sweep_can_be_read_without_the_text(tmp_path: Path) -> None:
    from benchmarks.incident.plots import draw_sweep

    draw_sweep(SEEN, tmp_path / "sweep")
    assert (tmp_path / "sweep.png").stat().st_size
    text = (tmp_path / "sweep.svg").read_text(encoding="utf-8")
    for words in ("model on the event loop: 60 %", "after servelint fix: 0 %", "Requests that fail"):
        assert words in text


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    from benchmarks.incident.plots import draw_sweep

    draw_sweep({}, tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


def test_the_verdict_is_one_sentence_about_the_heaviest_load() -> None:
    assert record.verdict(SEEN, ["half", "severe"]) == (
        "At 7 times the capacity the unfixed service fails 50% of the predictions and its slowest /health takes "
        "9.0 s; what `servelint fix` leaves behind fails 0.1%, and its slowest /health takes 0.2 s."
    )


@pytest.mark.parametrize(("unfixed", "fixed"), [(0.0, 0.0), (0.05, 0.0), (0.9, 0.02)])
def test_the_verdict_says_when_it_does_not_show(unfixed: float, fixed: float) -> None:
    runs = [*seen("unfixed", unfixed), *seen("fixed", fixed)]
    assert record.verdict({"severe": {"runs": runs}}, ["severe"]).startswith(
        "It does not show here: at 7 times"
    )


def test_no_verdict_without_both() -> None:
    assert "nothing to compare" in record.verdict({"half": {"runs": seen("unfixed", 0.5)}}, ["half"])
    assert "nothing to compare" in record.verdict(SEEN, [])


def test_a_pod_that_never_answered_took_for_ever() -> None:
    runs = [*seen("unfixed", 0.9, health_worst=None), *seen("fixed", 0.0)]
    assert "slowest /health takes for ever" in record.verdict({"severe": {"runs": runs}}, ["severe"])
