"""Which times around what is moved decide something or are kept: they then count the time in the queue.

Who is told how long the request took is told the right time: it waited before as well, for the event loop.
How long the model took is another thing, unless it is only logged.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range, where_read
from servelint.project.text.parsing import unparsed

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
# What takes no time before a request is measured.
_SHORT = _CLOCKS | SAYING | _FORMING | {"uuid1", "uuid4", "len", "get", "getattr", "HTTPException"}
# What the time that a model takes is called; of longer names the beginning is looked at.
_LONGEST_NAME = 200
_OF_MODEL = re.compile(
    r"(?:infer|predict|model|forward)[a-z]*_?\w*?(?:time|latency|start|began|t0|ms|sec|duration|elapsed|took)",
    re.IGNORECASE,
)


def timed(syntax: Syntax, function: Function, moved: Range) -> str:
    """Why a time that is taken around what is moved matters; empty where none does."""
    for name, _, difference in _spans(syntax, function, moved):
        if _decides(syntax, function, difference):
            return (
                f"the time since `{name}` decides something, "
                "and then has the time in it that the call waits for a thread"
            )
    return ""


def kept(syntax: Syntax, function: Function, moved: Range, is_called: Callable[[], bool]) -> str:
    """Why it matters that a time around what is moved goes anywhere but to a log; empty where none does.

    `is_called` tells whether the project calls the function: what the whole of it takes is else what the
    request takes.
    """
    for name, start, difference in _spans(syntax, function, moved):
        whole = not _is_of_model(name) and _is_first(syntax, function.body, start) and not is_called()
        for kept_as in _kept(syntax, function, difference):
            if not whole or _is_of_model(kept_as):
                return (
                    f"the time since `{name}` is kept or returned, "
                    "and then has the time in it that the call waits for a thread"
                )
    return ""


def _is_of_model(name: str) -> bool:
    return _OF_MODEL.search(name[:_LONGEST_NAME]) is not None


def _spans(syntax: Syntax, function: Function, moved: Range) -> Iterator[tuple[str, int, ast.BinOp]]:
    """The times taken around what is moved: since which variable, where it is set, and the difference."""
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
                yield name, started[name], difference


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
    numbers = syntax.worked_out(_waits_at, function)
    inside = numbers[bisect_left(numbers, between.first) : bisect_left(numbers, between.end)]
    return any(not moved.has(number) for number in inside)


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


def _waits_at(syntax: Syntax, function: Function) -> list[int]:
    """The numbers of the nodes at which the function waits, in order."""
    waiting = (ast.Await, *WAITING)
    return [syntax.number(node) for node in syntax.own_nodes(function) if isinstance(node, waiting)]


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


def _kept(syntax: Syntax, function: Function, node: ast.expr) -> Iterator[str]:
    """What the value, or what is made of it, is kept as: by a name, or an empty one where it has none."""
    reads = syntax.worked_out(where_read, function)
    outer = syntax.worked_out(_of_others, function)
    followed: set[str] = set()
    waiting: list[ast.expr] = [node]
    while waiting:
        here = waiting.pop()
        names = _given(syntax, here)
        statement = syntax.statement(here)
        if names is None or statement is None:
            continue
        if names.called or isinstance(statement, ast.Return):
            yield names.text
        for target in _targets(statement):
            if not isinstance(target, ast.Name) or target.id in outer:
                yield f"{names.text} {_kept_as(target) or unparsed(target)}"
            elif target.id not in followed:
                followed.add(target.id)
                first = syntax.end_number(statement)
                waiting += (read for read in reads.get(target.id, ()) if first <= syntax.number(read))


class _Given(NamedTuple):
    """What an expression is called on its way, and whether something is called with it."""

    text: str
    called: bool


def _given(syntax: Syntax, node: ast.expr) -> _Given | None:
    """What becomes of the value in its statement; None where it is only asked for or said."""
    names = [node.id] if isinstance(node, ast.Name) else []
    called = False
    for outer, child in syntax.ancestors(node):
        match outer:
            case ast.stmt():
                is_test = isinstance(outer, ast.If | ast.While | ast.Assert)
                return None if is_test and not called else _Given(" ".join(names), called)
            case ast.Compare():
                return None
            case ast.keyword(arg=str(name)):
                names.append(name)
            case ast.Dict(keys=keys, values=values):
                key = keys[values.index(child)] if child in values else None
                names += [str(key.value)] if isinstance(key, ast.Constant) else []
            case ast.Call(func=function) if child is not function:
                if last_name(function) in SAYING:
                    return None
                if last_name(function) not in _FORMING:
                    called = True
                    names.append(unparsed(function.value) if isinstance(function, ast.Attribute) else "")
    return None


def _of_others(syntax: Syntax, function: Function) -> frozenset[str]:
    """The variables that the function sets for others."""
    declared = (n for n in syntax.own_nodes(function) if isinstance(n, ast.Global | ast.Nonlocal))
    return frozenset(name for node in declared for name in node.names)


def _is_first(syntax: Syntax, statements: Sequence[ast.stmt], number: int) -> bool:
    """Whether nothing that takes long comes before the node of this number in the function."""
    for statement in statements:
        if syntax.number(statement) <= number < syntax.end_number(statement):
            if isinstance(statement, ast.Try | ast.With | ast.AsyncWith):
                return _is_first(syntax, statement.body, number)
            return not isinstance(statement, ast.If | ast.For | ast.While | ast.AsyncFor)
        below = syntax.below(statement)
        is_guard = isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Raise | ast.Return)
        calls = () if is_guard else (node for node in below if isinstance(node, ast.Call))
        if any(isinstance(node, ast.Await) for node in below) or any(
            last_name(node.func) not in _SHORT for node in calls
        ):
            return False
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
