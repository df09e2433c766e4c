"""What was measured, as `results.json` keeps it, and the ratios and tables that follow.

A round has one cost for each activity: `servelint, cold`, `ruff`. Two activities are compared by the CPU time
they took in the same round, so that a slow minute of the machine is in both, or in one round of many.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from benchmarks.spread import spread

if TYPE_CHECKING:
    # The process that measures has no need of servelint: what it imports is in the peak of what it starts.
    from .census import Census
    from .processes import Cost

RESULTS = Path(__file__).parent / "results"
COLD, WARM, CHANGED = "servelint, cold", "servelint, warm", "servelint, one file changed"
KEY = "servelint, a key pressed"
CLICK, ONE_FILE = "python -c 'import click'", "one file of 350 lines"
MB = 1024 * 1024

Round: TypeAlias = "dict[str, Cost]"


class TreeRecord(TypedDict):
    """One tree and its rounds."""

    census: Census
    rounds: list[Round]


class Machine(TypedDict):
    """What the results depend on besides the code."""

    cpus: int
    python: str
    system: str


class Record(TypedDict):
    """Everything in `results.json`; `date` is that of the latest round."""

    date: str
    machine: Machine
    versions: dict[str, str]
    trees: dict[str, TreeRecord]


class Target(TypedDict):
    """The highest ratio of CPU time that is wanted."""

    tree: str
    work: str
    against: str
    ratio: float


def copies(scale: int) -> str:
    """The activity of checking so many copies of a tree."""
    return f"servelint, {scale}x"


def _target(tree: str, work: str, against: str, ratio: float) -> Target:
    return {"tree": tree, "work": work, "against": against, "ratio": ratio}


_TREES = ("Home Assistant", "roboflow/inference", "xorbitsai/inference", "mlflow")
TARGETS = (
    *(_target(tree, COLD, "ruff", ratio) for tree, ratio in zip(_TREES, (0.9, 1.2, 1.5, 2.5), strict=True)),
    _target("Home Assistant", WARM, "ruff, warm", 1.5),
    _target("Home Assistant", CHANGED, WARM, 1.2),
    _target(ONE_FILE, COLD, CLICK, 1.5),
    _target("bitnami/charts", COLD, "checkov, kubernetes", 0.02),
    *(_target(tree, copies(4), copies(1), 4.3) for tree in _TREES),
)


def read(path: Path = RESULTS / "results.json") -> Record | None:
    """What was measured before; None if nothing was."""
    if not path.exists():
        return None
    record: Record = json.loads(path.read_text(encoding="utf-8"))
    return record


def write(record: Record, path: Path) -> None:
    """Write the record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def ratios(rounds: Sequence[Round], work: str, against: str) -> list[float]:
    """CPU time of one activity in units of another's, for every round that has both."""
    return [each[work]["cpu"] / each[against]["cpu"] for each in rounds if work in each and against in each]


def costs(rounds: Sequence[Round], activity: str) -> list[Cost]:
    """The costs of an activity, one a round."""
    return [each[activity] for each in rounds if activity in each]


def two_digits(value: float) -> str:
    """A ratio or seconds: two decimals, from ten on one, from a hundred on none; small ones two digits."""
    if value >= 10:
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def targets_table(record: Record) -> Iterator[str]:
    """Markdown, a line at a time: what was wanted and what came out."""
    yield "| tree | work | against | target | ratio of CPU time | met |"
    yield "|---|---|---|---|---|---|"
    for target in TARGETS:
        rounds = record["trees"][target["tree"]]["rounds"] if target["tree"] in record["trees"] else []
        values = ratios(rounds, target["work"], target["against"])
        met = "" if not values else "yes" if statistics.median(values) <= target["ratio"] else "no"
        cells = (target["tree"], target["work"], target["against"], f"<= {target['ratio']:g}")
        yield f"| {' | '.join(cells)} | {spread(values, two_digits) or 'not measured'} | {met} |"


def trees_table(record: Record) -> Iterator[str]:
    """Markdown, a line at a time: what is in the trees, and what servelint does with them."""
    titles = (
        "Python files",
        "parsed",
        "unreadable",
        "manifests",
        "MB",
        "cold, s",
        "warm, s",
        "one file changed, s",
        "a key pressed, s",
        "peak, MB",
    )
    yield f"| tree | {' | '.join(titles)} |"
    yield "|---" * (len(titles) + 1) + "|"
    for name, tree in record["trees"].items():
        census, rounds = tree["census"], tree["rounds"]
        seconds = (
            spread([cost["cpu"] for cost in costs(rounds, activity)], two_digits)
            for activity in (COLD, WARM, CHANGED, KEY)
        )
        peaks = [cost["peak"] / MB for cost in costs(rounds, COLD)]
        files = census["python_files"]
        cells = (
            name,
            f"{files:,}",
            f"{census['parsed']:,} ({census['parsed'] / files:.0%})" if files else "",
            f"{census['unreadable']:,}",
            f"{census['manifests']:,}",
            two_digits(census["bytes"] / MB),
            *seconds,
            spread(peaks, "{:.0f}".format),
        )
        yield f"| {' | '.join(cells)} |"


def peers_table(record: Record) -> Iterator[str]:
    """Markdown, a line at a time: every peer on every tree, in seconds and in units of servelint's time."""
    yield "| tree | peer | CPU, s | wall, s | peak, MB | servelint / peer |"
    yield "|---|---|---|---|---|---|"
    for name, tree in record["trees"].items():
        rounds = tree["rounds"]
        for peer in dict.fromkeys(activity for each in rounds for activity in each):
            if peer.startswith("servelint"):
                continue
            known = costs(rounds, peer)
            cells = (
                spread([cost["cpu"] for cost in known], two_digits),
                spread([cost["wall"] for cost in known], two_digits),
                spread([cost["peak"] / MB for cost in known], "{:.0f}".format),
                spread(ratios(rounds, WARM if peer.endswith("warm") else COLD, peer), two_digits),
            )
            yield f"| {name} | {peer} | {' | '.join(cells)} |"


def scaling_table(record: Record) -> Iterator[str]:
    """Markdown, a line at a time: two and four copies of a tree in units of one."""
    yield "| tree | 2 copies / 1 | 4 copies / 1 |"
    yield "|---|---|---|"
    for name, tree in record["trees"].items():
        twice, four = (ratios(tree["rounds"], copies(scale), copies(1)) for scale in (2, 4))
        if four:
            yield f"| {name} | {spread(twice, two_digits)} | {spread(four, two_digits)} |"


TABLES: dict[str, Callable[[Record], Iterator[str]]] = {
    "targets": targets_table,
    "trees": trees_table,
    "peers": peers_table,
    "scaling": scaling_table,
}


def conditions(record: Record) -> str:
    """When and with what it was measured."""
    machine = record["machine"]
    versions = ", ".join(f"{program} {version}" for program, version in record["versions"].items())
    counts = sorted({len(tree["rounds"]) for name, tree in record["trees"].items() if name != ONE_FILE})
    rounds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0] if counts else 0)
    computer = f"{machine['system']}, {machine['cpus']} CPUs, Python {machine['python']}"
    return (
        f"Measured {record['date']}, {computer}: {versions}. "
        f"Rounds: {rounds}. Medians, lowest and highest in brackets."
    )
