"""Calls of one object that requests share, which nobody could come between so far.

faces = self.session.detect(image)
if not faces:
    return []
marks = self.session.describe(image, faces)

Each awaited by itself, another request may detect between the two: jobs of two requests take turns in a
thread. Where nothing is known of the object, it may keep what its last call left.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from servelint.code.fixes.beside.ways import runs_with
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.doubts.shared import Shared
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import given_once
from servelint.code.fixes.text.variables import HARMLESS_METHODS, reads, writes
from servelint.code.judge.analysis import COMPUTED, Analysis, BlockingCall
from servelint.code.loop.bound import LoopBound
from servelint.project.text.parsing import unparsed

# So many calls of one object in a function are looked at.
MAXIMUM_CALLS = 50
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class _Use(NamedTuple):
    """A call in the function, and the method of which object it comes to."""

    node: ast.Call
    owner: str
    method: str
    text: str
    blocks: bool = False


class _Uses(NamedTuple):
    """The calls of one function that may be of unknown objects, and where it awaits something."""

    function: Function
    by_node: dict[int, _Use]
    by_owner: dict[str, list[_Use]]
    awaits: list[int]


class Sequences:
    """Finds them in one project; `region` tells which block moves with a call."""

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        sharing: Sharing,
        region: Callable[[BlockingCall], Region | None],
    ) -> None:
        self.analysis = analysis
        self.files = files
        self.sharing = sharing
        words = policy.load()
        self._lock_words = words.lock_words | words.bound_words
        self._region = region
        self._found: dict[LoopBound, _Uses | None] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Which other call belongs to this one, and would no longer come right after or before it."""
        uses = self._of(call.caller) if _is_unknown(call) else None
        syntax = self.files.syntax(call.caller.module)
        node = syntax.at(call.position, ast.Call) if uses is not None else None
        use = uses.by_node.get(id(node)) if uses is not None else None
        if uses is None or use is None:
            return ""
        region = self._region(call)
        for other in uses.by_owner[use.owner]:
            if other.node is use.node or (region is not None and _is_in(syntax, region, other.node)):
                continue
            if self._belong_together(syntax, uses, use, other):
                return (
                    f"`{other.text}` calls the same object, and another request may come between: "
                    "nobody says that it keeps nothing of its last call"
                )
        return ""

    def _belong_together(self, syntax: Syntax, uses: _Uses, one: _Use, two: _Use) -> bool:
        first, second = sorted((one, two), key=lambda use: syntax.number(use.node))
        are_two = first.blocks and second.blocks and first.method != second.method
        if not are_two and not _goes_into(syntax, first.node, second.node):
            return False  # the second does anew what the first did, or only asks the object for something
        if not (runs_with(syntax, one.node, two.node) and runs_with(syntax, two.node, one.node)):
            return False
        start, end = syntax.number(first.node), syntax.number(second.node)
        between = bisect_left(uses.awaits, start) < bisect_left(uses.awaits, end)
        return not between and not self._is_locked(syntax, first.node, second.node)

    def _is_locked(self, syntax: Syntax, one: ast.Call, two: ast.Call) -> bool:
        """Whether both are made under one lock of the event loop."""
        for outer, _ in syntax.ancestors(one):
            if isinstance(outer, _FUNCTIONS):
                return False
            if isinstance(outer, ast.AsyncWith) and syntax.is_below(two, outer):
                named = (n for item in outer.items for n in ast.walk(item.context_expr))
                if any(self._lock_words & _words(node) for node in named):
                    return True
        return False

    def _of(self, caller: LoopBound) -> _Uses | None:
        if caller not in self._found:
            self._found[caller] = self._find(caller)
        return self._found[caller]

    def _find(self, caller: LoopBound) -> _Uses | None:
        syntax = self.files.syntax(caller.module)
        calls = [call for call in self.analysis.blocking_calls_of(caller) if _is_unknown(call)]
        function = _function_around(syntax, calls[0]) if calls else None
        if function is None:
            return None
        found: dict[int, _Use] = {}
        for call in calls:
            use = self._use(call, syntax)
            if use is not None:
                found[id(use.node)] = use
        owners = {use.owner for use in found.values()}
        shared = self.sharing.of(caller.module, function)
        for node in syntax.own_nodes(function) if owners else ():
            if isinstance(node, ast.Call) and id(node) not in found:
                use = _plain_use(syntax, shared, function, node, caller.module.path)
                if use is not None and use.owner in owners:
                    found[id(node)] = use
        by_owner: dict[str, list[_Use]] = {}
        for use in sorted(found.values(), key=lambda use: syntax.number(use.node)):
            of_owner = by_owner.setdefault(use.owner, [])
            if len(of_owner) < MAXIMUM_CALLS:
                of_owner.append(use)
        awaits = sorted(syntax.number(n) for n in syntax.own_nodes(function) if isinstance(n, ast.Await))
        return _Uses(function, found, by_owner, awaits)

    def _use(self, call: BlockingCall, syntax: Syntax) -> _Use | None:
        """What a blocking call comes to at the end of its way, if that is an object that requests share."""
        node = syntax.at(call.position, ast.Call)
        hop = call.blocking.hops[-1]
        module = self.analysis.evaluator.module(hop.path)
        there = self.files.syntax(module)
        sink = there.at(hop.position, ast.Call)
        function = there.function_around(sink) if sink is not None else None
        if node is None or sink is None or function is None:
            return None
        own = syntax.function_around(node)
        begun = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        around = self.sharing.of(call.caller.module, own) if own is not None else None
        if around is None or not (around.outlives(begun) or around.holds(begun)):
            return None  # the function makes the object itself
        shared = self.sharing.of(module, function)
        use = _plain_use(there, shared, function, sink, module.path)
        return use._replace(node=node, text=call.text, blocks=True) if use is not None else None


def _is_unknown(call: BlockingCall) -> bool:
    return not call.blocking.library and call.blocking.role in COMPUTED


def _plain_use(syntax: Syntax, shared: Shared, function: Function, node: ast.Call, path: str) -> _Use | None:
    """The method of which object a call is of; None where requests do not share the object."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr in HARMLESS_METHODS:
        return None
    place = node.func.value
    if isinstance(place, ast.Name) and place.id in shared.own_names:
        place = syntax.worked_out(given_once, function).get(place.id) or place
    if not isinstance(place, ast.Name | ast.Attribute) or not shared.holds(place):
        return None
    cls = syntax.parent(function)
    owner = f"{path}:{cls.name if isinstance(cls, ast.ClassDef) else ''}:{unparsed(place)}"
    return _Use(node, owner, node.func.attr, f"{unparsed(node.func)}()")


def _goes_into(syntax: Syntax, first: ast.Call, second: ast.Call) -> bool:
    """Whether what the first call gives goes into the second one."""
    if syntax.is_below(first, second):
        return True
    given = [*second.args, *(keyword.value for keyword in second.keywords)]
    match syntax.statement(first):
        case ast.For(target=target):
            return bool(writes([target]) & reads(given))
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.Expr() as statement:
            return bool(writes([statement]) & reads(given))
    return False


def _function_around(syntax: Syntax, call: BlockingCall) -> Function | None:
    node = syntax.at(call.position, ast.expr)
    return syntax.function_around(node) if node is not None else None


def _is_in(syntax: Syntax, region: Region, node: ast.Call) -> bool:
    first, end = region.block.range
    return first <= syntax.number(node) < end


def _words(node: ast.AST) -> frozenset[str]:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return frozenset(name.lower().split("_"))
