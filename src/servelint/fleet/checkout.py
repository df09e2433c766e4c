"""One checkout of many, checked by a process of its own: what goes wrong in it stays in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from servelint.project.listing import git

_KILLED_AGAIN = 2
_LONGEST_TEXT = 300


class Checkout(NamedTuple):
    """A folder to check, and how it is called in what is written about it."""

    name: str
    path: str

    @property
    def commit(self) -> str:
        """What is checked out, empty where no version control says it."""
        try:
            return git.resolve(Path(self.path), "HEAD") if (Path(self.path) / ".git").exists() else ""
        except git.GitError:
            return ""


class Outcome(NamedTuple):
    """What became of one: `line` is for the list of all, `sarif` its report, empty where there is none."""

    line: dict[str, Any]
    sarif: str

    @property
    def failed(self) -> bool:
        """Whether it could not be checked."""
        return bool(self.line["status"] != "done")


def check(checkout: Checkout, seconds: float) -> Outcome:
    """Check one, for so long at most; it is tried again if its process is killed."""
    line: dict[str, Any] = {"repository": checkout.name, "path": checkout.path, "commit": checkout.commit}
    with tempfile.TemporaryDirectory(prefix="servelint-") as folder:
        formats = {name: Path(folder) / name for name in ("json", "sarif")}
        for _ in range(_KILLED_AGAIN):
            try:
                done = _run(checkout.path, formats, seconds)
            except subprocess.TimeoutExpired:
                return Outcome({**line, "status": "timeout", "message": f"more than {seconds:g} s"}, "")
            except (OSError, ValueError) as error:  # a path that none can have, no memory for a process
                return Outcome({**line, "status": "failed", "message": str(error)}, "")
            if done.returncode >= 0:
                break
        try:
            report = json.loads(formats["json"].read_text("utf-8"))
            sarif = formats["sarif"].read_text("utf-8")
        except (OSError, ValueError):
            return Outcome({**line, "status": "failed", "message": _why(done)}, "")
    return Outcome({**line, "status": "done", "exit": done.returncode, **_counted(report)}, sarif)


def _run(path: str, formats: dict[str, Path], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run the check. `-P`: what is imported must not come from the folder in which somebody works."""
    outputs = (f"--output-format={name}={file}" for name, file in formats.items())
    # An environment that is active here is none of theirs.
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(  # noqa: S603 - ourselves, and a path behind `--`
        [sys.executable, "-P", "-m", "servelint", "check", "--quiet", *outputs, "--", path],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """The last that a process said which made no report."""
    if done.returncode < 0:
        return f"its process was killed by signal {-done.returncode}"
    said = done.stderr.strip() or f"its process ended with status {done.returncode}"
    return said.rpartition("\n")[2][:_LONGEST_TEXT]


def _counted(report: dict[str, Any]) -> dict[str, Any]:
    """How many findings there are of each rule and confidence: `{"SRV101": {"high": 2}}`."""
    counts: dict[str, Counter[str]] = {}
    for finding in report["findings"]:
        counts.setdefault(finding["code"], Counter())[finding["confidence"]] += 1
    return {
        "files": report["summary"]["files"],
        "errors": len(report["errors"]),
        "findings": {code: dict(sorted(counts[code].items())) for code in sorted(counts)},
        "seconds": report["summary"]["seconds"],
    }
