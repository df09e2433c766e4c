"""The assignments through which a name or an attribute got its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Binding, Expression, Name
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import (
    ClassReference,
    Frame,
    FunctionReference,
    Instance,
    LibraryMethod,
    ModuleReference,
    State,
    Value,
    plain,
)


class Assigned(NamedTuple):
    """An assignment: its file and line, and the value, None for a mere declaration."""

    path: str
    line: int
    value: Expression | None


class Bindings:
    """Finds the assignments of one project that an expression can have its values from."""

    def __init__(self, analysis: Analysis) -> None:
        self.project = analysis.project
        self.evaluator = analysis.evaluator

    def of(self, frame: Frame, expression: Expression) -> list[Assigned]:
        """The assignments to the name or attribute, in the order of files and lines."""
        match expression:
            case Name(id):
                found = self._of_name(frame, id)
            case Attribute(receiver, name) if self._is_held(frame, expression):
                found = self._of_attribute(frame, receiver, name)
            case _:
                return []
        return sorted(dict.fromkeys(found), key=lambda item: (item.path, item.line))

    def _is_held(self, frame: Frame, expression: Attribute) -> bool:
        """Whether the attribute holds something, and is no method."""
        values = [value for value, _ in plain(self.evaluator.evaluate(frame, expression))]
        return not values or not all(isinstance(v, LibraryMethod | FunctionReference) for v in values)

    def _of_name(self, frame: Frame, name: str) -> Iterator[Assigned]:
        module = self.evaluator.module(frame.module)
        scope: int | None = frame.function
        while scope is not None:
            found = module.bound(scope, name)
            yield from (_assigned(module.path, bound.binding) for bound in found)
            scope = None if found or not scope else module.function(scope).parent or 0

    def _of_attribute(self, frame: Frame, receiver: Expression, name: str) -> Iterator[Assigned]:
        holders = {value for value, _ in plain(self.evaluator.evaluate(frame, receiver))}
        classes = {cls for holder in holders for cls in self._related(holder)}
        for module, bound in self.project.attributes(name):
            target = bound.binding.target
            if isinstance(target, Attribute) and bound.binding.value is not None:
                if State() in holders and self.evaluator.is_state(module, bound.function, target.value):
                    yield _assigned(module.path, bound.binding)
                    continue
                made = self.evaluator.evaluate(self.evaluator.frame(module, bound.function), target.value)
                if any(value in holders or _class_of(value) in classes for value, _ in plain(made)):
                    yield _assigned(module.path, bound.binding)
        yield from self._in_bodies(holders, classes, name)

    def _in_bodies(self, holders: set[Value], classes: set[ClassReference], name: str) -> Iterator[Assigned]:
        """The assignments in the bodies of modules and classes."""
        for cls in classes:
            for binding in self.evaluator.classes.facts(cls).bindings:
                if binding.target == Name(name):
                    yield _assigned(cls.module, binding)
        for holder in holders:
            module = self.project.module(holder.path) if isinstance(holder, ModuleReference) else None
            if module is not None:
                yield from (_assigned(module.path, bound.binding) for bound in module.bound(0, name))

    def _related(self, holder: Value) -> Iterator[ClassReference]:
        """The classes whose methods may bind attributes of the object."""
        cls = _class_of(holder)
        if cls is not None:
            yield from self.evaluator.classes.family(cls)
            for base in self.evaluator.classes.lineage(cls):
                if isinstance(base, ClassReference):
                    yield base


def _class_of(value: Value) -> ClassReference | None:
    match value:
        case Instance(cls, _):
            return cls
        case ClassReference():
            return value
    return None


def _assigned(path: str, binding: Binding) -> Assigned:
    return Assigned(path, binding.line, binding.value)
