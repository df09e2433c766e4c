"""The offloads that a function makes: which call hands which callable to another thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Constant,
    Expression,
    Listed,
    Mapping,
    Name,
    Opaque,
    Sequence,
    last_name,
)
from servelint.code.values.calls import argument
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import External, Frame, FunctionReference, Value, plain
from servelint.knowledge.types import Offload


@dataclass(frozen=True, slots=True)
class Handoff:
    """A call that runs `callable` elsewhere.

    `certain` says that the offload is known by its whole name, `dispatched` that it is made inside the
    function of the project that is called.
    """

    call: Call
    offload: Offload
    callable: Expression
    certain: bool
    dispatched: bool = False

    @property
    def inner(self) -> Call:
        """The call that is made elsewhere, with the arguments that stand behind the callable."""
        arguments, number = self.call.arguments, self.offload.position
        if number is None or self.callable not in arguments or self.offload.wraps:
            return Call(self.callable, (), (), self.call.position)
        behind = arguments[arguments.index(self.callable) + 1 :]
        return Call(self.callable, behind, self.call.keywords, self.call.position)


class Handoffs:
    """Finds the offloads of one project."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        offloads = evaluator.frameworks.offload
        self._names = offloads.names.last_names().union(offloads.methods)
        self._open = any("*" in name for name in self._names)

    def of(self, frame: Frame, call: Call) -> Handoff | None:
        """What the call offloads, directly or through a function that hands its parameter on."""
        given = (*call.arguments, *(value for _, value in call.keywords))
        if not any(map(_may_be_callable, given)) or not self._may_offload(frame, call):
            return None
        found = _named(self.evaluator, frame, call)
        if found is not None:
            return found
        for value, _ in plain(self.evaluator.calls.callees(frame, call)):
            if isinstance(value, FunctionReference):
                return _dispatched(self.evaluator, value, call)
        return None

    def _may_offload(self, frame: Frame, call: Call) -> bool:
        """Whether the name of what is called is that of an offload, or of a function that makes one."""
        return self._open or self.evaluator.module(frame.module).may_call(call.function, self._offloading)

    @cached_property
    def _offloading(self) -> frozenset[str]:
        """The names of offloads, and of the functions that may hand a parameter on to one."""
        return self._names.union(self.evaluator.project.functions_calling(self._names))


def _may_be_callable(given: Expression) -> bool:
    return not isinstance(given, Constant | Opaque | Mapping | Sequence | Listed)


def _named(evaluator: Evaluator, frame: Frame, call: Call) -> Handoff | None:
    table = evaluator.frameworks.offload
    values = evaluator.calls.callees(frame, call)
    names = [name for value, _ in plain(values) if (name := _name(evaluator, value))]
    if values and not names:
        return None  # a function of the project that has the name of an offload
    known = next((entry for name in names if (entry := table.names.find(name)) is not None), None)
    entry = known or table.methods.get(last_name(call.function))
    if entry is None:
        return None
    given = argument(call, entry.position, entry.keyword)
    return None if given is None else Handoff(call, entry, given, certain=known is not None)


def _name(evaluator: Evaluator, value: Value) -> str:
    """The qualified name of what is called, of the project's functions only those configured as offloads."""
    match value:
        case External(name):
            return name
        case FunctionReference() if evaluator.frameworks.own_offloads:
            name = evaluator.qualified(value)
            return name if evaluator.frameworks.own_offloads.find(name) else ""
    return ""


def _dispatched(evaluator: Evaluator, function: FunctionReference, call: Call) -> Handoff | None:
    """The argument that the function hands to an offload in its own body."""
    facts = evaluator.facts(function)
    inside = evaluator.frame(evaluator.module(function.module), function.function)
    names = [p.name for p in facts.parameters if p.kind == "positional"]
    names = names[1:] if function.receiver is not None else names
    for site in facts.sites:
        handed = _named(evaluator, inside, site.call)
        run = _run(evaluator, inside, handed) if handed is not None else None
        if handed is None or not isinstance(run, Name):
            continue
        name = run.id
        given = argument(call, names.index(name) if name in names else None, name)
        if given is not None:
            return Handoff(call, handed.offload, given, handed.certain, dispatched=True)
    return None


def _run(evaluator: Evaluator, frame: Frame, handed: Handoff) -> Expression | None:
    """What runs in the end where the offload is given something that runs its first argument, or binds it.

    `pool, context.run, partial(function, *args)` runs `function`.
    """
    run: Expression | None = handed.callable
    following = iter(_behind(handed))
    while True:
        if isinstance(run, Call):
            called = run.function
            bound = any(name == "functools.partial" for name in _external(evaluator, frame, called))
            if not bound or not run.arguments:
                return None
            run = run.arguments[0]
            continue
        if run is None or not _runs_its_argument(evaluator, frame, run):
            return run
        run = next(following, None)


def _runs_its_argument(evaluator: Evaluator, frame: Frame, method: Expression) -> bool:
    """Whether it is a method that runs a function; by its name where the object is not known."""
    if not isinstance(method, Attribute):
        return False
    runs = evaluator.frameworks.runs.names
    values = evaluator.evaluate(frame, method)
    if not values:
        return method.name in runs.last_names()
    return any(runs.find(value.name) for value, _ in plain(values) if isinstance(value, External))


def _behind(handed: Handoff) -> tuple[Expression, ...]:
    """The arguments that the offload gives to its callable."""
    given = handed.call.arguments
    return given[given.index(handed.callable) + 1 :] if handed.callable in given else ()


def _external(evaluator: Evaluator, frame: Frame, expression: Expression) -> tuple[str, ...]:
    values = evaluator.evaluate(frame, expression)
    return tuple(value.name for value, _ in plain(values) if isinstance(value, External))
