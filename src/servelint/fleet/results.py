"""What is kept of many checks: a line a repository, a report each, all of them in one, and a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from servelint.escape import json_text, markdown, unicode_text
from servelint.fleet.checkout import Checkout, Outcome
from servelint.project import disk
from servelint.project.text.writing import replace_file
from servelint.version import __version__

LINES = "repositories.jsonl"
SARIF = "servelint.sarif"
TABLE = "summary.md"
_REPORTS = "sarif"
_LARGEST_REPORT = 4 * disk.LARGE
_LONGEST_NAME = 200  # bytes; a file system may take 255, with what is written beside a file first


class Results:
    """The folder with what was found; raises `OSError` where what earlier runs wrote cannot be read.

    `unread` is how many of their lines are not what a run writes: these count as not written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines, self.unread = _read(folder / LINES)

    def is_done(self, checkout: Checkout) -> bool:
        """Whether this commit of it is checked already, at this place and by this version."""
        line = self.lines.get(checkout.name, {})
        same = line.get("commit") == checkout.commit != "" and line.get("servelint") == __version__
        same = same and line.get("path") == unicode_text(checkout.path)
        return same and line["status"] == "done" and self._kept(checkout.name) is not None

    def add(self, outcome: Outcome) -> None:
        """Keep one at once: whoever goes on later need not check it again."""
        line = {**outcome.line, "servelint": __version__}
        name = line["repository"]
        if outcome.sarif:
            self._report(name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._report(name), outcome.sarif.encode())
        self.lines[name] = line
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LINES).open("a", encoding="utf-8") as file:
            # The last that is there may be cut off.
            file.write("\n" * bool(self.unread) + json_text(line) + "\n")

    def finish(self, names: Sequence[str]) -> str:
        """Write what is about all of these, and return the table."""
        self.lines = {name: self.lines[name] for name in sorted(names) if name in self.lines}
        text = "".join(json_text(line) + "\n" for line in self.lines.values())
        replace_file(self.folder / LINES, text.encode())
        replace_file(self.folder / SARIF, (json_text(self._merged()) + "\n").encode())
        told = table(self.lines.values())
        replace_file(self.folder / TABLE, told.encode())
        return told

    def _merged(self) -> dict[str, Any]:
        """All reports as one, a run each, that says of which repository it is."""
        merged: dict[str, Any] = {}
        runs: list[Any] = []
        for name, line in self.lines.items():
            if line["status"] == "done" and (report := self._kept(name)) is not None:
                merged = {key: value for key, value in report.items() if key != "runs"}
                runs += [{**run, "automationDetails": {"id": f"servelint/{name}/"}} for run in report["runs"]]
        return {**merged, "runs": runs}

    def _kept(self, name: str) -> dict[str, Any] | None:
        """The report of one, None where there is none that can be read."""
        try:
            report = _parsed(disk.read(self._report(name), _LARGEST_REPORT))
        except OSError:
            return None
        runs = report.get("runs") if isinstance(report, dict) else None
        return report if isinstance(runs, list) and all(isinstance(run, dict) for run in runs) else None

    def _report(self, name: str) -> Path:
        if len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
            name = f"{name[:40]}+{sha256(name.encode('utf-8', 'replace')).hexdigest()}"
        return self.folder / _REPORTS / f"{name}.sarif"


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The lines of earlier runs, the last of each repository, and how many cannot be read."""
    found: dict[str, dict[str, Any]] = {}
    unread = 0
    try:
        texts = disk.read(path, disk.LARGE, "the limit for results").split(b"\n")
    except FileNotFoundError:
        return found, unread
    for text in filter(bytes.strip, texts):
        line = _parsed(text)
        if _is_line(line):
            found[line["repository"]] = line
        else:
            unread += 1
    return found, unread


def _parsed(text: bytes) -> Any:
    """What JSON says, None where it says nothing or is nested too deeply."""
    try:
        return json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _is_line(line: Any) -> bool:
    """Whether it has what is read of a line: all that is asked of one that is not done is which it is."""
    if not isinstance(line, dict) or not all(
        isinstance(line.get(key), str) for key in ("repository", "status")
    ):
        return False
    if line["status"] != "done":
        return True
    found = line.get("findings")
    counts = found.values() if isinstance(found, dict) else [None]
    numbers = [
        line.get("exit"),
        *(n for by in counts for n in (by.values() if isinstance(by, dict) else [None])),
    ]
    return all(type(number) is int for number in numbers)


def table(lines: Iterable[Mapping[str, Any]]) -> str:
    """A table in Markdown: what failed first, then the repositories with the most findings."""
    lines = sorted(lines, key=lambda line: (line["status"] == "done", -_count(line), line["repository"]))
    codes = sorted({code for line in lines for code in line.get("findings", {})})
    rows = [["repository", "findings", "of high confidence", *codes]]
    for line in lines:
        found = line.get("findings", {})
        told = [str(_count(line)), str(sum(by.get("high", 0) for by in found.values()))]
        told = told if line["status"] == "done" else [f"{line['status']}: {line['message']}", ""]
        counts = [str(sum(found[code].values())) if code in found else "" for code in codes]
        rows.append([line["repository"], *told, *counts])
    with_findings = sum(bool(_count(line)) for line in lines)
    failed = sum(line["status"] != "done" for line in lines)
    head = f"{len(lines)} repositories, {with_findings} with findings, {failed} not checked"
    rows.insert(1, ["---"] * len(rows[0]))
    text = "".join(f"| {' | '.join(_cell(cell) for cell in row)} |\n" for row in rows)
    return f"{head}\n\n{text}"


def _count(line: Mapping[str, Any]) -> int:
    return sum(sum(by.values()) for by in line.get("findings", {}).values())


def _cell(text: str) -> str:
    return markdown(text)
