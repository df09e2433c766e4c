"""What has to be so for a call to run: what it is done for want of, and what the branches around it ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servelint.code.facts.facts import Constant, Expression, Name, Site
from servelint.code.judge.outcomes import Blocking
from servelint.code.values.values import Frame, FunctionReference
from servelint.knowledge.types import Role

if TYPE_CHECKING:
    from servelint.code.judge.blocking import Judge


class Conditions:
    """The part of the judge that is about when calls run."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.evaluator = judge.evaluator

    def is_usual(self, frame: Frame, site: Site) -> bool:
        """Whether the site runs where nobody asks for anything but what the function does by itself.

        Libraries choose by a parameter among engines, the usual of which often only looks something up. What
        is None by default is there to be given: `Model(weights)`.
        """
        if not site.conditions:
            return True
        facts = self.evaluator.facts(frame)
        defaults = ((p.name, p.default) for p in facts.parameters if p.default != Constant(None))
        usual = {name: default for name, default in defaults if isinstance(default, Constant | Name)}
        bound = {binding.target for binding in facts.bindings}
        told = dict(frame.constants)
        return all(
            one.may_be_met_by(usual[one.name])
            for one in site.conditions
            if one.name in usual
            and one.name not in told
            and Name(one.name) not in bound
            and not frame.argument(one.name)
        )

    def is_set_when_made(self, frame: Frame, lacking: str, found: Blocking) -> bool:
        """Whether the attribute for whose lack the call stands there is loaded by the constructor.

        It must not be emptied anywhere but in what loads it, and what loads it must not be off by default.
        """
        facts, (holder, _, name) = self.evaluator.facts(frame), lacking.partition(".")
        cls = self.evaluator.classes.owner(frame, facts)
        if cls is None or not facts.parameters or facts.parameters[0].name != holder:
            return False
        values = list(self.evaluator.classes.members.bound(cls, name))
        loader = found.functions[:1]
        constructors = self.evaluator.classes.constructors(cls)
        known = (*loader, *((one.module, one.function) for one in constructors))
        if any(_is_empty(value) for where, value in values if where not in known):
            return False
        calls = [value for _, value in values]
        return any(
            site.call in calls or (bool(loader) and inner.functions[:1] == loader)
            for constructor in constructors
            for site, inner in self._loads_in(constructor)
        )

    def _loads_in(self, function: FunctionReference) -> Iterator[tuple[Site, Blocking]]:
        """The loads in the body of a function that are not for want of something, whoever calls it."""
        frame = self.evaluator.frame(self.evaluator.module(function.module), function.function)
        for site in self.evaluator.facts(function).sites:
            unusual = site.lacking or not self.is_usual(frame, site)
            found = None if unusual else self.judge.call(frame, site.call)
            if found is not None and found.role is Role.LOAD:
                yield site, found


def _is_empty(value: Expression | None) -> bool:
    return isinstance(value, Constant) and not value.value
