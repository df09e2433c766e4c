"""What goes wrong where a function waits that did not: others run in between, and time passes.

async def load(self):               # has no `await` so far: who asks before calling it is not interrupted
    self.model = joblib.load(path)
    self.ready = True

if not service.ready:
    await service.load()
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from servelint.code.facts.facts import Call
from servelint.code.fixes.blocks.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.blocks.shared import last_name
from servelint.code.fixes.blocks.sharing import Sharing
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import Frame, FunctionReference, plain

# So many calls up it is looked for who asks before calling.
MAXIMUM_CALLS = 3
_WAITING = (ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Suspended:
    """Judges the functions of one project that get an `await`."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached, sharing: Sharing) -> None:
        self.evaluator = analysis.evaluator
        self.files = files
        self.reached = reached
        self.sharing = sharing
        self._waits: dict[tuple[str, int], bool] = {}
        self._asked: dict[Frame, str] = {}

    def first_await(self, frame: Frame) -> str:
        """Why a function should not get its first `await`: who calls it counts on not being interrupted."""
        if frame not in self._asked:
            self._asked[frame] = self._find_asking(frame, self._changed(frame), MAXIMUM_CALLS)
        return self._asked[frame]

    def _find_asking(self, frame: Frame, changed: frozenset[str], calls: int) -> str:
        facts = self.evaluator.facts(frame)
        if not calls or not facts.is_async or self._is_waiting(frame):
            return ""
        for outer, made in self.evaluator.callers.call_sites(frame):
            function, syntax = self._function(outer)
            node = syntax.at(made.position, ast.Call)
            if function is None or node is None or not isinstance(syntax.parent(node), ast.Await):
                continue
            shared = self.sharing.of(self.evaluator.module(outer.module), function)
            name = self.evaluator.facts(outer).qualname
            for asked in _asked_before(syntax, node, function, changed):
                if isinstance(asked, ast.Attribute) or shared.reaches(last_name(asked)):
                    text = ast.unparse(asked)
                    return f"`{name}` asks for `{text}` and calls `{facts.name}`, which did not wait so far"
            place = "" if _is_locked(syntax, node) else shared.torn(node)
            if place:
                return f"`{name}` uses `{place}` before and after `{facts.name}`, which did not wait so far"
            further = self._find_asking(outer, changed, calls - 1)
            if further:
                return further
        return ""

    def _changed(self, frame: Frame) -> frozenset[str]:
        """The last names of what requests share and the function changes, or one that it calls."""
        found: set[str] = set()
        for number, inner in enumerate(self.reached.functions([frame])):
            function, syntax = self._function(inner)
            if number >= MAXIMUM_FUNCTIONS or function is None:
                continue
            shared = self.sharing.of(self.evaluator.module(inner.module), function)
            found.update(last_name(change.place) for change in shared.changes(syntax.own_nodes(function)))
        return frozenset(found - {""})

    def _is_waiting(self, frame: Frame) -> bool:
        """Whether the coroutine may be interrupted: all it awaits may be coroutines that are not."""
        key = (frame.module, frame.function)
        if key not in self._waits:
            self._waits[key] = False  # what awaits itself waits for nothing else by that
            self._waits[key] = any(self._is_wait(frame, node) for node in self._own(frame))
        return self._waits[key]

    def _own(self, frame: Frame) -> tuple[ast.AST, ...]:
        function, syntax = self._function(frame)
        return syntax.own_nodes(function) if function is not None else ()

    def _is_wait(self, frame: Frame, node: ast.AST) -> bool:
        if isinstance(node, _WAITING) or (isinstance(node, ast.comprehension) and node.is_async):
            return True
        if not isinstance(node, ast.Await):
            return False
        _, syntax = self._function(frame)
        sites = self.evaluator.facts(frame).sites
        made = [s.call for s in sites if syntax.at(s.call.position, ast.Call) is node.value]
        return not made or any(self._may_wait(frame, call) for call in made)

    def _may_wait(self, frame: Frame, made: Call) -> bool:
        """Whether what is called may be anything but coroutines of the project that do not wait."""
        values = [value for value, _ in plain(self.evaluator.calls.callees(frame, made))]
        return not values or any(
            not isinstance(value, FunctionReference)
            or self._is_waiting(self.evaluator.calls.enter(value, frame, made))
            for value in values
        )

    def _function(self, frame: Frame) -> tuple[Function | None, Syntax]:
        syntax = self.files.syntax(self.evaluator.module(frame.module))
        return function_at(syntax, self.evaluator.facts(frame).position), syntax


def _asked_before(
    syntax: Syntax, node: ast.AST, function: Function, names: frozenset[str]
) -> Iterator[ast.expr]:
    """Variables and attributes of these names that the function asks for to come to the node.

    What is asked once more inside an `async with` around the node, a lock, is asked for with nobody between.
    """
    found: list[ast.expr] = []
    for outer, child in syntax.ancestors(node):
        for test in _tests(syntax, outer, child):
            named = (n for n in ast.walk(test) if isinstance(n, ast.Name | ast.Attribute))
            found += (one for one in named if last_name(one) in names)
        if outer is function:
            break
        if isinstance(outer, ast.AsyncWith) and found:
            return
    yield from found


def _tests(syntax: Syntax, outer: ast.AST, child: ast.AST) -> Iterator[ast.expr]:
    """What is asked around `child`, which `outer` holds, and by the guards above it."""
    match outer:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if child is not test:
            yield test
        case ast.BoolOp(values=values):
            yield from (value for value in values if value is not child)
    place = syntax.place(child) if isinstance(child, ast.stmt) else None
    for statement in place.suite[: place.number] if place is not None else ():
        if isinstance(statement, ast.If) and isinstance(statement.body[-1], _LEAVING):
            yield statement.test


def _is_locked(syntax: Syntax, node: ast.AST) -> bool:
    return any(isinstance(outer, ast.AsyncWith) for outer, _ in syntax.ancestors(node))
