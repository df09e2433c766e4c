"""SARIF 2.1.0, for code scanning: rules with their pages, traces as code flows, fixes, suppressions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from servelint.escape import json_text, sarif_message, uri
from servelint.finding import Confidence, Finding, Fix, Severity, Span, Step
from servelint.knowledge.pages import Page, about, codes
from servelint.lint import Report
from servelint.project.reported.baseline import fingerprints
from servelint.reports.style import Style, repository_path
from servelint.version import __version__

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PRECISION = {Confidence.HIGH: "high", Confidence.MEDIUM: "medium", Confidence.LOW: "low"}


def sarif(report: Report, _style: Style) -> str:
    """One run; suppressed and baselined findings are in it, marked as such."""
    shown = report.findings
    hidden = [(item.finding, "inSource", item.suppression.reason) for item in report.suppressed]
    hidden += [(finding, "external", "in the baseline") for finding in report.baselined]
    everything = (*shown, *(finding for finding, _, _ in hidden))
    used = sorted({finding.code for finding in everything} | set(codes()))
    writer = _Writer(report.tree.root, {code: index for index, code in enumerate(used)})
    names = fingerprints(everything, report.tree.read)
    results = [writer.result(finding, name) for finding, name in zip(everything, names, strict=True)]
    for result, (_, kind, reason) in zip(results[len(shown) :], hidden, strict=True):
        result["suppressions"] = [{"kind": kind, **({"justification": reason} if reason else {})}]
    run = {
        "tool": {
            "driver": {
                "name": "servelint",
                "semanticVersion": __version__,
                "version": __version__,
                "rules": [_rule(code) for code in used],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    writer.notification(report, index) for index in range(len(report.problems))
                ],
            }
        ],
        "results": results,
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    rule = about(code)
    described: dict[str, Any] = {"id": code, "name": rule.name}
    if rule.text:
        described |= {
            "shortDescription": {"text": rule.why},
            "fullDescription": {"text": f"{rule.why} {rule.instead}"},
            "help": {"text": _plain(rule), "markdown": rule.text},
            "properties": {"tags": ["event-loop" if code < "SRV2" else "deployment", "machine-learning"]},
        }
    if rule.url:
        described["helpUri"] = rule.url
    return described


def _plain(rule: Page) -> str:
    return f"{rule.why}\n\nInstead: {rule.instead}\n\n{rule.sections.get('Why', '')}".strip()


class _Writer:
    """Writes results whose paths are relative to the repository."""

    def __init__(self, root: Path, indices: dict[str, int]) -> None:
        self.root = root
        self.indices = indices

    def result(self, finding: Finding, fingerprint: str) -> dict[str, Any]:
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": self.indices[finding.code],
            "level": _LEVELS[finding.severity],
            "message": {"text": sarif_message(finding.message)},
            "locations": [self.location(finding.span)],
            "partialFingerprints": {"servelint/v1": fingerprint},
            "properties": {"precision": _PRECISION[finding.confidence]},
        }
        if finding.trace:
            steps = [{"location": self.step(step)} for step in finding.trace]
            result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
        if finding.fix is not None:
            result["fixes"] = [self.fix(finding.fix)]
        return result

    def step(self, step: Step) -> dict[str, Any]:
        if not step.package:
            return self.location(step.span, step.message)
        place = {"uri": uri(step.span.path.as_posix()), "uriBaseId": "%PACKAGES%"}
        return {
            "physicalLocation": {"artifactLocation": place, "region": {"startLine": step.span.line}},
            "message": {"text": sarif_message(step.message)},
        }

    def location(self, span: Span, message: str = "") -> dict[str, Any]:
        location: dict[str, Any] = {
            "physicalLocation": {"artifactLocation": self.artifact(span.path), "region": _region(span)}
        }
        if message:
            location["message"] = {"text": sarif_message(message)}
        return location

    def artifact(self, path: Path) -> dict[str, str]:
        name = repository_path(path, self.root)
        if Path(name).is_absolute():
            return {"uri": path.as_uri()}
        return {"uri": uri(name), "uriBaseId": "%SRCROOT%"}

    def fix(self, fix: Fix) -> dict[str, Any]:
        files: dict[Path, list[dict[str, Any]]] = {}
        for edit in fix.edits:
            change = {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.content}}
            files.setdefault(edit.span.path, []).append(change)
        return {
            "description": {"text": sarif_message(f"{fix.title} ({fix.applicability.value})")},
            "artifactChanges": [
                {"artifactLocation": self.artifact(path), "replacements": changes}
                for path, changes in files.items()
            ],
        }

    def notification(self, report: Report, index: int) -> dict[str, Any]:
        problem = report.problems[index]
        line = max(problem.line, 1)
        return {
            "level": "error",
            "message": {"text": sarif_message(problem.message)},
            "locations": [self.location(Span(problem.path, line, 1, line, 1))],
        }


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
