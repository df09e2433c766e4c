"""Writing suppressions: a comment above each finding, as an edit like any other.

The comment is applied and checked like a fix, so one that does not take, or would break the file, is taken
back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from servelint.finding import Applicability, Edit, Finding, Fix, Span
from servelint.lint import Report
from servelint.project.reported.selection import UNREADABLE
from servelint.project.reported.suppress import UNUSED, statement_start
from servelint.project.text.source import Source, SourceError, decode


def with_suppressions(report: Report, reason: str) -> Report:
    """The report with, for every fix, the comment that suppresses the finding instead.

    Findings that share a line share a comment. What is unreadable, and what is itself about a suppression,
    gets none.
    """
    sources: dict[object, Source] = {}
    groups: dict[tuple[object, int], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        if finding.code in (UNREADABLE, UNUSED):
            continue
        path = finding.span.path
        try:
            source = sources.get(path) or decode(path, report.tree.read(path))
        except (SourceError, OSError):
            continue
        sources[path] = source
        groups[path, statement_start(source, finding.span.line)].append(finding)
    suppressed = [
        _suppressed(finding, comment(sources[path], line, [item.code for item in together], reason))
        for (path, line), together in groups.items()
        for finding in together
    ]
    others = [
        replace(finding, fix=None) for finding in report.findings if finding.code in (UNREADABLE, UNUSED)
    ]
    return replace(report, findings=tuple(sorted((*suppressed, *others), key=lambda finding: finding.span)))


def _suppressed(finding: Finding, edit: Edit) -> Finding:
    return replace(finding, fix=Fix(Applicability.SAFE, "suppress it", (edit,)))


def comment(source: Source, line: int, codes: list[str], reason: str) -> Edit:
    """The edit that puts a suppression of `codes` above `line`, indented like it."""
    text = source.line(line)
    indent = text[: len(text) - len(text.lstrip())]
    listed = ", ".join(sorted(set(codes)))
    return Edit(
        Span(source.path, line, 1, line, 1), f"{indent}# servelint: ignore[{listed}] {reason.strip()}\n"
    )
