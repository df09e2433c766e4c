"""What is there before the first request, so that what is done for want of it is not done for requests.

`if self.model is None: self.load()` does nothing where start-up has called `load()` on the same object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.facts.facts import (
    OFF_LOOP,
    Attribute,
    Call,
    Condition,
    Constant,
    Expression,
    FunctionFacts,
    Mapping,
    Name,
    Sequence,
    Site,
    dotted,
)
from servelint.code.graph.project import Module
from servelint.code.loop.bound import Where
from servelint.code.loop.preloads import Preloads
from servelint.code.values.values import (
    ClassReference,
    Frame,
    Instance,
    ModuleReference,
    State,
    plain,
)


class Setting(NamedTuple):
    """A value that is given to what is asked for, and the function that gives it."""

    module: Module
    function: int
    value: Expression | None


class Filled:
    """Finds what start-up has filled."""

    def __init__(self, preloads: Preloads) -> None:
        self.preloads = preloads
        self.loop = preloads.loop
        self.evaluator = preloads.evaluator
        self._found: dict[tuple[str, int, str], bool] = {}
        self._at_startup: dict[tuple[str, int], bool] = {}

    def is_there(self, module: Module, index: int, lacking: str) -> bool:
        """Whether what a site of the function is done for want of is set at start-up, and stays set."""
        key = (module.path, index, lacking)
        if key not in self._found:
            self._found[key] = False  # to fill it for want of it is no answer
            self._found[key] = self._is_there(module, index, lacking)
        return self._found[key]

    def _is_there(self, module: Module, index: int, lacking: str) -> bool:
        holder, _, name = lacking.rpartition(".")
        if not holder:
            return self._is_kept(list(self._of_global(module, index, name)))
        frame = self.evaluator.frame(module, index)
        for value, _ in plain(self.evaluator.evaluate(frame, _expression(holder))):
            match value:
                case State():
                    return self._is_kept(list(self._of_state(name)))
                case ModuleReference(path):
                    other = self.evaluator.project.module(path)
                    return other is not None and self._is_kept(list(self._of_module(other, name)))
                case Instance(cls):
                    return self._is_kept_by(cls, name)
                case ClassReference():
                    return self._is_kept_by(value, name)
        return False

    def is_turned_off(self, module: Module, index: int, site: Site, runs: tuple[str, int] | None) -> bool:
        """Whether the site only loads for a setting without which start-up has loaded the same.

        `if settings.lazy: model = load()`, where start-up does that `if not settings.lazy`, or the setting is
        off by default. `runs` is the function that the site calls.
        """
        asked = [one for one in site.conditions if one.among is None and one.holds and one.name != OFF_LOOP]
        own = {p.name for p in module.function(index).parameters}
        switches = [one.name for one in asked if one.name.partition(".")[0] not in own or "." in one.name]
        if not switches:
            return False
        kept = [b.target for b in module.function(index).bindings if b.value == site.call]
        if kept:
            done = any(self.is_there(module, index, dotted(target)) for target in kept)
        else:
            done = runs is not None and self._is_at_startup(self._module(runs), runs[1])
        return done and any(self._is_switch(module, index, name) for name in switches)

    def _module(self, function: tuple[str, int]) -> Module:
        return self.evaluator.module(function[0])

    def _is_switch(self, module: Module, index: int, name: str) -> bool:
        """Whether start-up asks for the contrary of a setting, or it is off by default."""
        return self._is_asked_at_startup(name) or self._is_off(module, index, name)

    def _is_asked_at_startup(self, name: str) -> bool:
        last = name.rpartition(".")[2]
        for module in self.evaluator.project.mentioning([last]):
            for number, function in enumerate(module.facts.functions):
                conditions = (one for site in function.sites for one in site.conditions)
                contrary = any(
                    not one.holds and one.among is None and one.name.rpartition(".")[2] == last
                    for one in conditions
                )
                if contrary and self._is_at_startup(module, number):
                    return True
        return False

    def _is_off(self, module: Module, index: int, name: str) -> bool:
        """Whether all that is ever given to the setting is false: a default of a class of settings."""
        holder, _, last = name.rpartition(".")
        settings = list(self._of_global(module, index, last)) if not holder else []
        frame = self.evaluator.frame(module, index)
        for value, _ in plain(self.evaluator.evaluate(frame, _expression(holder))) if holder else ():
            if isinstance(value, Instance):
                bound = self.evaluator.classes.members.bound(value.cls, last)
                settings += [Setting(self._module(function), function[1], given) for function, given in bound]
        return bool(settings) and all(_is_false(s.value) for s in settings)

    # -- who sets it -----------------------------------------------------------------------------

    def _of_global(self, module: Module, index: int, name: str) -> Iterator[Setting]:
        function = module.function(index)
        own = {p.name for p in function.parameters}
        own.update(b.target.id for b in function.bindings if isinstance(b.target, Name))
        if name not in own or name in function.outer:
            yield from self._of_module(module, name)

    def _of_module(self, module: Module, name: str) -> Iterator[Setting]:
        for bound in module.bound(0, name):
            yield Setting(module, bound.function, bound.binding.value)
        for other, bound in self.evaluator.project.attributes(name):
            target, frame = bound.binding.target, self.evaluator.frame(other, bound.function)
            if other is module or not isinstance(target, Attribute):
                continue
            if ModuleReference(module.path) in self.evaluator.evaluate(frame, target.value):
                yield Setting(other, bound.function, bound.binding.value)

    def _of_state(self, name: str) -> Iterator[Setting]:
        for module, bound in self.evaluator.project.attributes(name):
            target = bound.binding.target
            if isinstance(target, Attribute) and self.evaluator.is_state(
                module, bound.function, target.value
            ):
                yield Setting(module, bound.function, bound.binding.value)

    # -- when ------------------------------------------------------------------------------------

    def _is_kept(self, settings: list[Setting]) -> bool:
        """Whether start-up sets it, and nothing else empties it."""
        filling = [
            s for s in settings if not _is_empty(s.value) and self._is_at_startup(s.module, s.function)
        ]
        known = {(s.module.path, s.function) for s in filling}
        return bool(filling) and not any(
            _is_empty(s.value)
            and (s.module.path, s.function) not in known
            and not self._is_at_startup(s.module, s.function)
            for s in settings
        )

    def _is_kept_by(self, cls: ClassReference, name: str) -> bool:
        """The same of an attribute of objects: there is one, or the constructor sets it for each."""
        members = self.evaluator.classes.members.bound(cls, name)
        settings = [Setting(self.evaluator.module(path), index, value) for (path, index), value in members]
        settings = [s for s in settings if not (_is_empty(s.value) and _makes(s))]
        if not self._is_kept(settings):
            return False
        classes, callers = self.evaluator.classes, self.evaluator.callers
        makers = [made for one in (cls, *classes.subclasses(cls)) for made in callers.constructing(one)]
        return len(makers) == 1 and not self.preloads.is_made_by(makers[0][0])

    def _is_at_startup(self, module: Module, index: int) -> bool:
        """Whether start-up runs the function, where it needs nothing that is off by default."""
        key = (module.path, index)
        if key not in self._at_startup:
            self._at_startup[key] = False
            self._at_startup[key] = self._runs_at_startup(module, index)
        return self._at_startup[key]

    def _runs_at_startup(self, module: Module, index: int) -> bool:
        where = self.loop.where(module, index, module.function(index)) if index else Where.STARTUP
        if where is Where.LOOP or not index:
            return where is Where.STARTUP
        # A `load` that a framework has for start-up may be called for the first request instead.
        calls = list(self.loop.runs(module, index))
        return (where is Where.STARTUP and not calls) or any(
            self._is_usual(caller, call)
            and self._is_at_startup(self.evaluator.module(caller.module), caller.function)
            for caller, call in calls
        )

    def _is_usual(self, caller: Frame, call: Call) -> bool:
        """Whether the call needs no parameter of its function that is off by default: `eager=False`."""
        function = self.evaluator.facts(caller)
        defaults = {p.name: p.default for p in function.parameters}
        asked = (one for s in function.sites if s.call.position == call.position for one in s.conditions)
        return all(_is_met(one, defaults.get(one.name)) for one in asked)


def _is_met(condition: Condition, default: Expression | None) -> bool:
    return not isinstance(default, Constant) or condition.may_be_met_by(default)


def _makes(setting: Setting) -> bool:
    """Whether it stands in the body of a class, or in what makes its objects."""
    return not setting.function or _is_constructor(setting.module.function(setting.function))


def _is_constructor(function: FunctionFacts) -> bool:
    return function.name in ("__init__", "__new__", "__post_init__")


def _is_empty(value: Expression | None) -> bool:
    """Whether there is nothing in a value: None, False, an empty container; None for a bare annotation."""
    match value:
        case None:
            return True
        case Constant(held):
            return not held
        case Sequence(()) | Mapping(()):
            return True
        case Call(Name("dict" | "list" | "set" | "OrderedDict" | "defaultdict"), _, _, _):
            return True
    return False


def _is_false(value: Expression | None) -> bool:
    """Whether a value is False, or declared with it as the default: `Field(default=False)`."""
    match value:
        case Call(_, arguments, keywords, _):
            return (arguments[0] if arguments else dict(keywords).get("default")) == Constant(False)
    return value == Constant(False)


def _expression(name: str) -> Expression:
    first, *rest = name.split(".")
    found: Expression = Name(first)
    for part in rest:
        found = Attribute(found, part)
    return found
