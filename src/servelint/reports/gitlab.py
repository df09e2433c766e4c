"""GitLab code quality reports."""

from __future__ import annotations

from servelint.escape import json_text
from servelint.finding import Severity
from servelint.knowledge.pages import name_of
from servelint.lint import Report
from servelint.reports.style import Style, repository_path

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def gitlab(report: Report, _style: Style) -> str:
    """A list of violations."""
    violations = [
        {
            "description": f"{finding.code} {finding.message}",
            "check_name": f"{finding.code} {name_of(finding.code)}",
            "fingerprint": fingerprint,
            "severity": _SEVERITIES[finding.severity],
            "location": {
                "path": repository_path(finding.span.path, report.tree.root),
                "lines": {"begin": finding.span.line, "end": finding.span.end_line},
            },
        }
        for finding, fingerprint in zip(report.findings, report.fingerprints(), strict=True)
    ]
    return json_text(violations, indent=2) + "\n"
