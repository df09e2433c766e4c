"""What the person at the other end can take: colours, links, width, progress; and how they are spoken to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import click

from servelint.escape import visible
from servelint.finding import ExitStatus
from servelint.reports.style import Style

_LINKING_TERMINALS = ("WT_SESSION", "KITTY_WINDOW_ID", "WEZTERM_PANE", "KONSOLE_VERSION", "DOMTERM")
_LINKING_PROGRAMS = ("iTerm.app", "vscode", "WezTerm", "ghostty", "Hyper")
_OLDEST_LINKING_VTE = 5000
_MOST_DIGITS = 9


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
    return version.isdecimal() and len(version) <= _MOST_DIGITS and int(version) >= _OLDEST_LINKING_VTE


def complain(message: str) -> None:
    """Tell on standard error what went wrong, in one line."""
    # Where nobody can be told that nobody can be told, the exit status says it all the same.
    with suppress(OSError):
        sys.stderr.write(f"servelint: {visible(message)}\n")
        sys.stderr.flush()


def complain_of_usage(error: click.UsageError) -> None:
    """Tell as click does, but so that what was typed, names of files say, does not speak to the terminal."""
    context = error.ctx
    with suppress(OSError):
        if context is not None:
            hint = f"Try '{context.command_path} {context.help_option_names[0]}' for help."
            sys.stderr.write(f"{context.get_usage()}\n{hint}\n\n")
        sys.stderr.write(f"Error: {visible(error.format_message())}\n")


class OutputError(click.ClickException):
    """Standard output does not take what is written; of a reader who has gone (`| head`) nothing is told."""

    exit_code = ExitStatus.FAILED

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.gone = isinstance(error, BrokenPipeError)

    def show(self, file: Any = None) -> None:  # noqa: ARG002 - the signature is click's
        """Tell on standard error, unless the reader has left on purpose."""
        if not self.gone:
            complain(self.message)


def write(text: str) -> None:
    """Write text to standard output, in UTF-8 whatever the locale; raises `OutputError`."""
    write_bytes(text.encode("utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Write the content of a file to standard output as it is; raises `OutputError`."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputError(error) from error


class Progress:
    """A line on standard error that says what is being done; only on a terminal, gone when it is done."""

    def __init__(self, *, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, stage: str) -> None:
        """Say that `stage` has begun."""
        if self.shown:
            sys.stderr.write(f"\r\x1b[2K{visible(stage)} ...")
            sys.stderr.flush()

    def done(self) -> None:
        """Take the line away."""
        if self.shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
