"""Reproduce the incident: one command, some twenty-five minutes, loopback interface only.

pip install -e '.[example]' -r benchmarks/requirements.txt     # and nginx, from your distribution
python -m benchmarks.incident                                  # everything, three runs
python -m benchmarks.incident --quick --scenario incident      # two minutes: does it reproduce?
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .ingress import Ingress
from .kubelet import PodSpec
from .measure import Bench, Run, capacity, measure
from .pod import HERE, Machine
from .report import write_report
from .scenarios import FIXED, SCENARIOS, Scenario, Variant

EXAMPLE = HERE.parents[1] / "examples" / "bankchurn"
PACKAGES = ("fastapi", "lightgbm", "locust", "numpy", "scikit-learn", "servelint", "uvicorn", "xgboost-cpu")
# Start, stop and the last answers of a run, on top of its seconds.
OVERHEAD_SECONDS = 8
CALIBRATION_SECONDS = 3.0


def options() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="benchmarks.incident", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="times that every variant is measured (default: 3)"
    )
    parser.add_argument("--scenario", action="append", choices=names, help="only this one (may be repeated)")
    parser.add_argument("--variant", action="append", help="only this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="one run, and no longer than 40 seconds")
    parser.add_argument("--check", action="store_true", help="exit with 1 when the fixed service did badly")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for results and plots")
    return parser.parse_args()


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


def plan(chosen: argparse.Namespace) -> list[Round]:
    """All rounds: variants alternate, so that a slow minute of the machine does not hit one of them alone."""
    return [
        Round(scenario, variants, min(scenario.seconds, 40.0) if chosen.quick else scenario.seconds)
        for scenario in SCENARIOS
        if not chosen.scenario or scenario.name in chosen.scenario
        if (variants := tuple(v for v in scenario.variants if not chosen.variant or v.name in chosen.variant))
        for _ in range(1 if chosen.quick else chosen.runs)
    ]


def conditions(machine: Machine, ingress: str) -> dict[str, Any]:
    """What the results depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(machine.other_cpus) + 1,
        "ingress": ingress,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def describe(run: Run) -> str:
    """One line for the terminal."""
    return (
        f"{run.scenario:10} {run.variant:20} {run.failed:6.1%} failed, {run.answered_a_second:5.1f}/s, "
        f"p95 {run.p95:6.0f} ms, /health p95 {run.health_p95:6.0f} ms, worst {run.health_worst:6.0f} ms, "
        f"{run.restarts} restarts, {run.memory:4.0f} MB"
    )


def measured_before(out: Path, rounds: list[Round]) -> list[dict[str, Any]]:
    """The runs in the folder of results of those scenarios that are not measured now."""
    results = out / "results.json"
    if not results.exists():
        return []
    now = {planned.scenario.name for planned in rounds}
    runs: list[dict[str, Any]] = json.loads(results.read_text(encoding="utf-8"))["runs"]
    return [run for run in runs if run["scenario"] not in now]


def run_all(bench: Bench, rounds: list[Round], before: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Calibrate before every round, measure everything, and yield the raw results so far after every run."""
    customer = write_customers(bench.folder)
    results: dict[str, Any] = {
        "conditions": conditions(bench.machine, Ingress(bench.folder, 0, bench.machine).name),
        "capacity": [],
        "runs": before,
    }
    for planned in rounds:
        able = capacity(bench, customer, CALIBRATION_SECONDS)
        print(f"one pod: {able.latency:.0f} ms a prediction, {able.rate:.0f} a second", flush=True)
        results["capacity"].append(asdict(able))
        # The best so far: what other processes took away just now is no property of the pod.
        best = max(each["rate"] for each in results["capacity"])
        users = max(1, round(best * planned.scenario.load))
        for variant in planned.variants:
            run = measure(bench, planned.scenario, variant, users, planned.seconds)
            print(describe(run), flush=True)
            results["runs"].append(run.as_json())
            yield results


def disappointments(runs: list[dict[str, Any]]) -> Iterator[str]:
    """What the fixed service must not do on any machine, however slow, one line each."""
    for run in runs:
        if run["variant"] != FIXED.name:
            continue
        if run["failed"] > 0.01:
            yield f"{run['scenario']}: the fixed service failed {run['failed']:.1%} of the predictions"
        if run["restarts"]:
            yield f"{run['scenario']}: the fixed service was restarted {run['restarts']} times"


def main() -> None:
    chosen = options()
    rounds = plan(chosen)
    bound = sum(
        3 * CALIBRATION_SECONDS + len(each.variants) * (each.seconds + OVERHEAD_SECONDS) for each in rounds
    )
    print(f"{len(rounds)} rounds, about {bound / 60:.0f} minutes", flush=True)
    started = time.monotonic()
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
        for results in run_all(bench, rounds, measured_before(chosen.out, rounds)):
            # After every run: whoever stops it half-way keeps what was measured.
            write_report(results, chosen.out)
    print(f"{chosen.out}/ written after {(time.monotonic() - started) / 60:.0f} minutes")
    found = list(disappointments(results["runs"])) if chosen.check else []
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
