"""Reproduce the incident: one command, about half an hour, loopback interface only.

pip install -e '.[example]' -r benchmarks/requirements.txt     # and nginx, from your distribution
python -m benchmarks.incident                                  # everything, three runs
python -m benchmarks.incident --quick --scenario severe        # two minutes: does it reproduce?
python -m benchmarks.incident --report                         # no load: table and plots of what there is
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .ingress import nginx
from .kubelet import PodSpec
from .measure import Bench, Run, capacity, measure
from .pod import HERE, Machine
from .record import RESULTS, Record, disappointments, read
from .report import write_report
from .scenarios import SCENARIOS, Scenario, Variant

EXAMPLE = HERE.parents[1] / "examples" / "bankchurn"
PACKAGES = ("fastapi", "lightgbm", "locust", "numpy", "scikit-learn", "servelint", "uvicorn", "xgboost-cpu")
# Start, stop and the last answers of a run, on top of its seconds.
OVERHEAD_SECONDS = 8
CALIBRATION_SECONDS = 3.0


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    variants = sorted({variant.name for scenario in SCENARIOS for variant in scenario.variants})
    parser = argparse.ArgumentParser(
        prog="benchmarks.incident", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="times that every variant is measured (default: 3)"
    )
    parser.add_argument("--scenario", action="append", choices=names, help="only this one (may be repeated)")
    parser.add_argument(
        "--variant", action="append", choices=variants, help="only this one (may be repeated)"
    )
    parser.add_argument("--quick", action="store_true", help="one run, and no longer than 40 seconds")
    parser.add_argument("--check", action="store_true", help="exit with 1 when the fixed service did badly")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing; table and plots of the results there are"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for results and plots")
    return parser.parse_args(arguments)


def missing() -> Iterator[str]:
    """What the harness needs and does not find here; nginx is not among it."""
    if not shutil.which("taskset"):
        yield "taskset (util-linux)"
    yield from (name for name in ("locust", "matplotlib") if importlib.util.find_spec(name) is None)


def train(models: Path) -> None:
    """Train the example's models."""
    subprocess.run([sys.executable, "train.py", "--out", str(models)], cwd=EXAMPLE, check=True)


def fix(copy: Path) -> None:
    """Copy the example and let `servelint fix` at the copy."""
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("model", "__pycache__"))
    subprocess.run([sys.executable, "-m", "servelint", "fix", "--unsafe-fixes", str(copy)], check=True)


def write_customers(folder: Path) -> dict[str, object]:
    """Write a hundred customers for Locust; return the first."""
    script = "import json, train; print(train.customers(100, 99).to_json(orient='records'))"
    text = subprocess.run(
        [sys.executable, "-c", script], cwd=EXAMPLE, check=True, capture_output=True, text=True
    ).stdout
    (folder / "customers.json").write_text(text, encoding="utf-8")
    first: dict[str, object] = json.loads(text)[0]
    return first


@dataclass(frozen=True, slots=True)
class Round:
    """Every variant of a scenario once, for so many seconds each, under one load."""

    scenario: Scenario
    variants: tuple[Variant, ...]
    seconds: float
    first: bool


def plan(chosen: argparse.Namespace) -> list[Round]:
    """All rounds: variants alternate, so that a slow minute of the machine does not hit one of them alone."""
    return [
        Round(scenario, variants, min(scenario.seconds, 40.0) if chosen.quick else scenario.seconds, not turn)
        for scenario in SCENARIOS
        if not chosen.scenario or scenario.name in chosen.scenario
        if (variants := tuple(v for v in scenario.variants if not chosen.variant or v.name in chosen.variant))
        for turn in range(1 if chosen.quick else chosen.runs)
    ]


def conditions(machine: Machine) -> dict[str, Any]:
    """What the results depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(machine.other_cpus) + 1,
        "ingress": "nginx" if nginx() else "none",
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def describe(run: Run) -> str:
    """One line for the terminal."""
    return (
        f"{run.scenario:10} {run.variant:20} {run.failed:6.1%} failed, {run.answered_a_second:5.1f}/s, "
        f"p95 {run.p95:6.0f} ms, /health p95 {run.health_p95:6.0f} ms, worst {run.health_worst:6.0f} ms, "
        f"{run.restarts} restarts, {run.memory:4.0f} MB"
    )


def run_all(bench: Bench, rounds: list[Round], records: dict[str, Record]) -> Iterator[dict[str, Record]]:
    """Calibrate before every round, measure everything, and yield the records so far after every run.

    `records` is what was measured before; scenarios that are measured now begin anew.
    """
    customer = write_customers(bench.folder)
    now = conditions(bench.machine)
    best = 0.0
    for planned in rounds:
        name = planned.scenario.name
        able = capacity(bench, customer, CALIBRATION_SECONDS)
        print(f"one pod: {able.latency:.0f} ms a prediction, {able.rate:.0f} a second", flush=True)
        if planned.first:
            records[name] = {"conditions": now, "seconds": planned.seconds, "capacity": [], "runs": []}
        records[name]["capacity"].append(asdict(able))
        # The best so far: what other processes took away just now is no property of the pod.
        best = max(best, able.rate)
        users = max(1, round(best * planned.scenario.load))
        for variant in planned.variants:
            run = measure(bench, planned.scenario, variant, users, planned.seconds)
            print(describe(run), flush=True)
            records[name]["runs"].append(run.as_json())
            yield records


def measure_all(rounds: list[Round], out: Path) -> dict[str, Record]:
    """Measure all rounds, write the report into the folder `out`, and return what is in it."""
    with tempfile.TemporaryDirectory(prefix="incident-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx may serve as another user than the one who starts it
        train(folder / "model")
        fix(folder / "fixed")
        bench = Bench(
            services={"unfixed": EXAMPLE, "fixed": folder / "fixed"},
            models=folder / "model",
            folder=folder,
            machine=Machine.here(),
            spec=PodSpec.read(EXAMPLE / "k8s" / "deployment.yaml"),
        )
        records = read(out)
        for so_far in run_all(bench, rounds, records):
            # After every run: whoever stops it half-way keeps what was measured.
            write_report(so_far, out)
    return records


def report(out: Path) -> None:
    """Write table and plots of the results in the folder `out` anew."""
    records = read(out)
    if not records:
        sys.exit(f"nothing has been measured: there is no {out / 'results.json'}")
    write_report(records, out)


def main() -> None:
    chosen = options()
    if lacking := list(missing()):
        sys.exit(f"not installed: {', '.join(lacking)}; see benchmarks/incident/README.md")
    if chosen.report:
        report(chosen.out)
        return
    rounds = plan(chosen)
    if not rounds:
        sys.exit("none of the chosen scenarios has one of the chosen variants")
    bound = sum(
        3 * CALIBRATION_SECONDS + len(each.variants) * (each.seconds + OVERHEAD_SECONDS) for each in rounds
    )
    print(f"{len(rounds)} rounds, about {bound / 60:.0f} minutes", flush=True)
    started = time.monotonic()
    records = measure_all(rounds, chosen.out)
    print(f"{chosen.out}/ written after {(time.monotonic() - started) / 60:.0f} minutes")
    if chosen.check and (found := list(disappointments(records, {each.scenario.name for each in rounds}))):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
