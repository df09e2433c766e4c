"""What calls give: results of functions, of library calls, of awaiting and of iterating."""

from __future__ import annotations

import builtins
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

from servelint.code.facts.facts import (
    OPAQUE,
    Attribute,
    Call,
    Constant,
    Expression,
    Name,
    Position,
    Spread,
    Text,
    last_name,
)
from servelint.code.values.values import (
    ClassReference,
    Drawn,
    External,
    Frame,
    FunctionReference,
    Generator,
    Guess,
    Instance,
    LazyResult,
    LibraryMethod,
    LibraryObject,
    Literal,
    ModuleReference,
    Offloaded,
    Packed,
    Partial,
    Pending,
    Value,
    Values,
    guessed,
    plain,
    union,
)
from servelint.knowledge.types import Entry, Offload, Role

if TYPE_CHECKING:
    from servelint.code.values.evaluate import Evaluator

# What the standard library's makers of decorators are called.
_DECORATING = frozenset({"wraps", "lru_cache", "cache"})
# How many nested calls may pass their arguments on before they are forgotten.
MAXIMUM_PASSING = 12


class Calls:
    """The part of the evaluation that is about calls."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._passing = 0

    # -- the result of a call --------------------------------------------------------------------

    def result(self, frame: Frame, call: Call) -> Values:
        """What the call may return (for a coroutine function: the coroutine)."""
        special = self._special(frame, call)
        if special is not None:
            return special
        callees = self.callees(frame, call)
        own = self.evaluator.classes.given_back(frame, call, callees)
        return own or union(self.returned(value, frame, call) for value in callees)

    def callees(self, frame: Frame, call: Call) -> Values:
        """What is called."""
        return self.evaluator.evaluate(frame, call.function)

    def _special(self, frame: Frame, call: Call) -> Values | None:
        """Calls whose meaning is in their form: `super()`, `getattr(x, "y")`, `models.get(name)`."""
        evaluate = self.evaluator.evaluate
        match call.function, call.arguments:
            case Name("super"), _:
                return self.evaluator.classes.super_of(frame)
            case Name("type"), (value,):
                return self.evaluator.attributes(evaluate(frame, value), "__class__")
            case Name("globals"), ():
                return (ModuleReference(frame.module),)
            case Name("getattr"), (holder, Constant(str(name)), *default):
                found = self.evaluator.attributes(evaluate(frame, holder), name)
                return found or union(evaluate(frame, value) for value in default)
            case Attribute(holder, "__getattribute__"), (Constant(str(name)),):
                return self.evaluator.attributes(evaluate(frame, holder), name)
            case Name("getattr"), (holder, name, *_):
                return self.evaluator.chosen.attribute(frame, evaluate(frame, holder), name)
            case Attribute(_, "__new__"), (made, *_) if not self.callees(frame, call):
                classes = (value for value, _ in plain(evaluate(frame, made)))
                return tuple(Instance(value) for value in classes if isinstance(value, ClassReference))
            case Name("cast") | Attribute(Name("typing" | "t"), "cast"), (declared, value):
                return self.evaluator.annotations.annotated(frame, declared) or evaluate(frame, value)
            case Name("next"), (iterable, *_):
                return self.evaluator.elements(frame, iterable)
            case Call() as maker, (value,) if self._decorates(frame, maker):
                return evaluate(frame, value)
            case Attribute(base, method), arguments:
                return self._of_container(frame, base, method, arguments)
        return None

    def _of_container(
        self, frame: Frame, base: Expression, method: str, arguments: tuple[Expression, ...]
    ) -> Values | None:
        """What a method of a container, or of a text that names a module, gives."""
        evaluate = self.evaluator.evaluate
        match method, arguments:
            case "get" | "pop" | "setdefault" | "__getitem__", (key, *default):
                values = evaluate(frame, base)
                if not any(isinstance(v, Instance) for v, _ in plain(values)):
                    found = self.evaluator.item(frame, base, key)
                    return union((found, *(evaluate(frame, value) for value in default)))
            case "split" | "rsplit" | "partition" | "rpartition", (separator, *_):
                parts = self.evaluator.chosen.parts(frame, base, method, separator)
                if parts:
                    return parts
            case "get" | "get_nowait" | "pop" | "popleft", ():  # of a queue, or of a list
                if not any(isinstance(v, Instance) for v, _ in plain(evaluate(frame, base))):
                    found = self.evaluator.elements(frame, base)
                    return found if found or method.startswith("pop") else None
            case "values" | "copy", ():
                if any(isinstance(v, Literal) for v, _ in plain(evaluate(frame, base))):
                    return evaluate(frame, base)
        return None

    def _decorates(self, frame: Frame, maker: Call) -> bool:
        """Whether a call makes a decorator that gives what it is given: `wraps(f)`, `lru_cache(8)`."""
        if last_name(maker.function) not in _DECORATING:
            return False
        callees = plain(self.callees(frame, maker))
        return any(isinstance(v, External) and v.name.startswith("functools.") for v, _ in callees)

    def returned(self, value: Value, frame: Frame, call: Call) -> Values:
        """What calling `value` with the call's arguments gives."""
        match value:
            case Guess(inner):
                return guessed(self.returned(inner, frame, call))
            case FunctionReference():
                return self.of_function(value, self.enter(value, frame, call))
            case ClassReference():
                return self.evaluator.classes.constructed(value)
            case External(name):
                return self.evaluator.models.made(value, frame, call, self._of_external(name, frame, call))
            case Instance():
                methods = self.evaluator.classes.attribute(value, "__call__")
                if not methods and not call.arguments:  # a weak reference, which stands for its object
                    return (value,)
                return union(self.returned(method, frame, call) for method in methods)
            case LibraryObject(type_name):
                return self._of_method(LibraryMethod(type_name, "__call__"), call)
            case LibraryMethod():
                return self.evaluator.models.given(frame, call, self._of_method(value, call))
            case Partial(External(name), _, _) if name in CALLERS:
                return self.evaluator.special.called(value, frame, call)
            case Partial(External(name), _, fields) if name in NAMED_TUPLES:
                return self.evaluator.items.record(frame, call, tuple(field for field, _ in fields))
            case Partial():
                return self._of_partial(value, frame, call)
            case Offloaded(function):
                return (Pending(function, offloaded=True),)
        return ()

    def _of_partial(self, partial: Partial, frame: Frame, call: Call) -> Values:
        if isinstance(partial.function, FunctionReference):
            given = self.enter(partial.function, frame, call, partial.arguments, partial.keywords)
            return self.of_function(partial.function, given)
        return self.returned(partial.function, frame, call)

    def of_function(self, function: FunctionReference, frame: Frame) -> Values:
        """What the function gives when it is called with the frame's arguments."""
        facts = self.evaluator.facts(function)
        if facts.is_generator:
            return (Generator(function, frame),)
        if facts.is_async:
            return (Pending(function),) if not frame.arguments else (Pending(_with_frame(function, frame)),)
        return self.returns(frame)

    def returns(self, frame: Frame) -> Values:
        """What the body of the frame's function returns."""
        return self.evaluator.remembered(("returns", frame), lambda: self._returns(frame))

    def _returns(self, frame: Frame) -> Values:
        function = self.evaluator.facts(frame)
        found = union(self.evaluator.evaluate(frame, value) for value in function.returns)
        annotations = self.evaluator.annotations
        if function.annotation is None or not all(annotations.is_foreign(value) for value, _ in plain(found)):
            return found
        outside = self._outside(frame)
        if not found:
            return annotations.annotated(outside, function.annotation)
        return annotations.declared(outside, function.annotation) or found

    def _outside(self, frame: Frame) -> Frame:
        """The frame in which a function's own annotations mean something."""
        return frame.parent or self.evaluator.frames(frame.module, self.evaluator.facts(frame).parent or 0)

    def _of_external(self, name: str, frame: Frame, call: Call) -> Values:
        evaluate = self.evaluator.evaluate
        if (name in PARTIALS or name in CALLERS) and call.arguments:
            rest = tuple(evaluate(frame, a) for a in call.arguments[1:])
            keywords = tuple((k, evaluate(frame, v)) for k, v in call.keywords if k)
            if name in CALLERS:
                return (Partial(External(name), (evaluate(frame, call.arguments[0]), *rest), keywords),)
            return tuple(Partial(function, rest, keywords) for function in evaluate(frame, call.arguments[0]))
        if name in NAMESPACES:
            return self.evaluator.items.record(frame, call, ())
        if name in NAMED_TUPLES:
            return self.evaluator.items.named_tuple(call)
        if name in IMPORTERS and call.arguments:
            return self.evaluator.chosen.module(frame, call)
        frameworks = self.evaluator.frameworks
        if frameworks.resolves.find(name) and call.arguments:
            return self.evaluator.chosen.resolved(frame, call.arguments[0])
        drawing = frameworks.runs_when_iterated.find(name)
        if drawing is not None:
            return self.evaluator.items.drawing(frame, call, drawing)
        if frameworks.draws.find(name):
            return union(evaluate(frame, value) for value in call.arguments)
        run = frameworks.runs.names.find(name)
        if run is not None and run.results:
            return union(self.result_of(f) for f, _ in plain(self._argument_value(frame, call, run)))
        provided = frameworks.injects.names.find(name)
        if provided is not None:
            return tuple(Partial(f, (), ()) for f, _ in plain(self._argument_value(frame, call, provided)))
        passed = frameworks.passes.names.find(name)
        if passed is not None:
            given = self._argument_value(frame, call, passed)
            if frameworks.consumes.find(name):
                source = argument(call, passed.position, passed.keyword)
                return self.evaluator.items.taken(frame, source, given)
            return self.entered(given) if name in ENTERS else given
        offload = frameworks.offload.find(name, name.rpartition(".")[2])
        if offload is not None and (offload.position is not None or offload.keyword):
            functions = self.evaluator.items.handed(frame, call, offload)
            if offload.wraps:
                return tuple(Offloaded(f) for f, _ in plain(functions))
            return tuple(Pending(f, offloaded=True) for f, _ in plain(functions))
        return self.evaluator.models.given(frame, call, self._of_library(name, call))

    def _of_library(self, name: str, call: Call) -> Values:
        catalogue = self.evaluator.catalogue
        entry = catalogue.functions.find(name)
        if entry is not None:
            return self._of_entry(entry, "", call)
        known = catalogue.classes.find(name)
        if known is not None:
            return (LibraryObject(known.name),)
        method = self.class_method(name)
        if method is not None:
            return self._of_method(method, call)
        usual = self.evaluator.frameworks.usual(name)
        last = name.rpartition(".")[2]
        if usual != name or last[:1].isupper() or (name == f"builtins.{last}" and _is_class(last)):
            return self.evaluator.annotations.object_of(usual)
        return ()

    def class_method(self, name: str) -> LibraryMethod | None:
        """The method that a qualified name means when it is called on a library's class itself.

        `AutoModel.from_pretrained` is one; None where the catalogue does not know the class.
        """
        head, _, last = name.rpartition(".")
        owner = self.evaluator.catalogue.classes.find(head) if head else None
        return None if owner is None else LibraryMethod(owner.name, last)

    def _of_method(self, method: LibraryMethod, call: Call) -> Values:
        entry = self.evaluator.catalogue.method(method.type, method.method)
        return () if entry is None else self._of_entry(entry, method.type, call)

    def _of_entry(self, entry: Entry, type_name: str, call: Call) -> Values:
        role = role_in_call(entry, call)
        if role is Role.LAZY:
            return (LazyResult(entry.name, entry.library, entry.iterating),)
        returns = entry.returns
        if not returns or returns.startswith("arg:"):
            return ()
        return (LibraryObject(type_name if returns == "self" else returns),)

    def _argument_value(self, frame: Frame, call: Call, entry: Offload) -> Values:
        value = argument(call, entry.position, entry.keyword)
        return self.evaluator.evaluate(frame, value) if value is not None else ()

    # -- awaiting, entering, iterating -----------------------------------------------------------

    def awaited(self, values: Values) -> Values:
        """What `await value` gives; what is no awaitable of ours passes through."""
        return union(self._awaited(value) for value in values)

    def _awaited(self, value: Value) -> Values:
        match value:
            case Guess(inner):
                return guessed(self._awaited(inner))
            case Pending(function, offloaded):
                return self.result_of(function) if offloaded else self._run(function)
            case Generator():
                return (value,)
        return (value,)

    def _run(self, function: Value) -> Values:
        """What a coroutine function returns in the end."""
        match function:
            case FunctionReference(module, number, receiver, frame):
                if frame is not None and frame.module == module and frame.function == number:
                    return self.returns(frame)
                return self.returns(self.evaluator.frames(module, number, parent=frame, receiver=receiver))
        return ()

    def result_of(self, function: Value) -> Values:
        """What a callable gives when nothing is known of its arguments, awaited where it is a coroutine."""
        return self.awaited(self.returned(function, self.evaluator.frames("", 0), NO_ARGUMENTS))

    def method_result(self, value: Value, name: str) -> Values:
        """What `value.name()` gives."""
        return union(self.result_of(method) for method in self.evaluator.attribute(value, name))

    def entered(self, values: Values) -> Values:
        """What `with value as x` (or `async with`) binds."""
        return union(self._entered(value) for value in values)

    def _entered(self, value: Value) -> Values:
        match value:
            case Guess(inner):
                return guessed(self._entered(inner))
            case Generator():
                return self.yielded(value)
            case Instance():
                for method in ("__enter__", "__aenter__"):
                    found = self.method_result(value, method)
                    if found:
                        return found
        return (value,)

    def yielded(self, value: Value) -> Values:
        """What a generator of the project yields."""
        match value:
            case Generator(function, frame):
                here = frame or self.evaluator.frames(
                    function.module, function.function, receiver=function.receiver
                )
                facts = self.evaluator.facts(function)
                return union(self.evaluator.evaluate(here, item) for item in facts.yields)
            case Drawn():
                return self.evaluator.items.drawn(value)
            case Guess(inner):
                return guessed(self.yielded(inner))
        return ()

    # -- parameters ------------------------------------------------------------------------------

    def enter(
        self,
        function: FunctionReference,
        frame: Frame,
        call: Call,
        before: tuple[Values, ...] = (),
        keywords: tuple[tuple[str, Values], ...] = (),
    ) -> Frame:
        """The frame of `function` as the call enters it; `before` are arguments given earlier."""
        if _is_frame_of(function):
            assert function.frame is not None
            return function.frame
        facts = self.evaluator.facts(function)
        if self._passing >= MAXIMUM_PASSING or not facts.parameters:
            return self.evaluator.frames(
                function.module, function.function, (), function.frame, function.receiver
            )
        # What the body does not use makes no difference: calls that differ in nothing else enter one frame.
        self._passing += 1
        given = dict(self.given(facts.used, function, frame, call, before, keywords))
        self._passing -= 1
        passed = tuple((p.name, given[p.name]) for p in facts.parameters if given.get(p.name))
        return self.evaluator.frames(
            function.module,
            function.function,
            passed,
            function.frame,
            function.receiver,
            called=bool(frame.module),
            constants=self.evaluator.branches.constants(function, frame, call, len(before) + len(keywords)),
        )

    def given(
        self,
        wanted: Container[str],
        function: FunctionReference,
        frame: Frame,
        call: Call,
        before: tuple[Values, ...],
        keywords: tuple[tuple[str, Values], ...],
    ) -> Iterator[tuple[str, Values]]:
        """What the call gives for each of the wanted parameters."""
        parameters = self.evaluator.facts(function).parameters
        positional = [p.name for p in parameters if p.kind == "positional"]
        in_order = list(before)
        if function.receiver is not None and positional:
            positional = positional[1:]
        elif function.receiver is not None:  # a wrapper around a method: `self` is the first of `*args`
            in_order.insert(0, (function.receiver,))
        names = {p.name for p in parameters if p.kind in ("positional", "keyword") and p.name in wanted}
        rest = next((p.name for p in parameters if p.kind == "*" and p.name in wanted), "")
        for value in call.arguments:
            if isinstance(value, Spread):
                spread = self.evaluator.items.spread(frame, value.value)
                if not spread:
                    break
                in_order += spread
            else:
                number = len(in_order)
                asked = positional[number] in names if number < len(positional) else bool(rest)
                in_order.append(self._useful(frame, value) if asked else ())
        yield from (item for item in zip(positional, in_order, strict=False) if item[0] in names)
        if rest and any(in_order[len(positional) :]):
            yield rest, (Packed(tuple(in_order[len(positional) :])),)
        yield from ((key, values) for key, values in keywords if key in names)
        for key, value in call.keywords:
            if key is not None and key in names:
                yield key, self._useful(frame, value)
            elif key is None and frame.module:
                unpacked = ((name, self.evaluator.items.named(frame, value, name)) for name in names)
                yield from (item for item in unpacked if item[1])
        for parameter in parameters:
            if parameter.kind == "**" and parameter.name in wanted:
                yield parameter.name, self.evaluator.items.keywords(frame, call, [p.name for p in parameters])

    def _useful(self, frame: Frame, value: Expression) -> Values:
        """The values that are worth telling calls apart for: constants are not, but for names of modules."""
        if not frame.module or (isinstance(value, Constant) and not isinstance(value.value, str)):
            return ()
        return tuple(v for v in self.evaluator.evaluate(frame, value) if self._is_useful(v))

    def _is_useful(self, value: Value) -> bool:
        if not isinstance(value, Literal) or not isinstance(value.expression, Constant | Text):
            return True
        return self.evaluator.chosen.is_module(value.expression)


PARTIALS = frozenset({"functools.partial", "functools.partialmethod"})
IMPORTERS = frozenset({"importlib.import_module", "builtins.__import__"})
NAMED_TUPLES = frozenset({"collections.namedtuple", "typing.NamedTuple"})
NAMESPACES = frozenset({"types.SimpleNamespace", "argparse.Namespace"})
# What they make does to its argument what is named: calls a method, reads an attribute, takes an item.
CALLERS = frozenset({"operator.methodcaller", "operator.attrgetter", "operator.itemgetter"})
# What they give is what entering their argument gives.
ENTERS = frozenset(
    {
        "contextlib.ExitStack.enter_context",
        "contextlib.AsyncExitStack.enter_context",
        "contextlib.AsyncExitStack.enter_async_context",
    }
)
NO_ARGUMENTS = Call(OPAQUE, (), (), Position(0, 0, 0, 0))


def _is_class(name: str) -> bool:
    return isinstance(getattr(builtins, name, None), type)


def argument(call: Call, position: int | None, keyword: str) -> Expression | None:
    """The argument at a 0-based position or under a keyword; None where the call does not show it."""
    for key, value in call.keywords:
        if keyword and key == keyword:
            return value
    if position is not None and position < len(call.arguments):
        before = call.arguments[: position + 1]
        if not any(isinstance(a, Spread) for a in before):
            return call.arguments[position]
    return None


def role_in_call(entry: Entry, call: Call) -> Role:
    """What the call does, its keyword arguments considered (`stream=True` makes some lazy)."""
    constants = {key: value.value for key, value in call.keywords if isinstance(value, Constant)}
    if any(constants.get(key) == value for key, value in entry.coroutine_when.items()):
        return Role.COROUTINE
    if any(constants.get(key) == value for key, value in entry.lazy_when.items()):
        return Role.LAZY
    if any(constants.get(key, entry) == value for key, value in entry.cheap_when.items()):
        return Role.CHEAP
    if entry.only_with and not any(key in (entry.only_with, None) for key, _ in call.keywords):
        return Role.CHEAP
    given = (value for key, value in call.keywords if key == entry.unless_given and key)
    if any(value != Constant(None) for value in given):
        return Role.CHEAP
    return entry.role


def _with_frame(function: FunctionReference, frame: Frame) -> FunctionReference:
    return FunctionReference(function.module, function.function, function.receiver, frame)


def _is_frame_of(function: FunctionReference) -> bool:
    frame = function.frame
    return frame is not None and frame.module == function.module and frame.function == function.function
