"""What is served, and under which load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of serving the same model.

    `code` is `unfixed` or `fixed` (the example as it is, and as `servelint fix` leaves it) or, for what
    neither shows, the name of an offload of `offloads.py`.
    """

    name: str
    code: str
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load for some variants. `load` is in multiples of the measured capacity of one pod.

    Scenarios with `sweep` are the points of one picture: how much fails at which load.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]
    load: float
    seconds: float
    probes: bool
    runs: int = 3
    sweep: bool = False


UNFIXED = Variant("unfixed", "unfixed")
FIXED = Variant("fixed", "fixed")
FOUR_WORKERS = Variant("unfixed, 4 workers", "unfixed", workers=4)
PLAIN_DEF = Variant("plain def", "def")
# What a native library starts on a node of eight cores, when the container is limited to one by quota.
EIGHT_THREADS = {"OMP_NUM_THREADS": "8"}

OFFLOADS = (
    UNFIXED,
    FIXED,
    Variant("unfixed, 2 workers", "unfixed", workers=2),
    FOUR_WORKERS,
    PLAIN_DEF,
    Variant("default executor", "default"),
    Variant("to_thread", "to_thread"),
    *(Variant(f"pool of {n}", f"pool-{n}") for n in (1, 2, 4, 8, 32)),
    Variant("process pool of 1", "process-1"),
    Variant("unfixed, OMP 8", "unfixed", environment=EIGHT_THREADS),
    Variant("fixed, OMP 8", "fixed", environment=EIGHT_THREADS),
)

SWEPT = (UNFIXED, FOUR_WORKERS, PLAIN_DEF, FIXED)
# The probes of the example call a pod unready after 15 s, and dead after 25 s: a minute has room for both,
# and two minutes for what follows.
_SWEPT_SECONDS = 60
_LASTING_SECONDS = 120


def _point(name: str, title: str, load: float, runs: int = 1, seconds: float = _SWEPT_SECONDS) -> Scenario:
    return Scenario(name, title, SWEPT, load, seconds, probes=True, runs=runs, sweep=True)


SWEEP = (
    _point("half", "Half the capacity, with probes", 0.5),
    _point("full", "The capacity, with probes", 1),
    _point("over", "A little more, with probes", 1.5),
    _point("incident", "Overload, with probes", 2.5, runs=3),
    # Whoever is served waits a second or so for each multiple of the capacity, and gives up after ten.
    _point("severe", "Overload that lasts, with probes", 7, runs=3, seconds=_LASTING_SECONDS),
    _point("extreme", "More than users wait for, with probes", 8),
)

SCENARIOS = (
    *SWEEP,
    Scenario("no-probes", "Overload, without probes", (UNFIXED, FIXED), load=2.5, seconds=20, probes=False),
    Scenario("light", "Light load, with probes", (UNFIXED, FIXED), load=0.2, seconds=15, probes=True),
    Scenario(
        "offloads", "A little above capacity, without probes", OFFLOADS, load=1.2, seconds=10, probes=False
    ),
)

# What can be shown in two minutes: the blocked service at three points of the sweep, the fixed one at the
# last.
QUICK: tuple[tuple[str, tuple[Variant, ...], float], ...] = (
    ("half", (UNFIXED,), 5),
    ("incident", (UNFIXED,), 20),
    ("severe", (UNFIXED, FIXED), 30),
)
