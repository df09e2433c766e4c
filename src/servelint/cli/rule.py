"""`servelint rule`."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from servelint.cli import options
from servelint.cli.terminal import style_for, write
from servelint.escape import json_text
from servelint.knowledge.pages import Page, codes, page, resolve
from servelint.reports.style import Style

EPILOG = """\b
Examples:
  servelint rule                       list every rule
  servelint rule SRV101                why it matters, bad and good code, the fix, the exceptions
  servelint rule blocking-inference    the same, by name
"""


_NAME_COLUMNS = 28


def _complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [code for code in codes() if code.startswith(incomplete.upper())]


@click.command(epilog=EPILOG)
@click.argument("rules", nargs=-1, metavar="[CODE]...", shell_complete=_complete)
@click.option(
    "--output-format", type=click.Choice(["text", "json"]), default="text", help="text (default) or json."
)
def command(rules: Sequence[str], output_format: str) -> None:
    """Explain the rule CODE, which may be its name; without one, list them all."""
    try:
        chosen = [page(resolve(rule)) for rule in rules] or [page(code) for code in codes()]
    except ValueError as error:
        raise options.Failure(str(error)) from error
    style = style_for(sys.stdout)
    if output_format == "json":
        write(json_text([_described(item) for item in chosen], indent=2) + "\n")
    elif rules:
        write("\n".join("\n".join(_rendered(item.text, style)) + "\n" for item in chosen))
    else:
        write("".join(_listed(item, style) for item in chosen))


def _described(item: Page) -> dict[str, object]:
    return {
        "code": item.code,
        "name": item.name,
        "why": item.why,
        "instead": item.instead,
        "url": item.url,
        "page": item.text,
    }


def _listed(item: Page, style: Style) -> str:
    """A line, or as many as the terminal needs."""
    indent = 2 + len(item.code) + _NAME_COLUMNS
    room = style.width - indent
    first, *rest = textwrap.wrap(item.why, room, break_on_hyphens=False) if room > 20 else [item.why]
    lines = [f"{style.paint(item.code, 'cyan')}  {item.name:<{_NAME_COLUMNS}}{first}"]
    return "".join(f"{line}\n" for line in (*lines, *(" " * indent + line for line in rest)))


def _rendered(markdown: str, style: Style) -> Iterator[str]:
    """Markdown for a terminal: headings and code in colour, the text as it is."""
    fenced = False
    for line in markdown.rstrip("\n").split("\n"):
        if line.startswith("```"):
            fenced = not fenced
            if not style.colour:
                yield line
        elif fenced:
            yield style.paint(f"    {line}" if style.colour else line, "cyan")
        elif heading := re.match(r"#+ (.*)", line):
            yield style.paint(heading[1] if style.colour else line, "bold")
        else:
            yield (
                re.sub(r"\*\*(.+?)\*\*", lambda found: style.paint(found[1], "bold"), line)
                if style.colour
                else line
            )
