"""What start-up has loaded before the first request: who asks for it then loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Expression,
    FunctionFacts,
    Name,
    Operated,
    Position,
    Site,
    Subscript,
    last_name,
)
from servelint.code.graph.project import Module
from servelint.code.loop.bound import Loop, Where
from servelint.code.loop.keys import Chosen, Key, Keys, holders, keyed_by
from servelint.code.values.values import ClassReference, Frame, FunctionReference, plain

_NOTHING = Constant(None)
_FORGETTING = frozenset({"pop", "popitem", "clear"})


class Entered(NamedTuple):
    """A function on the way to what blocks, and where the call stands that enters it."""

    module: Module
    number: int
    path: str
    position: Position

    @property
    def function(self) -> FunctionFacts:
        """The function's facts."""
        return self.module.function(self.number)


class Preloads:
    """Finds what is loaded once, and when."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.evaluator = loop.evaluator
        self.frameworks = loop.frameworks
        self.keys = Keys(loop.evaluator, loop.entry_points)
        self._emptied: dict[tuple[str, int], frozenset[str]] = {}
        self._loaded: dict[tuple[str, int, str], tuple[frozenset[Key], frozenset[Key]]] = {}

    def first(self, way: Sequence[Entered]) -> Entered | None:
        """The first function on the way that loads once, and that start-up has called; None for none.

        Of one that is told what to load, for something else than start-up, the rest of the way is run; what
        takes no arguments is the same for all.
        """
        another = False
        for entered in way:
            function = entered.function
            if another and (function.parameters or function.owner is not None):
                continue
            if self._is_preloaded(entered.module, entered.number) and not self._is_emptied_before(entered):
                if not self._is_another(entered):
                    return entered
                another = True
        return None

    def keeps(self, function: FunctionFacts) -> bool:
        """Whether the function makes its result once: it asks first whether it has one, or is cached."""
        return function.guarded or self.is_cached(function)

    def is_cached(self, function: FunctionFacts) -> bool:
        """Whether a decorator keeps what the function gives."""
        return any(last_name(decorator) in self.frameworks.caches for decorator in function.decorators)

    # -- keys ------------------------------------------------------------------------------------

    def _is_another(self, entered: Entered) -> bool:
        """Whether the function is asked for something else than start-up has asked it for."""
        function = entered.function
        names = [p.name for p in function.own_parameters] if self.is_cached(function) else keyed_by(function)
        return any(self._differs(entered, name) for name in names)

    def _differs(self, entered: Entered, name: str) -> bool:
        function = entered.function
        asked = self._asked(entered, name)
        loaded, ones = self._loaded_at_startup(entered, name)
        if Chosen.EACH in loaded or (asked and asked <= loaded and Chosen.UNKNOWN not in asked):
            return False
        if Chosen.REQUEST in asked:
            return not _are_all(asked, ones)
        if all(isinstance(key, Constant) for key in (*asked, *loaded)):
            return bool(asked)
        return not self.keeps(function)

    def _loaded_at_startup(self, entered: Entered, name: str) -> tuple[frozenset[Key], frozenset[Key]]:
        """What start-up passes for the parameter, and of that what it passes alone."""
        key = (entered.module.path, entered.number, name)
        if key not in self._loaded:
            loaded: set[Key] = set()
            ones: set[Key] = set()
            for starting, call in self.loop.runs(entered.module, entered.number):
                if self.loop.is_startup(starting):
                    given = self.keys.passed(name, entered.function, starting, call)
                    loaded |= given
                    ones |= given if len(given) == 1 else set()
            if Chosen.REQUEST in loaded:
                loaded = {*loaded, Chosen.UNKNOWN} - {Chosen.REQUEST}
            self._loaded[key] = frozenset(loaded), frozenset(ones)
        return self._loaded[key]

    def _asked(self, entered: Entered, name: str) -> set[Key]:
        """What the call on the way passes for the parameter."""
        index, site = self._entering(entered)
        if site is None:
            return {Chosen.UNKNOWN}
        frame = self.evaluator.frame(self.evaluator.module(entered.path), index)
        return self.keys.passed(name, entered.function, frame, site.call)

    def _entering(self, entered: Entered) -> tuple[int, Site | None]:
        """The call on the way that enters the function, and the number of the function that makes it."""
        module, function = self.evaluator.module(entered.path), entered.function
        names = [function.name]
        if function.owner is not None and function.name in ("__new__", "__init__"):
            names.append(entered.module.facts.classes[function.owner].name)
        for name in names:
            for index, site in module.calls(name):
                if site.call.position == entered.position:
                    return index, site
        return 0, None

    # -- once ------------------------------------------------------------------------------------

    def _is_preloaded(self, module: Module, index: int) -> bool:
        """Whether the function loads once (it asks first, or is cached) and start-up has called it."""
        function = module.function(index)
        if function.owner is not None and self._is_only_one(ClassReference(module.path, function.owner)):
            return self.loop.runs_at_startup(module, index)
        return (
            (self.keeps(function) or bool(keyed_by(function)))
            and (self.loop.runs_at_startup(module, index) or self._is_set_at_startup(module, function))
            and not self._is_made_anew(module, function)
            and not self._is_dropped(module, function)
        )

    def _is_dropped(self, module: Module, function: FunctionFacts) -> bool:
        """Whether the service forgets, while it serves, the global or the things that the function keeps."""
        kept = set(holders(function))
        return any(
            self._is_used(module, index, other)
            for index, other in enumerate(module.facts.functions)
            if index
            if (other is not function and _empties(other, function))
            or (other.owner == function.owner and _removes_from(other, kept))
        )

    def _is_emptied_before(self, entered: Entered) -> bool:
        """Whether the method that calls it has set the attribute to None in which the load is kept.

        So does what switches to another model: `self.unload(); self.name = name; self.load()`.
        """
        index, site = self._entering(entered)
        kept = _loaded_attributes(entered.function)
        if site is None or not kept or entered.path != entered.module.path:
            return False
        owner = entered.module.function(index).owner
        if owner is None or owner != entered.function.owner:
            return False
        return not kept.isdisjoint(self._emptied_in(entered.module, index))

    def _emptied_in(self, module: Module, index: int) -> frozenset[str]:
        """The attributes that a method, or another of its class that it calls, sets to None."""
        key = (module.path, index)
        if key not in self._emptied:
            function = module.function(index)
            methods = module.facts.classes[function.owner].methods if function.owner is not None else {}
            called = {last_name(one.call.function) for one in function.sites}
            others = (module.function(methods[name]) for name in called if name in methods)
            self._emptied[key] = frozenset().union(*map(_emptied_attributes, (function, *others)))
        return self._emptied[key]

    def _is_used(self, module: Module, index: int, function: FunctionFacts) -> bool:
        """Whether the function runs while the service serves, on the loop or for a framework in a thread."""
        where = self.loop.where(module, index, function)
        if where is Where.ELSEWHERE:
            served = self.loop.entry_points.of(module, index)
            return bool(served) or self.loop.is_called_on_loop(module, index)
        return where is Where.LOOP

    def _is_set_at_startup(self, module: Module, function: FunctionFacts) -> bool:
        """Whether the file sets the globals of this function itself, or start-up calls another that does."""
        return _are_set(module, function) or any(
            self.loop.runs_at_startup(module, index) for index, _ in _sharing(module, function)
        )

    def _is_made_anew(self, module: Module, function: FunctionFacts) -> bool:
        """Whether the method's object may be another one than that which start-up has warmed."""
        if function.owner is None or self.is_cached(function):
            return False
        makers = self.evaluator.callers.constructing(ClassReference(module.path, function.owner))
        return any(self.is_made_by(frame) for frame, _ in makers)

    def _is_only_one(self, cls: ClassReference) -> bool:
        """Whether making an object of the class gives the one that is there already."""
        classes = self.evaluator.classes
        makers = (*classes.attribute(cls, "__new__"), *classes.of_metaclass(cls, "__call__"))
        for value, _ in plain(makers):
            if isinstance(value, FunctionReference):
                function = self.evaluator.facts(value)
                if function.guarded or _keeps_by(function, function):
                    return True
        body = classes.body(cls)
        decorators = (self.evaluator.evaluate(body, one) for one in classes.facts(cls).decorators)
        return any(
            isinstance(value, FunctionReference) and self._keeps_inside(value)
            for values in decorators
            for value, _ in plain(values)
        )

    def _keeps_inside(self, decorator: FunctionReference) -> bool:
        """Whether what a decorator puts in the place of a class asks first whether it has an object."""
        functions = self.evaluator.module(decorator.module).facts.functions
        outside = functions[decorator.function]
        inside = (function for function in functions if function.parent == decorator.function)
        return any(function.guarded or _keeps_by(function, outside) for function in inside)

    def is_made_by(self, maker: Frame) -> bool:
        """Whether the body that makes an object runs for requests, and makes another one each time."""
        module = self.evaluator.module(maker.module)
        function = module.function(maker.function)
        if self.keeps(function):
            return False
        return not self.loop.is_startup(maker) or self.loop.is_called_on_loop(module, maker.function)


def _are_all(asked: set[Key], loaded: frozenset[Key]) -> bool:
    """Whether start-up has loaded several that are written down: a request chooses one of these."""
    written = {key for key in loaded if isinstance(key, Constant)}
    return len(written) > 1 and all(key in written for key in asked if isinstance(key, Constant))


def _sharing(module: Module, function: FunctionFacts) -> Iterator[tuple[int, FunctionFacts]]:
    """The other functions of the file that declare one of the globals that it does."""
    for index, other in enumerate(module.facts.functions):
        if index and other is not function and not function.outer.isdisjoint(other.outer):
            yield index, other


def _empties(other: FunctionFacts, function: FunctionFacts) -> bool:
    """Whether another function sets a global that both declare to None."""
    shared = function.outer & other.outer
    return bool(shared) and any(
        isinstance(binding.target, Name) and binding.target.id in shared and binding.value == _NOTHING
        for binding in other.bindings
    )


def _loaded_attributes(function: FunctionFacts) -> frozenset[str]:
    """The attributes of its object that a method sets to what a call gives."""
    return frozenset(name for name, value in _set_attributes(function) if isinstance(value, Call))


def _emptied_attributes(function: FunctionFacts) -> frozenset[str]:
    """The attributes of its object that a method sets to None."""
    return frozenset(name for name, value in _set_attributes(function) if value == _NOTHING)


def _set_attributes(function: FunctionFacts) -> Iterator[tuple[str, Expression | None]]:
    own = Name(function.parameters[0].name) if function.owner is not None and function.parameters else None
    for binding in function.bindings:
        match binding.target:
            case Attribute(holder, name) if holder == own:
                yield name, binding.value


def _removes_from(function: FunctionFacts, kept: set[Expression]) -> bool:
    """Whether the function removes items of what is kept: `del models[name]`, `models.popitem()`."""
    for operation in function.operations:
        match operation.operated:
            case Operated("delitem", Subscript(holder, _)) if holder in kept:
                return True
    for site in function.sites:
        match site.call.function:
            case Attribute(holder, name) if name in _FORGETTING and holder in kept:
                return True
    return False


def _are_set(module: Module, function: FunctionFacts) -> bool:
    """Whether importing the file gives values to all globals that the function sets, one by a call."""
    names = {b.target.id: b.value for b in module.facts.body.bindings if isinstance(b.target, Name)}
    given = [names.get(name, _NOTHING) for name in function.outer]
    unset = any(isinstance(value, Constant) and not value.value for value in given)  # `loaded = False` too
    return not unset and any(isinstance(value, Call) for value in given)


def _keeps_by(function: FunctionFacts, given: FunctionFacts) -> bool:
    """Whether the function keeps something under the class that another one is given: `kept[cls] = cls()`."""
    cls = given.parameters[0].name if given.parameters else ""
    return any(
        isinstance(binding.target, Subscript) and binding.target.key == Name(cls)
        for binding in function.bindings
    )
