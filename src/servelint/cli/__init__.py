"""The command line: options in, exit status out. Everything it does can be called from Python as well."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from servelint.finding import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `servelint ARGUMENTS` (default: of this process) and exit with its status.

    The process is short and its memory goes with it, so nobody looks for garbage.
    """
    gc.disable()
    _leave(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `servelint ARGUMENTS` and return its exit status; what went wrong is told on standard error."""
    import click

    from servelint.cli.commands import group
    from servelint.cli.terminal import complain
    from servelint.knowledge.tables import KnowledgeError

    try:
        status = group.main(
            None if arguments is None else list(arguments), prog_name="servelint", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
    except BrokenPipeError:
        _close_output()
    except (KnowledgeError, OSError) as error:
        complain(str(error))
    except Exception as error:
        # The last resort: Python's own status for a crash is 1, which would say that findings were made.
        _crashed(error)
    else:
        return int(status or 0)
    return ExitStatus.FAILED


def _leave(status: int) -> NoReturn:
    """End the process without taking apart what it has made, which costs as much as Python's own start.

    With `SERVELINT_DEBUG` it ends as any other, so that profilers and coverage can write what they know.
    """
    if os.environ.get("SERVELINT_DEBUG"):
        sys.exit(status)
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except OSError:
        status = ExitStatus.FAILED
    os._exit(status)


def _close_output() -> None:
    """The reader has gone (`| head`): leave without Python's own complaint at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _crashed(error: Exception) -> None:
    import traceback

    from servelint.cli.terminal import complain

    place = traceback.extract_tb(error.__traceback__)[-1]
    complain(f"crashed: {type(error).__name__}: {error} ({place.name}, line {place.lineno})")
    if os.environ.get("SERVELINT_DEBUG"):
        traceback.print_exception(error)
    else:
        complain("this is a defect of servelint; SERVELINT_DEBUG=1 shows where it happened")
