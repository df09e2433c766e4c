"""From files to findings: documents with positions, then workloads, then what they start, then the rules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from servelint.boundary import Boundary
from servelint.finding import Finding, Problem, Span
from servelint.manifests.deployed import collect
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.forms.sources import Tree
from servelint.manifests.rules import srv201, srv202, srv203, srv204, srv205
from servelint.serving import Applications, Served

RULES: Mapping[str, Callable[[Deployment], Iterator[Finding]]] = {
    rule.CODE: rule.findings for rule in (srv201, srv202, srv203, srv204, srv205)
}

# Enough for what the readers count: templates that include each other, each with nested blocks.
_RECURSION_LIMIT = 6_000


@dataclass(frozen=True, slots=True)
class ManifestResult:
    """What is wrong with the manifests of a tree, and the files that could not be read."""

    tree: Tree
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...] = ()

    def with_fixes(self, findings: Iterable[Finding], repaired: Collection[Span] = ()) -> tuple[Finding, ...]:
        """Some of the findings, each with the fix that there is for it.

        `repaired` are the places of blocking calls that the same run repairs.
        """
        from servelint.manifests.fixes.plan import planned

        return tuple(planned(findings, self.tree, repaired))


@dataclass(frozen=True)
class Manifests:
    """What a tree's manifests describe, not judged yet, and the files that could not be read."""

    tree: Tree
    deployment: Deployment
    problems: tuple[Problem, ...]

    @property
    def served(self) -> tuple[Served, ...]:
        """Which workload serves which application."""
        return tuple(item for item in self.started if item.workload)

    @cached_property
    def started(self) -> tuple[Served, ...]:
        """Which workload or image starts which application."""
        return tuple(dict.fromkeys(self.deployment.served()))


def read(tree: Tree) -> Manifests:
    """Read every manifest of the tree."""
    with _deep_recursion():
        return Manifests(tree, *collect.deployment(tree))


def judge(manifests: Manifests, applications: Applications | None = None) -> ManifestResult:
    """What the rules find; `applications` is what the Python side knows, if it was asked."""
    deployment = manifests.deployment
    deployment.applications = applications
    found: dict[tuple[str, Path, int, int, int], Finding] = {}
    problems = list(manifests.problems)
    for code, rule in RULES.items():
        with _deep_recursion(), Boundary(manifests.tree.root, code, problems.append):
            for finding in rule(deployment):
                span = finding.span
                key = (finding.code, span.path, span.line, span.column, span.end_column)
                found[key] = _worse(found[key], finding) if key in found else finding
    ordered = sorted(found.values(), key=lambda finding: (finding.span, finding.code))
    return ManifestResult(manifests.tree, tuple(ordered), tuple(problems))


def _worse(one: Finding, other: Finding) -> Finding:
    """Of two findings of a rule at one place the worse, which is about the containers of both."""
    worse = other if one.severity.rank < other.severity.rank else one
    return replace(worse, containers=tuple(dict.fromkeys((*one.containers, *other.containers))))


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Let Python recurse as deep as the readers do by their own count."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
