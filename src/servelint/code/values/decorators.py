"""Functions as their callers see them: what decorators make of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from servelint.code.facts.facts import Attribute, Call, Closure, Expression, Name, last_name
from servelint.code.graph.project import Module
from servelint.code.values.calls import NO_ARGUMENTS
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    Offloaded,
    Partial,
    Value,
    Values,
    plain,
    union,
)

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator

# They choose one of several functions by the type of an argument: what is registered is called as well.
DISPATCHERS = frozenset({"singledispatch", "singledispatchmethod"})


class Decorators:
    """The part of the evaluation that is about decorators."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def decorated(self, frame: Frame, number: int) -> Values:
        """A function as its callers see it, after its decorators."""
        module = self.evaluator.module(frame.module)
        made_in = frame if frame.function and (frame.arguments or frame.parent or frame.receiver) else None
        raw: Values = (FunctionReference(module.path, number, frame=made_in),)
        decorators = module.function(number).decorators
        if not decorators:
            return raw
        key = ("decorated", frame, number)
        return self.evaluator.remembered(key, lambda: self._decorate(frame, raw, decorators)) or raw

    def _decorate(self, frame: Frame, values: Values, decorators: tuple[Expression, ...]) -> Values:
        for decorator in reversed(decorators):
            applied = self.applied(frame, decorator, values)
            if any(self._is_called(v) for v, _ in plain(applied)):
                values = applied
            elif last_name(decorator) in DISPATCHERS:
                values = union((values, *(tuple(self._registered(value)) for value, _ in plain(values))))
        return values

    def _is_called(self, value: Value) -> bool:
        """Whether what a decorator gives is known to be called, or read, in the place of the function."""
        if isinstance(value, Instance):
            return any(self.evaluator.special.method(value, name) for name in ("__call__", "__get__"))
        return isinstance(value, FunctionReference | Offloaded)

    def _registered(self, dispatcher: Value) -> Iterator[Value]:
        """The functions that are registered with one that is chosen by the type of an argument."""
        if not isinstance(dispatcher, FunctionReference):
            return
        facts = self.evaluator.facts(dispatcher)
        for other, thing in self.evaluator.project.decorated("register"):
            used = thing.decorator.function if isinstance(thing.decorator, Call) else thing.decorator
            match used, thing.value:
                case Attribute(Name(id), "register"), Closure(number):
                    function = other.function(number)
                    if other.path == dispatcher.module:
                        ours = id == facts.name and function.owner == facts.owner
                    else:
                        ours = self._imports(other, id, dispatcher.module, facts.name)
                    if ours:
                        yield FunctionReference(other.path, number)

    def _imports(self, module: Module, local: str, path: str, name: str) -> bool:
        """Whether the module has the name of another one under a name of its own."""
        resolve = self.evaluator.project.resolve
        return any(
            item.local == local and item.name == name and resolve(module, item.module, item.level) == path
            for item in module.facts.body.imports
        )

    def applied(self, frame: Frame, decorator: Expression, values: Values) -> Values:
        """What a decorator makes of the values."""
        found: list[Values] = []
        for value, _ in plain(self.evaluator.evaluate(frame, decorator)):
            match value:
                case ClassReference():
                    found.append(self._made(value, values))
                case Instance():
                    methods = self.evaluator.special.method(value, "__call__")
                    found += [self._given(m, values) for m in methods if isinstance(m, FunctionReference)]
                case External(name):
                    entry = self.evaluator.frameworks.offload.names.find(name)
                    if entry is not None and entry.wraps:
                        found.append(tuple(Offloaded(v) for v, _ in plain(values)))
                case FunctionReference():
                    found.append(self._given(value, values))
                case Partial(FunctionReference() as function, arguments, keywords):
                    entered = self._entered(function, (*arguments, values), keywords)
                    found.append(self.evaluator.calls.of_function(function, entered))
        return union(found)

    def _given(self, function: FunctionReference, values: Values) -> Values:
        """What a function makes of what it decorates."""
        return self.evaluator.calls.of_function(function, self._entered(function, (values,)))

    def _entered(
        self,
        function: FunctionReference,
        arguments: tuple[Values, ...],
        keywords: tuple[tuple[str, Values], ...] = (),
    ) -> Frame:
        nowhere = self.evaluator.frames("", 0)
        return self.evaluator.calls.enter(function, nowhere, NO_ARGUMENTS, arguments, keywords)

    def _made(self, cls: ClassReference, values: Values) -> Values:
        """The object that a class makes of a function that it decorates: it holds that and no other."""
        for constructor in self.evaluator.classes.constructors(cls):
            if self.evaluator.facts(constructor).name == "__init__":
                return (Instance(cls, made=self._entered(constructor, (values,))),)
        return ()
