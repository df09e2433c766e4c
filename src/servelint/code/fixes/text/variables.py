"""What a block of statements reads, writes and changes of its function's variables."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from keyword import iskeyword
from string import ascii_letters, digits
from typing import NamedTuple

from servelint.code.fixes.text import policy
from servelint.project.text.source import Source

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Methods of the language's containers and files that change the receiver.
CHANGING_METHODS = frozenset(
    {"append", "add", "insert", "extend", "update", "setdefault", "pop", "popitem", "popleft", "appendleft"}
    | {"remove", "discard", "clear", "sort", "reverse", "put", "put_nowait", "rotate", "extendleft"}
    | {"difference_update", "intersection_update", "symmetric_difference_update", "subtract"}
    | {"move_to_end", "write", "writelines", "seek", "truncate"}
)
# Methods that may be called on a model again and again.
HARMLESS_METHODS = frozenset(
    {"eval", "to", "cuda", "cpu", "half", "float", "requires_grad_", "debug", "info", "warning", "error"}
)
_CLAUSES = frozenset({"notin_", "isnot_", "any_", "all_"})
# Functions that change what they are given first.
_CHANGING_FUNCTIONS = frozenset(
    {"setattr", "delattr", "__setattr__", "__delattr__"}
    | {"heappush", "heappop", "heapify", "heappushpop", "heapreplace"}
    | {"insort", "insort_left", "insort_right", "next", "shuffle", "copyto", "putmask", "fill_diagonal"}
)
# Methods that give an element of a container, not another one.
_GIVING = frozenset({"get", "setdefault"})
# Functions that give the elements of what they are given.
_PASSING = frozenset({"enumerate", "zip", "reversed", "sorted", "iter", "list", "tuple"})


def reads(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that are read, in nested functions too; `x += 1` and `del x` read `x`."""
    found: set[str] = set()
    for node in nodes:
        for inner in ast.walk(node):
            match inner:
                case ast.Name(id=name, ctx=ast.Load() | ast.Del()):
                    found.add(name)
                case ast.AugAssign(target=ast.Name(id=name)):
                    found.add(name)
    return found


def writes(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that are bound in the function's own scope: not in nested functions or comprehensions."""
    return {name for name, _ in written(nodes)}


def written(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """The same names, each with the node that binds it."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name, node
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0], node
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name, node
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name, node
        if isinstance(node, _COMPREHENSIONS):
            # Only `:=` gets out of a comprehension.
            yield from ((n.target.id, n) for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
        elif not isinstance(node, _DEFINITIONS):
            waiting += ast.iter_child_nodes(node)


def binds(node: ast.AST) -> tuple[str, ...]:
    """The names that a node binds, parameters too."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return (name,)
        case ast.arg(arg=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.alias(name=name, asname=None):
            return (name.partition(".")[0],)
        case ast.alias(asname=str(name)):
            return (name,)
        case ast.ExceptHandler(name=str(name)):
            return (name,)
    return ()


def deletes(nodes: Iterable[ast.AST]) -> bool:
    """Whether a variable is deleted."""
    return any(
        isinstance(n, ast.Name) and isinstance(n.ctx, ast.Del) for node in nodes for n in ast.walk(node)
    )


def falls_through(statements: Sequence[ast.stmt]) -> bool:
    """Whether control may come to the end of the statements: False where all ways return or raise."""
    if not statements:
        return True
    match statements[-1]:
        case ast.Return() | ast.Raise():
            return False
        case ast.If() as chosen:
            return any(map(falls_through, _ways(chosen)))
        case ast.With(items=items, body=body):
            return suppresses(items) or falls_through(body)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            if final and not falls_through(final):
                return False
            ways = [[*body, *orelse] if orelse else body, *(handler.body for handler in handlers)]
            return any(falls_through(way) for way in ways)
    return True


def suppresses(items: Sequence[ast.withitem]) -> bool:
    """Whether an exception in the `with` may end there (`contextlib.suppress`): the rest is then left out."""
    names = {n.attr if isinstance(n, ast.Attribute) else n.id for n in _names(items)}
    return "suppress" in names


def _names(items: Sequence[ast.withitem]) -> Iterator[ast.Attribute | ast.Name]:
    for item in items:
        for node in ast.walk(item.context_expr):
            if isinstance(node, ast.Attribute | ast.Name):
                yield node


def surely_written(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that are bound whenever control comes to the end of the statements."""
    found: set[str] = set()
    for statement in statements:
        found |= _surely_written(statement)
    return found


def _surely_written(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Assign() | ast.Import() | ast.ImportFrom():
            return writes([statement])
        case ast.AnnAssign(target=target, value=value):
            return writes([target]) if value is not None else set()
        case ast.AugAssign(target=target):
            return writes([target])
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.With(items=items, body=body):
            return writes(items) | (set() if suppresses(items) else surely_written(body))
        case ast.If() as chosen:
            return _in_all(way for way in _ways(chosen) if falls_through(way))
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            ways = [[*body, *orelse], *(handler.body for handler in handlers)]
            return _in_all(way for way in ways if falls_through(way)) | surely_written(final)
    return set()


def _ways(statement: ast.If) -> Iterator[list[ast.stmt]]:
    """The ways through an `if`, each `elif` among them; the last is empty where there is no `else`."""
    yield statement.body
    while len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        statement = statement.orelse[0]
        yield statement.body
    yield statement.orelse


def _in_all(ways: Iterable[Sequence[ast.stmt]]) -> set[str]:
    found = [surely_written(way) for way in ways]
    return set.intersection(*found) if found else set()


def read_before_written(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that may be read before the statements themselves have bound them."""
    found: set[str] = set()
    written: set[str] = set()
    for statement in statements:
        if isinstance(statement, ast.With):
            found |= reads(statement.items) - written
            written |= writes(statement.items)
            found |= read_before_written(statement.body) - written
        else:
            found |= reads([statement]) - written
        written |= _surely_written(statement)
    return found


def changed(node: ast.AST) -> Iterator[ast.expr]:
    """The variables, attributes and containers that a node changes."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield node
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
            yield value
        case ast.Call():
            yield from _changed_by_call(node)
        case ast.Assign(value=ast.Attribute(value=value, attr=name)) if name in CHANGING_METHODS:
            yield value  # `add = seen.append`


def _changed_by_call(node: ast.Call) -> Iterator[ast.expr]:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _CHANGING_FUNCTIONS and node.args:
            yield node.args[0]
        case ast.Attribute(value=value, attr=name) if name in CHANGING_METHODS or _is_in_place(name):
            yield value
    for given in node.args:  # `map(seen.append, rows)`
        if isinstance(given, ast.Attribute) and given.attr in CHANGING_METHODS:
            yield given.value
    yield from (keyword.value for keyword in node.keywords if keyword.arg == "out")


def _is_in_place(method: str) -> bool:
    """Whether a method is named like those of PyTorch that change the receiver, as `copy_` is.

    `in_` and its like only keep clear of keywords, and build clauses
    (https://docs.sqlalchemy.org/en/20/core/operators.html).
    """
    if method in HARMLESS_METHODS or method in _CLAUSES or method[:1] == "_":
        return False
    return method.endswith("_") and not iskeyword(method[:-1])


@cache
def _behind() -> re.Pattern[str]:
    """What stands behind an attribute that is set or changed, or of which an element is."""
    return re.compile(
        r"[ \t]*\[(?:[^\n]{200}|[ \t]*\n)|(?:[ \t]*\[[^\n]{0,200}\])?[ \t]*(?:=(?!=)|[-+*/%|&^@<>]{1,2}=|"
        r":[^\n=]{0,200}=|,[^\n()]{0,200}=|\)[^\n()]{0,200}=|\.(?:"
        + "|".join(sorted(CHANGING_METHODS | policy.load().changes_alone.last_names()))
        + r")\b|\.[^\W_]\w*_\b)"
    )


# What stands before one that is deleted, or given to a function that changes it.
_BEFORE = re.compile(rf"\bdel\b|\bout=\s*[\w.]*$|\b(?:{'|'.join(sorted(_CHANGING_FUNCTIONS))})\(\s*[\w.]*$")
_IN_NAMES = ascii_letters + digits + "_."
_FAR = 200


class Written(NamedTuple):
    """Where an attribute may be written: a 1-based line, and whose it is (`self.manager`).

    `holder` is empty for anything but variables and their attributes.
    """

    line: int
    holder: str


def written_attributes(source: Source, name: str) -> Iterator[Written]:
    """Where a file may write attributes of that name, by its text alone: more may be among them."""
    text, wanted = source.text, f".{name}"
    start = text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if not _is_of_name(text[end : end + 1]):
            before = text[max(text.rfind("\n", 0, start) + 1, start - _FAR) : start]
            if _behind().match(text, end) or _BEFORE.search(before):
                rest = before.rstrip(_IN_NAMES)
                holder = "" if _is_of_name(rest[-1:]) else before[len(rest) :]
                whole = all(part.isidentifier() for part in holder.split("."))
                yield Written(bisect_right(source.starts, start), holder if whole else "")
        start = text.find(wanted, end)


def mentioning_lines(source: Source, name: str) -> Iterator[int]:
    """The 1-based lines in which the name stands."""
    for found in re.finditer(rf"\b{re.escape(name)}\b", source.text):
        yield bisect_right(source.starts, found.start())


def _is_of_name(character: str) -> bool:
    return character.isalnum() or character == "_"


def roots(place: ast.expr) -> Iterator[str]:
    """The variables with which the way to an object begins; "" for a class or a namespace.

    What a call gives begins with the call: `cache()` or `store.all()`.
    """
    waiting = [place]
    while waiting:
        match waiting.pop():
            case ast.Name(id=name):
                yield name
            case ast.Attribute(attr="__class__") | ast.Call(func=ast.Name(id="type" | "globals")):
                yield ""
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.NamedExpr(value=value):
                waiting.append(value)
            case ast.Call(func=ast.Name(id=name)) if name != "vars":
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _GIVING:
                waiting.append(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=of), attr=name)):
                yield f"{of}.{name}()"
            case ast.Call(func=ast.Name(id="vars"), args=[value]):
                waiting.append(value)
            case ast.IfExp(body=one, orelse=other):
                waiting += (one, other)
            case ast.BoolOp(values=values):
                waiting += values


def aliases(own: Iterable[ast.AST]) -> Mapping[str, set[str]]:
    """The variables of a function that hold parts of others, and with which variables each way begins.

    Those may hold parts of others again: `followed` goes on from them.
    """
    given: dict[str, set[str]] = {}
    for node in own:
        for target, value in _assigned(node):
            found = set(roots(value))
            for name in ast.walk(target) if found else ():
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    given.setdefault(name.id, set()).update(found)
    return given


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What a node assigns, and to what."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            yield from zip(targets, values, strict=False)
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.NamedExpr(target=target, value=value)
        ):
            yield target, value
        case (
            ast.For(target=target, iter=value)
            | ast.AsyncFor(target=target, iter=value)
            | ast.comprehension(target=target, iter=value)
        ):
            yield from ((target, passed) for passed in _passed(value))
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            yield target, value
        case ast.Match(subject=value, cases=cases):
            for name, _ in written(case.pattern for case in cases):
                yield ast.Name(name, ast.Store()), value


def _passed(value: ast.expr) -> Iterator[ast.expr]:
    """Whose elements are gone through."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case ast.Call(func=ast.Attribute(value=inner, attr="items" | "values")):
                waiting.append(inner)
            case ast.Call(func=ast.Name(id=name), args=values) if name in _PASSING:
                waiting += values
            case other:
                yield other


def followed(names: Iterable[str], given: Mapping[str, set[str]]) -> set[str]:
    """The variables, and those with which the ways to what they hold begin."""
    waiting = list(names)
    seen = set(waiting)
    while waiting:
        for root in given.get(waiting.pop(), ()):
            if root not in seen:
                seen.add(root)
                waiting.append(root)
    return seen
