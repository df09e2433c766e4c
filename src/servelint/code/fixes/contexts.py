"""Whether code that moves to a thread may read context variables: trace ids, callbacks, request ids.

A thread starts with an empty context. It is given a copy unless it is known that nothing below the call reads
it: to copy costs a microsecond.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cached_property

from servelint.code.facts.facts import Call, Site
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.text import policy
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    FunctionReference,
    Instance,
    LazyResult,
    LibraryMethod,
    LibraryObject,
    Partial,
    Value,
    plain,
)

_UNREAD = "unread"


class Contexts:
    """Judges the calls of one project."""

    def __init__(self, analysis: Analysis, reached: Reached) -> None:
        self.analysis = analysis
        self.reached = reached
        self.policy = policy.load()
        self._libraries: dict[str, frozenset[str]] = {}

    def may_read(self, calls: Sequence[BlockingCall], sites: Sequence[Site]) -> bool:
        """Whether what moves may read the context: the blocking calls of a function, and others with them."""
        here, frame = calls[0].caller.module.path, calls[0].frame
        if self._imported(here) & self.policy.context_modules or self._sets_context(here):
            return True
        if not all(self._is_free(call.blocking.library) for call in calls):
            return True
        if not all(self._is_unread(frame, site.call, here) for site in sites):
            return True
        frames = [*self.reached.run(frame, sites, ())]
        frames += (inner for call in calls for inner in self._on_the_way(call))
        for number, inner in enumerate(self.reached.functions(frames)):
            made = self.analysis.evaluator.facts(inner).sites
            if number >= MAXIMUM_FUNCTIONS or not all(self._is_unread(inner, s.call, here) for s in made):
                return True
        return False

    def _on_the_way(self, call: BlockingCall) -> Iterator[Frame]:
        evaluator = self.analysis.evaluator
        for path, index in call.blocking.functions:
            yield evaluator.frame(evaluator.module(path), index)

    def _sets_context(self, path: str) -> bool:
        """Whether the service sets what libraries otherwise not to be minded keep in the context."""
        return bool(self._setting & self.analysis.reach.beside(path))

    @cached_property
    def _setting(self) -> set[str]:
        """The files that call a setter."""
        calls = self.analysis.project.calls
        return {module.path for name in self.policy.context_setters for module, _, _ in calls(name)}

    def _is_unread(self, frame: Frame, made: Call, path: str) -> bool:
        """Whether it is known that the library that a call goes to, if any, reads no context.

        Functions of the project are read by themselves. An object of which nothing is known is of one of the
        libraries of the service, and so is what has been registered as a handler.
        """
        values = [value for value, _ in plain(self.analysis.evaluator.calls.callees(frame, made))]
        if not values or any(map(self._hands_on, values)):
            return all(map(self._is_module_free, self._imported(path)))
        return all(map(self._is_value_free, values))

    def _hands_on(self, value: Value) -> bool:
        name = value.name if isinstance(value, External | ExternalObject) else ""
        return name.partition(".")[0] in self.policy.context_handlers

    def _is_value_free(self, value: Value) -> bool:
        match value:
            case External(name) | ExternalObject(name):
                return self._is_module_free(name.partition(".")[0])
            case LibraryMethod(type=name) | LibraryObject(name):
                known = self.analysis.catalogue.types.get(name)
                return known is not None and self._is_free(known.library)
            case LazyResult(library=library):
                return self._is_free(library)
            case Partial(function=function):
                return self._is_value_free(function)
            case FunctionReference() | ClassReference() | Instance():
                return True
        return False

    def _is_free(self, library: str) -> bool:
        known = self.analysis.catalogue.libraries.get(library)
        return known is not None and known.context.verdict == _UNREAD

    def _is_module_free(self, module: str) -> bool:
        if module in self.policy.context_modules:
            return False
        return module in sys.stdlib_module_names or module in self._free_modules

    @cached_property
    def _free_modules(self) -> frozenset[str]:
        """The top-level modules of which it is known that they read no context."""
        free = (known for known in self.analysis.catalogue.libraries.values() if self._is_free(known.name))
        return self.policy.context_free.union(
            name.partition(".")[0] for known in free for name in known.modules
        )

    def _imported(self, path: str) -> frozenset[str]:
        """The libraries that the files of the service import: all that is loaded together with the file."""
        if path not in self._libraries:
            reach = self.analysis.reach
            self._libraries[path] = frozenset().union(*map(reach.libraries, reach.beside(path)))
        return self._libraries[path]
