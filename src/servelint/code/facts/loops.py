"""Which loops a program is meant to stay in."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def is_endless(loop: ast.While) -> bool:
    """Whether a loop is meant to go on for as long as the program serves.

    It asks for nothing or for a flag (`while True`, `while not stopped.is_set()`, `while self.running`), and
    is not one that tries until something has succeeded, which is left at the end of its first good round,
    nor one that goes through batches until there are no more.
    """
    return _is_flag(loop.test) and not _is_left(loop.body) and not _is_drained(loop.body)


def _is_flag(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.UnaryOp(op=ast.Not()) | ast.Attribute() | ast.Call():
            return True
        case ast.BoolOp(values=values):
            return all(map(_is_flag, values))
    return False


def _is_drained(body: list[ast.stmt]) -> bool:
    """Whether a round takes several things, goes through them, and is the last where there are none."""
    taken = {t.id for s in body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
    asked = set()
    for statement in body:
        match statement:
            case ast.If(
                test=ast.UnaryOp(op=ast.Not(), operand=ast.Name(id)), body=[*_, ast.Break() | ast.Return()]
            ):
                asked.add(id)
    wanted = asked & taken
    return bool(wanted) and not wanted.isdisjoint(_gone_through(body))


def _gone_through(body: list[ast.stmt]) -> Iterator[str]:
    """The names whose elements a loop or a comprehension in the statements goes through."""
    nodes = (node for statement in body for node in ast.walk(statement))
    for node in nodes:
        match node:
            case ast.For(iter=looped) | ast.comprehension(iter=looped):
                match looped:
                    case ast.Call(func=ast.Name("zip" | "enumerate"), args=sources):
                        pass
                    case _:
                        sources = [looped]
                yield from (source.id for source in sources if isinstance(source, ast.Name))


def _is_left(body: list[ast.stmt]) -> bool:
    """Whether statements end in leaving the loop around them, unless something goes wrong on the way."""
    for statement in body:
        match statement:
            case ast.Break() | ast.Return():
                return True
            case ast.Try(body=inner, orelse=orelse) if _is_left(inner) or _is_left(orelse):
                return True
            case ast.With(body=inner) | ast.AsyncWith(body=inner) if _is_left(inner):
                return True
    return False
