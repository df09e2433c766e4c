"""Why a call is or is not a finding: `servelint check --explain PATH:LINE`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from servelint.code.facts.facts import Attribute, Call, Expression, Name, Site, Subscript, dotted
from servelint.code.graph.project import Bound, Module
from servelint.code.judge.analysis import Analysis, deep_recursion
from servelint.code.loop.bound import Where
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
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
    Partial,
    Pending,
    State,
    Super,
    Value,
    Values,
)
from servelint.project.config import Config
from servelint.project.files import Tree

WHERE = {
    Where.LOOP: "runs on the event loop while serving",
    Where.STARTUP: "runs at start-up or shutdown, where blocking is not reported",
    Where.ELSEWHERE: "is no coroutine and no loop-bound callback: it runs where its callers do",
}


def explain(tree: Tree, config: Config, path: Path, line: int) -> tuple[str, ...]:
    """Lines that tell how each call on a 1-based line is judged; empty where there is no call."""
    analysis = Analysis(tree, config)
    module = analysis.project.module(str(path))
    if module is None:
        return ()
    with deep_recursion():
        return tuple(_Explanation(analysis, module).lines(line))


class _Explanation:
    def __init__(self, analysis: Analysis, module: Module) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator
        self.module = module

    def lines(self, line: int) -> Iterator[str]:
        for index, function in enumerate(self.module.facts.functions):
            for site in function.sites:
                if site.call.position.line <= line <= site.call.position.end_line:
                    yield from self._site(index, site)

    def _site(self, index: int, site: Site) -> Iterator[str]:
        function = self.module.function(index)
        frame = self.evaluator.frame(self.module, index)
        yield f"{dotted(site.call.function)}() in {function.qualname}, line {site.call.position.line}"
        if index:
            where = self.analysis.loop.where(self.module, index, function)
            role, framework = self.analysis.loop.role(self.module, index, function)
            told = f" ({role}{f' of {framework}' if framework else ''})"
            yield f"  {function.qualname} {WHERE[where]}{told}"
        else:
            yield "  the module's own body runs when it is imported, where blocking is not reported"
        for expression in _parts(site.call.function):
            yield from self._expression(frame, expression)
        yield f"  verdict: {self._verdict(frame, site)}"

    def _expression(self, frame: Frame, expression: Expression) -> Iterator[str]:
        values = self.evaluator.evaluate(frame, expression)
        yield f"  {dotted(expression)}: {self._told(values)}"
        for module, bound in self._bindings(frame, expression, values):
            value = dotted(bound.binding.value) if bound.binding.value is not None else "declared"
            yield f"    bound at {self._place(module.path, bound.binding.line)}: {value}"

    def _bindings(
        self, frame: Frame, expression: Expression, values: Values
    ) -> Iterator[tuple[Module, Bound]]:
        """The assignments through which an expression got its values."""
        match expression:
            case Name(id):
                scope: int | None = frame.function
                while scope is not None:
                    found = self.module.bound(scope, id)
                    yield from ((self.module, bound) for bound in found)
                    scope = None if found or not scope else self.module.function(scope).parent or 0
            case Attribute(_, name) if any(not isinstance(v, LibraryMethod | External) for v in values):
                yield from ((m, b) for m, b in self.analysis.project.attributes(name) if b.binding.value)

    def _verdict(self, frame: Frame, site: Site) -> str:
        if site.use in ("await", "async"):
            return "awaited, so the call gives an awaitable and does not block by itself"
        blocking = self.analysis.judge.site(frame, site)
        if blocking is None:
            return self._why_not(frame, site)
        way = " -> ".join(hop.text for hop in blocking.hops)
        return f"blocks ({blocking.role.value}, {blocking.confidence.value} confidence): {way}"

    def _why_not(self, frame: Frame, site: Site) -> str:
        judge = self.analysis.judge
        values = self.evaluator.calls.callees(frame, site.call)
        if values and all(judge.outcome(_plain(value), frame, site.call).harmless for value in values):
            return "not blocking: everything that it may call is known not to block"
        role = judge.evidence.role_of(site.call)
        if role is None:
            return "nothing is known of what it calls, and its name says nothing"
        if not self.analysis.reach.has_models(self.module.path):
            return f"its name says {role.value}, but no library that runs models is in reach of this file"
        return f"its name says {role.value}, but its receiver is known or its result is awaited later"

    # -- words -----------------------------------------------------------------------------------

    def _told(self, values: Values) -> str:
        return " or ".join(dict.fromkeys(self._value(value) for value in values)) or "not known"

    def _value(self, value: Value) -> str:
        match value:
            case Guess(inner):
                return f"perhaps {self._value(inner)}"
            case External(name):
                return f"{name}"
            case ExternalObject(name):
                return f"an object of {name}"
            case LibraryObject(type_name):
                return f"an object of {type_name} ({self.analysis.catalogue.types[type_name].library})"
            case LibraryMethod(type_name, method):
                return f"the method {type_name}.{method}"
            case LazyResult(name, library, _):
                return f"the lazy result of {name} ({library})"
            case ModuleReference(path):
                return f"the module {self._place(path)}"
            case _:
                return self._of_project(value)

    def _of_project(self, value: Value) -> str:
        match value:
            case FunctionReference(path, _, _, _):
                facts = self.evaluator.facts(value)
                kind = "coroutine function" if facts.is_async else "function"
                return f"the {kind} {facts.qualname} ({self._place(path, facts.position.line)})"
            case ClassReference(path, _):
                facts_ = self.evaluator.classes.facts(value)
                return f"the class {facts_.qualname} ({self._place(path, facts_.position.line)})"
            case Instance(cls, exact):
                return (
                    f"an object of {self._value(cls).removeprefix('the ')}{'' if exact else ' or a subclass'}"
                )
            case Generator(function, _):
                return f"a generator made by {self._value(function)}"
            case Pending(function, offloaded):
                return f"an awaitable of {self._value(function)}{', offloaded' if offloaded else ''}"
            case Offloaded(function) | Partial(function, _, _):
                return f"a wrapper of {self._value(function)}"
            case Super(cls, _):
                return f"super() of {self._value(cls)}"
            case Literal(frame, _):
                return f"a literal in {self._place(frame.module)}"
            case State():
                return "the application's shared state"
        return "something else"

    def _place(self, path: str, line: int = 0) -> str:
        relative = os.path.relpath(path, self.analysis.project.root)
        return f"{relative}:{line}" if line else relative


def _plain(value: Value) -> Value:
    return value.value if isinstance(value, Guess) else value


def _parts(expression: Expression) -> Iterator[Expression]:
    """The receivers of a callee, innermost first, and the callee itself."""
    match expression:
        case Attribute(value, _) | Subscript(value, _):
            yield from _parts(value)
        case Call(function, _, _, _):
            yield from _parts(function)
    yield expression
