"""JUnit XML, for CI systems that only know test results: a file is a suite, a finding a failed case."""

from __future__ import annotations

from itertools import groupby

from servelint.escape import xml
from servelint.finding import Step
from servelint.knowledge.pages import name_of
from servelint.lint import Report
from servelint.reports.style import Style


def junit(report: Report, style: Style) -> str:
    """One document; a clean report is one passed case, since an empty one is an error to many readers."""
    suites: list[str] = []
    for path, group in groupby(report.findings, key=lambda finding: finding.span.path):
        findings = list(group)
        name = style.path(path)
        cases = "".join(
            f'    <testcase name="{item.code} {name_of(item.code)}" '
            f'classname="{xml(name)}" file="{xml(name)}" line="{item.span.line}">\n'
            f'      <failure type="{item.severity.value}" message="{xml(item.message)}">'
            f"{xml(_body(item.message, name, item.span.line, item.trace, style))}</failure>\n"
            "    </testcase>\n"
            for item in findings
        )
        count = len(findings)
        suites.append(
            f'  <testsuite name="{xml(name)}" tests="{count}" failures="{count}" errors="0">\n'
            f"{cases}  </testsuite>\n"
        )
    if not suites:
        suites.append(
            '  <testsuite name="servelint" tests="1" failures="0" errors="0">\n'
            '    <testcase name="nothing found" classname="servelint"/>\n  </testsuite>\n'
        )
    total = len(report.findings)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="servelint" tests="{total or 1}" failures="{total}" errors="0">\n'
        f"{''.join(suites)}</testsuites>\n"
    )


def _body(message: str, name: str, line: int, trace: tuple[Step, ...], style: Style) -> str:
    steps = (f"{style.path(step.span.path)}:{step.span.line}: {step.message}" for step in trace)
    return "\n".join((f"{name}:{line}: {message}", *steps))
