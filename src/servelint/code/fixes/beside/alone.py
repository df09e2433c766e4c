"""Workers with an event loop of their own and one task on it: while that works nothing else waits.

async def main():
    while True:
        results.put(model.predict(await jobs.get()))


asyncio.run(main())
"""

from __future__ import annotations

import sys

from servelint.code.fixes.text import policy
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall

# So many functions are looked at between the call and what runs the loop.
MAXIMUM_CALLERS = 20


class Alone:
    """Finds the calls in such workers of one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._known: dict[tuple[str, int], bool] = {}
        self._programs: dict[str, bool] = {}
        self._in_programs: dict[str, bool] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Why the call need not leave the event loop; empty where something may wait for that."""
        key = (call.caller.module.path, call.caller.index)
        if not self._is_in_program(key[0]):
            return ""
        if key not in self._known:
            self._known[key] = self._is_alone(*key)
        if not self._known[key]:
            return ""
        return "nothing else waits for this event loop: the program runs one task on it"

    def _is_alone(self, path: str, index: int) -> bool:
        """Whether all ways to the function begin where a program runs its only coroutine."""
        evaluator, loop = self.analysis.evaluator, self.analysis.loop
        waiting, seen, runs = [(path, index)], {(path, index)}, False
        while waiting:
            path, index = waiting.pop()
            module = evaluator.module(path)
            frame = evaluator.frame(module, index)
            if not evaluator.facts(frame).is_async or loop.entry_points.of(module, index):
                return False
            callers = list(evaluator.callers.call_sites(frame))
            if not callers or len(seen) > MAXIMUM_CALLERS:
                return False
            for caller, call in callers:
                site = next((s for s in evaluator.facts(caller).sites if s.call is call), None)
                if site is None:
                    return False
                if site.receiver is not None and loop.runs_coroutine(caller, site.receiver):
                    runs = self._has_one_task(evaluator.module(caller.module))
                    if not runs:
                        return False
                elif (caller.module, caller.function) not in seen:
                    seen.add((caller.module, caller.function))
                    waiting.append((caller.module, caller.function))
        return runs

    def _is_in_program(self, path: str) -> bool:
        """Whether such a program brings in the file: without one nobody need look at callers."""
        if path not in self._in_programs:
            reach, frameworks = self.analysis.reach, self.analysis.frameworks
            runs = frameworks.runs_coroutine.last_names() | frameworks.runs_coroutine_methods
            modules = self.analysis.project.modules(reach.above(path))
            self._in_programs[path] = any(
                reach.calls(module.path) & runs and self._has_one_task(module) for module in modules
            )
        return self._in_programs[path]

    def _has_one_task(self, module: Module) -> bool:
        """Whether the file is a program in which nothing begins another task, a timer or a server."""
        path, reach, frameworks = module.path, self.analysis.reach, self.analysis.frameworks
        if path not in self._programs:
            more = policy.load().begins_more | frameworks.background | frameworks.on_loop.methods.keys()
            serving = frameworks.modules - sys.stdlib_module_names
            self._programs[path] = not reach.importers(path) and not any(
                reach.calls(one) & more or reach.libraries(one) & serving for one in reach.closure(path)
            )
        return self._programs[path]
