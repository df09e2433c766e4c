"""Which variables of a function outlive it, and which it hands to functions that change what they get.

What a closure keeps outlives the request too, unless the function around it runs for the request as well.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from servelint.code.facts.facts import FunctionFacts, Site, dotted
from servelint.code.fixes.doubts.reached import Reached
from servelint.code.fixes.doubts.shared import Names, Shared
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Function
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import Frame
from servelint.project.text.parsing import unparsed

# A function by its file and index.
Place: TypeAlias = tuple[str, int]


class Sharing:
    """Knows the variables of one project's functions."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached) -> None:
        self.evaluator = analysis.evaluator
        self.files = files
        self.reached = reached
        self._shared: dict[tuple[Function, frozenset[str]], Shared] = {}
        self._changed: dict[Place, frozenset[str]] = {}
        self._met: dict[Place, frozenset[str]] = {}  # what is known so far of those that are asked now

    def of(self, module: Module, function: Function, kept: frozenset[str] = frozenset()) -> Shared:
        """The variables of a function; `kept` are those of functions around it that outlive it."""
        if (function, kept) not in self._shared:
            found = self.files.global_names(module)
            further = kept | self.files.imported_in(module, function)
            names = Names(found.project, further, partial(self.files.gives, module))
            self._shared[function, kept] = Shared(self.files.syntax(module), function, names, found.libraries)
        return self._shared[function, kept]

    def kept(self, place: Place, run: Collection[Place] = ()) -> frozenset[str]:
        """The variables of the functions around one that outlive a request: those of `run` do not."""
        module = self.evaluator.module(place[0])
        found: set[str] = set()
        parent = module.function(place[1]).parent
        while parent:
            facts = module.function(parent)
            function = None if (module.path, parent) in run else self._function(module, facts)
            if function is not None:
                found |= self.of(module, function).own_names
            parent = facts.parent
        return frozenset(found)

    def _function(self, module: Module, facts: FunctionFacts) -> Function | None:
        return function_at(self.files.syntax(module), facts.position)

    # -- what functions are given ----------------------------------------------------------------

    def handed(self, frame: Frame, shared: Shared, sites: Sequence[Site], own: str = "") -> str:
        """Why a call may change what requests share: it hands that to a function that changes it."""
        for site, parameter, given in self._given(frame, shared, sites, self._changes):
            if shared.holds(given, own):
                called = dotted(site.call.function)
                return f"`{called}` changes `{unparsed(given)}` ({parameter}), which requests share"
        return ""

    def _given(
        self,
        frame: Frame,
        shared: Shared,
        sites: Sequence[Site],
        changes: Callable[[Frame], frozenset[str]],
    ) -> Iterator[tuple[Site, str, ast.expr]]:
        """The arguments of calls that the called functions change, with the names of the parameters."""
        for site in sites:
            node: ast.Call | None = None
            for inner in self.reached.called(frame, site.call):
                for name in changes(inner):
                    node = node or shared.syntax.at(site.call.position, ast.Call)
                    facts = self.evaluator.facts(inner)
                    given = _arguments(node, facts, name) if node is not None else ()
                    yield from ((site, name, value) for value in given)

    def _changes(self, frame: Frame) -> frozenset[str]:
        """The parameters whose objects a function changes, or hands on to be changed.

        Functions that call each other are gone through again until no more is found.
        """
        place = (frame.module, frame.function)
        while place not in self._changed:
            before, seen = dict(self._met), set[Place]()
            self._meet(frame, seen)
            if all(self._met[met] == before.get(met) for met in seen):
                self._changed.update((met, self._met.pop(met)) for met in seen)
        return self._changed[place]

    def _meet(self, frame: Frame, seen: set[Place]) -> frozenset[str]:
        """The same, as far as it is known."""
        place = (frame.module, frame.function)
        if place in self._changed:
            return self._changed[place]
        if place not in seen:
            seen.add(place)
            known = self._met.setdefault(place, frozenset())
            module, facts = self.evaluator.module(frame.module), self.evaluator.facts(frame)
            function = self._function(module, facts)
            if function is not None and facts.parameters:
                shared = self.of(module, function)
                changes = partial(self._meet, seen=seen)
                given = self._given(frame, shared, facts.sites, changes)
                handed = [shared.parameters(value) for _, _, value in given]
                self._met[place] = known.union(shared.changed_parameters, *handed)
        return self._met[place]


def _arguments(node: ast.Call, facts: FunctionFacts, name: str) -> Iterator[ast.expr]:
    """What a call gives for a parameter."""
    kind = next((parameter.kind for parameter in facts.parameters if parameter.name == name), "")
    if kind == "*":
        yield from node.args
        return
    yield from (keyword.value for keyword in node.keywords if keyword.arg == name or kind == "**")
    names = [parameter.name for parameter in facts.parameters if parameter.kind == "positional"]
    is_bound = facts.owner is not None and not any(dotted(d) == "staticmethod" for d in facts.decorators)
    number = names.index(name) - is_bound if name in names else -1
    before = node.args[: number + 1]
    if 0 <= number < len(node.args) and not any(isinstance(given, ast.Starred) for given in before):
        yield node.args[number]
