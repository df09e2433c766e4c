"""State that only what runs in a pool of one thread uses: there one call waits for the other, as on the loop.

That holds as long as all who use it move there. Who stays on the loop may look at it once, or at what is only
counted, and must have nothing to do with the calls that move: what one request has set, the next may have set
again when the first goes on.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from servelint.code.facts.facts import Site
from servelint.code.fixes.doubts.guards import Access, Guards, is_read, only_looks
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS
from servelint.code.fixes.doubts.shared import Change, Shared, is_container, last_name
from servelint.code.fixes.pools.forms import is_pooled
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.loop.bound import Where
from servelint.code.values.values import ClassReference, Frame, FunctionReference, plain
from servelint.knowledge.types import Phase

# A function by its file and index.
Place: TypeAlias = tuple[str, int]
# Calls by what tells them apart quickly: each is one object.
Calls: TypeAlias = Mapping[int, BlockingCall]
# Decorators that leave a function to be called by its name alone.
_PLAIN = frozenset({"staticmethod", "classmethod", "no_grad", "inference_mode", "override"})


class _Use(NamedTuple):
    """A call of a function: who makes it, and the call that moves to the pool with it, if one does."""

    caller: Place
    moved: BlockingCall | None


class Users(NamedTuple):
    """The calls that have to move together, and the functions that look from elsewhere, once each."""

    calls: Calls
    looking: tuple[Place, ...]


class Confined:
    """Judges the state of one project. `moving` tells which nodes of its file move with a call."""

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        guards: Guards,
        moving: Callable[[BlockingCall], Range | None],
    ) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator
        self.files = files
        self.guards = guards
        self._moving = moving
        self._uses: dict[Place, tuple[_Use, ...] | None] = {}
        self._moved: dict[Place, tuple[tuple[Range, BlockingCall], ...]] = {}
        self._pooled: dict[Place, Calls | None] = {}
        self._above: dict[Place, frozenset[Place] | None] = {}

    def users(self, frame: Frame, function: Function, changes: Sequence[Change]) -> Users | None:
        """Who has to move for the function's changes to come one after the other.

        None where others would make or see them as well.
        """
        needed = dict(self._in_pool((frame.module, frame.function)) or {})
        if not needed or self.guards.may_lock_out(frame, function, changes):
            return None
        module = self.evaluator.module(frame.module)
        syntax = self.files.syntax(module)
        outer = syntax.parent(function)
        owner = outer.name if isinstance(outer, ast.ClassDef) else ""
        looking: dict[Place, int] = {}
        for change in {change.text: change for change in changes}.values():
            if _is_alias(module, syntax, function, change.place):
                return None
            for access in self.guards.accesses(module, change, owner):
                if access is None:
                    return None
                if access.function is None or self.guards.is_made_there(access, change):
                    continue
                place = self._place(access.module, access.function)
                if place is not None and self._is_never_run(place):
                    continue
                others = self._in_pool(place) if place is not None else None
                if others is not None:
                    needed.update(others)
                elif place is not None and _is_look(access, changes):
                    looking[place] = looking.get(place, 0) + (not _is_counted(syntax, changes, change))
                else:
                    return None
        callers = {(call.frame.module, call.frame.function) for call in needed.values()}
        if looking and not self._are_apart(looking, callers):
            return None
        return Users(needed, tuple(place for place, count in looking.items() if count))

    def _are_apart(self, looking: Mapping[Place, int], callers: Iterable[Place]) -> bool:
        """Whether nobody who looks, once each, comes from where something moves."""
        around = [self._all_above(caller) for caller in callers]
        for place, count in looking.items():
            above = self._all_above(place)
            if count > 1 or above is None or any(other is None or above & other for other in around):
                return False
        return True

    def _place(self, module: Module, function: Function) -> Place | None:
        frame = self.guards.frame(module, self.files.syntax(module), function)
        return (frame.module, frame.function) if frame is not None else None

    # -- who runs a function ---------------------------------------------------------------------

    def _in_pool(self, place: Place) -> Calls | None:
        """The calls with which the function runs in the pool; None where it may run anywhere else as well.

        What runs before the first request runs alone.
        """
        if place not in self._pooled:
            self._pooled[place] = self._find_in_pool(place)
        return self._pooled[place]

    def _find_in_pool(self, place: Place) -> Calls | None:
        found: dict[int, BlockingCall] = {}
        runs_before = False
        seen, waiting = {place}, [place]
        while waiting:
            here = waiting.pop()
            if self._is_startup(here):
                runs_before = True
                continue
            uses = self._uses_of(here)
            if uses is None or len(seen) > MAXIMUM_FUNCTIONS or (not uses and not self._is_never_run(here)):
                return None
            for use in uses:
                if use.moved is not None:
                    found[id(use.moved)] = use.moved
                elif not use.caller[1]:
                    runs_before = True
                elif use.caller not in seen:
                    seen.add(use.caller)
                    waiting.append(use.caller)
        return found if found or runs_before else None

    def _all_above(self, place: Place) -> frozenset[Place] | None:
        """The function and all that call it, directly or through others; None where that is not known."""
        if place not in self._above:
            self._above[place] = self._find_above(place)
        return self._above[place]

    def _find_above(self, place: Place) -> frozenset[Place] | None:
        seen, waiting = {place}, [place]
        while waiting:
            here = waiting.pop()
            uses = self._uses_of(here)
            if uses is None and self._is_entry_point(here):
                uses = tuple(self._find_uses(here))
            if uses is None or len(seen) > MAXIMUM_FUNCTIONS:
                return None
            for use in uses:
                if use.caller[1] and use.caller not in seen:
                    seen.add(use.caller)
                    waiting.append(use.caller)
        return frozenset(seen)

    def _is_entry_point(self, place: Place) -> bool:
        return bool(self.analysis.loop.entry_points.of(self.evaluator.module(place[0]), place[1]))

    def _is_startup(self, place: Place) -> bool:
        module = self.evaluator.module(place[0])
        facts = module.function(place[1])
        points = self.analysis.loop.entry_points.of(module, place[1])
        if any(point.phase is Phase.SERVING for point in points):
            return False
        return self.analysis.loop.where(module, place[1], facts) is Where.STARTUP

    def _uses_of(self, place: Place) -> tuple[_Use, ...] | None:
        """The calls that run the function; None where others may run it too."""
        if place not in self._uses:
            found = None if self._is_called_unseen(place) else tuple(self._find_uses(place))
            self._uses[place] = found
        return self._uses[place]

    def _is_never_run(self, place: Place) -> bool:
        """Whether nothing in the project calls the function or names it, and no base class does."""
        module = self.evaluator.module(place[0])
        facts = module.function(place[1])
        inherits = facts.owner is not None and bool(module.facts.classes[facts.owner].bases)
        return not inherits and self._uses_of(place) == ()

    def _is_called_unseen(self, place: Place) -> bool:
        """Whether a framework, the language or whoever is given the function may call it."""
        module = self.evaluator.module(place[0])
        facts = module.function(place[1])
        special = facts.name.startswith("__") and facts.name != "__init__"
        if special or facts.parent or self._is_entry_point(place):
            return True
        if any(last_name_of not in _PLAIN for last_name_of in map(_decorator, self._decorators(place))):
            return True
        syntax = self.files.syntax(module)
        function = function_at(syntax, facts.position)
        return function is None or self.guards.is_handed_on(syntax, function)

    def _decorators(self, place: Place) -> list[ast.expr]:
        module = self.evaluator.module(place[0])
        function = function_at(self.files.syntax(module), module.function(place[1]).position)
        return function.decorator_list if function is not None else []

    def _find_uses(self, place: Place) -> Iterator[_Use]:
        for module, index, site in self._named(place):
            caller = self.evaluator.frame(module, index)
            callees = [value for value, _ in plain(self.evaluator.calls.callees(caller, site.call))]
            if not callees or any(self._is(value, place) for value in callees):
                yield _Use((module.path, index), self._moved_with(module, index, site))

    def _named(self, place: Place) -> Iterable[tuple[Module, int, Site]]:
        """The calls that may be of the function, by its name; of a constructor, by those of its class."""
        module = self.evaluator.module(place[0])
        facts = module.function(place[1])
        if facts.name != "__init__" or facts.owner is None:
            return self.analysis.project.calls(facts.name)
        names = [module.facts.classes[facts.owner].name, "__init__"]
        return (found for name in names for found in self.analysis.project.calls(name))

    def _is(self, value: object, place: Place) -> bool:
        match value:
            case FunctionReference(module, index):
                return (module, index) == place
            case ClassReference():
                made = self.evaluator.classes.constructors(value)
                return any((one.module, one.function) == place for one in made)
        return False

    def _moved_with(self, module: Module, index: int, site: Site) -> BlockingCall | None:
        """The call of a function with which one of its other calls moves to the pool."""
        place = (module.path, index)
        if place not in self._moved:
            calls = (
                self.analysis.blocking_calls_in(module.path)
                if module.path in self.analysis.loop.paths
                else ()
            )
            ranges = (
                (self._moving(call), call)
                for call in calls
                if (call.frame.module, call.frame.function) == place and is_pooled(call)
            )
            self._moved[place] = tuple((moved, call) for moved, call in ranges if moved is not None)
        node = self.files.syntax(module).at(site.call.position, ast.Call) if self._moved[place] else None
        if node is None:
            return None
        number = self.files.syntax(module).number(node)
        return next((call for moved, call in self._moved[place] if moved.has(number)), None)


def _decorator(node: ast.expr) -> str:
    return last_name(node.func if isinstance(node, ast.Call) else node)


def _is_alias(module: Module, syntax: Syntax, function: Function, place: ast.expr) -> bool:
    """Whether it is a variable of the function, which holds a part of what others have by another name."""
    if not isinstance(place, ast.Name):
        return False
    reaches = Shared(syntax, function, frozenset()).reaches(place.id)
    return not reaches or not any(True for _ in module.bound(0, place.id))


def _is_look(access: Access, changes: Sequence[Change]) -> bool:
    """Whether the use is one look, at what is there as a whole before the change or after it."""
    if any(is_container(change.node) for change in changes):
        return only_looks(access.syntax, access.node)
    return is_read(access)


def _is_counted(syntax: Syntax, changes: Sequence[Change], change: Change) -> bool:
    """Whether all that the function does to the place is to add to it."""
    ours = [one.node for one in changes if one.text == change.text]
    return all(isinstance(syntax.parent(node), ast.AugAssign) for node in ours)
