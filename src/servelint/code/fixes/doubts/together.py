"""Why only one thread should run some code: what several must not use at once, or would both load or write.

@lru_cache
def get_database() -> supabase.Client:
    ...

def found(number):       # two requests, two threads, one connection
    return get_database().table("scans").select("*").eq("id", number).execute()
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from servelint.code.facts.facts import Attribute, Call, Entered, Expression, Site
from servelint.code.fixes.doubts import paths
from servelint.code.fixes.doubts.reached import Reached
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.judge.analysis import Analysis
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import External, Frame, LibraryMethod, Value, plain
from servelint.knowledge.types import Role


class Together:
    """Judges what threads of one project run at once."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator
        self.files = files
        self.reached = reached
        self.policy = policy.load()
        self._alone: dict[Frame, str] = {}
        self._functions: dict[Frame, str] = {}

    def doubt(self, frame: Frame, sites: Sequence[Site], frames: Iterable[Frame], workers: int | None) -> str:
        """Why one thread alone should make these calls of a function, and run what they come to; or empty."""
        if workers == 1:
            return ""
        inner = tuple(frames)
        return (
            next((r for site in sites if (r := self._of_call(frame, site.call))), "")
            or self.of_one_thread(inner)
            or next((r for one in self.reached.functions(inner) if (r := self._of_function(one))), "")
        )

    def of_one_thread(self, frames: Iterable[Frame]) -> str:
        """What these functions and those that they run use, and two threads must not at once; or empty."""
        return next((r for one in self.reached.functions(frames) if (r := self._of_sites(one))), "")

    def _of_sites(self, frame: Frame) -> str:
        if frame not in self._alone:
            sites = self.evaluator.facts(frame).sites
            self._alone[frame] = next((r for site in sites if (r := self._of_call(frame, site.call))), "")
        return self._alone[frame]

    def _of_call(self, frame: Frame, made: Call) -> str:
        callees = plain(self.evaluator.calls.callees(frame, made))
        names = (_name(value) for value, _ in callees)
        name = next((name for name in names if self.policy.not_for_threads.find(name)), "")
        if not name or is_made_here(self.evaluator, frame, _root(made.function)):
            return ""
        qualname = self.evaluator.facts(frame).qualname
        return f"`{qualname}` calls `{name}`, which two threads must not do at once"

    def _of_function(self, frame: Frame) -> str:
        if frame not in self._functions:
            self._functions[frame] = self._loads_or_writes(frame)
        return self._functions[frame]

    def _loads_or_writes(self, frame: Frame) -> str:
        facts = self.evaluator.facts(frame)
        if self.analysis.preloads.is_cached(facts) and self._loads_later(frame):
            return f"`{facts.qualname}` loads at its first use, which two threads may both do"
        syntax = self.files.syntax(self.evaluator.module(frame.module))
        function = function_at(syntax, facts.position)
        if function is None:
            return ""
        path = paths.written_below(syntax, function)
        if path:
            return f"`{facts.qualname}` writes `{path}`, and two threads may both do that"
        path = paths.looked_for(syntax, function)
        if path:
            return f"`{facts.qualname}` looks for `{path}` and writes it, and two threads may both do that"
        return ""

    def _loads_later(self, frame: Frame) -> bool:
        blocking = self.analysis.judge.summary(frame)
        if blocking is None or blocking.role is not Role.LOAD:
            return False
        functions = ((frame.module, frame.function), *blocking.functions)
        return self.analysis.preloaded(replace(blocking, functions=functions)) is None


def is_made_here(evaluator: Evaluator, frame: Frame, expression: Expression) -> bool:
    """Whether the function itself makes the object, in the thread in which it uses it."""
    made = [b.value for b in evaluator.facts(frame).bindings if b.target == expression]
    opened = [v.value if isinstance(v, Entered) else v for v in made]
    return bool(made) and all(
        isinstance(value, Call)
        and any(isinstance(v, External) for v, _ in plain(evaluator.calls.callees(frame, value)))
        for value in opened
    )


def _name(called: Value) -> str:
    """The name by which data knows what is called; empty for what belongs to the project."""
    match called:
        case External(name=name):
            return name
        case LibraryMethod(type=owner, method=method):
            return f"{owner}.{method}"
    return ""


def _root(called: Expression) -> Expression:
    """The variable with which the way to what is called begins, if there is one."""
    while isinstance(called, Attribute):
        called = called.value
    return called
