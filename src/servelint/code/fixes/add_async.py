"""A plain `def` that a framework calls on the event loop and would await: it becomes an `async def`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.facts.facts import Call
from servelint.code.fixes.text import placement
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function
from servelint.code.judge.analysis import Analysis
from servelint.code.loop.bound import LoopBound
from servelint.finding import Edit
from servelint.knowledge.types import Phase, SyncRuns


class Change(NamedTuple):
    """The edits that make the function a coroutine and await it where the project calls it.

    `doubt` says why that may not be all that has to change; empty where it is.
    """

    edits: tuple[Edit, ...] = ()
    doubt: str = ""


class AddAsync:
    """Plans the change for the functions of one project."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self._may: dict[LoopBound, bool] = {}

    def may_await(self, caller: LoopBound) -> bool:
        """Whether the function is a coroutine, or everything that calls it would await one."""
        if caller.facts.is_async:
            return True
        if caller not in self._may:
            self._may[caller] = self._is_awaited(caller)
        return self._may[caller]

    def _is_awaited(self, caller: LoopBound) -> bool:
        facts = caller.facts
        if facts.is_lambda or facts.is_generator:
            return False
        points = self.analysis.loop.entry_points.of(caller.module, caller.index)
        by_decorator = sum(bool(point.decorator) for point in points)
        said = {key for made in facts.decorators if isinstance(made, Call) for key, _ in made.keywords}
        if any(said & point.thread_when.keys() for point in points):
            return False  # where it runs is written down, and does not go with a coroutine
        return (
            bool(points)
            and all(p.awaits and p.sync is SyncRuns.LOOP and p.phase is Phase.SERVING for p in points)
            and len(facts.decorators) == by_decorator
        )

    def plan(self, caller: LoopBound, function: Function) -> Change:
        """The change; none for a function that is a coroutine already."""
        if isinstance(function, ast.AsyncFunctionDef):
            return Change()
        syntax = self.files.syntax(caller.module)
        start = syntax.start(function)
        edits, doubts = [syntax.edit(start, start, "async ")], list(self._doubts(caller))
        frame = self.analysis.evaluator.frame(caller.module, caller.index)
        for outer, made in self.analysis.evaluator.callers.call_sites(frame):
            facts, module = self.analysis.evaluator.facts(outer), self.analysis.evaluator.module(outer.module)
            around = self.files.syntax(module)
            node, inside = around.at(made.position, ast.Call), placement.function_at(around, facts.position)
            if node is not None and isinstance(around.parent(node), ast.Await):
                continue
            if not facts.is_async or node is None or inside is None:
                doubts.append(f"`{facts.qualname}` calls it and cannot await")
            elif reason := placement.awaitable_at(around, node, inside):
                doubts.append(f"`{facts.qualname}` calls it, and {reason}")
            else:
                before, after = (
                    ("(await ", ")") if placement.needs_parentheses(around, node) else ("await ", "")
                )
                edits.append(around.edit(around.start(node), around.start(node), before))
                if after:
                    edits.append(around.edit(around.end(node), around.end(node), after))
        return Change(tuple(edits), doubts[0] if doubts else "")

    def _doubts(self, caller: LoopBound) -> Iterator[str]:
        """Tests that name the class, or the function, may call it and not await it."""
        facts = caller.facts
        owner = caller.module.facts.classes[facts.owner].name if facts.owner is not None else facts.name
        for module in self.analysis.project.mentioning([owner], tests=True):
            syntax = self.files.syntax(module)
            if (
                module is not caller.module
                and owner in syntax.names
                and self._calls(syntax.nodes, facts.name)
            ):
                yield f"a file that names `{owner}` calls `{facts.name}`, and may have to await it"

    def _calls(self, nodes: tuple[ast.AST, ...], name: str) -> bool:
        called = (node.func for node in nodes if isinstance(node, ast.Call))
        return any(
            (isinstance(f, ast.Attribute) and f.attr == name) or (isinstance(f, ast.Name) and f.id == name)
            for f in called
        )
