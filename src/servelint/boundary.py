"""A boundary around the work on one file or of one rule.

What fails inside it becomes a problem of that file (SRV000), and the rest of the project is still reported.

    with Boundary(path, "reading the Dockerfile", problems.append):
        ...

Limits that are counted raise `LimitError`. Everything else that gets here is unforeseen, `RecursionError`,
`MemoryError` and `OverflowError` included, and the message asks for a report.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from servelint.finding import Finding, Fix, Problem


class LimitError(Exception):
    """An input goes past a limit that is counted. `str` says which; `line` where, 0 for nowhere.

    `path` is the file, where that is another one than the boundary stands around. It is no `ValueError`:
    what reads on after a value that makes no sense must not read on after this.
    """

    def __init__(self, limit: str, line: int = 0, path: Path | None = None) -> None:
        super().__init__(limit)
        self.line = line
        self.path = path


class Boundary:
    """Keeps what goes wrong in a `with` block to one file: `note` is given the problem, nothing is raised.

    `stage` says in words what is being done: `reading the Dockerfile`, `SRV201`. What ends the process
    (`KeyboardInterrupt`, `SystemExit`) passes, and so do faults of servelint's own data, which are no fault
    of the file. `failed` says afterwards whether something was caught.
    """

    __slots__ = ("failed", "note", "path", "stage")

    def __init__(self, path: Path, stage: str, note: Callable[[Problem], object]) -> None:
        self.path = path
        self.stage = stage
        self.note = note
        self.failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or _is_our_own(error):
            return False
        self.failed = True
        self.note(problem(error, self.path, self.stage))
        return True


def with_fix(finding: Finding, plan: Callable[[], tuple[Fix | None, str]]) -> Finding:
    """The finding, which is right in any case, with the fix that `plan` gives or why there is none."""
    fix: Fix | None = None
    reason = ""
    faults: list[Problem] = []
    with Boundary(finding.span.path, "planning the fix", faults.append):
        fix, reason = plan()
    if faults:
        reason = faults[0].message
    return replace(finding, fix=fix, unfixable="" if fix is not None else reason or finding.unfixable)


def problem(error: Exception, path: Path, stage: str) -> Problem:
    """What a failure is to the user; with `SERVELINT_DEBUG` its traceback is printed, too.

    The text of an error that was not foreseen is left out: it may hold what the file says, or an address
    that is another one in each run.
    """
    if isinstance(error, LimitError):
        return Problem(error.path or path, f"{stage}: {error}", error.line)
    if os.environ.get("SERVELINT_DEBUG"):
        import sys
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    return Problem(
        path,
        f"{stage}: {type(error).__name__}, a defect of servelint, please report it; "
        "SERVELINT_DEBUG=1 shows where it happened",
    )


def _is_our_own(error: Exception) -> bool:
    from servelint.knowledge.tables import KnowledgeError

    return isinstance(error, KnowledgeError)
