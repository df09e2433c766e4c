"""Whether what is found is the same when every file is parsed, and not only those that can matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from servelint import manifests
from servelint.code import rules
from servelint.code.judge.analysis import Analysis, deep_recursion
from servelint.project.config import Config
from servelint.project.listing import files


class Found(NamedTuple):
    """A finding, as far as a person sees it: the fix is left out."""

    code: str
    path: str
    line: int
    column: int
    severity: str
    confidence: str
    message: str
    trace: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The findings in the code of a tree, sink first and with all files parsed."""

    sink_first: frozenset[Found]
    everything: frozenset[Found]

    def differences(self) -> Iterator[str]:
        """A line for each finding that only one of the two has."""
        for sign, only in (
            ("+", self.sink_first - self.everything),
            ("-", self.everything - self.sink_first),
        ):
            for found in sorted(only):
                yield f"{sign} {found.path}:{found.line}:{found.column}: {found.code} {found.message}"


def compare(root: Path) -> Comparison:
    """Analyse the tree at `root` both ways, with the default options."""
    return Comparison(findings(root, everything=False), findings(root, everything=True))


def findings(root: Path, *, everything: bool) -> frozenset[Found]:
    """The findings in the Python code of the tree, with what its manifests say of it."""
    config = Config(root)
    tree = files.collect((), config)
    analysis = Analysis(tree, config, manifests.read(tree).served, everything=everything)
    with deep_recursion():
        return frozenset(
            Found(
                finding.code,
                files.shown_path(finding.span.path, root),
                finding.span.line,
                finding.span.column,
                str(finding.severity),
                str(finding.confidence),
                finding.message,
                tuple(
                    (files.shown_path(step.span.path, root), step.span.line, step.message)
                    for step in finding.trace
                ),
            )
            for finding in rules.findings(analysis)
        )
