"""The JSON formats; their schema is `schemas/report.schema.json`."""

from __future__ import annotations

from typing import Any

from servelint.escape import json_text
from servelint.finding import Finding, Fix, Span, Stalled
from servelint.knowledge.pages import about, advice_for, name_of
from servelint.lint import Report
from servelint.reports.style import Style

VERSION = 1


def json(report: Report, style: Style) -> str:
    """One object with everything."""
    return json_text(document(report, style), indent=2) + "\n"


def json_lines(report: Report, style: Style) -> str:
    """One finding a line, each an object as in `findings` of the JSON format."""
    return "".join(json_text(finding) + "\n" for finding in document(report, style)["findings"])


def document(report: Report, style: Style) -> dict[str, Any]:
    """The JSON format as values."""
    prints = report.fingerprints()
    findings = [_finding(finding, name, style) for finding, name in zip(report.findings, prints, strict=True)]
    return {
        "version": VERSION,
        "findings": findings,
        "errors": [
            {"path": style.path(problem.path), "line": problem.line, "message": problem.message}
            for problem in report.problems
        ],
        "summary": {
            "files": report.files,
            "findings": len(findings),
            "fixable": sum(finding.fix is not None for finding in report.findings),
            "suppressed": len(report.suppressed),
            "baselined": len(report.baselined),
            "seconds": round(report.seconds, 3),
        },
        **({} if report.stalls is None else {"stalls": [_stall(item, style) for item in report.stalls]}),
    }


def _stall(stall: Stalled, style: Style) -> dict[str, Any]:
    return {
        "function": stall.function,
        "path": stall.path,
        "line": stall.line,
        "fits": [style.path(path) for path in stall.fits],
        "measured": stall.measured._asdict(),
    }


def _finding(finding: Finding, fingerprint: str, style: Style) -> dict[str, Any]:
    return {
        "code": finding.code,
        "name": name_of(finding.code),
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "message": finding.message,
        **_place(finding.span, style),
        "function": finding.function,
        "role": finding.role,
        "library": finding.library,
        "trace": [
            {
                "path": style.path(step.span.path),
                "line": step.span.line,
                "column": step.span.column,
                "message": step.message,
                **({"package": step.package} if step.package else {}),
            }
            for step in finding.trace
        ],
        "fix": _fix(finding.fix, style),
        "help": advice_for(finding),
        "url": about(finding.code).url,
        "fingerprint": fingerprint,
        **({} if finding.measured is None else {"measured": finding.measured._asdict()}),
    }


def _place(span: Span, style: Style) -> dict[str, Any]:
    return {
        "path": style.path(span.path),
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _fix(fix: Fix | None, style: Style) -> dict[str, Any] | None:
    if fix is None:
        return None
    return {
        "applicability": fix.applicability.value,
        "title": fix.title,
        "edits": [{**_place(edit.span, style), "content": edit.content} for edit in fix.edits],
    }
