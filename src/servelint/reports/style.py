"""How a report is written down for one reader: paths as seen from a folder, colours, links, width."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from servelint.escape import visible
from servelint.finding import Span
from servelint.project.listing.files import shown_path

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "1;31",
    "yellow": "1;33",
    "blue": "1;34",
    "cyan": "36",
    "green": "32",
}
SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}


@dataclass(frozen=True, slots=True)
class Style:
    """`folder` is what paths are relative to, `width` the columns of the terminal, 0 for no limit.

    `summary` adds the closing lines of the text format, `statistics` replaces the findings by counts.
    """

    folder: Path = field(default_factory=Path.cwd)
    colour: bool = False
    links: bool = False
    width: int = 0
    summary: bool = True
    statistics: bool = False

    def paint(self, text: str, colour: str) -> str:
        """`text` in one of the colours above, or as it is when colours are off."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and text else text

    def link(self, text: str, target: str) -> str:
        """`text` as a hyperlink for terminals that have them."""
        return f"\x1b]8;;{target}\x1b\\{text}\x1b]8;;\x1b\\" if self.links and target else text

    def place(self, span: Span) -> str:
        """`path:line:column` of where `span` begins, linked to the file."""
        text = visible(f"{self.path(span.path)}:{span.line}:{span.column}")
        return self.link(text, span.path.as_uri() if self.links else "")

    def path(self, path: Path) -> str:
        """`path` relative to the folder when it is inside, else absolute; always with `/`."""
        return shown_path(path, self.folder)


def repository_path(path: Path, root: Path) -> str:
    """`path` as a code host names it: from the root of the repository around `root`, else as shown here."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return shown_path(path, folder)
    return shown_path(path, Path.cwd())
