"""How the bodies of a package are judged: for one question after the other, each within the same bounds."""

from __future__ import annotations

from servelint.code.facts.facts import Call
from servelint.code.judge.analysis import Analysis
from servelint.code.judge.blocking import Judge
from servelint.code.judge.outcomes import Blocking
from servelint.code.values.values import (
    ClassReference,
    Frame,
    FunctionReference,
    LibraryMethod,
    LibraryObject,
    Partial,
    Value,
)

# How many bodies of a package are judged for one question of a check.
MOST_BODIES = 200


class Inside(Judge):
    """Judges bodies of a package for one question, so that no answer depends on what was asked before.

    What the body passes that is asked about is followed in full. What the bodies behind it pass is, as far
    as it can be called or is an object of a library: what else differs from call to call (data, other
    objects of the package) would have the same body judged again for each, and hardly ever decides whether
    it infers.
    """

    def __init__(self, analysis: Analysis, most_bodies: int | None) -> None:
        super().__init__(analysis.evaluator, analysis.reach, of_library=True)
        self.bodies = 0
        self.most_bodies = most_bodies
        self._within = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the question leads to more bodies than are judged for one."""
        return self.most_bodies is not None and self.bodies > self.most_bodies

    def entered(self, function: FunctionReference, frame: Frame, call: Call) -> Frame:
        """The way in which the call enters the function, without what only tells calls apart."""
        found = super().entered(function, frame, call)
        if not found.arguments or self._within <= 1:
            return found
        told = ((name, tuple(filter(_tells, values))) for name, values in found.arguments)
        return self.evaluator.frames(
            function.module,
            function.function,
            tuple((name, values) for name, values in told if values),
            found.parent,
            found.receiver,
            called=found.called,
        )

    def in_body_of(self, frame: Frame) -> Blocking | None:
        """The worst blocking in the body, None where enough bodies have been judged."""
        self.bodies += 1
        if self.is_exhausted:
            return None
        self._within += 1
        try:
            return super().in_body_of(frame)
        finally:
            self._within -= 1


def _tells(value: Value) -> bool:
    """Whether it may decide what a body does: a function that it calls, or an object of a library."""
    return isinstance(value, ClassReference | FunctionReference | LibraryMethod | LibraryObject | Partial)
