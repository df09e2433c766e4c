"""Libraries of which a process may make one call at a time, whichever object it is of.

What moves uses one of them in the pool's thread, while an endpoint in another file uses it on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

from servelint.code.facts.facts import Position, Site
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.text import policy
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.loop.bound import Where
from servelint.code.values.values import External, ExternalObject, Frame, plain
from servelint.knowledge.types import Phase

# A function by its file and number.
_Function: TypeAlias = tuple[str, int]
# So many calls up it is looked for who runs a function while the service serves.
MAXIMUM_CALLS = 4


class ProcessWide:
    """Judges the fixes of one project; `stays` tells whether a call has no safe fix of its own.

    `moved` gives the calls that move with one, and the functions that they run.
    """

    def __init__(
        self,
        analysis: Analysis,
        reached: Reached,
        stays: Callable[[BlockingCall], bool],
        moved: Callable[[BlockingCall], tuple[Iterable[Site], Iterable[Frame]]],
    ) -> None:
        self.analysis = analysis
        self.reached = reached
        self.policy = policy.load()
        self._stays = stays
        self._moved = moved
        self._serving: dict[tuple[_Function, int], bool] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Which other code uses such a library on another thread meanwhile; empty for none."""
        if not self._users:
            return ""
        sites, inside = self._moves(call)
        for library in sorted(self._used(sites, inside)):
            here = sites.get(library, set())
            caller = (call.caller.module.path, call.caller.index)
            for user in self._apart.get(library, ()):
                moves = user in inside or (
                    user == caller and here and here.issuperset(self._users[user][library])
                )
                if not moves:
                    name = self.analysis.evaluator.module(user[0]).function(user[1]).qualname
                    return (
                        f"`{name}` uses {library} too, on another thread, and only one at a time may use that"
                    )
        return ""

    def at_once(self, call: BlockingCall) -> str:
        """Why several threads should not make the call at once; empty where they may."""
        if not self._users:
            return ""
        used = self._used(*self._moves(call))
        return f"only one thread at a time may use {min(used)}, and there may be several" if used else ""

    def _moves(self, call: BlockingCall) -> tuple[dict[str, set[Position]], set[_Function]]:
        """Where the libraries are used by what moves itself, and the functions that it runs."""
        sites, inner = self._moved(call)
        frames = self.reached.functions(inner)
        places = {site.call.position for site in sites}
        uses = self._users.get((call.caller.module.path, call.caller.index), {})
        own = {library: places.intersection(found) for library, found in uses.items()}
        inside = {(frame.module, frame.function) for frame in frames[:MAXIMUM_FUNCTIONS]}
        return {library: found for library, found in own.items() if found}, inside

    def _used(self, sites: Iterable[str], inside: Iterable[_Function]) -> set[str]:
        """The libraries that moved calls use, or the functions that they run."""
        return {*sites, *(library for each in inside for library in self._users.get(each, {}))}

    @cached_property
    def _apart(self) -> dict[str, list[_Function]]:
        """By library the functions that use it while the service serves, and do not come into the pool."""
        found: dict[str, list[_Function]] = {}
        for user, uses in self._users.items():
            if user not in self._in_threads and self._serves(user):
                for library in uses:
                    found.setdefault(library, []).append(user)
        return found

    @cached_property
    def _in_threads(self) -> frozenset[_Function]:
        """The functions that use such a library below calls that have a safe fix: they come into the pool."""
        found: set[_Function] = set()
        for path in self.analysis.loop.paths:
            for call in self.analysis.told_in(path):
                inside = self._moves(call)[1] & self._users.keys()
                if inside and not self._stays(call):
                    found |= inside
        return frozenset(found)

    @cached_property
    def _users(self) -> dict[_Function, dict[str, list[Position]]]:
        """The functions that use such libraries, and where they do."""
        found: dict[_Function, dict[str, list[Position]]] = {}
        for module in self.analysis.project.mentioning(self.policy.of_one_thread_words):
            for index in range(1, len(module.facts.functions)):
                uses: dict[str, list[Position]] = {}
                for library, position in self._uses(module, index):
                    uses.setdefault(library, []).append(position)
                if uses:
                    found[module.path, index] = uses
        return found

    def _uses(self, module: Module, index: int) -> Iterator[tuple[str, Position]]:
        frame = self.analysis.evaluator.frame(module, index)
        for site in module.function(index).sites:
            for value, _ in plain(self.analysis.evaluator.calls.callees(frame, site.call)):
                if isinstance(value, External | ExternalObject) and self.policy.of_one_thread.find(
                    value.name
                ):
                    yield value.name.partition(".")[0], site.call.position

    def _serves(self, function: _Function, calls: int = MAXIMUM_CALLS) -> bool:
        """Whether the function runs while requests are under way, on the event loop or in a thread."""
        key = (function, calls)
        if key not in self._serving:
            evaluator, loop = self.analysis.evaluator, self.analysis.loop
            module = evaluator.module(function[0])
            frame, facts = evaluator.frame(module, function[1]), module.function(function[1])
            where = loop.where(module, function[1], facts)
            points = loop.entry_points.of(module, function[1])
            answer = any(point.phase is Phase.SERVING for point in points) or where is Where.LOOP
            if not answer and where is not Where.STARTUP and calls:
                callers = (outer for outer, _ in evaluator.callers.call_sites(frame) if outer.function)
                answer = any(self._serves((one.module, one.function), calls - 1) for one in callers)
            self._serving[key] = answer
        return self._serving[key]
