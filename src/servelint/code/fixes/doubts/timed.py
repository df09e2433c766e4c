"""Which times around what is moved decide something: they then have the time in the queue in them.

Who is only told a time is told the right one: the caller waited before as well, for the event loop.
"""

from __future__ import annotations

import ast
from bisect import bisect_left

from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range

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


def timed(syntax: Syntax, function: Function, moved: Range) -> str:
    """Why a time that is taken around what is moved matters; empty where none does."""
    started: dict[str, int] = {}
    for number, name, difference in syntax.worked_out(_clocks, function):
        if difference is None:
            if number < moved.first:
                started[name] = number
        elif name in started and number >= moved.end:
            waits = is_interrupted(syntax, function, Range(started[name], number), moved)
            if not waits and _decides(syntax, function, difference):
                return (
                    f"the time since `{name}` decides something, "
                    "and then has the time in it that the call waits for a thread"
                )
    return ""


def is_interrupted(syntax: Syntax, function: Function, between: Range, moved: Range) -> bool:
    """Whether the function waits between two places as it is: others could come between before."""
    numbers = syntax.worked_out(_waits_at, function)
    inside = numbers[bisect_left(numbers, between.first) : bisect_left(numbers, between.end)]
    return any(not moved.has(number) for number in inside)


def _clocks(syntax: Syntax, function: Function) -> list[tuple[int, str, ast.expr | None]]:
    """Where the function looks at a clock and where it takes a variable from something, by number.

    Each with the variable, and with the difference, or None where the variable is set to the time.
    """
    found: list[tuple[int, str, ast.expr | None]] = []
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


def _waits_at(syntax: Syntax, function: Function) -> list[int]:
    """The numbers of the nodes at which the function waits, in order."""
    waiting = (ast.Await, *WAITING)
    return [syntax.number(node) for node in syntax.own_nodes(function) if isinstance(node, waiting)]


def _decides(syntax: Syntax, function: Function, node: ast.expr) -> bool:
    """Whether something depends on the value, or on what is made of it, as far as the file shows."""
    reads = syntax.worked_out(_reads, function)
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


def _reads(syntax: Syntax, function: Function) -> dict[str, list[ast.expr]]:
    """Where the function reads its variables."""
    found: dict[str, list[ast.expr]] = {}
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.setdefault(node.id, []).append(node)
    return found


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
