"""Tries `servelint fix` on folders of checkouts and counts what it breaks.

    python -m benchmarks.fixes CHECKOUTS... [--only NAME ...] [--keep FOLDER] [--seconds SECONDS]

Every repository is copied; the copy gets the safe fixes, then the unsafe ones. After each, for every changed
file: it compiles; `ruff check --select F,E9,ASYNC,B,RUF006` and pyright find no more errors than before; what
`ruff format` accepted it accepts still. A second run changes nothing, and nothing is left that has a fix to
be applied. Small repositories come first. One line a repository and mode, a summary at the end; exit status 1
if anything broke or took too long. Needs ruff and pyright (or basedpyright) on the path.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servelint.code.fixes.text.style import length_in

RULES = "F,E9,ASYNC,B,RUF006"
UNFIXABLE = "no fix: "
OF_BASEDPYRIGHT = ("reportImplicitRelativeImport",)  # errors that pyright itself does not know
# What pyright says of the arguments of a call: several errors may be one wrong call.
OF_CALLS = ("reportCallIssue", "reportArgumentType")
TAKEN_BACK = "was taken back"


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


@dataclass(frozen=True)
class Judge:
    """Tries one repository: `original` stays as it is, `copy` is fixed; a run may take so many `seconds`."""

    original: Path
    copy: Path
    seconds: float

    def outcomes(self) -> list[Outcome]:
        try:
            rest = self._findings()
            safe = self._attempt("safe", rest)
            return [safe[0], self._attempt("unsafe", safe[1])[0]]
        except subprocess.TimeoutExpired as late:
            fault = f"`servelint {late.cmd[3]}` took more than {late.timeout:.0f} s"
            return [Outcome(self.original.name, "-", faults=[fault])]

    def _attempt(self, mode: str, findings: list[dict[str, Any]]) -> tuple[Outcome, list[dict[str, Any]]]:
        """Apply the fixes of one mode to the copy and judge the result; also what is found afterwards."""
        options = ["--isolated", "--no-baseline", "--select", "SRV1", *["--unsafe-fixes"][: mode == "unsafe"]]
        outcome = Outcome(self.original.name, mode, before=len(findings))
        before = _contents(self.copy)
        started = time.perf_counter()
        done = self._servelint("fix", *options)
        outcome.seconds = time.perf_counter() - started
        if done.returncode not in (0, 1):
            outcome.faults.append(f"exit status {done.returncode}: {done.stderr.strip()[-200:]}")
        after = _contents(self.copy)
        changed = sorted(path for path in after if after[path] != before.get(path))
        outcome.files = len(changed)
        outcome.faults += self._broken(changed)
        outcome.faults += [line.strip() for line in done.stdout.splitlines() if TAKEN_BACK in line]
        outcome.left = Counter(
            line.partition(UNFIXABLE)[2] for line in done.stdout.splitlines() if UNFIXABLE in line
        )
        if changed:
            self._servelint("fix", *options)
            if _contents(self.copy) != after:
                outcome.faults.append("a second run changes something")
        rest = self._findings() if changed else findings
        outcome.after = len(rest)
        fixable = [f for f in rest if f["fix"] and f["fix"]["applicability"] in ("safe", mode)]
        outcome.faults += [f"still fixable: {item['path']}:{item['line']}" for item in fixable]
        return outcome, rest

    def _servelint(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "servelint", *arguments]
        return subprocess.run(
            command, cwd=self.copy, capture_output=True, text=True, timeout=self.seconds, check=False
        )

    def _findings(self) -> list[dict[str, Any]]:
        done = self._servelint("check", "--isolated", "--no-baseline", "--output-format", "json")
        try:
            report: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise SystemExit(f"{self.copy}: {done.stderr or done.stdout}") from None
        return [finding for finding in report["findings"] if finding["code"].startswith("SRV1")]

    def _broken(self, changed: Sequence[Path]) -> list[str]:
        """What is wrong with the changed files, given by their paths in the copy, that was not before."""
        faults = [fault for path in changed if (fault := _compiles(path))]
        python = [path.relative_to(self.copy) for path in changed if path.suffix == ".py"]
        there_before = [path for path in python if (self.original / path).exists()]
        for tool in (_ruff, _pyright, _formats):
            new = tool(self.copy, python) - tool(self.original, there_before)
            faults += [f"{tool.__name__[1:]}: {item} x{count}" for item, count in sorted(new.items())]
        return faults


def _contents(folder: Path) -> dict[Path, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path: path.read_bytes() for path in found if ".git" not in path.parts}


def _compiles(path: Path) -> str:
    if path.suffix != ".py":
        return ""
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"{path.name} does not compile: {error}"
    return ""


def _reported(command: Sequence[str], folder: Path, paths: Sequence[Path]) -> Any:
    """What a program says in JSON about the files; None without files, which it would take for all files."""
    if not paths:
        return None
    done = subprocess.run(
        [*command, *map(str, paths)], cwd=folder, capture_output=True, text=True, check=False
    )
    if not done.stdout.strip() and done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr}")
    return json.loads(done.stdout)


def _ruff(folder: Path, paths: Sequence[Path]) -> Counter[str]:
    """What ruff finds in the files, by file and rule."""
    command = ["ruff", "check", "--isolated", "--no-cache", "--select", RULES, "--output-format", "json"]
    found = _reported(command, folder, paths) or ()
    return Counter(f"{Path(item['filename']).name}: {item['code']}" for item in found)


def _pyright(folder: Path, paths: Sequence[Path]) -> Counter[str]:
    """How many errors pyright finds in each file, less those that follow from another.

    A call of what may be None is another error when it is handed to a thread (an argument, no call), and
    where its result is used `object*` says once more that the call could not be typed. An import that is
    not found counts once a file and package: a service may start in any folder, and nothing is installed.
    Of a call whose arguments are wrong, which `partial` is told more of than `to_thread`, all count as one.
    """
    program = "pyright" if shutil.which("pyright") else "basedpyright"
    found = _reported([program, "--outputjson"], folder, paths) or {"generalDiagnostics": ()}
    ours = (item for item in found["generalDiagnostics"] if item.get("rule") not in OF_BASEDPYRIGHT)
    errors = [item for item in ours if item["severity"] == "error"]
    missing = {(item["file"], _missing(item)) for item in errors if _missing(item)}
    other = [item for item in errors if not _missing(item) and "object*" not in item["message"]]
    calls = {
        (i["file"], _statement(Path(i["file"]), i["range"]["start"]["line"] + 1))
        for i in other
        if i.get("rule") in OF_CALLS
    }
    return Counter(
        [
            *(f"{Path(file).name}: import {package}" for file, package in missing),
            *(Path(file).name for file, _ in calls),
            *(Path(i["file"]).name for i in other if i.get("rule") not in OF_CALLS),
        ]
    )


def _statement(path: Path, line: int) -> int:
    """The first line of the innermost statement that the 1-based line is of; the line itself for none."""
    tree = ast.parse(path.read_bytes())
    spans = ((n.lineno, n.end_lineno or n.lineno) for n in ast.walk(tree) if isinstance(n, ast.stmt))
    around = [(last - first, first) for first, last in spans if first <= line <= last]
    return min(around, default=(0, line))[1]


def _missing(item: dict[str, Any]) -> str:
    """The package that an import could not find; empty for another error."""
    if item.get("rule") != "reportMissingImports":
        return ""
    return str(item["message"].partition('"')[2].partition('"')[0].partition(".")[0])


def _formats(folder: Path, paths: Sequence[Path]) -> Counter[str]:
    """The files that `ruff format` would change with the project's own configuration, if it can read that.

    A line may be as long as the project tells ruff or Black.
    """
    command = ["ruff", "format", "--check", "--no-cache", "--quiet", "--line-length"]
    return Counter(
        path.name
        for path in paths
        if subprocess.run(
            [*command, str(length_in((folder / path).parent)), str(path)],
            cwd=folder,
            capture_output=True,
            check=False,
        ).returncode
        == 1
    )


def _checkouts(folders: Iterable[Path], only: Sequence[str]) -> list[Path]:
    """The repositories, small ones first."""
    found = [path for folder in folders for path in folder.iterdir() if path.is_dir()]
    chosen = [path for path in found if not only or path.name in only]
    return sorted(chosen, key=lambda path: sum(file.stat().st_size for file in path.rglob("*.py")))


def _summary(outcomes: Sequence[Outcome]) -> str:
    lines = [f"{len({outcome.name for outcome in outcomes})} repositories"]
    for mode in ("safe", "unsafe"):
        own = [outcome for outcome in outcomes if outcome.mode == mode]
        fixed = sum(outcome.before - outcome.after for outcome in own)
        of = sum(outcome.before for outcome in own)
        lines.append(f"{mode}: {fixed} of {of} findings fixed in {sum(o.files for o in own)} files")
    lines.append(f"{sum(len(outcome.faults) for outcome in outcomes)} faults")
    left = sum((outcome.left for outcome in outcomes if outcome.mode == "unsafe"), Counter[str]())
    return "\n".join((*lines, *(f"{count:5} {reason}" for reason, count in left.most_common())))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkouts", type=Path, nargs="+", help="folders of repositories")
    parser.add_argument("--only", nargs="*", default=[], help="names of repositories")
    parser.add_argument("--keep", type=Path, help="where the fixed copies stay")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long one run of servelint may take")
    arguments = parser.parse_args()
    work = arguments.keep or Path(tempfile.mkdtemp())
    outcomes: list[Outcome] = []
    for checkout in _checkouts(arguments.checkouts, arguments.only):
        copy = work / checkout.name
        shutil.copytree(checkout, copy, symlinks=True, dirs_exist_ok=True)
        for outcome in Judge(checkout, copy, arguments.seconds).outcomes():
            outcomes.append(outcome)
            print(outcome.line(), flush=True)
    if arguments.keep is None:
        shutil.rmtree(work)
    print(_summary(outcomes))
    return int(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
