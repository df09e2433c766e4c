"""GitHub workflow commands: an annotation on the changed files of a pull request for every finding."""

from __future__ import annotations

from servelint.escape import workflow_data, workflow_property
from servelint.finding import Finding, Severity
from servelint.knowledge.pages import name_of
from servelint.lint import Report
from servelint.reports.style import Style, repository_path

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(report: Report, _style: Style) -> str:
    """One `::error` line, or its kin, a finding."""
    return "".join(_annotation(finding, report) for finding in report.findings)


def _annotation(finding: Finding, report: Report) -> str:
    span = finding.span
    place = {
        "file": repository_path(span.path, report.tree.root),
        "line": span.line,
        "endLine": span.end_line,
        # GitHub refuses columns for a range of several lines.
        **({"col": span.column, "endColumn": span.end_column} if span.line == span.end_line else {}),
        "title": f"{finding.code} {name_of(finding.code)}",
    }
    properties = ",".join(f"{key}={workflow_property(str(value))}" for key, value in place.items())
    steps = [
        f"{repository_path(step.span.path, report.tree.root)}:{step.span.line}: {step.message}"
        for step in finding.trace
    ]
    message = "\n".join((finding.message, *steps))
    return f"::{_COMMANDS[finding.severity]} {properties}::{workflow_data(message)}\n"
