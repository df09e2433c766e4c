"""From paths to a report: the flow of the whole program, one call an arrow.

paths -> files -> facts -> project -> findings -> (suppressed, baselined) -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from servelint.finding import Confidence, ExitStatus, Finding, Problem, Severity, Span
from servelint.knowledge.pages import codes
from servelint.project import baseline, files, git, suppress
from servelint.project.cache import Cache
from servelint.project.config import Config
from servelint.project.files import Skipped, Tree, shown_path
from servelint.project.globs import compile_patterns
from servelint.project.suppress import Suppressed

UNREADABLE = "SRV000"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, in the order of path and position.

    `unchanged` are findings that `since` left out, `baselined` those that the baseline knows, `stale` its
    entries that match nothing any more (only worked out when the whole project was checked). `problems` are
    files that could not be read or parsed, each of them also a SRV000 finding unless that is ignored;
    `warnings` are things to tell a person that are no finding. `files` counts the files reported on,
    `seconds` is wall time.
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
    cache: Cache | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> Report:
    """Check `paths` (absolute; none for the whole project at `config.root`) and report.

    `overlay` replaces file contents, `known` is a baseline, `since` a git revision: only what changed from
    it is reported. With a `cache`, what has not changed is not worked out again. `stage` is told in words
    what is being done. Raises `git.GitError` for `since`.
    """
    start = time.perf_counter()
    commit = git.resolve(config.root, since) if since else ""
    stage("listing files")
    tree = files.collect(paths, config, overlay)
    tree = replace(tree, facts=cache.facts, scans=cache.scans) if cache is not None else tree
    if not tree.checked() and not tree.problems:
        return Report(tree, config, ())
    report = check_tree(tree, config, cache=cache, stage=stage)
    if commit:
        from servelint.project.since import select

        stage(f"comparing with {since}")
        touched = select(report.findings, commit, tree, config, lambda old: check_tree(old, config).findings)
        unchanged = tuple(finding for finding in report.findings if finding not in touched)
        report = replace(report, findings=touched, unchanged=unchanged)
    if known:
        report = against_baseline(report, known, complete=not commit and tree.reported is None)
    return replace(report, seconds=time.perf_counter() - start)


def check_tree(
    tree: Tree,
    config: Config,
    *,
    cache: Cache | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> Report:
    """Check files that are already listed; no baseline, no clock."""
    stage(f"reading {len(tree.python):,} Python files and {len(tree.manifests):,} manifests")
    if cache is None or tree.overlay:
        found, problems = analyse(tree, config)
    else:
        found, problems = cache.findings(tree, config, lambda: analyse(tree, config))
    # A folder that could not be listed may hold any of the files that were asked for.
    problems = tuple(item for item in problems if tree.reports(item.path) or item in tree.problems)
    here = [finding for finding in found if tree.reports(finding.span.path)]
    here += [_unreadable(problem, tree.root) for problem in problems]
    outcome = suppress.sort_out(sorted(here, key=_order), tree)
    wanted = _Wanted(config)
    findings = [wanted.adjust(finding) for finding in outcome.findings if wanted.keeps(finding)]
    warnings = list(outcome.malformed)
    if config.report_unused:
        judged = [code for code in codes() if config.selects(code)]
        idle, malformed = suppress.unused(outcome.suppressed, tree, judged)
        findings += [wanted.adjust(finding) for finding in idle if wanted.keeps(finding)]
        warnings += [problem for problem in malformed if problem not in warnings]
    return Report(
        tree=tree,
        config=config,
        findings=tuple(sorted(findings, key=_order)),
        suppressed=tuple(item for item in outcome.suppressed if wanted.keeps(item.finding)),
        problems=problems,
        warnings=tuple(warnings),
        files=tree.checked(),
    )


def analyse(tree: Tree, config: Config) -> tuple[tuple[Finding, ...], tuple[Problem, ...]]:
    """Every finding of the project, and every file that could not be read, before anything is left out."""
    # Where there is only one kind of file, the other half is not even imported.
    if not tree.manifests:
        from servelint import code

        alone = code.analyze(tree, config)
        return alone.findings, (*tree.problems, *alone.problems)
    from servelint import manifests

    described = manifests.read(tree)
    if not tree.python:
        deployment = manifests.judge(described)
        return deployment.findings, (*tree.problems, *deployment.problems)
    from servelint import code, served

    python = code.analyze(tree, config, described.served)
    deployment = manifests.judge(described, python.applications)
    told = served.with_probes(python.findings, described.served, python.applications)
    return (*told, *deployment.findings), (*tree.problems, *python.problems, *deployment.problems)


def against_baseline(report: Report, known: Sequence[baseline.Entry], *, complete: bool) -> Report:
    """The report without the findings that `known` has; stale entries only where everything was checked."""
    compared = baseline.compare(report.findings, known, report.tree.root, report.tree.read)
    return replace(
        report,
        findings=compared.new,
        baselined=compared.known,
        stale=compared.stale if complete else (),
    )


def _order(finding: Finding) -> tuple[object, ...]:
    return (finding.span, finding.code, finding.message, finding.function)


def _unreadable(problem: Problem, root: Path) -> Finding:
    line = max(problem.line, 1)
    return Finding(
        code=UNREADABLE,
        span=Span(problem.path, line, 1, line, 1),
        message=problem.message,
        severity=Severity.ERROR,
        confidence=Confidence.HIGH,
        # By its path: one broken file in the baseline must not excuse another.
        identity=(shown_path(problem.path, root), problem.message),
    )


class _Wanted:
    """Which findings the configuration lets through, and with which severity."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.per_file = [(compile_patterns([glob]), off) for glob, off in config.per_file_ignores.items()]

    def keeps(self, finding: Finding) -> bool:
        # What could not be checked is reported whatever is selected: only naming it silences it.
        if finding.code == UNREADABLE:
            selected = not any(
                UNREADABLE.startswith(code) and len(code) > len("SRV") for code in self.config.ignore
            )
        else:
            selected = self.config.selects(finding.code)
        sure = finding.confidence.rank >= self.config.min_confidence.rank
        return selected and sure and not self._ignored_there(finding)

    def adjust(self, finding: Finding) -> Finding:
        severity = self.config.severity_of(finding.code, finding.severity)
        return finding if severity is finding.severity else replace(finding, severity=severity)

    def _ignored_there(self, finding: Finding) -> bool:
        if not finding.span.path.is_relative_to(self.config.root):
            return False
        path = finding.span.path.relative_to(self.config.root).as_posix()
        return any(finding.code.startswith(off) and patterns.covers(path) for patterns, off in self.per_file)
