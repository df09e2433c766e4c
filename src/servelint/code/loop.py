"""Which functions run on the event loop while the service serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from servelint.code import evidence
from servelint.code.calls import argument
from servelint.code.evaluate import Evaluator
from servelint.code.facts import Call, Constant, Expression, FunctionFacts, Sequence, Site
from servelint.code.project import Module, last_name
from servelint.code.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    Literal,
    plain,
)
from servelint.knowledge import EntryPoint, Phase, SyncRuns, name_index


class Where(Enum):
    """Where and when a function runs."""

    LOOP = "loop"
    STARTUP = "startup"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class LoopBound:
    """A function whose body runs on the event-loop thread while serving."""

    module: Module
    index: int
    role: str
    framework: str

    @property
    def facts(self) -> FunctionFacts:
        """The function's facts."""
        return self.module.function(self.index)


class Loop:
    """Finds the loop-bound functions of a project."""

    def __init__(
        self,
        evaluator: Evaluator,
        loop_bound: tuple[str, ...] = (),
        startup: tuple[str, ...] = (),
    ) -> None:
        self.evaluator = evaluator
        self.project = evaluator.project
        self.frameworks = evaluator.frameworks
        self.startup_words = evidence.load().startup
        self._own_loop = name_index(loop_bound)
        self._own_startup = name_index(startup)
        self._points: dict[tuple[str, int], list[EntryPoint]] | None = None
        self._phases: dict[tuple[str, int], Where | None] = {}
        self._at_startup: dict[tuple[str, int], bool] = {}
        self._argument_names = frozenset(self.frameworks.arguments.last_names())

    def functions(self) -> Iterator[LoopBound]:
        """The loop-bound functions, in the order of files and lines."""
        for module in self.project.sources():
            for index, function in enumerate(module.facts.functions):
                if index and self.where(module, index, function) is Where.LOOP:
                    role, framework = self.role(module, index, function)
                    yield LoopBound(module, index, role, framework)

    def where(self, module: Module, index: int, function: FunctionFacts) -> Where:
        """Where and when the function runs; sync functions run where their callers do (`ELSEWHERE`)."""
        name = f"{self.project.name_of(module)}.{function.qualname}"
        if self._own_startup.find(name):
            return Where.STARTUP
        if self._own_loop.find(name):
            return Where.LOOP
        points = self.points(module, index)
        if any(point.phase is Phase.STARTUP for point in points):
            return Where.STARTUP
        if function.is_async:
            if any(point.sync is SyncRuns.PROCESS for point in points):
                return Where.ELSEWHERE
            return self.phase(module, index)
        return Where.LOOP if any(point.sync is SyncRuns.LOOP for point in points) else Where.ELSEWHERE

    def role(self, module: Module, index: int, function: FunctionFacts) -> tuple[str, str]:
        """What the function is to its framework, and the framework; `coroutine` where none is known."""
        for point in self.points(module, index):
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
        if any(point.phase is Phase.SERVING for point in self.points(module, index)):
            return Where.LOOP
        callers = list(self._callers(module, index))
        if callers:
            return Where.STARTUP if all(where is not Where.LOOP for where in callers) else Where.LOOP
        return Where.STARTUP if function.name.lstrip("_") in self.startup_words else Where.LOOP

    def _callers(self, module: Module, index: int) -> Iterator[Where]:
        frame = self.evaluator.frame(module, index)
        for caller, call in self.evaluator.calls.call_sites(frame):
            other = self.evaluator.module(caller.module)
            if (other.path, caller.function) == (module.path, index):
                continue
            site = next((s for s in other.function(caller.function).sites if s.call is call), None)
            yield self._caller_phase(other, caller, site)

    def _caller_phase(self, module: Module, caller: Frame, site: Site | None) -> Where:
        if site is not None and site.receiver is not None:
            if last_name(site.receiver) in self.frameworks.background:
                return Where.LOOP
            for value, _ in plain(self.evaluator.evaluate(caller, site.receiver)):
                if isinstance(value, External) and self.frameworks.runs_coroutine.find(value.name):
                    return Where.STARTUP
            if last_name(site.receiver) in self.frameworks.runs_coroutine_methods:
                return Where.STARTUP
        function = module.function(caller.function)
        if not caller.function:
            return Where.STARTUP
        if self._phases.get((module.path, caller.function), Where.LOOP) is None:
            return Where.STARTUP  # a cycle says nothing of its own
        if function.is_async:
            return self.where(module, caller.function, function)
        return Where.LOOP

    # -- preloading ------------------------------------------------------------------------------

    def is_preloaded(self, module: Module, index: int) -> bool:
        """Whether the function loads once (it asks first, or is cached) and start-up has called it."""
        function = module.function(index)
        return self.keeps(function) and self.runs_at_startup(module, index)

    def keeps(self, function: FunctionFacts) -> bool:
        """Whether the function makes its result once: it asks first whether it has one, or is cached."""
        return function.guarded or any(last_name(d) in self.frameworks.caches for d in function.decorators)

    def runs_at_startup(self, module: Module, index: int) -> bool:
        """Whether some call of the function is made at start-up or when a module is imported."""
        key = (module.path, index)
        if key not in self._at_startup:
            self._at_startup[key] = False  # a function that only calls itself is not called at start-up
            sites = self.evaluator.calls.call_sites(self.evaluator.frame(module, index))
            self._at_startup[key] = any(self._is_startup(caller) for caller, _ in sites)
        return self._at_startup[key]

    def _is_startup(self, caller: Frame) -> bool:
        module = self.evaluator.module(caller.module)
        function = module.function(caller.function)
        where = self.where(module, caller.function, function) if caller.function else Where.STARTUP
        if where is Where.ELSEWHERE:
            return self.runs_at_startup(module, caller.function)
        return where is Where.STARTUP

    # -- entry points ----------------------------------------------------------------------------

    def points(self, module: Module, index: int) -> list[EntryPoint]:
        """How frameworks learn of the function."""
        if self._points is None:
            self._points = {}
            for other in self.project.sources():
                self._collect(other)
        return self._points.get((module.path, index), [])

    def _collect(self, module: Module) -> None:
        assert self._points is not None
        for index, function in enumerate(module.facts.functions):
            frame = (
                self.evaluator.frame(module, function.parent or 0)
                if index
                else self.evaluator.frames(module.path, 0)
            )
            for decorator in function.decorators:
                for point in self._decorator_points(frame, decorator):
                    if not point.methods:
                        self._points.setdefault((module.path, index), []).append(point)
            for site in function.sites:
                if last_name(site.call.function) in self._argument_names:
                    self._collect_arguments(self.evaluator.frame(module, index), site.call)
                self._collect_callbacks(module, index, site.call)
        for number, cls in enumerate(module.facts.classes):
            if cls.bases or cls.decorators:
                self._collect_methods(module, number)

    def _decorator_points(self, frame: Frame, decorator: Expression) -> Iterator[EntryPoint]:
        """The entry points that a decorator makes of a function, or of methods of a class."""
        call = decorator if isinstance(decorator, Call) else None
        function = call.function if call is not None else decorator
        for value, _ in plain(self.evaluator.evaluate(frame, function)):
            found = self.frameworks.decorators.find(value.name) if isinstance(value, External) else None
            for point in found or ():
                yield _adjusted(point, call)

    def _collect_arguments(self, frame: Frame, call: Call) -> None:
        for value, _ in plain(self.evaluator.calls.callees(frame, call)):
            for point in (
                self.frameworks.arguments.find(value.name) or () if isinstance(value, External) else ()
            ):
                given = argument(call, point.position, point.keyword)
                if given is not None:
                    self._register(frame, given, _adjusted(point, call))

    def _collect_callbacks(self, module: Module, index: int, call: Call) -> None:
        name = last_name(call.function)
        entry = self.frameworks.on_loop.methods.get(name)
        if entry is None:
            return
        frame, given = self.evaluator.frame(module, index), argument(call, entry.position, entry.keyword)
        callees = plain(self.evaluator.calls.callees(frame, call))
        if given is not None and not any(isinstance(value, FunctionReference) for value, _ in callees):
            self._register(frame, given, _CALLBACK)

    def _register(self, frame: Frame, given: Expression, point: EntryPoint) -> None:
        assert self._points is not None
        for value, _ in plain(self.evaluator.evaluate(frame, given)):
            match value:
                case FunctionReference(path, number):
                    self._points.setdefault((path, number), []).append(point)
                case Instance():
                    for method in self.evaluator.classes.attribute(value, "__call__"):
                        if isinstance(method, FunctionReference):
                            self._points.setdefault((method.module, method.function), []).append(point)
                case Literal(made, Sequence(items)):  # on_startup=[load, warm]
                    for item in items:
                        self._register(made, item, point)

    def _collect_methods(self, module: Module, number: int) -> None:
        assert self._points is not None
        facts = module.facts.classes[number]
        points: list[EntryPoint] = []
        for base in self.evaluator.classes.lineage(ClassReference(module.path, number)):
            if isinstance(base, External):
                points += self.frameworks.subclasses.find(base.name) or ()
        frame = self.evaluator.frames(module.path, facts.parent)
        for decorator in facts.decorators:
            points += self._decorator_points(frame, decorator)
        for point in points:
            for name in point.methods:
                if name in facts.methods:
                    self._points.setdefault((module.path, facts.methods[name]), []).append(point)


_CALLBACK = EntryPoint(
    role="event-loop callback", sync=SyncRuns.LOOP, decorator="asyncio", framework="asyncio"
)


def _adjusted(point: EntryPoint, call: Call | None) -> EntryPoint:
    """The entry point with what its keyword arguments say about where a plain `def` runs."""
    constants = {k: v.value for k, v in call.keywords if isinstance(v, Constant)} if call is not None else {}
    if any(constants.get(key) == value for key, value in point.thread_when.items()):
        return replace(point, sync=SyncRuns.THREAD)
    if any(constants.get(key) == value for key, value in point.loop_when.items()):
        return replace(point, sync=SyncRuns.LOOP)
    return point
