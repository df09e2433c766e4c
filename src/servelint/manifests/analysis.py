"""From files to findings: documents with positions, then workloads, then what they start, then the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from servelint.config import Config
from servelint.finding import Finding, Problem
from servelint.manifests import collect
from servelint.manifests.applications import Applications, Served
from servelint.manifests.deployment import Deployment
from servelint.manifests.rules import srv201, srv202, srv203, srv204, srv205
from servelint.manifests.sources import Tree

RULES: tuple[Callable[[Deployment], Iterator[Finding]], ...] = (
    srv201.findings,
    srv202.findings,
    srv203.findings,
    srv204.findings,
    srv205.findings,
)


@dataclass(frozen=True, slots=True)
class ManifestResult:
    """What the manifests say: findings, files that could not be read, and which workload serves what."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...] = ()
    served: tuple[Served, ...] = ()


def analyze(
    tree: Tree, config: Config | None = None, applications: Applications | None = None
) -> ManifestResult:
    """Judge every manifest of the tree; `applications` is what the Python side knows, if it was asked.

    `config` is what selects rules elsewhere; nothing here depends on it yet every caller has it at hand.
    """
    del config
    deployment, problems = collect.deployment(tree, applications)
    found: dict[tuple[str, Path, int, int, int], Finding] = {}
    for rule in RULES:
        for finding in rule(deployment):
            span = finding.span
            key = (finding.code, span.path, span.line, span.column, span.end_column)
            known = found.get(key)
            if known is None or known.severity.rank < finding.severity.rank:
                found[key] = finding
    ordered = sorted(found.values(), key=lambda finding: (finding.span, finding.code))
    return ManifestResult(tuple(ordered), problems, tuple(deployment.served()))
