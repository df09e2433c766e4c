"""Fixes for offloads that go wrong: what is called too early, never awaited, or run in the wrong place."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servelint.code.facts.facts import Position, dotted
from servelint.code.fixes.blocks import moving
from servelint.code.fixes.blocks.block import Block, UnmovableError
from servelint.code.fixes.pools import bounds
from servelint.code.fixes.pools.bounds import bound_by
from servelint.code.fixes.pools.new_pool import Pool
from servelint.code.fixes.pools.pool import offloading_call
from servelint.code.fixes.queueing import QUEUED, Queueing
from servelint.code.fixes.text import placement, style
from servelint.code.fixes.text.arguments import arguments
from servelint.code.fixes.text.imports import NameTakenError
from servelint.code.fixes.text.needed import Needed
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall, Place
from servelint.code.judge.outcomes import Blocking
from servelint.code.loop.offloads import Handoff
from servelint.finding import Applicability, Edit, Fix, Span

if TYPE_CHECKING:
    from servelint.code.fixes.offload import OffloadPlanner

_LOST = "the call could not be found in the file"


class LeftAloneError(Exception):
    """There is no fix; the message says why, and what to write by hand."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The offloading call in its file."""

    place: Place
    syntax: Syntax
    function: Function
    node: ast.Call

    @property
    def is_awaited(self) -> bool:
        """Whether it is awaited where it stands."""
        return isinstance(self.syntax.parent(self.node), ast.Await)

    def blocking_call(self, blocking: Blocking) -> BlockingCall:
        """The place as a call that blocks: so are pools chosen and doubts raised."""
        return offloading_call(self.place, blocking)


class HandoffFixes:
    """Plans the fixes of one project.

    Each method raises `LeftAloneError` or `NameTakenError` where there is none.
    """

    def __init__(self, analysis: Analysis, planner: OffloadPlanner) -> None:
        self.analysis = analysis
        self.planner = planner
        self.queueing = Queueing(analysis, planner.files, planner.safety.reached, planner.safety.sharing)

    def eager(self, place: Place, position: Position, blocking: Blocking) -> Fix:
        """SRV103: hand over the function and its arguments instead of its result."""
        offload = self._opened(place)
        syntax, node = offload.syntax, offload.syntax.at(position, ast.Call)
        site = next((s for s in place.caller.facts.sites if s.call.position == position), None)
        if node is None or site is None:
            raise LeftAloneError(_LOST)
        if node not in offload.node.args or offload.node.args[-1] is not node:
            raise LeftAloneError("other arguments follow it: hand over the function, then its arguments")
        text = f"{dotted(site.call.function)}()"
        call = BlockingCall(place.caller, place.frame, position, blocking, site, text)
        reason = placement.obstacle(self.analysis, call) or self.planner.safety.obstacle(call)
        if reason:
            raise LeftAloneError(reason)
        needed, function = Needed(self.planner.files), syntax.text(node.func)
        items = (function, *_texts(syntax, node))
        written = ", ".join(items)
        if node.keywords:
            imports = needed.of(place.caller.module)
            partial = imports.member("functools", "partial", offload.function, line=node.lineno)
            written = f"{partial}({written})"
        edit = syntax.edit(syntax.start(node), syntax.end(node), written)
        workers = self.planner.pools.workers_of(call, [syntax.text(given) for given in offload.node.args])
        doubt = self.planner.safety.doubt(call, node, offload.function, workers).without_locks
        if len(blocking.hops) > 1:
            doubt = doubt or "if its result is a function, that is what was meant to run"
        return _fix(f"Hand over `{function}` and its arguments", needed.with_edits((edit,)), doubt)

    def lost(self, place: Place, found: Handoff) -> Fix:
        """SRV106: await the offload."""
        offload = self._opened(place)
        if not place.caller.facts.is_async:
            raise LeftAloneError("the function cannot await: keep the future, and look at its result")
        reason = placement.awaitable_at(offload.syntax, offload.node, offload.function)
        if reason:
            raise LeftAloneError(reason)
        start = offload.syntax.start(offload.node)
        waits = "the function then waits for it, and fails with it"
        reason = waits if found.offload.starts else f"it has never run so far; {waits}"
        title = f"Await `{dotted(place.site.call.function)}()`"
        return _fix(title, (offload.syntax.edit(start, start, "await "),), reason)

    def dedicated(self, place: Place, found: Handoff, blocking: Blocking) -> Fix:
        """SRV109: a pool for inference instead of the loop's default executor."""

        def plan(planner: OffloadPlanner) -> Fix | None:
            try:
                return planner.handoffs.dedicated(place, found, blocking)
            except (LeftAloneError, NameTakenError):
                return None

        fix = self._dedicated(place, found, blocking)
        return self.planner.by_themselves(offloading_call(place, blocking), fix, plan)

    def _dedicated(self, place: Place, found: Handoff, blocking: Blocking) -> Fix:
        offload = self._opened(place)
        node, syntax = offload.node, offload.syntax
        by_argument = found.offload.pool is not None
        if by_argument and not (node.args and isinstance(node.args[0], ast.Constant)):
            raise LeftAloneError("the executor is not given in its place: pass a pool for inference")
        if not by_argument and not (node.args and offload.is_awaited):
            raise LeftAloneError("it is not awaited where it stands: use `run_in_executor` with a pool")
        self._check_place(offload, found, blocking)
        call = offload.blocking_call(blocking)
        if self.planner.forms.stays_on_default(call):
            raise LeftAloneError("the file hands other work to that executor too: move all of it or none")
        needed, doubt = Needed(self.planner.files), QUEUED
        if offload.is_awaited:
            doubt = self.queueing.doubt(call, found, self.planner.pools.sharing(call))
        pool = self._dispatched(offload, blocking, needed, by_argument=by_argument)
        pool = pool or self._pool(offload, blocking, needed, dispatch=offload.is_awaited)
        doubt = doubt or self.planner.copied(call, pool)
        if pool.dispatcher:
            edit = self._with_dispatcher(offload, pool.dispatcher, _texts(syntax, node)[by_argument:])
            title = f"Run `{dotted(found.callable)}` with `{pool.dispatcher}`"
            replaces = [syntax.span(part) for part in (node.func, *node.args[:by_argument])]
            return _fix(title, needed.with_edits(pool.edits, (edit,)), doubt, replaces)
        first = node.args[0]
        if by_argument and (node.lineno == node.end_lineno or _outgrows(syntax, node, first, pool.text)):
            given = style.Wrapping(syntax.text(node.func), (pool.text,)).with_arguments(
                _texts(syntax, node)[1:]
            )
            edit = style.substituted(syntax, node, given)
        elif by_argument:
            edit = syntax.edit(syntax.start(first), syntax.end(first), pool.text)
        else:
            edit = self._in_pool(offload, blocking, pool, needed)
        title = f"Run `{dotted(found.callable)}` in `{pool.text}`"
        replaces = [syntax.span(node.args[0] if by_argument else node.func)]
        return _fix(title, needed.with_edits(pool.edits, (edit,)), doubt, replaces)

    def _check_place(self, offload: _Opened, found: Handoff, blocking: Blocking) -> None:
        """Raise `LeftAloneError` where the default executor is the better place."""
        long = self.queueing.is_long(offload.blocking_call(blocking), found)
        if long:
            raise LeftAloneError(f"predictions would wait for `{long}` in the pool: leave it where it is")
        for outer, _ in offload.syntax.ancestors(offload.node):
            if outer is offload.function:
                break
            entered = bound_by(self.queueing.analysis.evaluator, offload.place.frame, outer)
            if entered is not None:
                text = offload.syntax.text(entered)
                raise LeftAloneError(f"`async with {text}` bounds already how many run at once")
        self._check_bounds(offload, found, blocking)

    def _check_bounds(self, offload: _Opened, found: Handoff, blocking: Blocking) -> None:
        """Raise `LeftAloneError` where the model is asked one by one already."""
        lock = self.queueing.locked(offload.blocking_call(blocking), found)
        if lock:
            raise LeftAloneError(f"`with {lock}` asks the model one by one already")
        queue = bounds.fed_by(offload.syntax, offload.node, offload.function)
        if queue:
            raise LeftAloneError(f"who goes through `{queue}` asks the model one by one already")
        lock = bounds.acquired_before(offload.syntax, offload.node, offload.function)
        if lock:
            raise LeftAloneError(f"`{lock}` bounds already how many run at once")
        lock = self._around_callers(offload)
        if lock:
            raise LeftAloneError(
                f"`async with {lock}` around its callers bounds already how many run at once"
            )

    def _around_callers(self, offload: _Opened) -> str:
        """What all callers of the function enter that lets only so many in; empty where one does not."""
        evaluator, files = self.analysis.evaluator, self.planner.files
        caller, entered = offload.place.caller, ""
        for frame, made in self.analysis.loop.runs(caller.module, caller.index):
            module = evaluator.module(frame.module)
            syntax = files.syntax(module)
            node = syntax.at(made.position, ast.Call)
            function = placement.function_at(syntax, module.function(frame.function).position)
            entered = ""
            for outer, _ in syntax.ancestors(node) if node is not None and function is not None else ():
                if outer is function:
                    break
                item = bound_by(evaluator, frame, outer)
                entered = syntax.text(item) if item is not None else entered
            if not entered:
                return ""
        return entered

    def _dispatched(
        self, offload: _Opened, blocking: Blocking, needed: Needed, *, by_argument: bool
    ) -> Pool | None:
        """The pool of the project's own coroutine that runs a function in it; None where none would do.

        `run_in_executor` does not copy the context, `to_thread` does.
        """
        node = offload.node
        if not self.planner.forms.dispatches or not offload.is_awaited:
            return None
        call = offload.blocking_call(blocking)
        copies = not by_argument and self.planner.contexts.may_read([call], ())
        imports, keywords = needed.of(offload.place.caller.module), bool(node.keywords)
        try:
            return self.planner.pools.dispatched(
                call, offload.function, imports, keywords=keywords, context=copies
            )
        except NameTakenError:
            return None

    def _with_dispatcher(self, offload: _Opened, dispatcher: str, given: Sequence[str]) -> Edit:
        """The edit that gives the dispatcher the function and its arguments; the `await` stays."""
        called, *others = given
        wrapping = style.Wrapping(dispatcher, (called,)).with_arguments(others)
        return style.substituted(offload.syntax, offload.node, wrapping)

    def _in_pool(self, offload: _Opened, blocking: Blocking, pool: Pool, needed: Needed) -> Edit:
        """The edit that makes `to_thread(f, x)` a `run_in_executor(pool, f, x)`; the `await` stays."""
        syntax, node = offload.syntax, offload.node
        called, *others = _texts(syntax, node)
        call = offload.blocking_call(blocking)
        offloading = self.planner.in_pool(call, offload.function, node.lineno, pool, needed)
        wrapping = offloading.of(called, arguments=bool(others), keywords=bool(node.keywords), awaited=False)
        return style.substituted(syntax, node, wrapping.with_arguments(others))

    def shared(self, place: Place, runs: Mapping[Position, Blocking]) -> Fix:
        """SRV104: the service's pool in the place of one that a request builds.

        `runs` is the inference that the offloads of the function run, by the position of the offload.
        """
        offload = self._opened(place)
        syntax, node = offload.syntax, offload.node
        uses = list(_uses(syntax, node, offload.function, runs))
        if not uses:
            raise LeftAloneError(
                "not everything in it is awaited inference: make one pool for that when the service starts"
            )
        needed = Needed(self.planner.files)
        pool = self._pool(offload, next(iter(runs.values())), needed)
        edits = [syntax.edit(syntax.start(use), syntax.end(use), pool.text) for use in uses]
        statement = syntax.statement(node)
        if isinstance(statement, ast.With):
            edits = [_without_header(offload, statement, uses, pool.text)]
        elif isinstance(statement, ast.Assign):
            start, end = syntax.line_start(statement.lineno), syntax.line_start(statement.lineno + 1)
            edits.append(syntax.edit(start, end, ""))
        replaces = [syntax.span(expression) for expression in (node, *uses)]
        return _fix(f"Use `{pool.text}`", needed.with_edits(pool.edits, edits), QUEUED, replaces)

    def inside(self, place: Place, found: Handoff, blocking: Blocking) -> Fix:
        """SRV108: enter the context in the thread."""
        offload = self._opened(place)
        syntax, node = offload.syntax, offload.node
        awaited, number = syntax.parent(node), found.offload.position
        call = offload.blocking_call(blocking)
        held = self.planner.regions.held(call, syntax, node, offload.function)
        by_hand = "enter the context in the function that the thread runs"
        if held is None or not isinstance(awaited, ast.Await) or node.keywords:
            raise LeftAloneError(by_hand)
        if number is None or len(node.args) <= number:
            raise LeftAloneError(by_hand)
        called, texts = node.args[number], _texts(syntax, node)
        written = f"({texts[number]})" if isinstance(called, ast.Lambda) else texts[number]
        direct = f"{written}({', '.join(texts[number + 1 :])})"
        block = Block(syntax, offload.function, (held,), ((awaited, direct),))
        try:
            variables = block.variables()
        except UnmovableError as error:
            raise LeftAloneError(f"{by_hand} ({error})") from error
        name = self.planner.names.of(call, block)
        wrapping = style.Wrapping(f"await {syntax.text(node.func)}", (*texts[:number], name))
        edit = moving.as_function(block, variables, name, wrapping.with_arguments(variables.parameters))
        doubt = self.planner.safety.doubt_of_block(call, block, 1).without_locks
        return _fix("Enter the context in the thread", (edit,), doubt, [syntax.span(awaited)])

    def _opened(self, place: Place) -> _Opened:
        syntax = self.planner.files.syntax(place.caller.module)
        function = placement.function_at(syntax, place.caller.facts.position)
        node = syntax.at(place.site.call.position, ast.Call)
        if function is None or node is None:
            raise LeftAloneError(_LOST)
        return _Opened(place, syntax, function, node)

    def _pool(self, offload: _Opened, blocking: Blocking, needed: Needed, *, dispatch: bool = False) -> Pool:
        """The pool; with `dispatch` it has the dispatcher that other calls of the service get."""
        call = offload.blocking_call(blocking)
        dispatch = dispatch and self.planner.forms.dispatches and self.planner.makes_dispatcher(call)
        return self.planner.pools.choose(call, offload.function, needed.of, dispatch=dispatch)


def _fix(title: str, edits: tuple[Edit, ...], reason: str, replaces: Iterable[Span] = ()) -> Fix:
    applicability = Applicability.UNSAFE if reason else Applicability.SAFE
    return Fix(applicability, title, edits, reason, tuple(replaces))


def _outgrows(syntax: Syntax, node: ast.Call, old: ast.expr, new: str) -> bool:
    """Whether a line that fits would be too long with the new text, and the call can be broken anew."""
    found, limit = arguments(syntax, node), style.line_length(syntax)
    if found is None or any(argument.above or argument.beside for argument in found):
        return False
    length = syntax.source.length(old.lineno)
    return length <= limit < length - len(syntax.text(old)) + len(new)


def _texts(syntax: Syntax, node: ast.Call) -> tuple[str, ...]:
    """The text of each argument of the call."""
    found = arguments(syntax, node)
    if found is None or any(argument.above or argument.beside for argument in found):
        raise LeftAloneError("comments or texts of several lines stand among its arguments")
    return tuple(argument.text for argument in found)


def _uses(
    syntax: Syntax, node: ast.Call, function: Function, runs: Mapping[Position, Blocking]
) -> Iterator[ast.expr]:
    """Where the built pool is handed to awaited offloads of inference; nothing if it is used otherwise."""
    found: list[ast.expr] = [node]
    statement = syntax.statement(node)
    name = _name_of(node, statement)
    if name:
        found = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name]
        if sum(isinstance(n.ctx, ast.Store) for n in found if isinstance(n, ast.Name)) != 1:
            return
        found = [n for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    if all(_is_given_to_inference(syntax, use, runs) for use in found):
        yield from found


def _name_of(node: ast.Call, statement: ast.stmt | None) -> str:
    """The variable that holds the built pool; empty where it is used on the spot."""
    match statement:
        case ast.With(items=[ast.withitem(context_expr=made, optional_vars=ast.Name(id=name))]):
            return name if made is node else ""
        case ast.Assign(targets=[ast.Name(id=name)], value=made) if made is node:
            return name if statement.lineno == statement.end_lineno else ""
    return ""


def _is_given_to_inference(syntax: Syntax, use: ast.expr, runs: Mapping[Position, Blocking]) -> bool:
    call = syntax.parent(use)
    if not isinstance(call, ast.Call) or use not in call.args:
        return False
    position = Position(
        call.lineno, call.col_offset, call.end_lineno or call.lineno, call.end_col_offset or 0
    )
    return position in runs and isinstance(syntax.parent(call), ast.Await)


def _without_header(offload: _Opened, statement: ast.With, uses: list[ast.expr], pool: str) -> Edit:
    """The edit that leaves only the body of the `with`, further to the left, `pool` for its variable."""
    syntax = offload.syntax
    body = Block(syntax, offload.function, tuple(statement.body))
    header = statement.items[-1].optional_vars or statement.items[-1].context_expr
    if body.first_line != (header.end_lineno or 0) + 1:
        raise LeftAloneError("hand the service's pool to the offloads, and remove the `with`")
    lines = body.lines(syntax.indent(statement.lineno), [(use, pool) for use in uses])
    return syntax.edit(syntax.line_start(statement.lineno), body.end, "\n".join(lines))
