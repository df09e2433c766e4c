"""Functions that the file runs in a pool of its own elsewhere.

result = await loop.run_in_executor(_executor, process, path)  # which calls `extract`

`_executor` says how many `extract` at once. A fix that runs `extract` in other threads gets around that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from servelint.code.facts.facts import Attribute, Expression, Name, Site, dotted
from servelint.code.fixes.doubts.reached import Reached
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.loop.offloads import Handoff
from servelint.code.values.calls import argument
from servelint.code.values.values import Frame
from servelint.finding import Applicability, Fix
from servelint.knowledge.types import Role

# A function by its file and number.
_Function: TypeAlias = tuple[str, int]


class Pooled(NamedTuple):
    """The pool that a function is given to, and the line; `direct` if not only to be called by another."""

    pool: str
    line: int
    direct: bool


class Elsewhere:
    """Finds such functions in one project."""

    def __init__(self, analysis: Analysis, reached: Reached) -> None:
        self.analysis = analysis
        self.reached = reached
        self._by_file: dict[str, dict[_Function, Pooled]] = {}
        self._users: dict[str, dict[str, set[str]]] = {}
        self._inside: dict[_Function, frozenset[_Function]] = {}

    def judged(self, call: BlockingCall, fix: Fix) -> Fix:
        """The fix; unsafe where it does not run the function in the pool that runs it already.

        What loads or prepares, below what the pool is given, is not what that pool is for.
        """
        if fix.applicability is Applicability.UNSAFE or call.site is None or not call.blocking.functions:
            return fix
        found = self._pooled(call.caller.module).get(call.blocking.functions[0])
        if found is None or self._goes_to(call.caller.module, found.pool, fix):
            return fix
        if not found.direct and (call.blocking.role is Role.LOAD or self.analysis.prepares(call)):
            return fix
        reason = (
            f"`{found.pool}` runs that function at line {found.line}, and it would run in other threads too"
        )
        return fix._replace(applicability=Applicability.UNSAFE, reason=reason)

    def _goes_to(self, module: Module, pool: str, fix: Fix) -> bool:
        """Whether the fix names the pool, or a function of the file that hands things to it."""
        names = {pool, *self._users[module.path].get(pool, ())}
        return any(_names(edit.content, name) for edit in fix.edits for name in names)

    def _pooled(self, module: Module) -> dict[_Function, Pooled]:
        """The functions that the file runs in pools, or that these call."""
        if module.path not in self._by_file:
            found = self._by_file[module.path] = {}
            self._users[module.path] = {}
            given = [(p, s.call.position.line, frame) for p, s, frame in self._given(module)]
            for pool, line, frame in given:
                found.setdefault((frame.module, frame.function), Pooled(pool, line, direct=True))
            for pool, line, frame in given:
                for function in self._called(frame):
                    found.setdefault(function, Pooled(pool, line, direct=False))
        return self._by_file[module.path]

    def _given(self, module: Module) -> Iterator[tuple[str, Site, Frame]]:
        """The pools of the file that are given something to run, where, and the functions of that."""
        offloads = self.analysis.frameworks.offload.methods
        names = frozenset(name for name, offload in offloads.items() if offload.pool is not None)
        if not self.analysis.reach.calls(module.path) & names:
            return
        for index, facts in enumerate(module.facts.functions):
            frame = self.analysis.evaluator.frame(module, index)
            for site in facts.sites if index else ():
                handed = self.analysis.handoffs.of(frame, site.call)
                pool = _pool(handed) if handed is not None else None
                if handed is not None and pool is not None and _outlives(module, index, pool):
                    self._users[module.path].setdefault(dotted(pool), set()).add(facts.name)
                    for inner in self.reached.called(frame, handed.inner):
                        yield dotted(pool), site, inner

    def _called(self, frame: Frame) -> frozenset[_Function]:
        """The functions that one calls."""
        key = (frame.module, frame.function)
        if key not in self._inside:
            self._inside[key] = frozenset(
                (inner.module, inner.function)
                for site in self.analysis.evaluator.facts(frame).sites
                for inner in self.reached.called(frame, site.call)
            )
        return self._inside[key]


def _pool(handed: Handoff) -> Expression | None:
    """The pool that is named where the function is handed over; None for the loop's own."""
    number = handed.offload.pool
    pool = argument(handed.call, number, "executor") if number is not None and not handed.dispatched else None
    return pool if isinstance(pool, Name | Attribute) else None


def _outlives(module: Module, index: int, pool: Expression) -> bool:
    """Whether the pool is one of the file, and not of the function that uses it."""
    return not isinstance(pool, Name) or (bool(module.bound(0, pool.id)) and not module.bound(index, pool.id))


def _names(text: str, pool: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(pool)}(?!\w)", text) is not None
