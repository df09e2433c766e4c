"""Reproduce the incident: loopback interface only, on Linux.

pip install -e '.[example]' -r benchmarks/requirements.txt
python -m benchmarks.incident --quick                      # two minutes: does it reproduce here?
python -m benchmarks.incident --scenario sweep --quotes    # at which load it tips, and the pages: 40 minutes
python -m benchmarks.incident --quotes                     # everything that the manual quotes: an hour
python -m benchmarks.incident --report                     # no load: table and plots of what there is
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

from .ingress import EMBEDDED, FRONTS, NGINX, nginx
from .kubelet import PodSpec
from .load import PATIENCE_SECONDS
from .measure import Bench, Run, capacity, measure
from .pod import HERE, Machine
from .record import RESULTS, Record, disappointments, read, verdict
from .report import write_report
from .scenarios import FIXED, QUICK, SCENARIOS, SWEEP, Scenario, Variant
from .sweep import lines

EXAMPLE = HERE.parents[1] / "examples" / "bankchurn"
PACKAGES = ("aiohttp", "fastapi", "lightgbm", "numpy", "scikit-learn", "servelint", "uvicorn", "xgboost-cpu")
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
        "--quick",
        action="store_true",
        help="two minutes: three loads, and a verdict; with --scenario one run of it, 40 seconds at most",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=[_SWEEP_NAME, *names],
        help=f"only this one, or all points of the {_SWEEP_NAME} (may be repeated)",
    )
    parser.add_argument(
        "--variant", action="append", choices=variants, help="only this one (may be repeated)"
    )
    parser.add_argument(
        "--runs", type=int, help="times that every variant is measured (default: by the scenario)"
    )
    parser.add_argument(
        "--add", action="store_true", help="add runs to those there are, instead of beginning anew"
    )
    parser.add_argument(
        "--front", choices=FRONTS, default=EMBEDDED, help="what stands before the pod (default: %(default)s)"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        help="seconds after which users give up (default: %(default)g)",
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when the fixed service did badly")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing; table and plots of the results there are"
    )
    parser.add_argument(
        "--quotes", action="store_true", help="write the numbers that pages quote anew afterwards"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for results and plots (default: the results that the manual quotes; "
        "with --quick nothing is written)",
    )
    return parser.parse_args(arguments)


_SWEEP_NAME = "sweep"


def missing(chosen: argparse.Namespace) -> Iterator[str]:
    """What is needed and not found here."""
    if not shutil.which("taskset"):
        yield "taskset (util-linux)"
    if chosen.front == NGINX and not nginx():
        yield "nginx"
    needed = ["aiohttp", "psutil", *([] if output(chosen) is None else ["matplotlib"])]
    yield from (name for name in needed if importlib.util.find_spec(name) is None)


def output(chosen: argparse.Namespace) -> Path | None:
    """The folder for results; None where none are to be written."""
    folder: Path | None = chosen.out
    return folder if folder or chosen.quick else RESULTS


def train(models: Path) -> None:
    """Train the example's models."""
    subprocess.run([sys.executable, "train.py", "--out", str(models)], cwd=EXAMPLE, check=True)


def fix(copy: Path) -> None:
    """Copy the example and let `servelint fix` at the copy."""
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("model", "__pycache__"))
    subprocess.run([sys.executable, "-m", "servelint", "fix", "--unsafe-fixes", str(copy)], check=True)


def write_customers(folder: Path) -> dict[str, object]:
    """Write a hundred customers for the users; return the first."""
    script = "import json, train; print(train.customers(100, 99).to_json(orient='records'))"
    text = subprocess.run(
        [sys.executable, "-c", script], cwd=EXAMPLE, check=True, capture_output=True, text=True
    ).stdout
    (folder / "customers.json").write_text(text, encoding="utf-8")
    first: dict[str, object] = json.loads(text)[0]
    return first


@dataclass(frozen=True, slots=True)
class Round:
    """Variants of a scenario once, for so many seconds each, under one load.

    With `anew` what was measured of the scenario before is forgotten.
    """

    scenario: Scenario
    variants: tuple[Variant, ...]
    seconds: float
    anew: bool
    calibrated: bool = True

    @property
    def bound(self) -> float:
        """About how many seconds it takes."""
        calibration = 3 * CALIBRATION_SECONDS + 2 if self.calibrated else 0
        return calibration + len(self.variants) * (self.seconds + OVERHEAD_SECONDS)


def plan(chosen: argparse.Namespace) -> list[Round]:
    """All rounds: variants alternate, so that a slow minute of the machine does not hit one of them alone."""
    if chosen.quick and not chosen.scenario:
        return quick_plan()
    swept = {scenario.name for scenario in SWEEP} if _SWEEP_NAME in (chosen.scenario or ()) else set()
    wanted = swept | set(chosen.scenario or (scenario.name for scenario in SCENARIOS))
    return [
        Round(
            scenario,
            variants,
            min(scenario.seconds, 40.0) if chosen.quick else scenario.seconds,
            anew=not turn and not chosen.add,
        )
        for scenario in SCENARIOS
        if scenario.name in wanted
        if (variants := tuple(v for v in scenario.variants if not chosen.variant or v.name in chosen.variant))
        for turn in range(1 if chosen.quick else chosen.runs or scenario.runs)
    ]


def quick_plan() -> list[Round]:
    """Three points of the sweep, calibrated once."""
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    return [
        Round(by_name[name], variants, seconds, anew=True, calibrated=not position)
        for position, (name, variants, seconds) in enumerate(QUICK)
    ]


def conditions(machine: Machine, front: str) -> dict[str, Any]:
    """What the results depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(machine.other_cpus) + 1,
        "ingress": front,
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

    `records` is what was measured before.
    """
    customer = write_customers(bench.folder)
    now = conditions(bench.machine, bench.front)
    best = 0.0
    for planned in rounds:
        name = planned.scenario.name
        if planned.calibrated:
            able = capacity(bench, customer, CALIBRATION_SECONDS)
            print(f"one pod: {able.latency:.0f} ms a prediction, {able.rate:.0f} a second", flush=True)
        if planned.anew or name not in records:
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


def measure_all(
    rounds: list[Round], out: Path | None, front: str = EMBEDDED, patience: float = PATIENCE_SECONDS
) -> dict[str, Record]:
    """Measure all rounds, write the report into the folder `out`, if any, and return what was measured."""
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
            front=front,
            patience=patience,
        )
        records = read(out) if out else {}
        for so_far in run_all(bench, rounds, records):
            # After every run: whoever stops it half-way keeps what was measured.
            if out:
                write_report(so_far, out)
    return records


def report(out: Path) -> None:
    """Write table and plots of the results in the folder `out` anew."""
    records = read(out)
    if not records:
        sys.exit(f"nothing has been measured: there is no {out / 'results.json'}")
    write_report(records, out)


def quote() -> None:
    """Write what the pages quote anew."""
    from benchmarks import quotes

    quotes.main()


def measure_and_tell(chosen: argparse.Namespace) -> None:
    """Measure what was chosen, say what came out, and leave with 1 when that was asked for and is due."""
    rounds = plan(chosen)
    if not rounds:
        sys.exit("none of the chosen scenarios has one of the chosen variants")
    print(f"{len(rounds)} rounds, about {sum(each.bound for each in rounds) / 60:.0f} minutes", flush=True)
    started, out = time.monotonic(), output(chosen)
    records = measure_all(rounds, out, chosen.front, chosen.patience)
    measured = {each.scenario.name for each in rounds}
    print(f"\nafter {(time.monotonic() - started) / 60:.1f} minutes" + (f": {out}/" if out else ""))
    if measured & {point.name for point in SWEEP}:
        print("\n".join(lines({name: records[name] for name in measured})))
    print(f"\n{verdict(records, measured)}")
    judged = {each.scenario.name for each in rounds if FIXED in each.variants}
    if chosen.check and (found := list(disappointments(records, judged))):
        sys.exit("\n".join(found))


def main() -> None:
    chosen = options()
    if lacking := list(missing(chosen)):
        sys.exit(f"not installed: {', '.join(lacking)}; see benchmarks/incident/README.md")
    if chosen.report:
        report(chosen.out or RESULTS)
    else:
        measure_and_tell(chosen)
    if chosen.quotes:
        quote()


if __name__ == "__main__":
    main()
