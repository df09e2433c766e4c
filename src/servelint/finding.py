"""The values that flow from the rules to the reports and the fixes.

Lines and columns count from 1; columns count characters (code points), not bytes; an end column is
exclusive, so an empty range has `column == end_column`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import NamedTuple


class Severity(StrEnum):
    """How bad it is when the finding is right."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return list(Severity).index(self)


class Confidence(StrEnum):
    """How sure the finding is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low, 1 for medium, 2 for high."""
        return list(Confidence).index(self)


class Applicability(StrEnum):
    """Whether a fix keeps behaviour (`safe`) or may not (`unsafe`)."""

    SAFE = "safe"
    UNSAFE = "unsafe"


class ExitStatus(IntEnum):
    """What the command line returns."""

    CLEAN = 0
    FINDINGS = 1
    FAILED = 2


class Span(NamedTuple):
    """A range of characters in one file. `path` is absolute."""

    path: Path
    line: int
    column: int
    end_line: int
    end_column: int


class Step(NamedTuple):
    """One hop of a trace: a place, and what happens there.

    One inside a `package` (its name and version) is no file of the project: its path is relative to where
    packages are, and need not exist.
    """

    span: Span
    message: str
    package: str = ""


class Edit(NamedTuple):
    """Replace the text of `span` by `content`."""

    span: Span
    content: str


class Fix(NamedTuple):
    """Text edits that cure a finding; they are applied together or not at all.

    `reason` says in one line why an unsafe fix is unsafe; it is empty for a safe one.
    """

    applicability: Applicability
    title: str
    edits: tuple[Edit, ...]
    reason: str = ""
    # What it replaces by something else; all else that its edits go over is there again in the result.
    replaces: tuple[Span, ...] = ()
    # Whether it keeps behaviour only once other fixes of the same run are applied.
    waits: bool = False
    # A fix that is better for who applies unsafe ones too.
    better: Fix | None = None

    @property
    def has_other_meaning(self) -> bool:
        """Whether the better one is unsafe, and has to be told of: else it is the same, written otherwise."""
        return self.better is not None and self.better.applicability is Applicability.UNSAFE


class Measured(NamedTuple):
    """How often and how long a coroutine held the event loop, in seconds, as a log of asyncio says."""

    stalls: int
    median: float
    longest: float

    @property
    def words(self) -> str:
        """What there is to say: `14 stalls, median 0.41 s, longest 0.81 s`."""
        if self.stalls == 1:
            return f"1 stall, {self.longest:.2f} s"
        return f"{self.stalls:,} stalls, median {self.median:.2f} s, longest {self.longest:.2f} s"


class Stalled(NamedTuple):
    """What held the event loop and has no finding; `path` is that of the log, empty where it has none.

    `fits` are files of the project that it may be in, where there are several that fit equally well.
    """

    function: str
    path: str
    line: int
    measured: Measured
    fits: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect at one place.

    A finding about code stands on the call expression inside the loop-bound function, and `trace` goes
    from there down to the library call. A finding about a manifest stands on the offending token;
    `trace` then holds related places, if any. `advice` says what to do about this very finding, where
    that differs from the rule's general advice; `unfixable` says why there is no fix.
    """

    code: str
    span: Span
    message: str
    severity: Severity
    confidence: Confidence
    function: str = ""
    role: str = ""
    library: str = ""
    trace: tuple[Step, ...] = ()
    advice: str = ""
    fix: Fix | None = None
    unfixable: str = ""
    # Names what the finding is about without line numbers, so that it can be recognised after edits.
    identity: tuple[str, ...] = field(default=(), compare=False)
    # What makes it once for all who ask, by file and name; empty where each place is a cause of its own.
    cause: str = field(default="", compare=False)
    # Where the containers stand whose service it is about, for reports that show services.
    containers: tuple[Span, ...] = field(default=(), compare=False)
    # How often and how long its coroutine was seen to hold the event loop.
    measured: Measured | None = field(default=None, compare=False)
    # What it is about, in the words of the analysis that made it: whoever plans its fix looks at that.
    subject: object = field(default=None, compare=False, repr=False)

    @property
    def own_trace(self) -> tuple[Step, ...]:
        """The steps in files of the project, without those inside packages, which come last."""
        return tuple(step for step in self.trace if not step.package)


class Problem(NamedTuple):
    """A file or folder that should have been read and could not be. `line` is 0 where there is none."""

    path: Path
    message: str
    line: int = 0
