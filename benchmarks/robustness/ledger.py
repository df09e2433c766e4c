"""What failed: one entry a kind and place, with its first input kept in a folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from . import projects
from .oracles import Failure, Verdict
from .projects import Project


@dataclass(slots=True)
class Ledger:
    """Failures by what and where. Several threads may write to it."""

    folder: Path
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: dict[tuple[str, str], Path] = field(default_factory=dict)
    inputs: int = 0
    findings: int = 0
    fixed: int = 0
    _lock: Lock = field(default_factory=Lock)

    def note(self, verdict: Verdict) -> list[Failure]:
        """Count a verdict; the failures in it that were not seen before."""
        with self._lock:
            self.inputs += 1
            self.findings += verdict["findings"]
            self.fixed += verdict["fixed"]
            new = []
            for failure in verdict["failures"]:
                if key(failure) not in self.counts:
                    new.append(failure)
                self.counts[key(failure)] += 1
            return new

    def keep(self, failure: Failure, project: Project, about: dict[str, object]) -> Path:
        """Write down an input and what fails in it."""
        with self._lock:
            number = len(self.kept) + 1
            name = re.sub(r"\W+", "-", f"{failure['kind']}-{failure['place']}")[:70].strip("-")
            place = self.folder / f"{number:03}-{name}"
            self.kept[key(failure)] = place
        place.mkdir(parents=True, exist_ok=True)
        projects.write(project, place / "project")
        told = json.dumps({**failure, **about}, indent=1)
        (place / "failure.json").write_text(told + "\n", encoding="utf-8")
        return place

    def table(self) -> Iterator[str]:
        """Markdown, a line at a time."""
        yield f"{self.inputs:,} inputs, {self.findings:,} findings, {self.fixed:,} files fixed, "
        yield f"{len(self.counts)} kinds of failures, {sum(self.counts.values())} failures."
        if not self.counts:
            return
        yield ""
        yield "| failure | where | times | kept in |"
        yield "|---|---|---|---|"
        for (kind, place), count in sorted(self.counts.items(), key=lambda item: (item[0][0], -item[1])):
            kept = self.kept.get((kind, place))
            shown = place.replace("|", "\\|")
            yield f"| {kind} | {shown} | {count} | {kept.name if kept else ''} |"


def key(failure: Failure) -> tuple[str, str]:
    """What makes two failures the same."""
    return failure["kind"], failure["place"]
