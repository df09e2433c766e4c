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
    """A load for some variants. `load` is in multiples of the measured capacity of one pod."""

    name: str
    title: str
    variants: tuple[Variant, ...]
    load: float
    seconds: float
    probes: bool


UNFIXED = Variant("unfixed", "unfixed")
FIXED = Variant("fixed", "fixed")
# What a native library starts on a node of eight cores, when the container is limited to one by quota.
EIGHT_THREADS = {"OMP_NUM_THREADS": "8"}

OFFLOADS = (
    UNFIXED,
    FIXED,
    Variant("unfixed, 2 workers", "unfixed", workers=2),
    Variant("unfixed, 4 workers", "unfixed", workers=4),
    Variant("plain def", "def"),
    Variant("default executor", "default"),
    Variant("to_thread", "to_thread"),
    *(Variant(f"pool of {n}", f"pool-{n}") for n in (1, 2, 4, 8, 32)),
    Variant("process pool of 1", "process-1"),
    Variant("unfixed, OMP 8", "unfixed", environment=EIGHT_THREADS),
    Variant("fixed, OMP 8", "fixed", environment=EIGHT_THREADS),
)

SCENARIOS = (
    Scenario(
        "incident",
        "Overload, with probes",
        (UNFIXED, FIXED, Variant("unfixed, 4 workers", "unfixed", workers=4)),
        load=2.5,
        seconds=45,
        probes=True,
    ),
    Scenario("severe", "Twice that, with probes", (UNFIXED, FIXED), load=5, seconds=45, probes=True),
    Scenario("no-probes", "Overload, without probes", (UNFIXED, FIXED), load=2.5, seconds=20, probes=False),
    Scenario("light", "Light load, with probes", (UNFIXED, FIXED), load=0.2, seconds=15, probes=True),
    Scenario(
        "offloads", "A little above capacity, without probes", OFFLOADS, load=1.2, seconds=10, probes=False
    ),
)
