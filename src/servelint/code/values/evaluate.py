"""What an expression may be: names, attributes, items and annotations, followed across files.

The evaluation is an abstract interpretation on demand: nothing is worked out before a call site asks for
it. It ignores the order of statements (a name is all that is ever bound to it), follows calls with what
they pass where that is known, and gives nothing rather than a guess where it does not know.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Hashable, Iterator

from servelint.code.facts import scan
from servelint.code.facts.facts import (
    Attribute,
    Awaited,
    Call,
    Choice,
    ClassValue,
    Closure,
    Constant,
    Element,
    Entered,
    Expression,
    FunctionFacts,
    Import,
    Listed,
    Mapping,
    Name,
    Narrowed,
    Operated,
    Parameter,
    Sequence,
    Spread,
    Subscript,
    Text,
)
from servelint.code.graph.project import Bound, Module, Project
from servelint.code.names import evidence
from servelint.code.names.frameworks import Frameworks
from servelint.code.values.annotations import Annotations
from servelint.code.values.branches import Branches
from servelint.code.values.callers import Callers
from servelint.code.values.calls import Calls
from servelint.code.values.chosen import Chosen
from servelint.code.values.classes import Classes
from servelint.code.values.decorators import Decorators
from servelint.code.values.items import Items
from servelint.code.values.memory import Memory
from servelint.code.values.models import Models
from servelint.code.values.special import Special
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    Frames,
    FunctionReference,
    Guess,
    Instance,
    LibraryMethod,
    LibraryObject,
    Literal,
    ModuleReference,
    Record,
    State,
    Super,
    Value,
    Values,
    guessed,
    plain,
    union,
)
from servelint.knowledge.types import Catalogue, Role

# How deep names, calls and attributes are followed before the answer is "unknown".
MAXIMUM_DEPTH = 50
MAXIMUM_NESTING = 150


class Evaluator:
    """Evaluates expressions of one project. Results are remembered; the project must not change."""

    def __init__(self, project: Project, catalogue: Catalogue, frameworks: Frameworks) -> None:
        self.project = project
        self.catalogue = catalogue
        self.frameworks = frameworks
        self.frames = Frames()
        self.annotations = Annotations(self)
        self.classes = Classes(self)
        self.calls = Calls(self)
        self.branches = Branches(self)
        self.callers = Callers(self)
        self.special = Special(self)
        self.models = Models(self)
        self.items = Items(self)
        self.decorators = Decorators(self)
        self.chosen = Chosen(self)
        self._known_modules = catalogue.modules | frameworks.modules
        self._memory: Memory[Values] = Memory((), MAXIMUM_DEPTH)
        self._stars: dict[str, tuple[tuple[str, ...], tuple[Module, ...]]] = {}
        self._nesting = 0

    def remembered(self, key: Hashable, compute: Callable[[], Values]) -> Values:
        """`compute()`, once a key; a question that leads back to itself is answered with nothing."""
        return self._memory.answer(key, compute)

    def module(self, path: str) -> Module:
        """The module of a frame or reference, which exists because the frame does."""
        found = self.project.module(path)
        if found is None:
            raise LookupError(path)
        return found

    def facts(self, reference: FunctionReference | Frame) -> FunctionFacts:
        """The facts of a referenced function."""
        return self.module(reference.module).function(reference.function)

    def qualified(self, reference: FunctionReference) -> str:
        """The dotted name of a project function."""
        module = self.module(reference.module)
        return f"{self.project.name_of(module)}.{module.function(reference.function).qualname}"

    # -- expressions -----------------------------------------------------------------------------

    def evaluate(self, frame: Frame, expression: Expression | None) -> Values:
        """What the expression may be in the frame."""
        if self._nesting >= MAXIMUM_NESTING:
            return ()
        self._nesting += 1
        try:
            return self._evaluate(frame, expression)
        finally:
            self._nesting -= 1

    def _evaluate(self, frame: Frame, expression: Expression | None) -> Values:
        match expression:
            case Name(id):
                return self.name(frame, id)
            case Attribute(value, name):
                return self.attributes(self.evaluate(frame, value), name)
            case Call() if not self.branches.may_make(frame, expression):
                return ()
            case Call():
                key = ("call", frame, expression.position)
                return self.remembered(key, lambda: self.calls.result(frame, expression))
            case Subscript(value, key):
                return self.item(frame, value, key)
            case Choice(options):
                return union(self.evaluate(frame, option) for option in options)
            case Constant(str()) | Sequence() | Mapping() | Listed() | Text():
                return (Literal(frame, expression),)
            case Awaited(value):
                return self.calls.awaited(self.evaluate(frame, value))
            case Closure(number):
                return self.decorators.decorated(frame, number)
            case ClassValue(number):
                return (ClassReference(frame.module, number),)
            case Element(value):
                return self.elements(frame, value)
            case Entered(value):
                return self.calls.entered(self.evaluate(frame, value))
            case Narrowed(annotation):
                return self.annotations.annotated(frame, annotation)
            case Spread(value):
                return self.elements(frame, value)
            case Operated():
                return self.special.result(frame, expression)
        return ()

    def frame(self, module: Module, function: int) -> Frame:
        """The frame of a function of which nothing is known but where it stands."""
        parent = module.function(function).parent
        return self.frames(module.path, function, parent=self.frame(module, parent) if parent else None)

    # -- names -----------------------------------------------------------------------------------

    def name(self, frame: Frame, name: str) -> Values:
        """What the name may be, in the frame's own scope or an enclosing one."""
        return self.remembered(("name", frame, name), lambda: self._name(frame, name))

    def _name(self, frame: Frame, name: str) -> Values:
        module = self.module(frame.module)
        if not frame.function:
            return self.member(module, name) or _builtin(module, name) or self._starred(module, name)
        function = module.function(frame.function)
        found = list(self._local(frame, module, function, name))
        if found:
            return union(found)
        outer = frame.parent or (
            self.frame(module, function.parent) if function.parent else self.frames(frame.module, 0)
        )
        return self.name(outer, name)

    def _local(self, frame: Frame, module: Module, function: FunctionFacts, name: str) -> Iterator[Values]:
        for parameter in function.parameters:
            if parameter.name == name:
                yield self.parameter(frame, function, parameter)
        if name in function.names:
            yield self.evaluate(frame, function.names[name])
        for item in function.imports:
            if item.local == name:
                yield self.imported(module, item)
        for bound in module.bound(frame.function, name):
            yield self.bound(module, bound, frame)

    def bound(self, module: Module, bound: Bound, frame: Frame | None = None) -> Values:
        """What a binding gives to its target."""
        here = (
            frame
            if frame is not None and frame.function == bound.function
            else self.frame(module, bound.function)
        )
        found = self.models.shown(module, bound, self.evaluate(here, bound.binding.value))
        annotation = bound.binding.annotation
        if annotation is not None and State() in found:
            return union((found, self.annotations.declared(here, annotation)))
        if annotation is None or not all(self.annotations.is_foreign(value) for value, _ in plain(found)):
            return found
        declared = self.annotations.declared if found else self.annotations.annotated
        return declared(here, annotation) or found

    def member(self, module: Module, name: str) -> Values:
        """What a module's global name may be; empty where the module does not define it."""
        return self.remembered(("member", module.path, name), lambda: self._member(module, name))

    def _member(self, module: Module, name: str) -> Values:
        body, frame = module.facts.body, self.frames(module.path, 0)
        found: list[Values] = []
        if name in body.names:
            found.append(self.evaluate(frame, body.names[name]))
        found += [self.imported(module, item) for item in body.imports if item.local == name]
        found += [self.bound(module, bound) for bound in module.bound(0, name)]
        if not any(found) and module.bound(0, name):
            found += self._set_elsewhere(module, name)
        if not found:
            for star, level in module.facts.stars:
                path = self.project.resolve(module, star, level)
                other = self.project.module(path) if path else None
                if other is not None and other is not module:
                    found.append(self.member(other, name))
        return union(found)

    def _starred(self, module: Module, name: str) -> Values:
        """What a library of the catalogue gives by `from library import *`, if nothing else may give it."""
        functions, classes = self.catalogue.functions, self.catalogue.classes
        if not module.facts.stars or not (name in functions.last_names() or name in classes.last_names()):
            return ()
        libraries, modules = self._by_star(module)
        if any(_defines(other, name) for other in modules):
            return ()
        full = [f"{library}.{name}" for library in libraries]
        found = [one for one in full if functions.find(one) is not None or classes.find(one) is not None]
        return (External(self.frameworks.usual(found[0])),) if len(found) == 1 else ()

    def _by_star(self, module: Module) -> tuple[tuple[str, ...], tuple[Module, ...]]:
        """The modules of libraries, and the project's, the file itself too, whose names it has by `*`.

        None at all where it has some of a module of which nothing is known.
        """
        if module.path not in self._stars:
            libraries, seen, left = dict[str, None](), {module.path}, [module]
            for one in left:
                for star, level in one.facts.stars:
                    path = self.project.resolve(one, star, level)
                    other = self.project.module(path) if path else None
                    if path is None and not level and star.partition(".")[0] in self._known_modules:
                        libraries[star] = None
                    elif other is None:
                        self._stars[module.path] = (), ()
                        return (), ()
                    elif other.path not in seen:
                        seen.add(other.path)
                        left.append(other)
            self._stars[module.path] = tuple(libraries), tuple(left)
        return self._stars[module.path]

    def _set_elsewhere(self, module: Module, name: str) -> Iterator[Values]:
        """What other files put into a global that its own module leaves empty: `worker.model = load()`."""
        for other, bound in self.project.attributes(name):
            target, frame = bound.binding.target, self.frame(other, bound.function)
            if other is not module and isinstance(target, Attribute):
                ours = ModuleReference(module.path) in self.evaluate(frame, target.value)
                yield self.bound(other, bound) if ours else ()

    def imported(self, module: Module, item: Import) -> Values:
        """What an import binds."""
        path = self.project.resolve(module, item.module, item.level)
        if not item.name:
            return self._imported_module(module, item, path)
        name = "" if item.level else self.frameworks.usual(f"{item.module}.{item.name}")
        outside = (External(name),) if name else ()
        if path is None or self._is_library(name):
            return outside
        own = self.module_member(path, item.name)
        # In the sources of a framework a base class is the project's own, and what the framework makes of it.
        return own if self.frameworks.subclasses.find(name) is None else union((own, outside))

    def _is_library(self, name: str) -> bool:
        """Whether the catalogue knows what is imported though the project has it: a library's sources."""
        if name.partition(".")[0] not in self._known_modules:
            return False
        return any(
            index.find(name) is not None for index in (self.catalogue.functions, self.catalogue.classes)
        )

    def _imported_module(self, module: Module, item: Import, path: str | None) -> Values:
        if path is None:
            return (External(item.local if item.module.startswith(f"{item.local}.") else item.module),)
        if item.module.startswith(f"{item.local}."):
            top = self.project.resolve(module, item.local, 0)
            return (ModuleReference(top),) if top else ()
        return (ModuleReference(path),)

    def module_member(self, path: str, name: str, *, dynamic: bool = True) -> Values:
        """What `name` is in the module or package whose file or folder is `path`.

        With `dynamic`, what the module's `__getattr__` gives for it as well.
        """
        module = self.project.module(path)
        found = self.member(module, name) if module is not None else ()
        if found:
            return found
        submodule = self.project.submodule(path, name)
        if submodule:
            return (ModuleReference(submodule),)
        return self.classes.members.of_module(path, name) if dynamic else ()

    # -- parameters ------------------------------------------------------------------------------

    def parameter(self, frame: Frame, function: FunctionFacts, parameter: Parameter) -> Values:
        """What a parameter may be: what is passed, else its annotation, its default, any call's argument."""
        passed = frame.argument(parameter.name)
        if passed:
            return passed
        here = self.frames(frame.module, frame.function, parent=frame.parent)
        if parameter is function.parameters[0] and function.owner is not None:
            own = self.classes.own(frame, function)
            if own:
                return own
        injected = self.callers.injected(here, parameter)
        if injected:
            return injected
        declared = self.annotations.annotated(here, parameter.annotation)
        if declared and self.callers.is_never_given(here, parameter):
            return ()
        closed = bool(declared) and not self.annotations.leaves_open(parameter.annotation, declared)
        if closed:
            return declared
        default = self.evaluate(here, parameter.default)
        if frame.called:
            return union((default, declared))
        key = ("parameter", frame.module, frame.function, parameter.name)
        passed = self.remembered(key, lambda: self.callers.arguments_passed(here, parameter))
        return union((default, passed, declared))

    # -- attributes ------------------------------------------------------------------------------

    def attributes(self, values: Values, name: str) -> Values:
        """What `value.name` may be over all values; on unknown values, what an attribute bag holds."""
        if not values:
            return (State(),) if name in self.frameworks.state else ()
        found: list[Values] = []
        for value, certain in plain(values):
            one = self.attribute(value, name)
            found.append(one if certain else guessed(one))
        return union(found)

    def attribute(self, value: Value, name: str) -> Values:
        """What `value.name` may be."""
        match value:
            case ModuleReference(path):
                return self.module_member(path, name)
            case External() | ExternalObject():
                return self._outside(value, name)
            case LibraryObject(type_name):
                return self._library_attribute(type_name, name)
            case LibraryMethod(type_name, part) if self._is_part(type_name, part, name):
                return (Guess(LibraryMethod(type_name, name)),)
            case Instance() | ClassReference() | Super():
                return self.classes.attribute(value, name)
            case State():
                return self.shared(name)
            case Record():
                return self.items.part(value, name)
            case FunctionReference(module, function, _, frame) if name in ("__func__", "__wrapped__"):
                return (FunctionReference(module, function, None, frame),)
            case FunctionReference() if name in ("__call__", "dispatch"):
                return (value,)
        return ()

    def _outside(self, value: External | ExternalObject, name: str) -> Values:
        found = self.models.handed_on(value, name)
        if found:
            return found
        known = isinstance(value, ExternalObject) or value.name.partition(".")[0] in self.frameworks.modules
        if known and name in self.frameworks.state:
            return (State(),)
        return self.models.put_on(value, name) or (
            External(self.frameworks.usual(f"{value.name}.{name}"), value.of_model, value.remote, value.over),
        )

    def _library_attribute(self, type_name: str, name: str) -> Values:
        if self.catalogue.method(type_name, name) is not None:
            return (LibraryMethod(type_name, name),)
        held = self.catalogue.attribute(type_name, name) or self.catalogue.attribute(type_name, "*")
        return (LibraryObject(held),) if held else (LibraryMethod(type_name, name),)

    def _is_part(self, type_name: str, part: str, method: str) -> bool:
        """Whether `model.part.method` is a method of a model inside a model: `model.decoder.generate`."""
        catalogue = self.catalogue
        if not catalogue.is_open(type_name) or catalogue.method(type_name, part) is not None:
            return False
        entry = catalogue.method(type_name, method)
        return entry is not None and entry.role is Role.INFERENCE and not evidence.load().is_beside(part)

    def shared(self, name: str) -> Values:
        """What is ever assigned to `<something>.state.name` in the project."""
        return self.remembered(("shared", name), lambda: union(self._shared(name)))

    def _shared(self, name: str) -> Iterator[Values]:
        for module, bound in self.project.attributes(name):
            target = bound.binding.target
            if isinstance(target, Attribute) and self.is_state(module, bound.function, target.value):
                yield self.bound(module, bound)
        for module, index, site in self.project.calls("setattr", (scan.encoded(name),)):
            match site.call.arguments:
                case (holder, Constant(str(key)), value) if key == name:
                    if self.is_state(module, index, holder):
                        yield self.evaluate(self.frame(module, index), value)
        yield from self._yielded_at_startup(name)

    def _yielded_at_startup(self, name: str) -> Iterator[Values]:
        """What a `lifespan` yields under the name: Starlette puts it on the state of each request.

        Source: https://www.starlette.io/lifespan/#lifespan-state.
        """
        for module, thing in self.project.decorated("asynccontextmanager"):
            if isinstance(thing.value, Closure):
                frame = self.frame(module, thing.value.number)
                for given in self.facts(frame).yields:
                    keywords = given.keywords if isinstance(given, Call) else ()
                    yield union(self.evaluate(frame, value) for key, value in keywords if key == name)
                    yield self.items.named(frame, given, name) if not keywords else ()
                    objects = (v for v in self.evaluate(frame, given) if isinstance(v, Instance))
                    yield union(self.attribute(value, name) for value in objects)

    def is_state(self, module: Module, function: int, holder: Expression) -> bool:
        """Whether the expression is an attribute bag of the application or a request."""
        if isinstance(holder, Attribute):
            return holder.name in self.frameworks.state
        return State() in self.evaluate(self.frame(module, function), holder)

    # -- items -----------------------------------------------------------------------------------

    def item(self, frame: Frame, container: Expression, key: Expression) -> Values:
        """What `container[key]` may be."""
        return self.items.item(frame, container, key)

    def elements(self, frame: Frame, container: Expression) -> Values:
        """What iterating the container gives."""
        return self.items.elements(frame, container)


def _defines(module: Module, name: str) -> bool:
    """Whether the file itself binds the global name, to whatever."""
    body = module.facts.body
    return (
        name in body.names or bool(module.bound(0, name)) or any(item.local == name for item in body.imports)
    )


def _builtin(module: Module, name: str) -> Values:
    """What the language means by the name, unless the module means something by it that is not known."""
    known = hasattr(builtins, name) and not module.bound(0, name)
    return (External(f"builtins.{name}"),) if known else ()
