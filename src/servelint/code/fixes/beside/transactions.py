"""Rows that a function has changed and not committed when the call is awaited: they stay locked meanwhile.

db.query(Item).filter(Item.menu_id == menu.id).delete()
text = await asyncio.to_thread(client.complete, prompt)     # another request comes to the first line
db.commit()

It waits for the rows on the event loop, and there the first would have to go on to commit: both wait for
ever. The call may stand in a coroutine of the project that a function with such lines awaits.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Constant, Expression, Site, dotted
from servelint.code.facts.facts import last_name as last_of
from servelint.code.fixes.beside.ways import is_handling, runs_with, within
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.doubts.outside import chain_start
from servelint.code.fixes.doubts.safety import Safety
from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.timed import WAITING
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range, given_once
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import Frame
from servelint.project.text.parsing import unparsed

# So many calls up it is looked for who changes rows, and so many callers of one function are asked.
MAXIMUM_DEPTH = 3
MAXIMUM_CALLERS = 40
# A function that does more than that with its sessions is left out.
MAXIMUM_STEPS = 40
_AWAITED = ("await", "async")
_LOOPS = (ast.For, ast.While)
_BRANCHES = (ast.If, ast.IfExp, ast.BoolOp, ast.match_case, ast.ExceptHandler, *_LOOPS)
_SQL = re.compile(r"\s*(insert|update|replace|delete|merge)\b", re.IGNORECASE)


class _Step(NamedTuple):
    """What a function does with a session, and the number at which that is so: a change is done there.

    An empty session stands for any: a function that is called commits, or may.
    """

    node: ast.AST
    number: int
    session: str
    text: str
    commits: bool = False


class _Steps(NamedTuple):
    """Where a function changes rows, and where it commits or gives up what it has changed."""

    changes: tuple[_Step, ...]
    ends: tuple[_Step, ...]


class Transactions:
    """Finds them in one project; `region` tells which block moves with a call."""

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        safety: Safety,
        region: Callable[[BlockingCall], Region | None],
    ) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator
        self.files = files
        self.safety = safety
        self.policy = policy.load()
        self._region = region
        self._steps: dict[Frame, _Steps] = {}
        self._around: dict[tuple[Frame, int], str] = {}
        self._flushing: dict[str, bool] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Which rows are locked while the call is awaited; empty for none."""
        syntax = self.files.syntax(call.caller.module)
        node, region = syntax.at(call.position, ast.expr), self._region(call)
        if node is None or (region is not None and region.block.direct):
            return ""  # it is awaited as it is
        moved = region.block.range if region is not None else Range.of(syntax, [node])
        return self._locked(call.frame, moved, MAXIMUM_DEPTH)

    def _locked(self, frame: Frame, moved: Range, depth: int) -> str:
        """Which rows the function, or one that awaits it, has changed and not committed at what is moved."""
        function, syntax = self.files.function(frame)
        if function is None or self.safety.suspended.is_locked(frame, syntax.nodes[moved.first]):
            return ""
        for change in reversed(self._of(frame).changes):
            commit = self._commit(frame, function, change, moved)
            if commit:
                return (
                    f"`{change.text}` in `{function.name}` changes rows that are locked until {commit}: "
                    "another request may wait for them on the event loop"
                )
        reason = self._locked_around(frame, depth)
        if not reason or self._waits(frame, function, Range.of(syntax, [function]), moved):
            return ""
        return "" if self._ends_before(frame, moved) else reason

    def _ends_before(self, frame: Frame, moved: Range) -> bool:
        """Whether the function commits something itself before what is moved."""
        _, syntax = self.files.function(frame)
        return any(
            syntax.number(node) < moved.first
            and last_of(site.call.function) in self.policy.commits
            and _go_together(syntax, node, syntax.nodes[moved.first])
            for site, node, _ in self._calls(frame)
        )

    def _locked_around(self, frame: Frame, depth: int) -> str:
        """The same for what those have changed that await the function."""
        if not depth:
            return ""
        key = (frame, depth)
        if key not in self._around:
            self._around[key] = next(filter(None, self._asked_around(frame, depth)), "")
        return self._around[key]

    def _asked_around(self, frame: Frame, depth: int) -> Iterator[str]:
        if not self.evaluator.facts(frame).is_async or not self.evaluator.callers.is_called(frame):
            return
        for outer, made in islice(self.evaluator.callers.call_sites(frame), MAXIMUM_CALLERS):
            _, syntax = self.files.function(outer)
            node = syntax.at(made.position, ast.Call)
            awaited = syntax.parent(node) if node is not None else None
            if isinstance(awaited, ast.Await):
                yield self._locked(outer, Range.of(syntax, [awaited]), depth - 1)

    def _commit(self, frame: Frame, function: Function, change: _Step, moved: Range) -> str:
        """What commits the change after what is moved; empty where it ends before, or others come between."""
        _, syntax = self.files.function(frame)
        target = syntax.nodes[moved.first]
        if moved.has(syntax.number(change.node)):
            return ""
        before = Range(change.number, moved.first)
        if change.number > moved.first:  # it is open in the next round of the loop around both
            loop = next((o for o, _ in within(syntax, change.node) if _repeats(syntax, o, target)), None)
            if loop is None:
                return ""
            before = Range.of(syntax, [loop])
        if not _go_together(syntax, change.node, target):
            return ""
        ends = [
            end
            for end in self._of(frame).ends
            if end.session in (change.session, "") and _go_together(syntax, end.node, target)
        ]
        if any(before.has(end.number) for end in ends):
            return ""
        after = max(before.end, moved.end) - 1  # a block around both may end with them
        commit = next((end for end in ends if end.commits and end.number >= after), None)
        if commit is None or self._waits(frame, function, Range(before.first, commit.number), moved):
            return ""
        return commit.text

    def _waits(self, frame: Frame, function: Function, between: Range, moved: Range) -> bool:
        """Whether the function waits there as it is, on the way to what is moved or on from it."""
        _, syntax = self.files.function(frame)
        target = syntax.nodes[moved.first]
        return any(
            between.has(syntax.number(node))
            and not moved.has(syntax.number(node))
            and _is_on_way(syntax, node, target)
            and self.safety.suspended.is_wait(frame, node)
            for node in syntax.worked_out(_waiting, function)
        )

    # -- what a function does ----------------------------------------------------------------------

    def _of(self, frame: Frame) -> _Steps:
        if frame not in self._steps:
            changes = tuple(islice(self._changes(frame), MAXIMUM_STEPS + 1))
            ends = tuple(islice(self._ends(frame, changes), MAXIMUM_STEPS + 1)) if changes else ()
            is_left_out = max(len(changes), len(ends)) > MAXIMUM_STEPS
            self._steps[frame] = _Steps((), ()) if is_left_out else _Steps(changes, ends)
        return self._steps[frame]

    def _calls(self, frame: Frame) -> Iterator[tuple[Site, ast.Call, str]]:
        """The calls of the function, but where something has failed, with the sessions that they are of."""
        function, syntax = self.files.function(frame)
        cursors = syntax.worked_out(_cursors, function) if function is not None else {}
        for site in self.evaluator.facts(frame).sites:
            node, called = syntax.at(site.call.position, ast.Call), site.call.function
            if node is None or site.is_off_loop or is_handling(syntax, node):
                continue
            held = chain_start(called.value) if isinstance(called, Attribute) else called
            session = dotted(held) if self._is_session(frame, held) else ""
            yield site, node, cursors.get(session, session)

    def _is_session(self, frame: Frame, held: Expression) -> bool:
        """Whether it may be a session, a connection or a cursor of a database."""
        if self.safety.suspended.outside.clients(frame, held):
            return True
        is_named_so = last_of(held) in self.policy.thread_bound_names
        return is_named_so and not self.evaluator.evaluate(frame, held)

    def _changes(self, frame: Frame) -> Iterator[_Step]:
        """The calls that change rows: at once, or what the session has been given so far."""
        function, syntax = self.files.function(frame)
        added: dict[str, list[ast.Call]] = {}
        for site, node, session in self._calls(frame) if function is not None else ():
            name = last_of(site.call.function)
            if not session or function is None or site.use in _AWAITED:
                continue
            asks = name in self.policy.asks_session
            if (
                name in self.policy.locks_rows
                or (name in self.policy.changes_rows and _is_of_query(node))
                or (asks and self._locks(syntax, function, node.args[:1]))
                or (asks and any(runs_with(syntax, one, node) for one in added.get(session, ())))
            ):
                text = f"{dotted(site.call.function)}()"
                yield _Step(node, syntax.end_number(node) - 1, session, text)
            elif name in self.policy.given_to_session and self._flushes_by_itself(frame):
                added.setdefault(session, []).append(node)

    def _locks(self, syntax: Syntax, function: Function, given: list[ast.expr]) -> bool:
        """Whether a statement that is executed changes or locks rows."""
        names = syntax.worked_out(given_once, function)
        for statement in given:
            one = names.get(statement.id) if isinstance(statement, ast.Name) else statement
            calls = list(_chain(one))
            if any(last_name(called.func) in self.policy.locks_rows for called in calls):
                return True
            if calls and last_name(calls[-1].func) in self.policy.changes_rows:
                return True
            if _SQL.match(_text(next(iter(calls[-1].args), None) if calls else one)):
                return True
        return False

    def _flushes_by_itself(self, frame: Frame) -> bool:
        """Whether no session of the service is made with `autoflush=False`."""
        if frame.module not in self._flushing:
            beside = self.analysis.reach.beside(frame.module)
            self._flushing[frame.module] = not any(
                module.path in beside and ("autoflush", Constant(False)) in site.call.keywords
                for name in sorted(self.policy.makes_sessions)
                for module, _, site in self.analysis.project.calls(name)
            )
        return self._flushing[frame.module]

    def _ends(self, frame: Frame, changes: tuple[_Step, ...]) -> Iterator[_Step]:
        """Where changes of these sessions end, in the order of the text."""
        function, syntax = self.files.function(frame)
        sessions = {change.session for change in changes}
        found: list[_Step] = []
        for site, node, session in self._calls(frame):
            name, number = last_of(site.call.function), syntax.number(node)
            if session in sessions and name in self.policy.ends_transactions:
                commits = name in self.policy.commits and site.use not in _AWAITED
                found.append(_Step(node, number, session, f"`{dotted(site.call.function)}()`", commits))
            elif self._may_end(frame, site, sessions):
                found.append(_Step(node, number, "", ""))
        if function is not None:
            found += _begun(syntax, function, self.policy.begins_transactions)
        yield from sorted(found, key=lambda end: end.number)

    def _may_end(self, frame: Frame, site: Site, sessions: set[str]) -> bool:
        """Whether a function that is called commits, or is given the session and nothing is known of it."""
        reached = self.safety.reached
        below = reached.functions(reached.called(frame, site.call))
        if any(
            last_of(inner.call.function) in self.policy.ends_transactions - {"close"}
            for one in below
            for inner in self.evaluator.facts(one).sites
        ):
            return True
        given = (*site.call.arguments, *(value for _, value in site.call.keywords))
        is_given = any(dotted(one) in sessions for one in given)
        return is_given and not self.evaluator.calls.callees(frame, site.call)


def _go_together(syntax: Syntax, one: ast.AST, two: ast.AST) -> bool:
    return runs_with(syntax, one, two) and runs_with(syntax, two, one)


def _repeats(syntax: Syntax, loop: ast.AST, node: ast.AST) -> bool:
    """Whether it is a loop in each round of which the node runs."""
    is_once = isinstance(loop, ast.For) and syntax.is_below(node, loop.iter)
    return isinstance(loop, _LOOPS) and node is not loop and syntax.is_below(node, loop) and not is_once


def _is_on_way(syntax: Syntax, node: ast.AST, target: ast.AST) -> bool:
    """Whether whoever comes to the target comes to the node as well: no branch has the one alone."""
    for outer, child in within(syntax, node):
        if syntax.is_below(target, child):
            return True
        if isinstance(outer, _BRANCHES) and child is not _first_part(outer):
            return False
    return True


def _first_part(branch: ast.AST) -> ast.AST | None:
    """What runs of a statement or expression with branches, whichever is taken."""
    match branch:
        case ast.If(test=first) | ast.IfExp(test=first) | ast.While(test=first) | ast.For(iter=first):
            return first
        case ast.BoolOp(values=[first, *_]):
            return first
    return None


def _waiting(syntax: Syntax, function: Function) -> list[ast.AST]:
    """Where the function may wait."""
    kinds = (ast.Await, ast.comprehension, *WAITING)
    return [node for node in syntax.own_nodes(function) if isinstance(node, kinds)]


def _cursors(syntax: Syntax, function: Function) -> dict[str, str]:
    """The cursors that the function makes, and the connections that they are of."""
    found: dict[str, str] = {}
    for node in syntax.own_nodes(function):
        match node:
            case (
                ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(value=held, attr="cursor"))
                )
                | ast.withitem(
                    context_expr=ast.Call(func=ast.Attribute(value=held, attr="cursor")),
                    optional_vars=ast.Name(id=name),
                )
            ):
                found[name] = unparsed(held)
    return found


def _begun(syntax: Syntax, function: Function, methods: Collection[str]) -> Iterator[_Step]:
    """The ends of `with session.begin():`, for the session and for what is bound there."""
    for node in syntax.own_nodes(function):
        for item in node.items if isinstance(node, ast.With) else ():
            match item.context_expr:
                case ast.Call(func=ast.Attribute(value=held, attr=name) as called) if name in methods:
                    text = f"the end of `with {unparsed(called)}()`"
                    sessions = [held] if item.optional_vars is None else [held, item.optional_vars]
                    for one in sessions:
                        yield _Step(node, syntax.end_number(node) - 1, unparsed(one), text, commits=True)


def _chain(expression: ast.expr | None) -> Iterator[ast.Call]:
    """The calls of a chain, the last first: `where` and `delete` of `delete(Item).where(...)`."""
    while isinstance(expression, ast.Call):
        yield expression
        expression = expression.func.value if isinstance(expression.func, ast.Attribute) else None


def _is_of_query(node: ast.Call) -> bool:
    """Whether the call ends a chain that begins with `session.query(...)`."""
    return any(last_name(called.func) == "query" for called in _chain(node))


def _text(expression: ast.expr | None) -> str:
    """What a text begins with, as far as it is written out."""
    match expression:
        case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text
    return ""
