"""Growth: what two and four times as much costs, in CPU time of fresh processes."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.processes import CommandError, measure
from benchmarks.spread import spread

from .large import SHAPES, Shape
from .projects import write

MOST = 2.3  # a doubling
# Below that, the start of the process and the noise of the machine are what is measured.
_WORTH_MEASURING = 1.0
_LARGEST = 1_000_000  # bytes of a file


@dataclass(frozen=True, slots=True)
class Curve:
    """CPU seconds beyond an empty project, for n, 2n and 4n; `refused` says why there are none."""

    shape: str
    size: int
    seconds: tuple[tuple[float, ...], ...]
    refused: str = ""

    @property
    def doublings(self) -> tuple[float, ...]:
        """The ratios of the medians."""
        middle = [statistics.median(some) for some in self.seconds]
        return tuple(after / before for before, after in itertools.pairwise(middle))

    @property
    def is_linear(self) -> bool:
        """Whether no doubling costs more than it may; what is cheap at any size may do so."""
        return not self.refused and (self.is_cheap or all(ratio <= MOST for ratio in self.doublings))

    @property
    def is_cheap(self) -> bool:
        """Whether even the largest is too little to be measured."""
        return statistics.median(self.seconds[-1]) < _WORTH_MEASURING / 2


def curves(names: Sequence[str], rounds: int, timeout: float) -> Iterator[Curve]:
    """Measure the shapes, one after the other."""
    for name in names:
        yield curve(name, SHAPES[name], rounds, timeout)


def curve(name: str, shape: Shape, rounds: int, timeout: float) -> Curve:
    """Find a size that costs enough to be measured, then measure it, twice and four times of it."""
    size = shape.size
    try:
        start = statistics.median(cost(shape, 1, timeout) for _ in range(3))
        while cost(shape, size, timeout) - start < _WORTH_MEASURING and _takes(shape, size * 8):
            size *= 2
        seconds = tuple(
            tuple(max(cost(shape, size * times, timeout) - start, 1e-3) for _ in range(rounds))
            for times in (1, 2, 4)
        )
    except CommandError as error:
        return Curve(name, size, (), str(error))
    return Curve(name, size, seconds, _refused(shape, size * 4))


def _takes(shape: Shape, size: int) -> bool:
    """Whether a project of that size is read: sizes of files, depths and the like have limits."""
    largest = max(len(content) for content in shape.make(size).values())
    return largest <= _LARGEST and not _refused(shape, size)


def cost(shape: Shape, size: int, timeout: float) -> float:
    """CPU seconds of the command over a project of that size; raises CommandError."""
    with tempfile.TemporaryDirectory(prefix="robustness-growth-") as name:
        folder = _written(shape, size, Path(name))
        command = (*_command(shape), ".")
        return measure(command, folder, _environment(name), timeout=timeout, statuses=(0, 1))["cpu"]


def _refused(shape: Shape, size: int) -> str:
    """What makes the measurement worthless: a file that was not read, nothing that was found."""
    with tempfile.TemporaryDirectory(prefix="robustness-growth-") as name:
        folder = _written(shape, size, Path(name))
        command = (*_command(Shape(shape.make, size)), "--output-format", "concise", ".")
        ran = subprocess.run(
            command, cwd=folder, env=_environment(name), capture_output=True, text=True, check=False
        )
    unread = [line for line in ran.stdout.splitlines() if "SRV000" in line]
    if unread:
        return unread[0]
    return "" if "SRV" in ran.stdout else "nothing is found"


def _written(shape: Shape, size: int, folder: Path) -> Path:
    place = folder.resolve() / "project"
    place.mkdir()
    write(shape.make(size), place)
    subprocess.run(("git", "init", "--quiet"), cwd=place, check=True, capture_output=True)
    return place


def _command(shape: Shape) -> tuple[str, ...]:
    unsafe = ("--unsafe-fixes",) if shape.command == "fix" else ()
    return (sys.executable, "-P", "-m", "servelint", shape.command, *unsafe, "--isolated", "--no-cache", "-q")


def _environment(folder: str) -> dict[str, str]:
    return {**os.environ, "SERVELINT_CACHE_DIR": str(Path(folder) / "cache")}


def table(measured: Sequence[Curve]) -> Iterator[str]:
    """Markdown, a line at a time."""
    yield f"| shape | n | n, s | 2n / n | 4n / 2n | at most {MOST} |"
    yield "|---|---|---|---|---|---|"
    for each in measured:
        ratios = [f"{ratio:.2f}" for ratio in each.doublings] or ["", ""]
        first = spread(each.seconds[0], "{:.2f}".format) if each.seconds else ""
        met = each.refused.replace("|", "\\|") or _met(each)
        yield f"| {each.shape} | {each.size:,} | {first} | {' | '.join(ratios)} | {met} |"


def _met(curve: Curve) -> str:
    if curve.is_cheap:
        return f"cheap: 4n takes {statistics.median(curve.seconds[-1]):.2f} s"
    return "yes" if curve.is_linear else "no"
