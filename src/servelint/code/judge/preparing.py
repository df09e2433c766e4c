"""Whether a call prepares data and does nothing else: it decodes, resizes, resamples.

Such work need not wait for a model, and no model for it. So far as is known: several threads may do all of it
at once, and nothing in it infers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cached_property

from servelint.code.facts.facts import Attribute, Call, Expression, Name, Position, Site, dotted
from servelint.code.graph.reach import Reach
from servelint.code.judge.blocking import Judge
from servelint.code.judge.outcomes import HARMLESS, Blocking, Outcome
from servelint.code.names import evidence
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import External, ExternalObject, Frame, Value, plain
from servelint.knowledge.types import Role


class Preparing(Judge):
    """A judge that sees only what belongs with the predictions: where nobody says, it does."""

    def __init__(self, evaluator: Evaluator, reach: Reach, own_calls: Iterable[str] = ()) -> None:
        super().__init__(evaluator, reach, own_calls)
        self._known: dict[tuple[Frame, Position, bool], bool] = {}

    def only(self, frame: Frame, call: Call | None, blocking: Blocking, site: Site | None = None) -> bool:
        """Whether a call that blocks in that way only prepares; `call` is None where none is written."""
        if blocking.role is not Role.PREPROCESSING or not blocking.thread_safe:
            return False
        if call is None:
            return not blocking.functions
        key = (frame, call.position, site is None)
        if key not in self._known:
            found = self.site(frame, site) if site is not None else self.call(frame, call)
            self._known[key] = found is None
        return self._known[key]

    def call(self, frame: Frame, call: Call, site: Site | None = None) -> Blocking | None:
        """As ever, and what nobody knows may infer."""
        found = super().call(frame, call, site)
        if found is None and frame.module and self._is_strange(frame, call):
            return self._sink(Role.INFERENCE, "", dotted(call.function), frame, call)
        return found

    def _is_strange(self, frame: Frame, call: Call) -> bool:
        """Whether the call is of a package, or of an object, that may hold a model."""
        values = [value for value, _ in plain(self.evaluator.calls.callees(frame, call))]
        if not values:
            return not self._is_of_own(frame, call.function)
        names = (value.name for value in values if isinstance(value, External | ExternalObject))
        return any(
            name.partition(".")[0] not in self._packages and not self._is_catalogued(name) for name in names
        )

    def _is_catalogued(self, name: str) -> bool:
        functions, classes = self.catalogue.functions, self.catalogue.classes
        return (
            functions.find(name) is not None
            or classes.find(name) is not None
            or self.evaluator.calls.class_method(name) is not None
        )

    def _is_of_own(self, frame: Frame, called: Expression) -> bool:
        """Whether it is a method of what the function has in a variable of its own."""
        steps = 0
        while isinstance(called, Attribute):
            called, steps = called.value, steps + 1
        if not isinstance(called, Name):
            return True
        facts = self.evaluator.facts(frame)
        parameters = [parameter.name for parameter in facts.parameters]
        if facts.owner is not None and called.id in parameters[:1]:
            return False
        bound = self.evaluator.module(frame.module).bound(frame.function, called.id)
        return steps > 0 and (called.id in parameters or bool(bound))

    @cached_property
    def _packages(self) -> frozenset[str]:
        known = {name.partition(".")[0] for name in self.catalogue.modules}
        return evidence.load().prepares | sys.stdlib_module_names | known | {"builtins"}

    def outcome(self, value: Value, frame: Frame, call: Call) -> Outcome:
        """As ever, but for what prepares, loads or asks somebody else, if several threads may do it."""
        found = super().outcome(value, frame, call)
        return HARMLESS if found.blocking is not None and _is_beside(found.blocking) else found


def _is_beside(blocking: Blocking) -> bool:
    if blocking.role is Role.LOAD:
        return True
    return blocking.role in (Role.PREPROCESSING, Role.REMOTE) and bool(blocking.thread_safe)
