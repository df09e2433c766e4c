"""Python: from the bytes of one file to facts, from all facts to findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servelint.finding import Finding, Problem

if TYPE_CHECKING:
    from servelint.code.judge.analysis import Analysis
    from servelint.code.judge.applications import CodeApplications
    from servelint.project.config import Config
    from servelint.project.listing.files import Tree
    from servelint.serving import Served


@dataclass(frozen=True, slots=True)
class CodeResult:
    """What the Python files of a project show. `problems` are files that could not be read or parsed."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    applications: CodeApplications
    analysis: Analysis

    def with_fixes(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Some of the findings, each with the fix that there is for it."""
        if not findings:
            return ()
        from servelint.code.fixes.plan import planned

        return planned(self.analysis, findings)


def beside(config: Config) -> list[bytes]:
    """What else than its files a project's findings depend on, in its state; raises `ConfigError`."""
    from servelint import store
    from servelint.code.installed import folders as installed
    from servelint.project import environment, libraries

    folders = environment.folders(config)
    return [*store.signatures(libraries.files(config)), *installed.state(folders)]


def analyze(tree: Tree, config: Config, served: Sequence[Served] = ()) -> CodeResult:
    """Every wanted finding in the project's Python code, in the order of files and positions.

    `served` is what the manifests know of who serves the code, and within which limits.
    """
    from servelint.boundary import Boundary
    from servelint.code import rules
    from servelint.code.facts.contents import Contents
    from servelint.code.installed.known import Known
    from servelint.code.judge.analysis import Analysis, deep_recursion
    from servelint.code.judge.applications import CodeApplications

    contents = Contents(tree)
    known = Known(tree, config, contents, keep=tree.scans is not None)
    analysis = Analysis(
        tree,
        config,
        served,
        wanted=tree.wanted,
        catalogue=known.catalogue,
        frameworks=known.frameworks,
        unread=known.unread,
        contents=contents,
    )
    found: list[Finding] = []
    with (
        deep_recursion(),
        Boundary(tree.root, "looking for the files that matter", analysis.project.note),
    ):
        for finding in rules.findings(analysis):
            found.append(finding)  # noqa: PERF402 - what was found before something went wrong is kept
    known.save()
    findings = tuple(found)
    return CodeResult(
        findings, tuple(analysis.project.problems.values()), CodeApplications(analysis, findings), analysis
    )
