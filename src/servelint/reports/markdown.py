"""Markdown, for a comment on a pull request or a job summary."""

from __future__ import annotations

from servelint.escape import markdown as escaped
from servelint.escape import markdown_code
from servelint.finding import Finding, Span
from servelint.knowledge.pages import advice_for, name_of
from servelint.lint import Report
from servelint.reports.style import Style, repository_path
from servelint.reports.text import summary

# A comment on GitHub holds 65,536 characters.
_MOST_CHARACTERS = 60_000


def markdown(report: Report, style: Style) -> str:
    """A table of the findings, and the way to each blocking call folded away below it."""
    headline, *counts = summary(report, Style(folder=style.folder))
    lines = ["## servelint", "", headline, ""]
    lines += [f"- {line.strip()}" for line in counts]
    if report.findings:
        lines += ["", "| | where | what |", "|---|---|---|"]
        lines += _within(_MOST_CHARACTERS // 2, [_row(finding, report) for finding in report.findings])
        lines += ["", "<details><summary>The way to each call, and what to do</summary>", ""]
        lines += _within(_MOST_CHARACTERS // 2, [_detail(finding, report) for finding in report.findings])
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _within(characters: int, items: list[str]) -> list[str]:
    """As many of `items` as fit, and a line that says how many did not."""
    kept: list[str] = []
    for item in items:
        characters -= len(item) + 1
        if characters < 0:
            return [*kept, "", f"... and {len(items) - len(kept)} more."]
        kept.append(item)
    return kept


def _row(finding: Finding, report: Report) -> str:
    code = f"**{finding.code}** {name_of(finding.code)}"
    return f"| {code} | {_place(finding.span, report)} | {escaped(finding.message)} |"


def _detail(finding: Finding, report: Report) -> str:
    lines = [f"- **{finding.code}** {_place(finding.span, report)}: {escaped(finding.message)}"]
    lines += [f"  1. {_place(step.span, report)}: {escaped(step.message)}" for step in finding.trace]
    advice = escaped(advice_for(finding))
    return "\n".join((*lines, f"\n  Instead: {advice}")) if advice else "\n".join(lines)


def _place(span: Span, report: Report) -> str:
    return markdown_code(f"{repository_path(span.path, report.tree.root)}:{span.line}")
