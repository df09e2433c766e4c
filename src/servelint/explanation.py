"""What is judged at one line, and what becomes of it: the flow of a check, told instead of reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from servelint import lint
from servelint.code.judge.explain import Told, explain
from servelint.finding import Finding, Span
from servelint.knowledge.pages import codes, page
from servelint.lint import Analysed, Report
from servelint.project.listing import files, git
from servelint.project.listing.files import Tree, shown_path
from servelint.project.reported import causes
from servelint.project.reported.selection import objection, selected
from servelint.project.text.source import decode_leniently
from servelint.run import Run

# What tells a finding from all others in whatever state it is.
_Key = tuple[str, Span, str]


class Explanation:
    """A check that is asked about one file, line by line. Raises `git.GitError` for `since`.

    `path` is absolute and exists, or is in the overlay.
    """

    def __init__(self, run: Run, path: Path, since: str = "") -> None:
        tree = files.collect(run.paths, run.config, run.overlay)
        if run.cache is not None:
            tree = replace(tree, facts=run.cache.facts, scans=run.cache.scans)
        self.tree = tree
        self.path = _as_listed(tree, path)
        self.name = shown_path(self.path, tree.root)
        self.project: Analysed | None = None
        self.told: tuple[Told, ...] = ()
        if _is_listed(tree, self.path):
            looked_at = tree if tree.reports(self.path) else replace(tree, reported=_with(tree, self.path))
            self.project = lint.analyse(looked_at, run.config)
            self.told = tuple(_outcomes(run, tree, self.project, _found(run, looked_at, self.project), since))

    def lines(self, line: int) -> Iterator[str]:
        """What is to say of what stands on a 1-based line."""
        if self.project is None:
            yield _not_read(self.tree, self.path)
            return
        calls = self._calls(self.project, line)
        yield from calls
        here = (item for item in self.told if _stands_at(item.finding.span, self.path, line))
        others = [item for item in here if f"  {item.outcome}" not in calls]
        for item in others:
            yield f"{self.name}, line {item.finding.span.line}"
            yield f"  {item.finding.message}"
            yield f"  {item.outcome}"
        if not calls and not others:
            yield self._nothing(self.project, line)

    def _calls(self, project: Analysed, line: int) -> tuple[str, ...]:
        if project.analysis is None or self.path not in self.tree.python:
            return ()
        return explain(project.analysis, str(self.path), line, self.told)

    def _nothing(self, project: Analysed, line: int) -> str:
        """Why there is nothing to explain."""
        known = project.analysis.project.problems.values() if project.analysis is not None else ()
        for problem in (*project.problems, *known):
            if problem.path == self.path:
                return f"{self.name} is not judged: it {problem.message}"
        try:
            count = decode_leniently(self.path, self.tree.read(self.path)).line_count
        except OSError as error:
            return f"{self.name} is not judged: it cannot be read: {error.strerror}"
        if line > count:
            return f"There is no line {line} in {self.name}."
        if self.path in self.tree.python:
            return f"There is no call on line {line} of {self.name}."
        return f"Nothing is found on line {line} of {self.name}, and only Python is explained further."


def _is_listed(tree: Tree, path: Path) -> bool:
    return path in tree.python or path in tree.manifests


def _as_listed(tree: Tree, path: Path) -> Path:
    """The path under which the project has the file: a link into it is read where it leads to."""
    target = path.resolve()
    return target if not _is_listed(tree, path) and _is_listed(tree, target) else path


def _stands_at(span: Span, path: Path, line: int) -> bool:
    return span.path == path and span.line <= line <= span.end_line


def _with(tree: Tree, path: Path) -> frozenset[Path]:
    return (tree.reported or frozenset()) | {path}


def _not_read(tree: Tree, path: Path) -> str:
    """Why a file is no part of the check."""
    name = shown_path(path, tree.root)
    for item in tree.skipped:
        if path == item.path or item.path in path.parents:
            return f"{name} is not checked: {_left_out(item.path, path, tree.root)}{item.reason}"
    return (
        f"{name} is not checked: it is not among the files of the project at {tree.root.as_posix()};"
        " name it or its folder, as in `servelint check --explain PATH:LINE PATH`"
    )


def _left_out(skipped: Path, path: Path, root: Path) -> str:
    return "" if skipped == path else f"{shown_path(skipped, root)} is "


# -- findings and what becomes of them ---------------------------------------------------------------


def _found(run: Run, tree: Tree, project: Analysed) -> tuple[Finding, ...]:
    """The findings of the run, and those of the rules that it does not select."""
    everything = replace(run.config, select=("SRV",), ignore=(), extend_select=())
    if all(map(run.config.selects, codes())):
        return project.findings
    known = set(map(_key, project.findings))
    more = lint.analyse(tree, everything).findings
    return (*project.findings, *(finding for finding in more if _key(finding) not in known))


def _outcomes(
    run: Run, tree: Tree, project: Analysed, found: Sequence[Finding], since: str
) -> Iterator[Told]:
    """Each finding with what becomes of it, in the words of the step of the check that decides."""
    config = run.config
    selection = selected(found, project.problems, tree, config)
    commit = git.resolve(config.root, since) if since else ""
    report = lint.left_out(Report(tree, config, selection.findings), commit, run.known)
    told = zip(report.findings, causes.speakers(report.findings), strict=True)
    kept = {_key(finding): (finding, speaker) for finding, speaker in told}
    reasons = dict.fromkeys(
        map(_key, report.unchanged), f"the change since {since} neither touched nor caused it"
    )
    reasons |= dict.fromkeys(map(_key, report.baselined), "it is in the baseline")
    for item in selection.suppressed:
        comment, reason = item.suppression.comment, item.suppression.reason
        place = f"{shown_path(comment.path, tree.root)}:{comment.line}"
        reasons[_key(item.finding)] = f"suppressed by the comment at {place}{f': {reason}' if reason else ''}"
    for finding in _each_once((*found, *selection.findings)):
        key = _key(finding)
        title = f"{finding.code} {page(finding.code).name}"
        if key not in kept:
            yield Told(finding, f"not reported: {title}: {reasons.get(key) or _why(finding, run, tree)}")
            continue
        reported, speaker = kept[key]
        if speaker is reported:
            sure = f"{reported.severity.value}, {finding.confidence.value} confidence"
            yield Told(finding, f"reported: {title} ({sure})")
        else:
            place = f"{shown_path(speaker.span.path, tree.root)}:{speaker.span.line}"
            yield Told(finding, f"reported: {title}, with {place}, as it is loaded once for both")


def _why(finding: Finding, run: Run, tree: Tree) -> str:
    if not tree.reports(finding.span.path):
        return f"{shown_path(finding.span.path, tree.root)} is not among the paths that are checked"
    return objection(finding, run.config)


def _each_once(findings: Iterable[Finding]) -> Iterable[Finding]:
    found: dict[_Key, Finding] = {}
    for finding in findings:
        found.setdefault(_key(finding), finding)
    return found.values()


def _key(finding: Finding) -> _Key:
    return finding.code, finding.span, finding.function
