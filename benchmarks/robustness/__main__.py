"""Whether hostile input, kill -9 and large input do any harm: see README.md.

python -m benchmarks.robustness fuzz --seconds 3600 --seed 1
python -m benchmarks.robustness kill --times 1000
python -m benchmarks.robustness growth
python -m benchmarks.robustness foreign [FOLDER ...]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pool import Limits


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.robustness", description=(__doc__ or "").partition("\n")[0]
    )
    commands = parser.add_subparsers(required=True)
    for add in (_add_fuzz, _add_kill, _add_growth, _add_foreign):
        add(commands)
    return parser.parse_args(arguments)


def _add_fuzz(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("fuzz", help="mutated fixtures: no crash, positions inside, fixes that hold")
    parser.set_defaults(run=_fuzz)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="the same cases for the same seed (default: 1)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="cases at a time (default: CPUs)"
    )
    parser.add_argument(
        "--shrinking",
        type=float,
        default=45.0,
        help="seconds that a new failure is made smaller (default: 45)",
    )
    _add_limits(parser, seconds=20.0)


def _add_kill(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "kill", help="`servelint fix` killed at random moments: nothing is half-done"
    )
    parser.set_defaults(run=_kill)
    parser.add_argument("--times", type=int, default=1000, help="runs (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="for the moments (default: 1)")
    parser.add_argument("--project", type=Path, help="a folder with something to fix (default: 40 services)")


def _add_growth(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "growth", help="what twice as much costs, for shapes that are prone to be dear"
    )
    parser.set_defaults(run=_growth)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="shapes named so")
    parser.add_argument("--rounds", type=int, default=3, help="times that each size is measured (default: 3)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds a run may take (default: 300)")


def _add_foreign(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("foreign", help="code as it comes, with an endpoint appended to each file")
    parser.set_defaults(run=_foreign)
    parser.add_argument(
        "folders", nargs="*", type=Path, help="default: CPython's tests and the installed packages"
    )
    parser.add_argument("--batch", type=int, default=20, help="files that are one project (default: 20)")
    parser.add_argument("--no-fix", action="store_true", help="check only")
    _add_limits(parser, seconds=60.0)


def _add_limits(parser: argparse.ArgumentParser, seconds: float) -> None:
    parser.add_argument(
        "--time", type=float, default=seconds, help=f"CPU seconds an input may take (default: {seconds:g})"
    )
    parser.add_argument("--memory", type=int, default=2048, help="megabytes it may take (default: 2048)")
    parser.add_argument("--failures", type=Path, help="folder for what fails (default: a new one)")


def _limits(chosen: argparse.Namespace) -> Limits:
    from .pool import Limits

    return Limits(chosen.time, chosen.memory)


def _failures(chosen: argparse.Namespace) -> Path:
    folder: Path = chosen.failures or Path(tempfile.mkdtemp(prefix="robustness-failures-"))
    return folder.resolve()


def _fuzz(chosen: argparse.Namespace) -> int:
    from .fuzz import Plan, fuzz

    folder = _failures(chosen)
    plan = Plan(chosen.seconds, chosen.seed, chosen.jobs, _limits(chosen), chosen.shrinking)
    ledger = fuzz(plan, folder)
    print("\n".join(ledger.table()))
    if ledger.kept:
        print(f"\nfailing inputs: {folder}")
    return 1 if ledger.counts else 0


def _kill(chosen: argparse.Namespace) -> int:
    from .killing import kill, services
    from .projects import read

    project = read(chosen.project.resolve()) if chosen.project else services()
    result = kill(project, chosen.times, chosen.seed)
    print("\n".join(result.table()))
    return 1 if result.faults else 0


def _growth(chosen: argparse.Namespace) -> int:
    from .growth import curves, table
    from .large import SHAPES

    names = [name for name in SHAPES if not chosen.only or any(text in name for text in chosen.only)]
    measured = []
    for curve in curves(names, chosen.rounds, chosen.timeout):
        print(f"{curve.shape}: {', '.join(f'{ratio:.2f}' for ratio in curve.doublings)}", flush=True)
        measured.append(curve)
    print("\n".join(table(measured)))
    return 0 if all(curve.is_linear for curve in measured) else 1


def _foreign(chosen: argparse.Namespace) -> int:
    from .foreign import survey, usual_folders

    kept = _failures(chosen)
    folders = [folder.resolve() for folder in chosen.folders] or usual_folders()
    found = survey(folders, chosen.batch, _limits(chosen), kept, fixes=not chosen.no_fix)
    print("\n".join(found.table()))
    if found.ledger.kept:
        print(f"\nfailing inputs: {kept}")
    return 1 if found.ledger.counts else 0


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options(arguments)
    status: int = chosen.run(chosen)
    return status


if __name__ == "__main__":
    sys.exit(main())
