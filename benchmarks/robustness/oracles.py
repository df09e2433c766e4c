"""What has to hold whatever the input is."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from servelint import edits, lint
from servelint.finding import Finding
from servelint.project.config import Config
from servelint.project.text.source import SourceError, decode_leniently
from servelint.project.text.splice import splice

DEFECT = "please report"


def fault(files: dict[str, bytes]) -> str:
    """What goes wrong with a project of these files; empty if nothing does."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        for file, content in files.items():
            (root / file).write_bytes(content)
        try:
            return _fault(root)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def _fault(root: Path) -> str:
    report = lint.check([], Config(root))
    if lint.check([], Config(root)).findings != report.findings:
        return "a second run finds something else"
    for finding in report.findings:
        if DEFECT in finding.message:
            return finding.message
        if outside := _outside(finding):
            return outside
    outcome = edits.apply(report, unsafe=True)
    if unasked := _elsewhere(report):
        return unasked
    for path, content in outcome.after.items():
        path.write_bytes(content)
    again = lint.check([], Config(root))
    left = [found for found in again.findings if found.code == "SRV000" and found.span.path in outcome.after]
    before = {found.span.path for found in report.findings if found.code == "SRV000"}
    if broken := [found for found in left if found.span.path not in before]:
        return f"a fix broke {broken[0].span.path.name}: {broken[0].message}"
    return "a second fix changes something" if edits.apply(again, unsafe=True).after else ""


def _outside(finding: Finding) -> str:
    """What is wrong with the places that a finding names."""
    for span in (finding.span, *(step.span for step in finding.trace)):
        source = decode_leniently(span.path, span.path.read_bytes())
        if not 1 <= span.line <= span.end_line <= source.line_count:
            return f"{finding.code} names line {span.line} to {span.end_line} of {source.line_count}"
        if not 1 <= span.column <= len(source.line(span.line)) + 1:
            return f"{finding.code} names column {span.column} of line {span.line}"
    return ""


def _elsewhere(report: lint.Report) -> str:
    """What is wrong with the edits of a report, each made alone: bytes outside of it may not change."""
    for finding in report.findings:
        for edit in finding.fix.edits if finding.fix else ():
            with contextlib.suppress(SourceError, FileNotFoundError):
                source = decode_leniently(edit.span.path, edit.span.path.read_bytes())
                made = splice(source, [edit])
                start = source.offset(edit.span.line, edit.span.column)
                # As text: what a byte stands for may depend on those before it.
                if not decode_leniently(edit.span.path, made).text.startswith(source.text[:start]):
                    return (
                        f"the fix of {finding.code} changes bytes before {edit.span.line}:{edit.span.column}"
                    )
    return ""
