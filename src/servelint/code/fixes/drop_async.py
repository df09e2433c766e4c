"""The smaller change for an endpoint that awaits nothing: a plain `def`, which runs in a thread."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from servelint.code.facts.facts import Call, Expression
from servelint.code.fixes.doubts.safety import Safety
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import External, Frame, plain
from servelint.finding import Applicability, Fix
from servelint.knowledge.types import Phase, Role, SyncRuns

_ASYNC = re.compile(r"async[ \t]+(?=def\b)")
_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)


class DropAsync:
    """Plans the change for the endpoints of one project."""

    def __init__(self, analysis: Analysis, files: Files, safety: Safety) -> None:
        self.analysis = analysis
        self.files = files
        self.safety = safety
        self.roles = policy.load().plain_roles

    def plan(self, call: BlockingCall, function: Function) -> Fix | None:
        """The fix that makes the function around the call a plain `def`; None where that would not do."""
        syntax = self.files.syntax(call.caller.module)
        written = _ASYNC.match(syntax.source.text, syntax.start(function))
        if written is None or _waits(syntax, function) or not self._in_thread(call) or self._loads(call):
            return None
        if any(self._mentions(module, call, function) for module in self._mentioning(function)):
            return None
        doubt = self.safety.doubt_of_body(call)
        return Fix(
            Applicability.UNSAFE if doubt else Applicability.SAFE,
            f"Make `{function.name}` a plain `def`, which {call.caller.framework} runs in a thread",
            (syntax.edit(written.start(), written.end(), ""),),
            doubt,
        )

    def _mentioning(self, function: Function) -> Iterator[Module]:
        return self.analysis.project.mentioning([function.name, "import *"], tests=True)

    def _in_thread(self, call: BlockingCall) -> bool:
        """Whether everything that knows of the function would run it in a thread."""
        module, facts = call.caller.module, call.caller.facts
        points = self.analysis.loop.entry_points.of(module, call.caller.index)
        frame = self.analysis.evaluator.frame(module, facts.parent or 0)
        return (
            bool(points)
            and facts.owner is None
            and all(p.sync is SyncRuns.THREAD and p.phase is Phase.SERVING for p in points)
            and all(point.role in self.roles for point in points)
            and all(self._is_route(frame, decorator) for decorator in facts.decorators)
        )

    def _is_route(self, frame: Frame, decorator: Expression) -> bool:
        """Whether the decorator is the framework's; any other may await what it wraps."""
        made = decorator.function if isinstance(decorator, Call) else decorator
        names = [
            v.name for v, _ in plain(self.analysis.evaluator.evaluate(frame, made)) if isinstance(v, External)
        ]
        return bool(names) and all(self.analysis.frameworks.decorators.find(name) for name in names)

    def _loads(self, call: BlockingCall) -> bool:
        """Whether the function loads a model too: it would go on doing so for every request."""
        same = self.analysis.blocking_calls_of(call.caller)
        return any(other.blocking.role is Role.LOAD for other in same)

    def _mentions(self, module: Module, call: BlockingCall, function: Function) -> bool:
        """Whether the file, a test too, has a name for the function besides its definition."""
        home = call.caller.module
        if module is home:
            return function.name in self.files.syntax(module).names
        for name in self._names_of(module, home, function.name):
            if not name:
                return True
            syntax = self.files.syntax(module)
            if any(_is_member(node, syntax, name, function.name) for node in syntax.nodes):
                return True
        return False

    def _names_of(self, module: Module, home: Module, function: str) -> Iterator[str]:
        """How the file spells the module `home`; empty for an import of the function itself."""
        project = self.analysis.project
        for facts in module.facts.functions:
            for item in facts.imports:
                path = project.resolve(module, item.module, item.level)
                if path == home.path:
                    if item.name in (function, ""):
                        yield "" if item.name else item.local
                elif path is not None and item.name and project.submodule(path, item.name) == home.path:
                    yield item.local
        for star, level in module.facts.stars:
            if project.resolve(module, star, level) == home.path:
                yield ""


def _is_member(node: ast.AST, syntax: Syntax, module: str, name: str) -> bool:
    if not isinstance(node, ast.Attribute) or node.attr != name:
        return False
    return syntax.text(node.value).partition(".")[0] == module.partition(".")[0]


def _waits(syntax: Syntax, function: Function) -> bool:
    """Whether the body awaits, iterates asynchronously or yields."""
    return any(
        isinstance(node, _WAITS) or (isinstance(node, ast.comprehension) and node.is_async)
        for node in syntax.own_nodes(function)
    )
