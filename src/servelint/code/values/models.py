"""Objects of libraries that nobody has catalogued, and that are models by the way in which they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servelint.code.facts.facts import Attribute, Call, Expression, Name, last_name
from servelint.code.names import evidence
from servelint.code.values.values import (
    External,
    ExternalObject,
    Frame,
    Instance,
    LibraryObject,
    Value,
    Values,
    plain,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator


class Models:
    """The part of the evaluation that is about objects that are known to be models, and by nothing else."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.evidence = evidence.load()

    def made(self, called: External, frame: Frame, call: Call, found: Values) -> Values:
        """What a call gives of something that nobody has catalogued: `found`, or a model."""
        if any(not isinstance(value, ExternalObject) for value in found):
            return found
        if called.name.partition(".")[0] in self.evaluator.catalogue.modules:
            return found
        owner, _, last = called.name.rpartition(".")
        if found:
            models = self._is_given_model(frame, call)
            return tuple(
                ExternalObject(v.name, of_model=models) for v in found if isinstance(v, ExternalObject)
            )
        if _is_class(owner):
            moved = self.evidence.moves(call, sure=called.of_model)
            if moved or (last in self.evidence.loads and not self.evidence.is_beside(owner)):
                return (ExternalObject(owner, of_model=True),)
        elif self.evidence.makes_model(last):
            return (ExternalObject(f"{called.name}()", of_model=True),)
        return found

    def _is_given_model(self, frame: Frame, call: Call) -> bool:
        """Whether one of the arguments is a model: `Predictor(build_model())`."""
        given = (*call.arguments, *(value for _, value in call.keywords))
        return any(self._is_model(frame, value) for value in given if self._may_be_model(value))

    def _may_be_model(self, given: Expression) -> bool:
        return isinstance(given, Call) or (
            isinstance(given, Name | Attribute) and self.evidence.is_called(last_name(given))
        )

    def _is_model(self, frame: Frame, given: Expression) -> bool:
        return any(self._runs(value) for value, _ in plain(self.evaluator.evaluate(frame, given)))

    def _runs(self, value: Value) -> bool:
        """Whether a value is a model that runs in this process, and has methods of its own."""
        catalogue = self.evaluator.catalogue
        match value:
            case ExternalObject(_, of_model):
                return of_model
            case LibraryObject(type_name):  # an artefact may be anything
                return catalogue.is_open(type_name) and not catalogue.attribute(type_name, "*")
            case Instance(cls):
                return any(map(catalogue.is_open, self.evaluator.classes.library_types(cls)))
        return False


def _is_class(name: str) -> bool:
    """Whether a qualified name is that of a class or of an object, by how they are spelled."""
    return name.rpartition(".")[2][:1].isupper() or name.endswith("()")
