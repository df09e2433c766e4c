"""The application's lifespan: who can reach the state that it fills, and how a pool is made in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from servelint.code.facts.facts import Call, Constant
from servelint.code.fixes.text import policy, variables
from servelint.code.fixes.text.header import is_text
from servelint.code.fixes.text.style import fitted, line_length
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import ExternalObject, plain
from servelint.finding import Edit

if TYPE_CHECKING:
    from servelint.code.fixes.text.files import Files

# The Python 3 whose `shutdown` takes `cancel_futures`.
_CANCELS_SINCE = 9
_LOGGER = re.compile(r"_?log(ger|ging)?", re.IGNORECASE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Lifespan:
    """An application's lifespan function, and the global name of the application if it has one."""

    module: Module
    index: int
    application: str


@dataclass(frozen=True, slots=True)
class Start:
    """The `yield` of a lifespan function, and what its parameter, the application, is called there."""

    syntax: Syntax
    function: Function
    application: str
    statement: ast.stmt

    @property
    def guard(self) -> ast.Try | None:
        """The outermost `try` with a `finally` around the `yield`."""
        return _guard(self.syntax, self.statement, self.function)

    @property
    def offset(self) -> int:
        """Where the line starts before which start-up ends."""
        return self.syntax.line_start((self.guard or self.statement).lineno)

    @property
    def indent(self) -> str:
        """The white space in front of that line."""
        return self.syntax.indent((self.guard or self.statement).lineno)

    @property
    def beginning(self) -> int:
        """Where the line starts before which a pool is there for all of start-up, which may use it."""
        body, syntax = self.function.body, self.syntax
        first = next(number for number, s in enumerate(body) if not _leads_in(s))
        while first and body[first - 1].end_lineno == syntax.first_line(body[first]):
            first -= 1  # they share a line
        if body[first] is (self.guard or self.statement) or is_text(body[first]):
            return self.offset
        return syntax.line_start(syntax.above_comments(syntax.first_line(body[first])))

    @property
    def blank_line(self) -> str:
        """The blank line between a statement at the beginning and a definition that follows it."""
        body, syntax = self.function.body, self.syntax
        following = next((s for s in body if syntax.line_start(syntax.first_line(s)) >= self.beginning), None)
        return "\n" if isinstance(following, _DEFINITIONS) else ""

    @property
    def local(self) -> set[str]:
        """The variables of the function."""
        return variables.writes(self.function.body) | {self.application}


class Lifespans:
    """The lifespans of one project's applications."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()
        self._found: list[Lifespan] | None = None

    def state(self, call: BlockingCall) -> str:
        """How the function reaches the application's state; empty where it cannot."""
        lifespan = self.reaching(call.caller.module)
        if lifespan is None:
            return ""
        name = lifespan.application
        if name and lifespan.module is call.caller.module and not is_local(call, name):
            return f"{name}.state"
        for parameter in () if self._mounts else call.caller.facts.parameters:
            values = self.analysis.evaluator.annotations.annotated(call.frame, parameter.annotation)
            for value, _ in plain(values):
                known = self.policy.state_requests.find(getattr(value, "name", ""))
                if isinstance(value, ExternalObject) and known:
                    return f"{parameter.name}.app.state"
        return ""

    @cached_property
    def _mounts(self) -> bool:
        """Whether an application may stand inside another: then a request's application is not the one."""
        return any(
            any(not isinstance(argument, Call | Constant) for argument in site.call.arguments)
            for _, _, site in self.analysis.project.calls("mount")
        )

    def reaching(self, module: Module) -> Lifespan | None:
        """The only lifespan of an application that imports the file; None where there is none, or several."""
        if self._found is None:
            self._found = list(self._find())
        own = [lifespan for lifespan in self._found if lifespan.module is module]
        found = own or [
            one for one in self._found if module.path in self.analysis.reach.closure(one.module.path)
        ]
        return found[0] if len(found) == 1 else None

    def _find(self) -> Iterator[Lifespan]:
        loop = self.analysis.loop
        for module in self.analysis.project.mentioning(["lifespan"]):
            for index in range(1, len(module.facts.functions)):
                if any(point.role == "lifespan" for point in loop.entry_points.of(module, index)):
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

    def start(self, lifespan: Lifespan) -> Start | None:
        """Where the start-up ends; None where the function is written in a way that leaves no place."""
        syntax = self.files.syntax(lifespan.module)
        facts = lifespan.module.function(lifespan.index)
        function = syntax.at(facts.position, ast.AsyncFunctionDef)
        if function is None or not facts.parameters:
            return None
        yields = [n for n in syntax.own_nodes(function) if isinstance(n, ast.Yield)]
        statement = syntax.statement(yields[0]) if len(yields) == 1 else None
        if not isinstance(statement, ast.Expr) or not _stands_alone(syntax, statement):
            return None
        return Start(syntax, function, facts.parameters[0].name, statement)

    def start_and_stop(
        self, lifespan: Lifespan, attribute: str, construct: Callable[[Function], str], comment: str
    ) -> tuple[Edit, ...] | None:
        """The edits that put what `construct` writes on the state first, and shut it down after the `yield`.

        None where the function is written in a way that leaves no place for them.
        """
        start = self.start(lifespan)
        if start is None:
            return None
        syntax, statement, guard = start.syntax, start.statement, start.guard
        place = f"{start.application}.state.{attribute}"
        beginning = start.beginning
        indent = start.indent
        if beginning != start.offset:
            indent = syntax.indent(start.function.body[0].lineno)
        made = fitted(f"{indent}{place} = {construct(start.function)}", line_length(syntax))
        cancels = self.analysis.pythons.of(lifespan.module.path) >= _CANCELS_SINCE
        ended = f"{place}.shutdown(wait=False{', cancel_futures=True' if cancels else ''})"
        comment = f"{indent}{comment}\n" if comment else ""
        begun = syntax.edit(beginning, beginning, f"{comment}{made}\n{start.blank_line}")
        if guard is None:
            return begun, _line_after(syntax, statement, f"{syntax.indent(statement.lineno)}{ended}")
        first = guard.finalbody[0]
        end = syntax.line_start(first.lineno)
        return begun, syntax.edit(end, end, f"{syntax.indent(first.lineno)}{ended}\n")


def is_local(call: BlockingCall, name: str) -> bool:
    """Whether the function that makes the call binds the name itself."""
    function = call.caller.facts
    return name not in function.outer and (
        any(p.name == name for p in function.parameters)
        or bool(call.caller.module.bound(call.caller.index, name))
    )


def _leads_in(statement: ast.stmt) -> bool:
    """Whether the statement only says something, imports, or names a constant: it needs no pool."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Assign(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return _LOGGER.fullmatch(name) is not None
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.Global)


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
