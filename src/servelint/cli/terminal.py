"""What the person at the other end can take: colours, links, width, progress; and how they are spoken to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from servelint.reports.style import Style

_LINKING_TERMINALS = ("WT_SESSION", "KITTY_WINDOW_ID", "WEZTERM_PANE", "KONSOLE_VERSION", "DOMTERM")
_LINKING_PROGRAMS = ("iTerm.app", "vscode", "WezTerm", "ghostty", "Hyper")
_OLDEST_LINKING_VTE = 5000


def style_for(stream: TextIO, *, quiet: bool = False, statistics: bool = False) -> Style:
    """How a report is to be written on `stream`."""
    terminal = stream.isatty()
    colour = _colour(terminal)
    return Style(
        folder=Path.cwd(),
        colour=colour,
        links=terminal and colour and _takes_links(),
        width=_width() if terminal else 0,
        summary=not quiet,
        statistics=statistics,
    )


def _colour(terminal: bool) -> bool:
    """By `NO_COLOR`, then `FORCE_COLOR` (any value but none and 0), else on terminals that are not dumb."""
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR", "")
    if forced:
        return forced != "0"
    return terminal and os.environ.get("TERM") != "dumb"


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _takes_links() -> bool:
    if any(name in os.environ for name in _LINKING_TERMINALS):
        return True
    if os.environ.get("TERM_PROGRAM") in _LINKING_PROGRAMS:
        return True
    version = os.environ.get("VTE_VERSION", "")
    return version.isdecimal() and int(version) >= _OLDEST_LINKING_VTE


def complain(message: str) -> None:
    """Tell on standard error what went wrong."""
    sys.stderr.write(f"servelint: {message}\n")


def write(text: str) -> None:
    """Write a report to standard output, in UTF-8 whatever the locale, since file names and sources are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


class Progress:
    """A line on standard error that says what is being done; only on a terminal, gone when it is done."""

    def __init__(self, *, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, stage: str) -> None:
        """Say that `stage` has begun."""
        if self.shown:
            sys.stderr.write(f"\r\x1b[2K{stage} ...")
            sys.stderr.flush()

    def done(self) -> None:
        """Take the line away."""
        if self.shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
