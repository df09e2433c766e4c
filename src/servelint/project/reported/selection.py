"""Which findings are reported: the one door through which all of them pass.

First what the files and the configuration say (`selected`: suppressions, rules, confidence), which is the
same until one of them changes; then what the run was asked to leave out (`narrowed`: `since`, the baseline).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from servelint.finding import Confidence, Finding, Problem, Severity, Span
from servelint.knowledge.pages import codes
from servelint.project.config import Config
from servelint.project.globs import compile_patterns
from servelint.project.listing.files import Tree, shown_path
from servelint.project.reported import baseline, suppress
from servelint.project.reported.suppress import Suppressed

UNREADABLE = "SRV000"


class Selection(NamedTuple):
    """What is reported of the findings, in the order of path and position, and what is not.

    `problems` are files that could not be read, each also a SRV000 finding unless that is ignored; `warnings`
    are things to tell a person that are no finding.
    """

    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def within(self, tree: Tree) -> Selection:
        """What of it is in the files that the tree reports on."""
        return Selection(
            tuple(
                item for item in self.findings if tree.reports(item.span.path) or item.span.path == tree.root
            ),
            tuple(item for item in self.suppressed if tree.reports(item.finding.span.path)),
            tuple(item for item in self.problems if _is_about(item, tree)),
            tuple(item for item in self.warnings if tree.reports(item.path)),
        )


class Narrowed(NamedTuple):
    """What is reported of a selection, and what `since` and the baseline left out."""

    findings: tuple[Finding, ...]
    unchanged: tuple[Finding, ...]
    baselined: tuple[Finding, ...]
    stale: tuple[baseline.Entry, ...]


def selected(
    findings: Iterable[Finding], problems: Iterable[Problem], tree: Tree, config: Config
) -> Selection:
    """What the suppressions in the files and the configuration let through."""
    problems = tuple(item for item in problems if _is_about(item, tree))
    here = [finding for finding in findings if tree.reports(finding.span.path)]
    here += [_unreadable(problem, tree) for problem in problems]
    outcome = suppress.sort_out(sorted(here, key=_order), tree)
    wanted = _Wanted(config)
    kept = [wanted.adjust(finding) for finding in outcome.findings if wanted.keeps(finding)]
    warnings = list(outcome.malformed)
    if config.report_unused:
        judged = [code for code in codes() if config.selects(code)]
        idle, malformed = suppress.unused(outcome.suppressed, tree, judged)
        kept += [wanted.adjust(finding) for finding in idle if wanted.keeps(finding)]
        warnings += [problem for problem in malformed if problem not in warnings]
    return Selection(
        tuple(sorted(kept, key=_order)),
        tuple(item for item in outcome.suppressed if wanted.keeps(item.finding)),
        problems,
        tuple(warnings),
    )


def objection(finding: Finding, config: Config) -> str:
    """Why the configuration does not let the finding through; empty where it does."""
    return _Wanted(config).objection(finding)


def narrowed(
    findings: Sequence[Finding],
    tree: Tree,
    *,
    changed: Callable[[Sequence[Finding]], Sequence[Finding]] | None = None,
    known: Sequence[baseline.Entry] = (),
) -> Narrowed:
    """What the run was asked for: those that `changed` gives (all without it), the `known` left out.

    Stale entries of the baseline are only told where the whole project was checked.
    """
    left = findings if changed is None else changed(findings)
    unchanged = tuple(finding for finding in findings if finding not in left) if changed is not None else ()
    if not known:
        return Narrowed(tuple(left), unchanged, (), ())
    compared = baseline.compare(left, known, tree.root, tree.read)
    whole = changed is None and tree.reported is None
    return Narrowed(compared.new, unchanged, compared.known, compared.stale if whole else ())


def _is_about(problem: Problem, tree: Tree) -> bool:
    # A folder that could not be listed may hold any of the files that were asked for; what failed for the
    # project as a whole may be about any of them.
    return tree.reports(problem.path) or problem.path == tree.root or problem in tree.problems


def _order(finding: Finding) -> tuple[object, ...]:
    return (finding.span, finding.code, finding.message, finding.function)


def _unreadable(problem: Problem, tree: Tree) -> Finding:
    line = max(problem.line, 1)
    return Finding(
        code=UNREADABLE,
        span=Span(problem.path, line, 1, line, 1),
        message=problem.message,
        severity=Severity.ERROR,
        confidence=Confidence.HIGH,
        # By its path: one broken file in the baseline must not excuse another.
        identity=(shown_path(problem.path, tree.root), problem.message),
    )


class _Wanted:
    """Which findings the configuration lets through, and with which severity."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.per_file = [(compile_patterns([glob]), off) for glob, off in config.per_file_ignores.items()]

    def keeps(self, finding: Finding) -> bool:
        return not self.objection(finding)

    def objection(self, finding: Finding) -> str:
        """Why the configuration does not let the finding through; empty where it does."""
        # What could not be checked is reported whatever is selected: only naming it silences it.
        if finding.code == UNREADABLE:
            selected = not any(
                UNREADABLE.startswith(code) and len(code) > len("SRV") for code in self.config.ignore
            )
        else:
            selected = self.config.selects(finding.code)
        if not selected:
            return "its rule is not selected"
        if finding.confidence.rank < self.config.min_confidence.rank:
            least = self.config.min_confidence.value
            return f"its confidence, {finding.confidence.value}, is below `min-confidence`, {least}"
        return "`per-file-ignores` leaves its rule out in this file" if self._ignored_there(finding) else ""

    def adjust(self, finding: Finding) -> Finding:
        severity = self.config.severity_of(finding.code, finding.severity)
        return finding if severity is finding.severity else replace(finding, severity=severity)

    def _ignored_there(self, finding: Finding) -> bool:
        if not finding.span.path.is_relative_to(self.config.root):
            return False
        path = finding.span.path.relative_to(self.config.root).as_posix()
        return any(finding.code.startswith(off) and patterns.covers(path) for patterns, off in self.per_file)
