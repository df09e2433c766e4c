"""Whether a request goes to a model: what its address says, where the address can be read."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from servelint.code.facts.facts import Attribute, Call, Choice, Constant, Expression, Name, Text
from servelint.code.names import evidence
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import Frame, Literal, plain

# An address has few parts, and each of them few forms: a default, the one of a test, the one of a stage.
_MAXIMUM_TEXTS = 16
_MAXIMUM_DEPTH = 8


def is_of_model(evaluator: Evaluator, frame: Frame, call: Call) -> bool:
    """Whether an argument of the call is the address of a model (`addresses` of `rules/evidence.yaml`)."""
    reader = _Reader(evaluator)
    given = (*call.arguments, *(value for _, value in call.keywords))
    return any(evidence.is_address(text) for value in given for text in reader.texts(frame, value))


class _Reader:
    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.depth = 0

    def texts(self, frame: Frame, expression: Expression) -> tuple[str, ...]:
        """The texts that an expression may be; what is not known of them is left out."""
        if self.depth >= _MAXIMUM_DEPTH:
            return ()
        self.depth += 1
        found = tuple(dict.fromkeys(self._texts(frame, expression)))
        self.depth -= 1
        return found[:_MAXIMUM_TEXTS]

    def _texts(self, frame: Frame, expression: Expression) -> Iterable[str]:
        match expression:
            case Constant(str(text)):
                return (text,)
            case Constant():
                return ()
            case Text(parts):
                return self._joined(frame, parts)
            case Choice(options):
                return [text for option in options for text in self.texts(frame, option)]
            case Call(function, arguments, _, _):
                # Text comes out of what it goes into: `urljoin(base, path)`, `url.rstrip("/")`.
                receiver = (function.value,) if isinstance(function, Attribute) else ()
                return [*self._held(frame, expression), *self._joined(frame, (*receiver, *arguments))]
            case Name(name):
                return [*self._held(frame, expression), *self._made(frame, name)]
        return self._held(frame, expression)

    def _made(self, frame: Frame, name: str) -> list[str]:
        """The texts that went into what a variable of the function holds: `request = Request(url)`."""
        module = self.evaluator.module(frame.module)
        made = [bound.binding.value for bound in module.bound(frame.function, name)]
        return [text for value in made if isinstance(value, Call) for text in self.texts(frame, value)]

    def _held(self, frame: Frame, expression: Expression) -> list[str]:
        """The texts that a variable or attribute is ever given, or a function of the project returns."""
        values = [value for value, _ in plain(self.evaluator.evaluate(frame, expression))]
        literals = [v for v in values if isinstance(v, Literal) and v.expression != expression]
        return [text for value in literals for text in self.texts(value.frame, value.expression)]

    def _joined(self, frame: Frame, parts: tuple[Expression, ...]) -> list[str]:
        ways = [self.texts(frame, part) or ("",) for part in parts]
        return ["".join(pieces) for _, pieces in zip(range(_MAXIMUM_TEXTS), product(*ways), strict=False)]
