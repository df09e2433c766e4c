"""What gives the object of a moved call: where that may hold up the event loop, it has to move as well.

    await loop.run_in_executor(pool, lambda: get_model().predict(rows))

`run_in_executor(pool, get_model().predict, rows)` calls `get_model` on the event loop, which waits there for
its lock.
"""

from __future__ import annotations

import ast

from servelint.code.facts.facts import Position
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.blocks.lines import Lines
from servelint.code.fixes.doubts.reached import Reached
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import External, ExternalObject, Frame, plain


class Getters:
    """Judges the objects of one project's calls."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached, lines: Lines) -> None:
        self.analysis = analysis
        self.files = files
        self.reached = reached
        self.lines = lines
        self.locks = policy.load().locks
        self._locking: dict[tuple[str, int], bool] = {}

    def waiting(self, call: BlockingCall) -> tuple[Frame, ...]:
        """The functions that give the object of the call; none where nothing in them waits."""
        found = self._giving(call)
        below = self.reached.functions(found) if found else ()
        return found if any(map(self._takes_lock, below)) or self._blocks(call) else ()

    def _giving(self, call: BlockingCall) -> tuple[Frame, ...]:
        """The functions that run before the call to give what it calls."""
        node = self._called(call)
        if not isinstance(node, ast.Attribute):
            return ()
        facts, lines = call.caller.facts, (node.lineno, node.end_lineno or node.lineno)
        sites = [site for site in self.lines.sites(facts, *lines) if _is_in(site.call.position, node)]
        subjects = [one for one in self.lines.subjects(facts, *lines) if _is_in(one.position, node.value)]
        return tuple(self.reached.run(call.frame, sites, subjects))

    def _called(self, call: BlockingCall) -> ast.expr | None:
        node = self.files.syntax(call.caller.module).at(call.position, ast.Call)
        return None if node is None or call.site is None else node.func

    def _blocks(self, call: BlockingCall) -> bool:
        """Whether another blocking call gives the object."""
        node = self._called(call)
        if node is None or not any(isinstance(part, ast.Call) for part in ast.walk(node)):
            return False
        return any(_is_in(other.position, node) for other in self.analysis.blocking_calls_of(call.caller))

    def _takes_lock(self, frame: Frame) -> bool:
        key = (frame.module, frame.function)
        if key not in self._locking:
            self._locking[key] = self._enters_lock(frame)
        return self._locking[key]

    def _enters_lock(self, frame: Frame) -> bool:
        evaluator = self.analysis.evaluator
        function, syntax = self.files.function(frame)
        own = syntax.own_nodes(function) if function is not None else ()
        items = [item.context_expr for node in own if isinstance(node, ast.With) for item in node.items]
        entered = [found for item in items if (found := annotation(item)) is not None]
        return any(
            isinstance(value, External | ExternalObject) and self.locks.find(value.name)
            for expression in entered
            for value, _ in plain(evaluator.evaluate(frame, expression))
        )


def _is_in(position: Position, node: ast.expr) -> bool:
    """Whether what stands there is the node, or a part of it."""
    start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    return start <= (position.line, position.column) and (position.end_line, position.end_column) <= end
