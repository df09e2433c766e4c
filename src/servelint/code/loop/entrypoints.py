"""How frameworks learn of a project's functions: by decorator, as an argument, as a method of a subclass."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import replace

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Expression,
    Mapping,
    Name,
    Opaque,
    Sequence,
    Subscript,
    last_name,
)
from servelint.code.graph.project import Module
from servelint.code.graph.reach import Reach
from servelint.code.names.frameworks import split_owner
from servelint.code.values.calls import argument
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import (
    ClassReference,
    External,
    Frame,
    FunctionReference,
    Instance,
    Literal,
    Partial,
    plain,
)
from servelint.knowledge.types import EntryPoint, SyncRuns

_CALLBACK = EntryPoint(
    role="event-loop callback", sync=SyncRuns.LOOP, decorator="asyncio", framework="asyncio"
)


class EntryPoints:
    """Finds the entry points of a project."""

    def __init__(self, evaluator: Evaluator, reach: Reach) -> None:
        self.evaluator = evaluator
        self.reach = reach
        self.frameworks = evaluator.frameworks
        self._own: dict[tuple[str, int], list[EntryPoint]] = {}
        self._registered: dict[tuple[str, int], list[EntryPoint]] | None = None
        self._of_classes: dict[tuple[str, int], list[EntryPoint]] = {}

    def of(self, module: Module, index: int) -> list[EntryPoint]:
        """How frameworks learn of the function."""
        key = (module.path, index)
        if key not in self._own:
            self._own[key] = list(self._found(module, index))
        return self._own[key]

    def registered(self) -> MappingOf[tuple[str, int], list[EntryPoint]]:
        """The functions that are handed to a framework, by file and index."""
        if self._registered is None:
            self._registered = {}
            for module in self.evaluator.project.modules(self.reach.registering):
                self._collect(module)
        return self._registered

    def _found(self, module: Module, index: int) -> Iterator[EntryPoint]:
        function = module.function(index)
        frame = self.evaluator.frame(module, function.parent or 0)
        for decorator in function.decorators:
            yield from (point for point in self._decorator_points(frame, decorator) if not point.methods)
        yield from self.registered().get((module.path, index), ())
        if function.owner is not None and function.name in self.frameworks.served_methods:
            methods = module.facts.classes[function.owner].methods
            if methods.get(function.name) == index:
                points = self._of_class(module, function.owner)
                yield from (point for point in points if function.name in point.methods)

    def _of_class(self, module: Module, number: int) -> list[EntryPoint]:
        """How frameworks learn of methods of the class."""
        key = (module.path, number)
        if key not in self._of_classes:
            facts = module.facts.classes[number]
            points: list[EntryPoint] = []
            for base in self.evaluator.classes.lineage(ClassReference(module.path, number)):
                if isinstance(base, External):
                    points += self.frameworks.subclasses.find(base.name) or ()
            frame = self.evaluator.frames(module.path, facts.parent)
            for decorator in facts.decorators:
                points += self._decorator_points(frame, decorator)
            self._of_classes[key] = points
        return self._of_classes[key]

    # -- registration ----------------------------------------------------------------------------

    def _collect(self, module: Module) -> None:
        for index, function in enumerate(module.facts.functions):
            for site in function.sites:
                if self._may_be_given(module, site.call):
                    self._collect_arguments(self.evaluator.frame(module, index), site.call)
                self._collect_callbacks(module, index, site.call)

    def _may_be_given(self, module: Module, call: Call) -> bool:
        """Whether the call may hand a function to a framework, as far as it shows itself."""
        for name, point in self.frameworks.arguments_by_last_name.get(last_name(call.function), ()):
            given = argument(call, point.position, point.keyword)
            if given is not None and _may_be_function(given) and _may_mean(module, call.function, name):
                return True
        return False

    def _decorator_points(self, frame: Frame, decorator: Expression) -> Iterator[EntryPoint]:
        """The entry points that a decorator makes of a function, or of methods of a class."""
        call = decorator if isinstance(decorator, Call) else None
        function = call.function if call is not None else decorator
        values = self.evaluator.evaluate(frame, function)
        if not values and isinstance(function, Attribute) and function.name in self.frameworks.emitters:
            imported = self.reach.libraries(frame.module)
            for name, point in self.frameworks.emitters[function.name]:
                if name.partition(".")[0] in imported:
                    yield self._adjusted(frame, point, call)
                    return
        for value, _ in plain(values):
            found = self.frameworks.decorators.find(value.name) if isinstance(value, External) else None
            for point in found or ():
                yield self._adjusted(frame, point, call)

    def _adjusted(self, frame: Frame, point: EntryPoint, call: Call | None) -> EntryPoint:
        """The entry point with what its arguments and the framework's version say of where a `def` runs."""
        constants = {k: v.value for k, v in call.keywords if isinstance(v, Constant)} if call else {}
        if any(constants.get(key) == value for key, value in point.thread_when.items()):
            return replace(point, sync=SyncRuns.THREAD)
        older = self.reach.dependencies.is_below
        if any(constants.get(key) == value for key, value in point.loop_when.items()) or any(
            older(frame.module, distribution, major) for distribution, major in point.loop_below.items()
        ):
            return replace(point, sync=SyncRuns.LOOP)
        return point

    def _collect_arguments(self, frame: Frame, call: Call) -> None:
        for value, _ in plain(self.evaluator.calls.callees(frame, call)):
            for point in (
                self.frameworks.arguments.find(value.name) or () if isinstance(value, External) else ()
            ):
                given = argument(call, point.position, point.keyword)
                if given is not None:
                    self._register(frame, given, self._adjusted(frame, point, call))

    def _collect_callbacks(self, module: Module, index: int, call: Call) -> None:
        name = last_name(call.function)
        entry = self.frameworks.on_loop.methods.get(name)
        if entry is None:
            return
        frame, given = self.evaluator.frame(module, index), argument(call, entry.position, entry.keyword)
        if given is not None and not self._is_own(frame, call, name):
            self._register(frame, given, _CALLBACK)

    def _is_own(self, frame: Frame, call: Call, name: str) -> bool:
        """Whether the call is of a function of the project that has the name of an event loop's method."""
        if not self.evaluator.project.defines(name):
            return False
        callees = plain(self.evaluator.calls.callees(frame, call))
        return any(isinstance(value, FunctionReference) for value, _ in callees)

    def _register(self, frame: Frame, given: Expression, point: EntryPoint) -> None:
        assert self._registered is not None
        for value, _ in plain(self.evaluator.evaluate(frame, given)):
            match value:
                case FunctionReference(path, number) | Partial(FunctionReference(path, number)):
                    self._registered.setdefault((path, number), []).append(point)
                case Instance():
                    for method in self.evaluator.classes.attribute(value, "__call__"):
                        if isinstance(method, FunctionReference):
                            self._registered.setdefault((method.module, method.function), []).append(point)
                case Literal(made, Sequence(items)):  # on_startup=[load, warm]
                    for item in items:
                        self._register(made, item, point)


def _may_mean(module: Module, function: Expression, name: str) -> bool:
    """Whether what is called may have the qualified name.

    A dictionary has a `get` too, and a list an `append`: for such names, what stands before them has to be
    as in `web.get` or `app.on_startup.append`, unless it is an object of a class.
    """
    owner, last = split_owner(name)
    if "_" in last or not owner:
        return True
    match function:
        case Name():
            return True
        case Attribute(Name(written) | Attribute(_, written), _):
            return written == owner or written in module.imported
    return False


def _may_be_function(given: Expression) -> bool:
    """Whether an argument can hold functions: a literal or what is worked out on the spot does not."""
    return not isinstance(given, Constant | Opaque | Mapping | Subscript)
