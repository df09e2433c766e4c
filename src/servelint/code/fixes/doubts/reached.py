"""Which functions of the project run with the code that moves, those included that nobody calls by name.

A property runs where it is read, `__getitem__` where an item is asked for, `__enter__` in a `with`, a
generator where it is gone through, a method of the project where a library calls it (`model(x)` runs
`forward`): all that the judgement of what blocks looks into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from servelint.code.facts.facts import Call, Iteration, Operation, Read, Site
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.blocking import Judge
from servelint.code.judge.implicit import implicit
from servelint.code.judge.outcomes import Blocking
from servelint.code.values.values import (
    ClassReference,
    Frame,
    FunctionReference,
    Instance,
    Partial,
    Value,
    plain,
)

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
