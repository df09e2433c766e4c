"""Plain endpoints that call the same model in the framework's threads.

@app.post("/one")
def one(text: str):
    return model.generate(text)

A pool of one thread for the `async def` beside it looks as if only one thread called the model.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from servelint.code.facts.facts import Position, dotted
from servelint.code.fixes.beside.halves import Halves
from servelint.code.fixes.doubts.guards import Guards
from servelint.code.fixes.pools.forms import is_pooled
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.loop.bound import LoopBound
from servelint.knowledge.types import Phase, SyncRuns

# So many calls of plain endpoints are compared with each call of the library.
MAXIMUM_CALLS = 20


class PlainEndpoints:
    """Finds such endpoints of one project; `halves` tells what may be one model."""

    def __init__(self, analysis: Analysis, files: Files, halves: Halves, guards: Guards) -> None:
        self.analysis = analysis
        self.files = files
        self.halves = halves
        self.guards = guards
        self._calls: dict[str, dict[str, list[BlockingCall]]] = {}
        self._held: dict[tuple[str, int, Position], frozenset[tuple[str, str, str]]] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Which plain endpoint of the file calls the model in threads that no pool holds back."""
        if call.blocking.thread_safe or not is_pooled(self.analysis, call):
            return ""
        for other in self._in_threads(call.caller.module.path).get(call.blocking.library, ()):
            if self.halves.share_model(call, other) and not self._is_guarded(call, other):
                library = call.blocking.library or "the model"
                allowed = (
                    "must not call" if call.blocking.thread_safe is False else "may not be allowed to call"
                )
                return (
                    f"`{other.caller.facts.qualname}` calls the model in the framework's threads already, "
                    f"and two threads {allowed} {library} at once"
                )
        return ""

    def _in_threads(self, path: str) -> dict[str, list[BlockingCall]]:
        """By library the first calls in the file's plain endpoints that threads may not share."""
        if path not in self._calls:
            found = self._calls[path] = {}
            for other in self._in_endpoints(path):
                calls = found.setdefault(other.blocking.library, [])
                if len(calls) < MAXIMUM_CALLS and not other.blocking.thread_safe:
                    calls.append(other)
        return self._calls[path]

    def _in_endpoints(self, path: str) -> Iterator[BlockingCall]:
        """What is long in the plain functions that a framework runs in threads while it serves."""
        loop, evaluator = self.analysis.loop, self.analysis.evaluator
        for module, index, facts in loop.called_from_outside(path):
            points = () if facts.is_async else loop.entry_points.of(module, index)
            if any(point.sync is SyncRuns.THREAD and point.phase is Phase.SERVING for point in points):
                caller, frame = LoopBound(module, index, loop), evaluator.frame(module, index)
                for site in facts.sites:
                    blocking = self.analysis.judge.site(frame, site)
                    if blocking is not None:
                        text = f"{dotted(site.call.function)}()"
                        call = BlockingCall(caller, frame, site.call.position, blocking, site, text)
                        if is_pooled(self.analysis, call):
                            yield call

    def _is_guarded(self, call: BlockingCall, other: BlockingCall) -> bool:
        """Whether one lock is around both uses of the model."""
        return bool(self._locks(call) & self._locks(other))

    def _locks(self, call: BlockingCall) -> frozenset[tuple[str, str, str]]:
        """The locks that are held where the library is called in the end."""
        hop, functions = call.blocking.hops[-1], call.blocking.functions
        path, index = functions[-1] if functions else (call.caller.module.path, call.caller.index)
        key = (path, index, hop.position)
        if key not in self._held:
            module = self.analysis.evaluator.module(path)
            syntax = self.files.syntax(module)
            function = function_at(syntax, module.function(index).position)
            node = syntax.at(hop.position, ast.Call) if path == hop.path else None
            self._held[key] = frozenset()
            if function is not None and node is not None:
                self._held[key] = frozenset(self.guards.held(module, syntax, function, node))
        return self._held[key]
