"""Which times around what is moved decide something or are kept: they then count the time in the queue.

A time in which the function awaited something had such waiting in it before: for the event loop. Where it
awaited nothing, the time was that of the work, also of a whole request: it waited before its function began.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.text.syntax import LEAVING, Function, Syntax
from servelint.code.fixes.text.uses import Range, where_read

WAITING = (ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
# What tells the time.
_CLOCKS = frozenset(
    {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "default_timer"}
    | {"now", "utcnow"}
)
# Who is told of a duration and does nothing with it.
SAYING = frozenset({"print", "debug", "info", "warning", "error", "exception", "log"})
# Functions that wait as long as they are told.
_LASTING = frozenset(
    {"sleep", "wait", "wait_for", "timeout", "timeout_at", "call_later", "fail_after", "move_on_after"}
)
# Methods that keep what they are given.
_KEEPING = frozenset({"append", "appendleft", "add", "insert", "extend", "put", "put_nowait"})
# Functions that give a time in another form.
_FORMING = frozenset({"round", "int", "float", "str", "max", "min", "abs", "format", "dict", "total_seconds"})


class _Use(Enum):
    """What becomes of a time in one statement: only asked for or said, given to somebody, or set."""

    TOLD = auto()
    GIVEN = auto()
    SET = auto()


class _Wait(NamedTuple):
    """The number of a node at which a function waits.

    It comes to what stands at `until` or later on another way, without that: the node stands in a branch that
    leaves, or where an exception is handled.
    """

    number: int
    until: int


def timed(syntax: Syntax, function: Function, moved: Range) -> str:
    """Why a time that is taken around what is moved matters; empty where none does."""
    for name, difference in _spans(syntax, function, moved):
        if _decides(syntax, function, difference):
            return (
                f"the time since `{name}` decides something, "
                "and then has the time in it that the call waits for a thread"
            )
    return ""


def kept(syntax: Syntax, function: Function, moved: Range) -> str:
    """Why it matters that a time around what is moved goes anywhere but to a log; empty where none does."""
    for name, difference in _spans(syntax, function, moved):
        if _is_kept(syntax, function, difference):
            return (
                f"the time since `{name}` is kept or returned, "
                "and then has the time in it that the call waits for a thread"
            )
    return ""


def _spans(syntax: Syntax, function: Function, moved: Range) -> Iterator[tuple[str, ast.BinOp]]:
    """The times around what is moved in which nothing is awaited: since when, and the difference."""
    clocks = syntax.worked_out(_clocks, function)
    started: dict[str, int] = {}
    for number, name, difference in clocks:
        if difference is None:
            if number < moved.first:
                started[name] = number
        elif name in started and number >= moved.end:
            between = Range(started[name], number)
            waits = is_interrupted(syntax, function, between, moved)
            if not waits and _is_around(syntax, function, difference, name, moved):
                yield name, difference


def _is_around(syntax: Syntax, function: Function, difference: ast.BinOp, name: str, moved: Range) -> bool:
    """Whether the clock is not started anew after what is moved, nor stopped before it."""
    end, looks = syntax.number(difference), syntax.worked_out(_looks, function)
    if isinstance(difference.left, ast.Name):
        stops = looks.get(difference.left.id, [])
        last = bisect_left(stops, end)
        if last and stops[last - 1] < moved.end:
            return False
    starts = looks[name]
    anew = starts[bisect_left(starts, moved.end) : bisect_left(starts, end)]
    outside = {id(outer) for outer, _ in syntax.ancestors(difference)} if anew else set()
    statements = (syntax.statement(syntax.nodes[number]) for number in reversed(anew))
    return not any(s is not None and id(syntax.parent(s)) in outside for s in statements)


def _looks(syntax: Syntax, function: Function) -> dict[str, list[int]]:
    """Where the function sets each variable to the time, in order."""
    found: dict[str, list[int]] = {}
    for number, name, difference in syntax.worked_out(_clocks, function):
        if difference is None:
            found.setdefault(name, []).append(number)
    return found


def is_interrupted(syntax: Syntax, function: Function, between: Range, moved: Range) -> bool:
    """Whether the function waits between two places as it is: others could come between before."""
    waits = syntax.worked_out(_waits, function)
    first = bisect_left(waits, between.first, key=lambda wait: wait.number)
    end = bisect_left(waits, between.end, key=lambda wait: wait.number)
    return any(not moved.has(wait.number) and between.end <= wait.until for wait in waits[first:end])


def _clocks(syntax: Syntax, function: Function) -> list[tuple[int, str, ast.BinOp | None]]:
    """Where the function looks at a clock and where it takes a variable from something, by number.

    Each with the variable, and with the difference, or None where the variable is set to the time.
    """
    found: list[tuple[int, str, ast.BinOp | None]] = []
    for node in syntax.own_nodes(function):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=clock))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=clock))
                | ast.NamedExpr(target=ast.Name(id=name), value=ast.Call(func=clock))
            ) if last_name(clock) in _CLOCKS:
                found.append((syntax.number(node), name, None))
            case ast.BinOp(op=ast.Sub(), right=ast.Name(id=name)):
                found.append((syntax.number(node), name, node))
    return found


def _waits(syntax: Syntax, function: Function) -> list[_Wait]:
    """Where the function waits, in order."""
    found: list[_Wait] = []
    suites: dict[int, int] = {}  # those that end on a way aside: their ends by their first numbers
    aside: list[int] = []  # the ends of those around the node, the innermost last
    for node in syntax.own_nodes(function):
        if not isinstance(node, ast.stmt | ast.ExceptHandler | ast.Await | ast.Yield | ast.YieldFrom):
            continue
        number = syntax.number(node)
        while aside and aside[-1] <= number:
            aside.pop()
        if number in suites:
            aside.append(suites[number])
        match node:
            case ast.If(body=body, orelse=orelse):
                for suite in (body, orelse):
                    if suite and isinstance(suite[-1], LEAVING):
                        suites[syntax.number(suite[0])] = syntax.end_number(suite[-1])
            case ast.ExceptHandler():
                aside.append(syntax.end_number(node))
            case ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.Yield() | ast.YieldFrom():
                found.append(_Wait(number, aside[-1] if aside else len(syntax.nodes)))
    return found


def _decides(syntax: Syntax, function: Function, node: ast.expr) -> bool:
    """Whether something depends on the value, or on what is made of it, as far as the file shows."""
    reads = syntax.worked_out(where_read, function)
    followed: dict[str, int] = {}  # from which number on the reads of a variable are followed
    waiting: list[ast.expr] = [node]
    while waiting:
        here = waiting.pop()
        if _is_asked(syntax, here):
            return True
        statement = syntax.statement(here)
        if statement is None:
            continue
        for target in _targets(statement):
            if isinstance(target, ast.Name):
                first, end = syntax.end_number(statement), followed.get(target.id, len(syntax.nodes))
                waiting += (read for read in reads.get(target.id, ()) if first <= syntax.number(read) < end)
                followed[target.id] = min(first, end)
            elif _kept_as(target) in syntax.worked_out(_compared, syntax.tree):
                return True
    return False


def _is_kept(syntax: Syntax, function: Function, node: ast.expr) -> bool:
    """Whether the value, or what is made of it, is returned, stored or given to anybody but a log."""
    reads = syntax.worked_out(where_read, function)
    outer = syntax.worked_out(_of_others, function)
    followed: set[str] = set()
    waiting: list[ast.expr] = [node]
    while waiting:
        here = waiting.pop()
        use, statement = _use(syntax, here), syntax.statement(here)
        if use is _Use.TOLD or statement is None:
            continue
        if use is _Use.GIVEN:
            return True
        for target in _targets(statement):
            if not isinstance(target, ast.Name) or target.id in outer:
                return True
            if target.id not in followed:
                followed.add(target.id)
                first = syntax.end_number(statement)
                waiting += (read for read in reads.get(target.id, ()) if first <= syntax.number(read))
    return False


def _use(syntax: Syntax, node: ast.expr) -> _Use:
    """What becomes of the value in its statement."""
    use = _Use.SET
    for outer, child in syntax.ancestors(node):
        match outer:
            case ast.Return():
                return _Use.GIVEN
            case ast.stmt():
                is_test = isinstance(outer, ast.If | ast.While | ast.Assert)
                return _Use.TOLD if is_test and use is _Use.SET else use
            case ast.Compare():
                return _Use.TOLD
            case ast.Call(func=called) if child is not called:
                if last_name(called) in SAYING:
                    return _Use.TOLD
                if last_name(called) not in _FORMING:
                    use = _Use.GIVEN
    return _Use.TOLD


def _of_others(syntax: Syntax, function: Function) -> frozenset[str]:
    """The variables that the function sets for others."""
    declared = (n for n in syntax.own_nodes(function) if isinstance(n, ast.Global | ast.Nonlocal))
    return frozenset(name for node in declared for name in node.names)


def _is_asked(syntax: Syntax, node: ast.expr) -> bool:
    """Whether it is compared with more than zero, or says how long something waits."""
    for outer, _ in syntax.ancestors(node):
        match outer:
            case ast.Compare(left=left, comparators=others):
                return not any(map(_is_zero, (left, *others))) and not _only_says(syntax, outer)
            case ast.Match() | ast.keyword(arg="timeout" | "deadline" | "delay"):
                return True
            case ast.Call(func=called) if last_name(called) in _LASTING:
                return True
            case ast.stmt():
                return False
    return False


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (0, None)


def _only_says(syntax: Syntax, test: ast.expr) -> bool:
    """Whether all that depends on the test is that something is said."""
    statement = syntax.statement(test)
    if not isinstance(statement, ast.If) or statement.orelse or not syntax.is_below(test, statement.test):
        return False
    return all(
        isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Call)
        and last_name(said.value.func) in SAYING
        for said in statement.body
    )


def _targets(statement: ast.stmt) -> tuple[ast.expr, ...]:
    """What the statement puts something in."""
    match statement:
        case ast.Assign(targets=targets):
            return tuple(targets)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return (target,)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=target, attr=name))) if name in _KEEPING:
            return (target,)
    return ()


def _kept_as(target: ast.expr) -> str:
    """The name of the attribute, or the key, by which something is found again; empty for a variable."""
    match target:
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Subscript(value=value):
            return _kept_as(value)
    return ""


def _compared(syntax: Syntax, _: ast.AST) -> frozenset[str]:
    """The names of attributes and the keys that anything in the file is compared with."""
    found: set[str] = set()
    for test in syntax.nodes:
        if isinstance(test, ast.Compare) and not any(map(_is_zero, (test.left, *test.comparators))):
            for node in syntax.below(test):
                match node:
                    case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                        found.add(name)
    return frozenset(found)
