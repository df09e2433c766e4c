"""Functions that the project starts in threads of their own: a loop that they run is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.graph.project import Module
from servelint.code.loop.offloads import Handoffs
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import FunctionReference, Partial, plain
from servelint.knowledge.types import name_index


class Threads:
    """Finds them, of one project."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.handoffs = Handoffs(evaluator)
        starting = (o for o in evaluator.frameworks.offloads if o.name and not o.awaitable)
        self._starting = sorted({name for o in starting for name in name_index([o.name]).last_names()})
        self._started: dict[tuple[str, int], bool] = {}

    def starts(self, module: Module, index: int) -> bool:
        """Whether a plain function is given to a thread or process, as what that runs."""
        key = (module.path, index)
        if key not in self._started:
            self._started[key] = False  # what a thread is given may depend on what it runs
            self._started[key] = any(key == found for found in self._given(module))
        return self._started[key]

    def _given(self, module: Module) -> Iterator[tuple[str, int]]:
        """The functions that files near the module give to threads."""
        for name in self._starting:
            for other, function, site in self.evaluator.project.calls_beside(name, module.path):
                frame = self.evaluator.frame(other, function)
                handed = self.handoffs.of(frame, site.call)
                given = self.evaluator.evaluate(frame, handed.callable) if handed is not None else ()
                for value, _ in plain(given):
                    inner = value.function if isinstance(value, Partial) else value
                    if isinstance(inner, FunctionReference):
                        yield inner.module, inner.function
