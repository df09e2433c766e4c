"""What the analysis knows, in words: values, places, where a function runs."""

from __future__ import annotations

import os

from servelint.code.facts.facts import FunctionFacts
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.loop.bound import Where
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    FunctionReference,
    Generator,
    Guess,
    Instance,
    LazyResult,
    LibraryMethod,
    LibraryObject,
    Literal,
    ModuleReference,
    Offloaded,
    Partial,
    Pending,
    Record,
    State,
    Super,
    Value,
    Values,
)
from servelint.knowledge.types import EntryPoint, SyncRuns


class Words:
    """Words for what one analysis knows."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator

    def place(self, path: str, line: int = 0) -> str:
        """A file, relative to the project, and a line of it."""
        relative = os.path.relpath(path, self.analysis.project.root).replace(os.sep, "/")
        return f"{relative}:{line}" if line else relative

    # -- functions -------------------------------------------------------------------------------

    def where(self, module: Module, index: int, *, endless: bool = False) -> str:
        """Where and when a function runs; `endless` says that what is asked about is done for ever."""
        if not index:
            return "the body of the module runs when it is imported"
        function = module.function(index)
        where = self.analysis.loop.where(module, index, function)
        role, framework = self.analysis.loop.role(module, index, function)
        told = f" ({role}{f' of {framework}' if framework else ''})"
        if where is Where.LOOP:
            return f"{function.qualname} runs on the event loop while serving{told}"
        if where is Where.STARTUP and endless:
            return f"{function.qualname} runs from start-up on{told}, and this part of it while serving"
        if where is Where.STARTUP:
            return f"{function.qualname} runs at start-up or shutdown{told}"
        return self._elsewhere(function, self._threaded(module, index))

    def _threaded(self, module: Module, index: int) -> EntryPoint | None:
        """How a framework comes to run the function in a thread or process; None where none does."""
        points = self.analysis.loop.entry_points.of(module, index)
        return next((point for point in points if point.sync is not SyncRuns.LOOP), None)

    def _elsewhere(self, function: FunctionFacts, point: EntryPoint | None) -> str:
        what = "" if function.is_async else " is no coroutine and no loop-bound callback:"
        if point is not None:
            runs = f"{point.framework} runs it in a {point.sync.value} ({point.role})"
            return f"{function.qualname}{what or ':'} {runs}"
        return f"{function.qualname}{what or ' is no part of what serves:'} it runs where its callers do"

    def is_placed(self, module: Module, index: int) -> bool:
        """Whether it is known where the function runs, whoever calls it."""
        where = self.analysis.loop.where(module, index, module.function(index))
        return where is not Where.ELSEWHERE or self._threaded(module, index) is not None

    def unreported(self, module: Module, index: int) -> str:
        """Why what blocks in a function that is not on the loop while serving is no finding there."""
        if not index:
            return "blocking while a module is imported holds up no request"
        where = self.analysis.loop.where(module, index, module.function(index))
        if where is Where.STARTUP:
            return "blocking at start-up or shutdown holds up no request"
        if self._threaded(module, index) is not None:
            return "it does not hold the event loop there"
        return "what blocks in it is reported where the event loop calls it"

    # -- values ----------------------------------------------------------------------------------

    def values(self, values: Values) -> str:
        """What an expression may be."""
        wider = {value.cls for value in values if isinstance(value, Instance) and not value.exact}
        told = (v for v in values if not (isinstance(v, Instance) and v.exact and v.cls in wider))
        return " or ".join(dict.fromkeys(map(self.value, told))) or "not known"

    def value(self, value: Value) -> str:
        """One of the things that an expression may be."""
        match value:
            case Guess(inner):
                return f"perhaps {self.value(inner)}"
            case External(name):
                return name.removeprefix("builtins.")
            case ExternalObject(name):
                return f"an object of {name.removeprefix('builtins.')}"
            case LibraryObject(type_name):
                return f"an object of {type_name} ({self.analysis.catalogue.types[type_name].library})"
            case LibraryMethod(type_name, method):
                return f"the method {type_name}.{method}"
            case LazyResult(name, library, _):
                return f"the lazy result of {name} ({library})"
            case ModuleReference(path):
                return f"the module {self.place(path)}"
        return self._of_project(value)

    def _of_project(self, value: Value) -> str:
        match value:
            case FunctionReference(path, _, _, _):
                facts = self.evaluator.facts(value)
                place = self.place(path, facts.position.line)
                if facts.is_lambda:
                    return f"the lambda at {place}"
                return f"the {_kind(facts)} {facts.qualname} ({place})"
            case ClassReference(path, _):
                cls = self.evaluator.classes.facts(value)
                return f"the class {cls.qualname} ({self.place(path, cls.position.line)})"
            case Instance(cls, exact):
                named = self.value(cls).removeprefix("the class ")
                return f"an object of {named}{'' if exact else ' or a subclass'}"
            case Super(cls, _):
                return f"super() of {self.value(cls).removeprefix('the class ')}"
            case Record(_, (path, line, _)):
                return f"a record made at {self.place(path, line)}"
            case Literal(frame, _):
                return f"a literal in {self.place(frame.module)}"
            case State():
                return "the application's shared state"
        return self._of_callable(value)

    def _of_callable(self, value: Value) -> str:
        match value:
            case Generator(function, _):
                return f"a generator made by {self.value(function)}"
            case Pending(function, offloaded):
                return f"an awaitable of {self.value(function)}{', offloaded' if offloaded else ''}"
            case Offloaded(function):
                return f"a wrapper that runs {self.value(function)} in another thread"
            case Partial(function, _, _):
                return f"{self.value(function)} with some arguments given"
        return "something else"


def _kind(facts: FunctionFacts) -> str:
    """What kind of function it is, by what a call of it does."""
    if facts.is_generator:
        return "asynchronous generator function" if facts.is_async else "generator function"
    return "coroutine function" if facts.is_async else "function"
