"""The command line: options in, exit status out. Everything it does can be called from Python as well."""

# What is imported here is imported before an interruption (Ctrl-C) can be answered: as little as can be.
from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # as in `typing`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, TextIO

FAILED = 2  # `finding.ExitStatus.FAILED`, for when not even that can be imported


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `servelint ARGUMENTS` (default: of this process) and exit with its status.

    The process is short and its memory goes with it, so nobody looks for garbage.
    """
    gc.disable()
    try:
        _stand_in_for_closed_streams()
        status = run(arguments)
    except KeyboardInterrupt:
        # Also once more, while the first one was being told of.
        _tell("interrupted")
        status = FAILED
    _leave(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `servelint ARGUMENTS` and return its exit status; what went wrong is told on standard error."""
    import click

    from servelint.cli.commands import group
    from servelint.cli.terminal import complain, complain_of_usage
    from servelint.knowledge.tables import KnowledgeError
    from servelint.project.config import ConfigError

    try:
        status = group.main(
            None if arguments is None else list(arguments), prog_name="servelint", standalone_mode=False
        )
    except click.UsageError as error:
        complain_of_usage(error)
    except click.ClickException as error:
        error.show()
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
    except SystemExit as error:
        # So click ends a completion, and help whose reader has gone (`--help | head`): that with the status
        # of a finding.
        return FAILED if error.code else 0
    except (ConfigError, KnowledgeError, OSError) as error:
        complain(str(error))
    except Exception as error:
        # The last resort: Python's own status for a crash is 1, which would say that findings were made.
        _crashed(error)
    else:
        return int(status or 0)
    return FAILED


def _stand_in_for_closed_streams() -> None:
    """Open what the caller has closed (`>&-`), so that no other file is taken for a standard stream.

    Reading from the stand-in for standard input fails, and so does writing to that for standard output: a
    report that goes nowhere must not look like one that was read. What standard error would tell is lost.
    """
    streams = (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))
    for number, (name, flag, mode) in enumerate(streams):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flag)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _leave(status: int) -> NoReturn:
    """End the process without taking apart what it has made, which costs as much as Python's own start.

    With `SERVELINT_DEBUG` it ends as any other, so that profilers and coverage can write what they know.
    """
    if not _flushed(sys.stdout):
        status = FAILED
    _flushed(sys.stderr)
    if os.environ.get("SERVELINT_DEBUG"):
        sys.exit(status)
    os._exit(status)


def _flushed(stream: TextIO | None) -> bool:
    """Whether all that was written to a standard stream is out; what is not, Python need not try again."""
    if stream is None or stream.closed:
        return True
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _tell(message: str) -> None:
    """What `terminal.complain` does, without importing anything."""
    try:
        sys.stderr.write(f"servelint: {message}\n")
    except OSError:
        return


def _crashed(error: Exception) -> None:
    import traceback

    from servelint.cli.terminal import complain

    place = traceback.extract_tb(error.__traceback__)[-1]
    complain(f"crashed: {type(error).__name__}: {error} ({place.name}, line {place.lineno})")
    if os.environ.get("SERVELINT_DEBUG"):
        traceback.print_exception(error)
    else:
        complain("this is a defect of servelint; SERVELINT_DEBUG=1 shows where it happened")
