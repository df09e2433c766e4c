"""The concise format: a line a finding, as editors and `grep` expect."""

from __future__ import annotations

from servelint.escape import output_line, visible
from servelint.knowledge.pages import name_of
from servelint.lint import Report
from servelint.reports.style import SEVERITY_COLOURS, Style
from servelint.reports.text import summary


def concise(report: Report, style: Style) -> str:
    """`path:line:column: CODE name: message`."""
    lines = [] if not style.statistics else summary(report, style)
    for finding in report.findings if not style.statistics else ():
        code = style.paint(finding.code, SEVERITY_COLOURS[finding.severity])
        lines.append(
            output_line(
                f"{style.place(finding.span)}: {code} {name_of(finding.code)}: {visible(finding.message)}"
            )
        )
    return "".join(f"{line}\n" for line in lines)
