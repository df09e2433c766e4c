"""From paths to a report: the flow of the whole program, one call an arrow.

paths -> files -> facts -> project -> findings -> (selected) -> (fixes) -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from servelint.finding import Applicability, ExitStatus, Finding, Problem, Span, Stalled
from servelint.project.cache import Cache
from servelint.project.config import Config
from servelint.project.listing import files, git
from servelint.project.listing.files import Tree
from servelint.project.listing.listing import Skipped
from servelint.project.reported import baseline, suppress
from servelint.project.reported.selection import Selection, narrowed, selected
from servelint.project.reported.suppress import Suppressed
from servelint.project.text.writing import LEADS_OUT, leads_out
from servelint.serving import Service

if TYPE_CHECKING:
    from servelint.code.judge.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, in the order of path and position.

    `unchanged` are findings that `since` left out, `baselined` those that the baseline knows, `stale` its
    entries that match nothing any more (only worked out when the whole project was checked). `problems` are
    files that could not be read or parsed, each of them also a SRV000 finding unless that is ignored;
    `warnings` are things to tell a person that are no finding. `files` counts the files reported on,
    `seconds` is wall time. `services` are the containers that the project describes, with what they serve.
    `stalls` are those of a log that belong to no finding, None where there is no log.
    """

    tree: Tree
    config: Config
    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()
    unchanged: tuple[Finding, ...] = ()
    baselined: tuple[Finding, ...] = ()
    stale: tuple[baseline.Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    files: int = 0
    seconds: float = 0.0
    services: tuple[Service, ...] = ()
    stalls: tuple[Stalled, ...] | None = None

    @property
    def accountable(self) -> tuple[Finding, ...]:
        """All findings that are not suppressed, the old ones included."""
        return (*self.findings, *self.unchanged, *self.baselined)

    @property
    def unused_suppressions(self) -> tuple[Finding, ...]:
        """The findings about suppressions that suppress nothing."""
        return tuple(finding for finding in self.findings if finding.code == suppress.UNUSED)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files and folders that were left out, and why."""
        return self.tree.skipped

    @property
    def exit_status(self) -> ExitStatus:
        """FINDINGS if one is at least as severe as the configuration's `fail-on`."""
        failing = any(finding.severity.rank >= self.config.fail_on.rank for finding in self.findings)
        return ExitStatus.FINDINGS if failing else ExitStatus.CLEAN

    def fingerprints(self) -> tuple[str, ...]:
        """One fingerprint a finding, in the order of `findings`; no two are equal."""
        return baseline.fingerprints(self.findings, self.tree.read)


def check(
    paths: Sequence[Path],
    config: Config,
    *,
    overlay: Mapping[Path, bytes] | None = None,
    known: Sequence[baseline.Entry] = (),
    since: str = "",
    fixes: bool = True,
    cache: Cache | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> Report:
    """Check `paths` (absolute; none for the whole project at `config.root`) and report.

    `overlay` replaces file contents, `known` is a baseline, `since` a git revision: only what changed from
    it is reported. Without `fixes` none are planned, which saves time where nobody looks at them. With a
    `cache`, what has not changed is not worked out again. `stage` is told in words what is being done.
    Raises `git.GitError` for `since`.
    """
    start = time.perf_counter()
    commit = git.resolve(config.root, since) if since else ""
    stage("listing files")
    tree = files.collect(paths, config, overlay)
    tree = replace(tree, facts=cache.facts, scans=cache.scans) if cache is not None else tree
    if not tree.checked() and not tree.problems:
        return Report(tree, config, ())
    report = check_tree(tree, config, fixes=fixes, cache=cache, stage=stage)
    if commit:
        stage(f"comparing with {since}")
    report = left_out(report, commit, known)
    return replace(report, seconds=time.perf_counter() - start)


def check_tree(
    tree: Tree,
    config: Config,
    *,
    fixes: bool = True,
    cache: Cache | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> Report:
    """Check files that are already listed; no baseline, no clock."""
    stage(f"reading {len(tree.python):,} Python files and {len(tree.manifests):,} manifests")
    if cache is None or tree.overlay:
        found = judged(tree, config, fixes=fixes)
    else:
        known: Sequence[bytes] = ()
        if config.libraries or config.environment:
            from servelint.code import beside

            known = beside(config)
        # Kept for whole projects as well: then it is more than what was asked for now.
        found = cache.result(
            tree, config, lambda: judged(tree, config, fixes=fixes), fixes=fixes, beside=known
        )
        found = found._replace(selection=found.selection.within(tree))
    kept = found.selection._asdict()
    return Report(tree=tree, config=config, files=tree.checked(), services=found.services, **kept)


class Judged(NamedTuple):
    """What is reported of a project, and its services."""

    selection: Selection
    services: tuple[Service, ...]


def judged(tree: Tree, config: Config, *, fixes: bool) -> Judged:
    """What is wrong with the project, as far as the files and the configuration let it through."""
    project = analyse(tree, config)
    selection = selected(project.findings, project.problems, tree, config)
    found = project.with_fixes(selection.findings) if fixes else selection.findings
    found = tuple(_without_fix_elsewhere(finding, tree.root) for finding in found)
    # What a finding is about is a part of the analysis, which ends here.
    selection = selection._replace(
        findings=tuple(replace(finding, subject=None) for finding in found),
        suppressed=tuple(
            item._replace(finding=replace(item.finding, subject=None)) for item in selection.suppressed
        ),
    )
    return Judged(selection, project.services)


def _without_fix_elsewhere(finding: Finding, root: Path) -> Finding:
    """The finding; without its fix where that would write to a file outside the project."""
    edits = finding.fix.edits if finding.fix is not None else ()
    if not any(leads_out(path, root) for path in {edit.span.path for edit in edits}):
        return finding
    return replace(finding, fix=None, unfixable=LEADS_OUT)


@dataclass(frozen=True, slots=True)
class Analysed:
    """Every finding of a project, every file that could not be read, and who plans fixes for them.

    `analysis` is that of the Python files, None where there are none; `services` is what the manifests start.
    """

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    with_fixes: Callable[[Sequence[Finding]], tuple[Finding, ...]]
    analysis: Analysis | None = None
    services: tuple[Service, ...] = ()


def analyse(tree: Tree, config: Config) -> Analysed:
    """Judge the project; nothing is left out, no fix is planned yet."""
    # Where there is only one kind of file, the other half is not even imported.
    if not tree.manifests and not _names_workers(tree):
        from servelint import code

        alone = code.analyze(tree, config)
        return Analysed(alone.findings, (*tree.problems, *alone.problems), alone.with_fixes, alone.analysis)
    from servelint import manifests, served

    described = manifests.read(tree)
    if not tree.python:
        deployment = manifests.judge(described)
        return Analysed(
            deployment.findings,
            (*tree.problems, *deployment.problems),
            deployment.with_fixes,
            services=served.services(served.joined(described.started, None)),
        )
    from servelint import code

    python = code.analyze(tree, config, described.served)
    deployment = manifests.judge(described, python.applications)
    started = served.joined(described.started, python.applications)

    def with_fixes(findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Code first: how many workers are right depends on what still blocks."""
        planned = python.with_fixes(findings)
        return deployment.with_fixes(planned, _repaired(planned))

    return Analysed(
        (*served.told(python.findings, started), *deployment.findings),
        (*tree.problems, *python.problems, *deployment.problems),
        with_fixes,
        python.analysis,
        served.services(started),
    )


def _names_workers(tree: Tree) -> bool:
    """Whether a Python file may start a server with several workers by itself."""
    for path in tree.python:
        try:
            if b"workers" in tree.read(path):
                return True
        except OSError:  # the reader of facts says so
            continue
    return False


def _repaired(findings: Iterable[Finding]) -> frozenset[Span]:
    """The places that the safe fixes among the findings are for."""
    return frozenset(
        finding.span
        for finding in findings
        if finding.fix is not None and finding.fix.applicability is Applicability.SAFE
    )


def left_out(report: Report, commit: str, known: Sequence[baseline.Entry]) -> Report:
    """The report without what the change since `commit` (if any) did not touch and what the baseline has.

    Raises `git.GitError`.
    """

    def changed(findings: Sequence[Finding]) -> Sequence[Finding]:
        from servelint.project.reported.since import select

        def old(tree: Tree) -> Sequence[Finding]:
            return check_tree(tree, report.config, fixes=False).findings

        return select(findings, commit, report.tree, report.config, old)

    left = narrowed(report.findings, report.tree, changed=changed if commit else None, known=known)
    return replace(report, **left._asdict())
