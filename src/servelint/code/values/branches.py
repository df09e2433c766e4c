"""Which branches of a function a call takes, where it passes constants: `ranked(rows, use_model=False)`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servelint.code.facts.facts import Call, Constant, FunctionFacts, Name, Parameter, Position, Site, Spread
from servelint.code.values.values import Frame, FunctionReference

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator


class Branches:
    """The part of the evaluator that is about what branches ask of parameters."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._asked: dict[tuple[str, int], tuple[Parameter, ...]] = {}
        self._sites: dict[tuple[str, int], dict[Position, Site]] = {}

    def constants(
        self, function: FunctionReference, frame: Frame, call: Call, before: int
    ) -> tuple[tuple[str, Constant], ...]:
        """What the call in the frame passes for the parameters that branches of the function ask about.

        Only constants, and nothing where `before` arguments have been given earlier.
        """
        asked = self._asked_about(function)
        if not asked or not frame.module:
            return ()
        given = self._given(function, call, before)
        return tuple((p.name, given[p.name]) for p in asked if p.name in given)

    def _given(self, function: FunctionReference, call: Call, before: int) -> dict[str, Constant]:
        """The constants that parameters are in the call, by name; defaults, where it passes nothing."""
        parameters = self.evaluator.facts(function).parameters
        positional = [p.name for p in parameters if p.kind == "positional"]
        if function.receiver is not None:
            positional = positional[1:]
        passed = dict(zip(positional, call.arguments, strict=False))
        passed.update((key, value) for key, value in call.keywords if key is not None)
        spread = any(isinstance(value, Spread) for value in call.arguments)
        if before or spread or any(key is None for key, _ in call.keywords):
            return {}
        known = {p.name: p.default for p in parameters} | passed
        return {name: value for name, value in known.items() if isinstance(value, Constant)}

    def may_run(self, frame: Frame, site: Site) -> bool:
        """Whether nothing that the frame's call passed keeps the site from running."""
        if not frame.constants or not site.conditions:
            return True
        known = dict(frame.constants)
        return all(one.may_be_met_by(known[one.name]) for one in site.conditions if one.name in known)

    def may_make(self, frame: Frame, call: Call) -> bool:
        """The same of a call that stands in the frame's function."""
        if not frame.constants:
            return True
        key = (frame.module, frame.function)
        if key not in self._sites:
            sites = (site for site in self.evaluator.facts(frame).sites if site.conditions)
            self._sites[key] = {site.call.position: site for site in sites}
        site = self._sites[key].get(call.position)
        return site is None or self.may_run(frame, site)

    def _asked_about(self, function: FunctionReference) -> tuple[Parameter, ...]:
        key = (function.module, function.function)
        if key not in self._asked:
            self._asked[key] = tuple(_asked(self.evaluator.facts(function)))
        return self._asked[key]


def _asked(facts: FunctionFacts) -> Iterator[Parameter]:
    """The parameters of which a branch with a call in it asks what they are, and which nothing else sets."""
    names = {one.name for site in facts.sites for one in site.conditions}
    if names:
        bound = {binding.target.id for binding in facts.bindings if isinstance(binding.target, Name)}
        yield from (p for p in facts.parameters if p.name in names and p.name not in bound)
