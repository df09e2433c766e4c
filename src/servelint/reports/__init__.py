"""Output formats: each a module with a function from a report to text, none of which asks the project."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from servelint.lint import Report
from servelint.reports.style import Style

FORMATS = {
    "text": "text",
    "concise": "concise",
    "json": "jsonreport",
    "json-lines": "jsonreport",
    "sarif": "sarif",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
    "markdown": "markdown",
    "html": "html",
}
# The formats that say how a finding can be repaired; for the others no fixes are planned.
WITH_FIXES = frozenset({"text", "json", "json-lines", "sarif", "html"})


def render(name: str, report: Report, style: Style) -> str:
    """The report in the format `name`, one of `FORMATS`, ending with a newline unless it is empty."""
    module = import_module(f"servelint.reports.{FORMATS[name]}")
    function: Callable[[Report, Style], str] = getattr(module, name.replace("-", "_"))
    return function(report, style)
