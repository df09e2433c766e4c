"""What the two halves know of each other: which application a workload serves, and what its code does.

The manifests' rules ask for an application through these protocols; without an answer they judge by the
manifests alone. Neither half imports the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servelint.finding import Finding, Span


class Liveness(Protocol):
    """A liveness probe over HTTP."""

    @property
    def path(self) -> str:
        """The path that it asks for."""

    @property
    def allowance(self) -> str:
        """What it takes to fail, as messages say it: `3 x 10 s + 1 s`."""


class Application(Protocol):
    """An application object and everything its module imports within the project."""

    @property
    def path(self) -> Path:
        """The file that defines it."""

    @property
    def libraries(self) -> frozenset[str]:
        """Top-level modules outside the project that its import closure imports."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Findings about its code: what blocks the event loop while it serves."""

    @property
    def serves_model(self) -> bool:
        """Whether it runs inference at all, on the loop or off it."""

    @property
    def model_files(self) -> Collection[Path]:
        """Its files that import a library that runs models."""

    @property
    def limits_threads(self) -> bool:
        """Whether its code bounds the native thread pools itself (`torch.set_num_threads`, threadpoolctl)."""

    def mentions(self, names: Collection[str]) -> bool:
        """Whether one of the names stands in its code: an argument, an attribute, a function."""

    def is_blocked(self, repaired: Collection[Span] = ()) -> bool:
        """Whether inference or a load blocks its loop at another place than those that are `repaired`."""

    @property
    def runs_model(self) -> bool:
        """Whether inference or a load is found in its code, wherever it runs; `serves_model` asks less."""


class Applications(Protocol):
    """Finds applications."""

    def find(self, reference: str, folders: Sequence[Path]) -> Application | None:
        """The application that `reference` (`app.main:app`, `app.main`, `src/main.py`) names.

        `folders` are where the command may have been started, the likeliest first.
        """


@dataclass(frozen=True, slots=True)
class Served:
    """An application that a workload serves: the other direction, for findings about code.

    `workload` is how messages call it (`deployment churn-api`), empty for an image that no workload is known
    to run; `cpu_limit` is how many CPUs its container may use, None where no limit is stated. `place` is
    where the container stands, or what the image starts; `autoscalers` are those of the workload.
    """

    reference: str
    folders: tuple[Path, ...]
    workload: str
    kubernetes: bool
    liveness: Liveness | None
    cpu_limit: float | None = None
    container: str = ""
    place: Span | None = None
    workers: str = ""
    autoscalers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """What one container serves, for reports: plain words, and `place`, by which findings name it.

    `application` is the file of the application, None where it is not a part of the project. `probe` and
    `allowance` are of the liveness probe, empty where there is none.
    """

    place: Span
    reference: str
    application: Path | None
    workload: str
    container: str
    probe: str
    allowance: str
    cpu_limit: float | None
    workers: str
    autoscalers: tuple[str, ...]
