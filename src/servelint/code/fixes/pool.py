"""Which thread pool a moved call runs in: one that the project has, else one that the fix makes.

A new pool is made in the application's lifespan and shut down after it, where handlers can reach it; else
it is a global of the file that needs it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from servelint.code import evidence
from servelint.code.analysis import Analysis, BlockingCall
from servelint.code.facts import Attribute, Call, Constant, Expression, Name
from servelint.code.fixes import policy
from servelint.code.fixes.imports import Imports, NameTakenError
from servelint.code.fixes.sizing import Size, Sizes
from servelint.code.fixes.syntax import Function, Syntax, own_nodes
from servelint.code.project import Module
from servelint.code.values import ClassReference, ExternalObject, Frame, Instance, plain
from servelint.finding import Edit

if TYPE_CHECKING:
    from servelint.code.fixes.files import Files

ImportsOf: TypeAlias = Callable[[Module], Imports]

ATTRIBUTE = "inference_executor"
GLOBAL = "_inference_executor"
MODULE, CLASS = "concurrent.futures", "ThreadPoolExecutor"


@dataclass(frozen=True, slots=True)
class Pool:
    """How the call spells the pool, its size (None where that is not known), and the edits that make it."""

    text: str
    workers: int | None
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Lifespan:
    """An application's lifespan function, and the global name of the application if it has one."""

    module: Module
    index: int
    application: str


class Pools:
    """Finds or makes the pool for blocking calls of one project."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()
        self.sizes = Sizes(analysis)
        self._lifespans: list[Lifespan] | None = None

    def choose(self, call: BlockingCall, imports: ImportsOf) -> Pool:
        """The pool for the call; adds what it needs to `imports`. Raises `NameTakenError`."""
        existing = self._global(call) or self._own(call) or self._shared(call)
        return existing or self._in_lifespan(call, imports) or self._in_module(call, imports)

    # -- what there is ---------------------------------------------------------------------------

    def _global(self, call: BlockingCall) -> Pool | None:
        """A pool that the file has a global name for, its own or an imported one."""
        module = call.caller.module
        body = module.facts.body
        own = [b.target.id for b in body.bindings if isinstance(b.target, Name) and isinstance(b.value, Call)]
        imported = [item.local for item in body.imports if item.name]
        for name in (*own, *imported):
            if not self._is_dedicated(name) or self._is_local(call, name):
                continue
            for value, _ in plain(self.analysis.evaluator.member(module, name)):
                if self._is_pool(value):
                    return Pool(name, self._workers(module, name))
        return None

    def _own(self, call: BlockingCall) -> Pool | None:
        """A pool that the object whose method this is holds."""
        function = call.caller.facts
        if function.owner is None or not function.parameters:
            return None
        receiver = function.parameters[0].name
        cls = call.caller.module.facts.classes[function.owner]
        for method in cls.methods.values():
            for binding in call.caller.module.function(method).bindings:
                match binding.target, binding.value:
                    case Attribute(Name("self"), name), Call() as made if self._is_dedicated(name):
                        frame = self.analysis.evaluator.frame(call.caller.module, method)
                        if self._makes_pool(frame, made):
                            return Pool(f"{receiver}.{name}", _constant_workers(made))
        return None

    def _shared(self, call: BlockingCall) -> Pool | None:
        """A pool on the application's state."""
        for module in self.analysis.project.sources():
            for index, function in enumerate(module.facts.functions):
                for binding in function.bindings:
                    match binding.target, binding.value:
                        case Attribute(holder, name), Call() as made if self._is_dedicated(name):
                            if not self.analysis.evaluator.is_state(module, index, holder):
                                continue
                            frame = self.analysis.evaluator.frame(module, index)
                            state = self._state(call) if self._makes_pool(frame, made) else ""
                            if state:
                                return Pool(f"{state}.{name}", _constant_workers(made))
        return None

    def _is_dedicated(self, name: str) -> bool:
        return not set(evidence.split(name)) & self.policy.other_pools

    def _makes_pool(self, frame: Frame, made: Call) -> bool:
        return any(self._is_pool(v) for v, _ in plain(self.analysis.evaluator.evaluate(frame, made)))

    def _is_pool(self, value: object) -> bool:
        match value:
            case ExternalObject(name):
                return self.policy.thread_pools.find(name) is not None
            case Instance(ClassReference() as cls):
                bases = self.analysis.evaluator.classes.lineage(cls)
                return any(self.policy.thread_pools.find(getattr(base, "name", "")) for base in bases)
        return False

    def _workers(self, module: Module, name: str) -> int | None:
        found = [b.binding.value for b in module.bound(0, name)]
        return _constant_workers(found[0]) if len(found) == 1 else None

    def _is_local(self, call: BlockingCall, name: str) -> bool:
        """Whether the function binds the name itself."""
        function = call.caller.facts
        return name not in function.outer and (
            any(p.name == name for p in function.parameters)
            or any(isinstance(b.target, Name) and b.target.id == name for b in function.bindings)
        )

    # -- the application's state -----------------------------------------------------------------

    def _state(self, call: BlockingCall) -> str:
        """How the function reaches the application's state; empty where it cannot."""
        for lifespan in self._reaching(call.caller.module):
            name = lifespan.application
            if name and lifespan.module is call.caller.module and not self._is_local(call, name):
                return f"{name}.state"
            if self._mounts():
                continue
            for parameter in call.caller.facts.parameters:
                values = self.analysis.evaluator.annotations.annotated(call.frame, parameter.annotation)
                for value, _ in plain(values):
                    known = self.policy.state_requests.find(getattr(value, "name", ""))
                    if isinstance(value, ExternalObject) and known:
                        return f"{parameter.name}.app.state"
        return ""

    def _mounts(self) -> bool:
        """Whether an application may stand inside another: then a request's application is not the one."""
        return any(
            any(not isinstance(argument, Call | Constant) for argument in site.call.arguments)
            for _, _, site in self.analysis.project.calls("mount")
        )

    def _reaching(self, module: Module) -> Iterator[Lifespan]:
        """The only lifespan of an application that imports the file."""
        if self._lifespans is None:
            self._lifespans = list(self._find_lifespans())
        own = [lifespan for lifespan in self._lifespans if lifespan.module is module]
        found = own or [
            one for one in self._lifespans if module.path in self.analysis.reach.closure(one.module)
        ]
        if len(found) == 1:
            yield found[0]

    def _find_lifespans(self) -> Iterator[Lifespan]:
        loop = self.analysis.loop
        for module in self.analysis.project.sources():
            for index in range(1, len(module.facts.functions)):
                if any(point.role == "lifespan" for point in loop.points(module, index)):
                    application = self._application(module)
                    if application is not None:
                        yield Lifespan(module, index, application)

    def _application(self, module: Module) -> str | None:
        """The global name of the application that the file gives a lifespan; None if it has no state."""
        for function in module.facts.functions:
            for site in function.sites:
                if all(key != "lifespan" for key, _ in site.call.keywords):
                    continue
                frame = self.analysis.evaluator.frames(module.path, 0)
                for value, _ in plain(self.analysis.evaluator.evaluate(frame, site.call)):
                    named = value.name if isinstance(value, ExternalObject) else ""
                    if named and self.policy.state_applications.find(named):
                        return site.name if function is module.facts.body else ""
        return None

    # -- what is made ----------------------------------------------------------------------------

    def _in_lifespan(self, call: BlockingCall, imports: ImportsOf) -> Pool | None:
        state = self._state(call)
        for lifespan in self._reaching(call.caller.module) if state else ():
            made = self._made_in(lifespan, imports)
            if made is not None:
                return Pool(f"{state}.{ATTRIBUTE}", self.sizes.of(lifespan.module).workers, made)
        return None

    def _made_in(self, lifespan: Lifespan, imports: ImportsOf) -> tuple[Edit, ...] | None:
        """The edits that make the pool before the `yield` and shut it down after it."""
        syntax = self.files.syntax(lifespan.module)
        facts = lifespan.module.function(lifespan.index)
        function = syntax.at(facts.position, ast.AsyncFunctionDef)
        if function is None or not facts.parameters:
            return None
        yields = [n for n in own_nodes(function) if isinstance(n, ast.Yield)]
        statement = syntax.statement(yields[0]) if len(yields) == 1 else None
        if not isinstance(statement, ast.Expr) or not _stands_alone(syntax, statement):
            return None
        place = f"{facts.parameters[0].name}.state.{ATTRIBUTE}"
        size = self.sizes.of(lifespan.module)
        made = f"{place} = {_construction(size, imports(lifespan.module), function)}"
        ended = f"{place}.shutdown(wait=False, cancel_futures=True)"
        guard = _guard(syntax, statement, function)
        before = guard or statement
        indent = syntax.indent(before.lineno)
        start = syntax.line_start(before.lineno)
        comment = f"{indent}{size.comment}\n" if size.comment else ""
        edits = [syntax.edit(start, start, f"{comment}{indent}{made}\n")]
        if guard is not None:
            first = guard.finalbody[0]
            start = syntax.line_start(first.lineno)
            edits.append(syntax.edit(start, start, f"{syntax.indent(first.lineno)}{ended}\n"))
        else:
            edits.append(_line_after(syntax, statement, f"{syntax.indent(statement.lineno)}{ended}"))
        return tuple(edits)

    def _in_module(self, call: BlockingCall, imports: ImportsOf) -> Pool:
        """A global of the call's file."""
        syntax = self.files.syntax(call.caller.module)
        if any(isinstance(node, ast.Name) and node.id == GLOBAL for node in ast.walk(syntax.tree)):
            raise NameTakenError(GLOBAL)
        size = self.sizes.of(call.caller.module)
        made = f"{GLOBAL} = {_construction(size, imports(call.caller.module), None)}"
        comment = f"{size.comment}\n" if size.comment else ""
        last = _last_import(syntax.tree)
        line = (last.end_lineno or last.lineno) + 1 if last is not None else 1
        place = syntax.line_start(line)
        ended = not place or syntax.source.text[place - 1] in "\r\n"
        content = ("" if ended else "\n") + f"\n{comment}{made}\n"
        content += "\n" if syntax.source.line(line).strip() else ""
        return Pool(GLOBAL, size.workers, (syntax.edit(place, place, content),))


def _construction(size: Size, imports: Imports, function: Function | None) -> str:
    cls = imports.member(MODULE, CLASS, function, prefer_from=True)
    return f'{cls}(max_workers={size.workers}, thread_name_prefix="inference")'


def _constant_workers(made: Expression | None) -> int | None:
    if not isinstance(made, Call):
        return None
    given = dict(made.keywords).get("max_workers") or (made.arguments[0] if made.arguments else None)
    return given.value if isinstance(given, Constant) and isinstance(given.value, int) else None


def _guard(syntax: Syntax, statement: ast.stmt, function: Function) -> ast.Try | None:
    """The outermost `try` with a `finally` around the statement."""
    found: ast.Try | None = None
    for outer, child in syntax.ancestors(statement):
        if outer is function:
            break
        if isinstance(outer, ast.Try) and outer.finalbody and child in outer.body:
            found = outer
    return found


def _stands_alone(syntax: Syntax, statement: ast.stmt) -> bool:
    """Whether nothing else stands on the statement's lines."""
    text = syntax.source.text
    line = text[syntax.line_start(statement.lineno) : syntax.start(statement)]
    rest = syntax.source.line(statement.end_lineno or statement.lineno)
    after = rest[syntax.end(statement) - syntax.line_start(statement.end_lineno or statement.lineno) :]
    return not line.strip() and (not after.strip() or after.lstrip().startswith("#"))


def _line_after(syntax: Syntax, statement: ast.stmt, content: str) -> Edit:
    line = statement.end_lineno or statement.lineno
    place = syntax.line_start(line) + len(syntax.source.line(line))
    return syntax.edit(place, place, f"\n{content}")


def _last_import(tree: ast.Module) -> ast.stmt | None:
    """The last of the imports that the file starts with, else its docstring."""
    found: ast.stmt | None = None
    for number, statement in enumerate(tree.body):
        is_docstring = (
            not number and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        )
        if is_docstring or isinstance(statement, ast.Import | ast.ImportFrom):
            found = statement
        elif not (isinstance(statement, ast.Try | ast.If) and _imports_only(statement)):
            break
    return found


def _imports_only(statement: ast.Try | ast.If) -> bool:
    return all(isinstance(inner, ast.Import | ast.ImportFrom) for inner in statement.body)
