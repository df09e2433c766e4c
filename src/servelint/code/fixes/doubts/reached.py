"""Which functions of the project run with the code that moves, those included that nobody calls by name.

A property runs where it is read, `__getitem__` where an item is asked for, `__enter__` in a `with`, a
generator where it is gone through, a method of the project where a library calls it (`model(x)` runs
`forward`): all that the judgement of what blocks looks into. And why one thread alone should run them: they
use what several must not use at once, or would both load or write something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Entered,
    Expression,
    Iteration,
    Name,
    Operation,
    Read,
    Site,
)
from servelint.code.fixes.doubts import paths
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.blocking import Judge
from servelint.code.judge.implicit import implicit
from servelint.code.judge.outcomes import Blocking
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    FunctionReference,
    Instance,
    Partial,
    Value,
    plain,
)
from servelint.knowledge.types import Role

# How many functions below the call are read; more are taken for "may do anything".
MAXIMUM_FUNCTIONS = 200


class _Looking(Judge):
    """A judge that says of no function what it does, but notes which ones it would have to look into."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__(analysis.evaluator, analysis.reach)
        self.noted: list[Frame] = []

    def summary(self, frame: Frame) -> Blocking | None:
        """Note the function."""
        self.noted.append(frame)
        return None

    def looked_into(self, look: Callable[[], object]) -> list[Frame]:
        """The functions that it looks into for an answer."""
        self.noted = []
        look()
        return self.noted

    def beside(self, frame: Frame, site: Site) -> None:
        """Look at what the language does beside the call at the site."""
        self._implied(frame, site, streamed=False)


class Reached:
    """Finds the functions in one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.evaluator = analysis.evaluator
        self._looking = _Looking(analysis)
        self._below: dict[tuple[Frame, ...], tuple[Frame, ...]] = {}
        self._inside: dict[Frame, tuple[Frame, ...]] = {}

    def functions(self, frames: Iterable[Frame]) -> tuple[Frame, ...]:
        """The functions and those that they run, one time each, to one more than the maximum."""
        key = tuple(frames)
        if key not in self._below:
            self._below[key] = tuple(self._all_below(key))
        return self._below[key]

    def _all_below(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        seen: set[tuple[str, int]] = set()
        waiting = list(frames)
        while waiting and len(seen) <= MAXIMUM_FUNCTIONS:
            inner = waiting.pop()
            key = (inner.module, inner.function)
            if key in seen:
                continue
            seen.add(key)
            yield inner
            waiting += self._run_by(inner)

    def _run_by(self, frame: Frame) -> tuple[Frame, ...]:
        if frame not in self._inside:
            facts = self.evaluator.facts(frame)
            self._inside[frame] = tuple(self.run(frame, facts.sites, implicit(facts)))
        return self._inside[frame]

    def run(
        self, frame: Frame, sites: Iterable[Site], subjects: Iterable[Iteration | Read | Operation]
    ) -> Iterator[Frame]:
        """The functions that calls run, and what the language calls by itself."""
        for site in sites:
            yield from self.called(frame, site.call)
            yield from self._looking.looked_into(partial(self._looking.beside, frame, site))
        for subject in subjects:
            yield from self._looking.looked_into(partial(self._looking.implicit.of, frame, subject))

    def called(self, frame: Frame, made: Call) -> Iterator[Frame]:
        """The functions that a call runs."""
        for value, _ in plain(self.evaluator.calls.callees(frame, made)):
            yield from self._entered(value, frame, made)
        yield from self._looking.looked_into(partial(self._looking.call, frame, made))

    def _entered(self, value: Value, frame: Frame, made: Call) -> Iterator[Frame]:
        calls, classes = self.evaluator.calls, self.evaluator.classes
        match value:
            case FunctionReference():
                yield calls.enter(value, frame, made)
            case ClassReference():
                for constructor in classes.constructors(value):
                    yield calls.enter(constructor, frame, made)
            case Instance():
                for method in classes.attribute(value, "__call__"):
                    if isinstance(method, FunctionReference):
                        yield calls.enter(method, frame, made)
            case Partial(function=FunctionReference() as function):
                yield calls.enter(function, frame, made)


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
        facts = self.evaluator.facts(frame)
        called = list(self._names(frame, made))
        if self.analysis.preloads.is_cached(facts):  # what it makes is every caller's
            called += [f"{name}.*" for name in called]
        name = next((name for name in called if self.policy.not_for_threads.find(name)), "")
        if not name or is_made_here(self.evaluator, frame, _root(made.function)):
            return ""
        return f"`{facts.qualname}` calls `{name.removesuffix('.*')}`, which two threads must not do at once"

    def _names(self, frame: Frame, made: Call) -> Iterator[str]:
        """What is called, by names of libraries: methods of what their functions give have them too."""
        evaluator = self.evaluator
        callees = list(plain(evaluator.calls.callees(frame, made)))
        yield from (value.name for value, _ in callees if isinstance(value, External))
        if isinstance(made.function, Attribute) and not callees:
            held = plain(evaluator.evaluate(frame, _root(made.function)))
            names = [value.name for value, _ in held if isinstance(value, External | ExternalObject)]
            names += self._makers(frame, _root(made.function))
            yield from (f"{name}.{made.function.name}" for name in names)

    def _makers(self, frame: Frame, held: Expression) -> Iterator[str]:
        """The functions of libraries that make what a global of the file holds."""
        module = self.evaluator.module(frame.module)
        if not isinstance(held, Name) or module.bound(frame.function, held.id):
            return
        for bound in module.bound(0, held.id):
            value = bound.binding.value
            if isinstance(value, Call):
                there = self.evaluator.frame(module, bound.function)
                called = plain(self.evaluator.calls.callees(there, value))
                yield from (one.name for one, _ in called if isinstance(one, External))

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


def _root(called: Expression) -> Expression:
    """The variable with which the way to what is called begins, if there is one."""
    while isinstance(called, Attribute):
        called = called.value
    return called
