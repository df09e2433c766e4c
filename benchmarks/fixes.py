"""Tries `servelint fix` on a folder of checkouts and counts what it breaks.

    python -m benchmarks.fixes CHECKOUTS [--only NAME ...] [--keep FOLDER]

Every repository is copied; the copy gets the safe fixes, then the unsafe ones. After each: every changed file
compiles, `ruff check --select F,E9,ASYNC,B,RUF006` finds no more than before, a second run changes nothing,
and nothing is left that has a fix which was to be applied. One line a repository; exit status 1 if anything
broke. Needs ruff and git on the path.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RULES = "F,E9,ASYNC,B,RUF006"


@dataclass
class Outcome:
    """What became of one repository in one mode. `faults` are what must not be."""

    name: str
    mode: str
    before: int = 0
    after: int = 0
    files: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        state = "ok" if not self.faults else "; ".join(self.faults)
        counts = f"{self.before:4} -> {self.after:4} in {self.files:3} files"
        return f"{self.name[:44]:44} {self.mode:6} {counts} {self.seconds:6.1f} s  {state}"


def servelint(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "servelint", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def findings(folder: Path) -> list[dict[str, Any]]:
    done = servelint("check", "--isolated", "--no-baseline", "--output-format", "json", cwd=folder)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"{folder}: {done.stderr or done.stdout}") from None
    return [finding for finding in report["findings"] if finding["code"].startswith("SRV1")]


def contents(folder: Path) -> dict[Path, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path: path.read_bytes() for path in found if ".git" not in path.parts}


def complaints(paths: list[Path]) -> Counter[str]:
    """What ruff finds in the files, by file and rule."""
    if not paths:
        return Counter()
    command = ["ruff", "check", "--isolated", "--no-cache", "--select", RULES, "--output-format", "json"]
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=False)
    return Counter(f"{Path(item['filename']).name}: {item['code']}" for item in json.loads(done.stdout))


def broken(path: Path) -> str:
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"{path.name} does not compile: {error}"
    return ""


def attempt(folder: Path, name: str, *, unsafe: bool) -> Outcome:
    """Fix the copy in `folder` and judge the result."""
    options = ["--isolated", "--no-baseline", "--select", "SRV1", *(["--unsafe-fixes"] if unsafe else [])]
    outcome = Outcome(name, "unsafe" if unsafe else "safe", before=len(findings(folder)))
    before = contents(folder)
    python = [path for path in before if path.suffix == ".py"]
    lint = complaints(python)
    started = time.perf_counter()
    done = servelint("fix", *options, cwd=folder)
    outcome.seconds = time.perf_counter() - started
    if done.returncode not in (0, 1):
        outcome.faults.append(f"exit status {done.returncode}: {done.stderr.strip()[-200:]}")
    after = contents(folder)
    changed = [path for path in after if after[path] != before.get(path)]
    outcome.files = len(changed)
    outcome.faults += [fault for path in changed if (fault := broken(path))]
    new = complaints([path for path in after if path.suffix == ".py"]) - lint
    outcome.faults += [f"ruff: {item} x{count}" for item, count in new.items()]
    outcome.faults += [line.strip() for line in done.stdout.splitlines() if "was taken back" in line]
    servelint("fix", *options, cwd=folder)
    if contents(folder) != after:
        outcome.faults.append("a second run changes something")
    rest = findings(folder)
    outcome.after = len(rest)
    applicable = {"safe", "unsafe"} if unsafe else {"safe"}
    fixable = [item for item in rest if item["fix"] and item["fix"]["applicability"] in applicable]
    outcome.faults += [f"still fixable: {item['path']}:{item['line']}" for item in fixable]
    outcome.left = Counter(
        line.partition("no fix: ")[2] for line in done.stdout.splitlines() if "no fix: " in line
    )
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkouts", type=Path, help="a folder of repositories")
    parser.add_argument("--only", nargs="*", default=[], help="names of repositories")
    parser.add_argument("--keep", type=Path, help="where the fixed copies stay")
    arguments = parser.parse_args()
    work = arguments.keep or Path(tempfile.mkdtemp())
    outcomes: list[Outcome] = []
    for checkout in sorted(path for path in arguments.checkouts.iterdir() if path.is_dir()):
        if arguments.only and checkout.name not in arguments.only:
            continue
        copy = work / checkout.name
        shutil.copytree(checkout, copy, symlinks=True, dirs_exist_ok=True)
        for unsafe in (False, True):
            outcomes.append(attempt(copy, checkout.name, unsafe=unsafe))
            print(outcomes[-1].line(), flush=True)
    if arguments.keep is None:
        shutil.rmtree(work)
    reasons = sum((outcome.left for outcome in outcomes if outcome.mode == "unsafe"), Counter[str]())
    print(*(f"{count:5} {reason}" for reason, count in reasons.most_common()), sep="\n")
    return int(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
