"""A finding as a terminal shows it: `python -m website.picture` writes `docs/finding.svg`.

Made of the coloured text format, so it shows what is printed. The colours follow the reader's scheme, and a
line is stretched to its columns, so that underlines stand where they belong in whatever font there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from servelint.escape import html
from servelint.lint import check
from servelint.project.config import Config
from servelint.reports import render
from servelint.reports.style import Style

ROOT = Path(__file__).parents[1]
FINDING = ROOT / "docs" / "finding.svg"

COLUMNS = 104
_ADVANCE, _LINE, _MARGIN, _SIZE = 7.8, 19, 18, 13
_ESCAPE = re.compile(r"\x1b\[([\d;]+)m")
# The colours of the text format by their codes, on a light and on a dark ground, to be read on either.
_COLOURS = {
    "1": ("strong", "#1f2328", "#f0f6fc"),
    "2": ("dim", "#59636e", "#9198a1"),
    "1;31": ("red", "#c21c2c", "#ff7b72"),
    "1;33": ("yellow", "#8a5d00", "#e3b341"),
    "1;34": ("blue", "#0550ae", "#79c0ff"),
    "36": ("cyan", "#0a6570", "#76e3ea"),
    "32": ("green", "#1a6f34", "#7ee787"),
}
_GROUND = ("#ffffff", "#0d1117")
_PLAIN = ("#1f2328", "#e6edf3")


def finding() -> str:
    """The finding that the README shows as text."""
    report = check([ROOT / "examples" / "bankchurn"], Config(ROOT))
    shown = next(item for item in report.findings if len({step.span.path for step in item.trace}) > 2)
    style = Style(ROOT, colour=True, width=COLUMNS, summary=False)
    return drawn(render("text", replace(report, findings=(shown,)), style), f"{shown.code} in a terminal")


def drawn(text: str, title: str) -> str:
    """The coloured text as an SVG."""
    lines = [part for line in text.rstrip("\n").split("\n") for part in _folded(line)]
    width = round(COLUMNS * _ADVANCE + 2 * _MARGIN)
    height = len(lines) * _LINE + 2 * _MARGIN
    rows = [row for number, line in enumerate(lines) if (row := _row(number, line))]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{html(title)}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
            *rows,
            "</svg>\n",
        )
    )


def _style() -> str:
    def rules(scheme: int) -> str:
        colours = "".join(f".{entry[0]}{{fill:{entry[1 + scheme]}}}" for entry in _COLOURS.values())
        return f".ground{{fill:{_GROUND[scheme]}}}text{{fill:{_PLAIN[scheme]}}}{colours}"

    font = f"text{{font:{_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}}"
    bold = ".strong,.red,.yellow,.blue{font-weight:bold}"
    return f"{font}{bold}{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}"


def _folded(line: str) -> Iterator[str]:
    """The line in parts that fit, cut between words; a colour goes on in the next."""
    part, columns, colour = "", 0, ""
    for token in re.findall(r"\x1b\[[\d;]+m|[^\x1b ]+| +", line):
        if token.startswith("\x1b"):
            colour = "" if token == "\x1b[0m" else token
            part += token
            continue
        if columns + len(token) > COLUMNS:
            yield part
            part, columns = colour, 0
        part, columns = part + token, columns + len(token)
    yield part


def _row(number: int, line: str) -> str:
    """One line; its length is given, so that columns stand below each other. Empty for an empty line."""
    plain = _ESCAPE.sub("", line).rstrip()
    if not plain:
        return ""
    pieces = _ESCAPE.split(line.rstrip())
    spans = [html(pieces[0])]
    for code, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if piece:
            written = html(piece)
            spans.append(
                f'<tspan class="{_COLOURS[code][0]}">{written}</tspan>' if code in _COLOURS else written
            )
    y = _MARGIN + (number + 1) * _LINE - 5
    length = round(len(plain) * _ADVANCE, 1)
    return f'<text x="{_MARGIN}" y="{y}" textLength="{length}" xml:space="preserve">{"".join(spans)}</text>'


if __name__ == "__main__":
    FINDING.write_text(finding(), "utf-8")
