"""How many threads a new pool gets: configured, else by the libraries that run in it and the container.

The rule is data, in `rules/pool-sizing.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from servelint.code.fixes.pools.forms import DEFAULT_EXECUTOR, is_pooled
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.applications import CodeApplications
from servelint.knowledge.compiled import table
from servelint.knowledge.types import Library

_THREAD_SAFETY = ("no", "unknown", "yes")
_GIL = ("holds", "mixed", "unknown", "releases")


@dataclass(frozen=True, slots=True)
class Size:
    """How many threads a pool gets; `reason` is why it must not have more, empty where it may."""

    workers: int
    reason: str = ""

    @property
    def comment(self) -> str:
        """The comment for the line above the pool; empty where the number needs none."""
        return f"# One thread: {self.reason}." if self.reason and self.workers == 1 else ""


class Sizes:
    """Sizes the pools of one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._found: dict[tuple[str, ...], Size] = {}

    def of(self, modules: Sequence[Module]) -> Size:
        """The size of a pool for the files and for what they import."""
        key = tuple(module.path for module in modules)
        if key not in self._found:
            self._found[key] = self._work_out(modules)
        return self._found[key]

    def _work_out(self, modules: Sequence[Module]) -> Size:
        inside = frozenset().union(*(self.analysis.reach.closure(module.path) for module in modules))
        libraries = self.analysis.catalogue.libraries
        paths = inside.intersection(self.analysis.loop.paths)
        calls = [call for path in sorted(paths) for call in self.analysis.blocking_calls_in(path)]
        limits = list(self._limits({module.path for module in modules}))
        pooled = [libraries.get(call.blocking.library) for call in calls if is_pooled(self.analysis, call)]
        size = pool_size(pooled, min(limits) if limits else None)
        handed = [libraries.get(name) for name in self._handed(sorted(paths))]
        if handed:  # what threads run as it is never makes the pool larger
            every = pool_size([*pooled, *handed])
            size = Size(min(size.workers, every.workers), every.reason)
        configured = self.analysis.config.fix.max_workers
        return size if configured is None else Size(configured, size.reason)

    def _handed(self, paths: Iterable[str]) -> Iterator[str]:
        """The libraries that run on the loop's default executor, and come into the pool as well."""
        if self.analysis.config.selects(DEFAULT_EXECUTOR) and not self.analysis.sets_default_executor:
            for path in paths:
                for _, _, blocking in self.analysis.on_default_executor(path):
                    yield blocking.library

    def _limits(self, paths: set[str]) -> Iterator[float]:
        """The CPU limits of the containers that run one of the files."""
        applications = CodeApplications(self.analysis, ())
        for served in self.analysis.served:
            if served.cpu_limit is not None:
                application = applications.find(served.reference, served.folders)
                if application is not None and paths & application.closure:
                    yield served.cpu_limit


def pool_size(libraries: Iterable[Library | None], cpu_limit: float | None = None) -> Size:
    """The size of a pool in which these libraries run; None stands for a library that is not known.

    `cpu_limit` is how many CPUs the container may use, where a manifest states it.
    """
    known = list(libraries)
    safety = _worst(_THREAD_SAFETY, (lib.thread_safe.verdict if lib else "unknown" for lib in known))
    verdicts = {
        "thread-safe": safety,
        "gil": _worst(_GIL, (lib.gil.verdict if lib else "unknown" for lib in known)),
    }
    for entry in table("pool-sizing.yaml").tables("max-workers"):
        if all(verdicts[key] == value for key, value in entry.table("when").items()):
            workers = entry.need("workers", object)
            if workers == "cpu-limit":
                workers = _within(cpu_limit, entry.need("at-most", int), entry.need("without-limit", int))
            return Size(int(str(workers)), entry.need("because", str) if safety == "no" else "")
    return Size(1)


def _within(cpu_limit: float | None, most: int, otherwise: int) -> int:
    return otherwise if cpu_limit is None else max(1, min(most, math.ceil(cpu_limit)))


def _worst(order: tuple[str, ...], found: Iterable[str]) -> str:
    return min((verdict for verdict in found if verdict in order), key=order.index, default="unknown")
