"""Which functions run on the event loop while the service serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from servelint.code.facts import scan
from servelint.code.facts.facts import (
    Attribute,
    Call,
    Expression,
    FunctionFacts,
    Name,
    Parameter,
    Site,
    dotted,
    last_name,
)
from servelint.code.graph.project import Module
from servelint.code.graph.reach import Reach
from servelint.code.loop.entrypoints import EntryPoints
from servelint.code.loop.handed import Handed
from servelint.code.loop.threads import Threads
from servelint.code.names import evidence
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import (
    External,
    ExternalObject,
    Frame,
    FunctionReference,
    plain,
)
from servelint.knowledge.types import Phase, SyncRuns, name_index


class Where(Enum):
    """Where and when a function runs."""

    LOOP = "loop"
    STARTUP = "startup"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class LoopBound:
    """A function whose body may run on the event-loop thread while serving."""

    module: Module
    index: int
    loop: Loop

    @property
    def facts(self) -> FunctionFacts:
        """The function's facts."""
        return self.module.function(self.index)

    @property
    def serves(self) -> bool:
        """Whether it runs there, and not at start-up only."""
        return self.loop.where(self.module, self.index, self.facts) is Where.LOOP

    def serves_in(self, *, endless: bool) -> bool:
        """Whether what stands in it runs while serving: what start-up does for ever is serving."""
        where = self.loop.where(self.module, self.index, self.facts)
        return where is Where.LOOP or (endless and where is Where.STARTUP)

    @property
    def role(self) -> str:
        """What the function is to its framework; `coroutine` where none is known."""
        return self.loop.role(self.module, self.index, self.facts)[0]

    @property
    def framework(self) -> str:
        """The framework, empty where none is known."""
        return self.loop.role(self.module, self.index, self.facts)[1]


_IS_MAIN = b"__main__"


class Loop:
    """Finds the loop-bound functions of a project."""

    def __init__(
        self,
        evaluator: Evaluator,
        reach: Reach,
        loop_bound: tuple[str, ...] = (),
        startup: tuple[str, ...] = (),
    ) -> None:
        self.evaluator = evaluator
        self.reach = reach
        self.entry_points = EntryPoints(evaluator, reach)
        self.threads = Threads(evaluator)
        self.handed = Handed(evaluator, reach)
        self.project = evaluator.project
        self.frameworks = evaluator.frameworks
        self.startup_words = evidence.load().startup
        self.startup_events = evidence.load().startup_events
        self._own_loop = name_index(loop_bound)
        self._own_startup = name_index(startup)
        self._phases: dict[tuple[str, int], Where | None] = {}
        self._scripts: dict[str, bool] = {}
        self._serving_calls = evidence.load().serving
        self._commands = evidence.load().commands
        self._at_startup: dict[tuple[str, int], bool] = {}
        self._below: dict[tuple[str, int], bool] = {}
        self._running: dict[tuple[str, int], bool] = {}

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files that can have functions that a framework or the event loop calls, sorted."""
        registered = (path for path, _ in self.entry_points.registered())
        return tuple(sorted(self._served.union(registered)))

    def candidates(self, path: str) -> Iterator[LoopBound]:
        """The functions of a file that may be loop-bound, in the order of lines; `serves` decides."""
        for module, index, function in self.called_from_outside(path):
            if self._may_run(module, index, function):
                yield LoopBound(module, index, self)

    def called_from_outside(self, path: str) -> Iterator[tuple[Module, int, FunctionFacts]]:
        """The functions of a file that a framework or the event loop may call, in the order of lines."""
        module = self.project.module(path)
        if module is None:
            return
        registered = self.entry_points.registered()
        for index, function in enumerate(module.facts.functions):
            if index and (path in self._served or (path, index) in registered):
                yield module, index, function

    @cached_property
    def _served(self) -> frozenset[str]:
        return frozenset(self.reach.served)

    def _may_run(self, module: Module, index: int, function: FunctionFacts) -> bool:
        if function.is_async or self._own_loop.find(self._name(module, function)):
            return True
        return any(point.sync is SyncRuns.LOOP for point in self.entry_points.of(module, index))

    def _name(self, module: Module, function: FunctionFacts) -> str:
        return f"{self.project.name_of(module)}.{function.qualname}"

    def where(self, module: Module, index: int, function: FunctionFacts) -> Where:
        """Where and when the function runs; sync functions run where their callers do (`ELSEWHERE`)."""
        name = self._name(module, function)
        if self._own_startup.find(name):
            return Where.STARTUP
        if self._own_loop.find(name):
            return Where.LOOP
        points = self.entry_points.of(module, index)
        if any(point.phase is Phase.STARTUP for point in points):
            return Where.STARTUP
        if function.is_async:
            if any(point.sync is SyncRuns.PROCESS for point in points):
                return Where.ELSEWHERE
            return self.phase(module, index)
        return Where.LOOP if any(point.sync is SyncRuns.LOOP for point in points) else Where.ELSEWHERE

    def role(self, module: Module, index: int, function: FunctionFacts) -> tuple[str, str]:
        """What the function is to its framework, and the framework; `coroutine` where none is known."""
        for point in self.entry_points.of(module, index):
            return point.role, point.framework
        return ("coroutine" if function.is_async else "callback"), ""

    # -- phases of coroutines --------------------------------------------------------------------

    def phase(self, module: Module, index: int) -> Where:
        """Whether a coroutine function runs at start-up only, judged by who calls it."""
        key = (module.path, index)
        if key not in self._phases:
            self._phases[key] = None
            self._phases[key] = self._phase(module, index)
        return self._phases[key] or Where.LOOP

    def _phase(self, module: Module, index: int) -> Where:
        function = module.function(index)
        told_once = function.name in self.startup_events
        if not told_once and any(p.phase is Phase.SERVING for p in self.entry_points.of(module, index)):
            return Where.LOOP
        by_name = function.name.lstrip("_") in self.startup_words and not _is_asked(function)
        found: set[Where] = set()
        for where, caller in self._callers(module, index):
            # Of a caller that nobody calls nothing is known; of this one its name says when it runs.
            if where is Where.LOOP and not (by_name and self._is_unknown(caller)):
                return Where.LOOP
            found.add(where)
        if found == {Where.ELSEWHERE}:
            return Where.ELSEWHERE
        return Where.STARTUP if found or by_name or self._is_script(module) else Where.LOOP

    def _is_script(self, module: Module) -> bool:
        """Whether the file is a program that ends: nothing imports it, serves in it or waits for ever."""
        path = module.path
        if path not in self._scripts:
            called = self.reach.words(path, scan.called)
            self._scripts[path] = (
                "run" in called
                and _IS_MAIN in self.reach.graph.read(path)
                and called.isdisjoint(self._serving_calls)
                and not self.reach.importers(path)
                and not any(_stays(function) for function in module.facts.functions)
                and not any(
                    self.entry_points.of(module, index) or self._is_handed_over(module, function)
                    for index, function in enumerate(module.facts.functions)
                )
            )
        return self._scripts[path]

    def _is_handed_over(self, module: Module, function: FunctionFacts) -> bool:
        """Whether a decorator gives the coroutine function to an object of an unknown class: `@bot.on`."""
        if not function.is_async:
            return False
        frame = self.evaluator.frame(module, function.parent or 0)
        called = (d.function if isinstance(d, Call) else d for d in function.decorators)
        return any(
            isinstance(decorator, Attribute)
            and decorator.name not in self._commands
            and any(
                isinstance(v, ExternalObject)
                for v, _ in plain(self.evaluator.evaluate(frame, decorator.value))
            )
            for decorator in called
        )

    def _is_unknown(self, caller: Frame) -> bool:
        """Whether nothing says what calls the coroutine function: no framework and no code."""
        module = self.evaluator.module(caller.module)
        function = module.function(caller.function)
        if not function.is_async or self.entry_points.of(module, caller.function):
            return False
        if self._own_loop.find(self._name(module, function)):
            return False
        frame = self.evaluator.frame(module, caller.function)
        return not self.evaluator.callers.is_called(frame)

    def _callers(self, module: Module, index: int) -> Iterator[tuple[Where, Frame]]:
        frame = self.evaluator.frame(module, index)
        for caller, call in self.evaluator.callers.call_sites(frame):
            other = self.evaluator.module(caller.module)
            if (other.path, caller.function) == (module.path, index):
                continue
            site = next((s for s in other.function(caller.function).sites if s.call is call), None)
            if other.function(caller.function).demo and other is module:
                continue  # the file shows how it is used: that is not all the use there is
            yield self._caller_phase(other, caller, site), caller
        for caller, site in self._wrapping(module, index):
            yield self._caller_phase(self.evaluator.module(caller.module), caller, site), caller

    def _wrapping(self, module: Module, index: int) -> Iterator[tuple[Frame, Site]]:
        """The calls of what a decorator of the project is given, in what it puts in the place of that."""
        function = module.function(index)
        outside = self.evaluator.frame(module, function.parent or 0)
        for decorator in function.decorators:
            made = decorator.function if isinstance(decorator, Call) else decorator
            for value, _ in plain(self.evaluator.evaluate(outside, made)):
                if isinstance(value, FunctionReference):
                    other = self.evaluator.module(value.module)
                    given = {p.name for p in _parameters(other, value.function)}
                    for number in _inside(other, value.function):
                        sites = other.function(number).sites
                        frame = self.evaluator.frame(other, number)
                        yield from ((frame, s) for s in sites if dotted(s.call.function) in given)

    def _caller_phase(self, module: Module, caller: Frame, site: Site | None) -> Where:
        if site is not None and site.receiver is not None:
            if last_name(site.receiver) in self.frameworks.background:
                return Where.LOOP
            if self.runs_coroutine(caller, site.receiver):
                # A thread that runs a loop of its own holds up nobody but itself.
                private = self.threads.starts(module, caller.function)
                return Where.ELSEWHERE if private else Where.STARTUP
        function = module.function(caller.function)
        if not caller.function or function.demo:
            return Where.STARTUP
        if self._phases.get((module.path, caller.function), Where.LOOP) is None:
            return Where.STARTUP  # a cycle says nothing of its own
        where = self.where(module, caller.function, function)
        if site is not None and site.endless and (where is not Where.ELSEWHERE or not function.is_async):
            return Where.LOOP
        # Where a plain function runs is not known, unless start-up has it: `lifespan=lambda app: load(app)`.
        return where if function.is_async or where is Where.STARTUP else Where.LOOP

    def runs_coroutine(self, caller: Frame, receiver: Expression) -> bool:
        """Whether what is given a coroutine runs it to its end, on a loop of its own.

        So may a function of the project that hands on what it is given: `def run(f): asyncio.run(f)`.
        """
        if self._runs_outright(caller, receiver):
            return True
        values = plain(self.evaluator.evaluate(caller, receiver))
        return any(isinstance(v, FunctionReference) and self._runs_given(v) for v, _ in values)

    def _runs_outright(self, caller: Frame, receiver: Expression) -> bool:
        values = plain(self.evaluator.evaluate(caller, receiver))
        runs = self.frameworks.runs_coroutine
        if any(isinstance(value, External) and runs.find(value.name) for value, _ in values):
            return True
        return last_name(receiver) in self.frameworks.runs_coroutine_methods

    def _runs_given(self, function: FunctionReference) -> bool:
        key = (function.module, function.function)
        if key not in self._running:
            module = self.evaluator.module(function.module)
            frame, facts = self.evaluator.frame(module, function.function), module.function(function.function)
            given = {parameter.name for parameter in facts.parameters}
            self._running[key] = not facts.is_async and any(
                any(isinstance(one, Name) and one.id in given for one in site.call.arguments)
                and self._runs_outright(frame, site.call.function)
                for site in facts.sites
            )
        return self._running[key]

    def is_called_on_loop(self, module: Module, index: int) -> bool:
        """Whether a function that serves on the loop calls the plain function, directly or through others."""
        key = (module.path, index)
        if key not in self._below:
            self._below[key] = False  # a function that only calls itself is not called at all
            sites = self.evaluator.callers.call_sites(self.evaluator.frame(module, index))
            self._below[key] = any(self._is_on_loop(caller) for caller, _ in sites)
        return self._below[key]

    def _is_on_loop(self, caller: Frame) -> bool:
        module = self.evaluator.module(caller.module)
        function = module.function(caller.function)
        if not caller.function or function.demo or function.is_generator:
            return False
        where = self.where(module, caller.function, function)
        if where is Where.ELSEWHERE and not function.is_async:
            return self.is_called_on_loop(module, caller.function)
        return where is Where.LOOP and module.path in self.paths

    # -- start-up -------------------------------------------------------------------------------

    def runs_at_startup(self, module: Module, index: int) -> bool:
        """Whether the function is run at start-up or when a module is imported, there or in a thread."""
        key = (module.path, index)
        if key not in self._at_startup:
            self._at_startup[key] = False  # a function that only calls itself is not called at start-up
            self._at_startup[key] = any(self.is_startup(caller) for caller, _ in self.runs(module, index))
        return self._at_startup[key]

    def runs(self, module: Module, index: int) -> Iterator[tuple[Frame, Call]]:
        """What runs the function, on whatever thread: the calls of it, with the frames that make them."""
        yield from self.evaluator.callers.call_sites(self.evaluator.frame(module, index))
        yield from self.handed.calls(module, index)

    def is_startup(self, caller: Frame) -> bool:
        """Whether what the frame's function does is done at start-up."""
        module = self.evaluator.module(caller.module)
        function = module.function(caller.function)
        if _is_application(function):
            return True
        where = self.where(module, caller.function, function) if caller.function else Where.STARTUP
        if where is Where.ELSEWHERE:
            return self.runs_at_startup(module, caller.function)
        return where is Where.STARTUP


def _inside(module: Module, index: int) -> Iterator[int]:
    """The functions that are defined in a function, or in these."""
    inside = {index}
    for number, function in enumerate(module.facts.functions):
        if function.parent in inside and number:
            inside.add(number)
            yield number


def _parameters(module: Module, index: int) -> Iterator[Parameter]:
    """The first parameters of a decorator, and of what it makes if it makes the decorator."""
    for number in (index, *_inside(module, index)):
        yield from module.function(number).own_parameters[:1]


def _stays(function: FunctionFacts) -> bool:
    """Whether the function goes on for ever, or shows how a file is used that serves elsewhere."""
    return function.demo or any(site.endless for site in function.sites)


def _is_application(function: FunctionFacts) -> bool:
    """Whether servers call the function for start-up first, with the scope `lifespan`.

    Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html
    """
    return tuple(p.name for p in function.parameters[-3:]) == ("scope", "receive", "send")


def _is_asked(function: FunctionFacts) -> bool:
    """Whether a function that loads is told what to load: that is an operation, not start-up."""
    needed = [p for p in function.own_parameters if p.default is None and p.kind in ("positional", "keyword")]
    return bool(needed) and "load" in evidence.split(function.name)
