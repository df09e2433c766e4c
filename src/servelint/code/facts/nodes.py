"""What single nodes of a syntax tree show: annotations, positions, and the forms that statements have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from servelint.code.facts.facts import (
    OPAQUE,
    Attribute,
    Call,
    Choice,
    Constant,
    Expression,
    Name,
    Opaque,
    Position,
    Sequence,
    Spread,
    Subscript,
)

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def annotation(node: ast.expr | None) -> Expression | None:
    """Turn an annotation, quoted or not; what is no name, subscript or union becomes opaque."""
    match node:
        case None:
            return None
        case ast.Constant(value=str(text)):
            try:
                return annotation(ast.parse(text.strip(), mode="eval").body)
            except (SyntaxError, ValueError):
                return OPAQUE
        case ast.Constant(value=None):
            return Constant(None)
        case ast.Name(id=id_):
            return Name(id_)
        case ast.Attribute(value=value, attr=attr):
            return Attribute(annotation(value) or OPAQUE, attr)
        case ast.Subscript(value=value, slice=key):
            return Subscript(annotation(value) or OPAQUE, annotation(key) or OPAQUE)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Choice((annotation(left) or OPAQUE, annotation(right) or OPAQUE))
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return Sequence(tuple(annotation(i) or OPAQUE for i in items))
        case ast.Call(func=func, args=args, keywords=keywords):
            return Call(
                annotation(func) or OPAQUE,
                tuple(annotation(a) or OPAQUE for a in args),
                tuple((k.arg, annotation(k.value) or OPAQUE) for k in keywords),
                position_of(node),
            )
    return OPAQUE


# What is declared as one of these, or as what is built from them, is no model and no function.
_SCALARS = frozenset({"str", "bytes", "int", "float", "bool"})
_OF_SCALARS = frozenset({"Optional", "Union", "list", "List", "set", "Set", "dict", "Dict", "tuple", "Tuple"})


def is_plain(note: Expression | None) -> bool:
    """Whether what is annotated is text, a number, or built from them."""
    match note:
        case Name(id):
            return id in _SCALARS
        case Constant():
            return True
        case Choice(parts) | Sequence(parts):
            return all(map(is_plain, parts))
        case Subscript(Name(base) | Attribute(_, base), key):
            return base == "Literal" or (base in _OF_SCALARS and is_plain(key))
    return False


def part(value: Expression | None, number: int) -> Expression | None:
    """What unpacking the value gives to the target at a 0-based place."""
    if value is None or isinstance(value, Opaque):
        return value
    if isinstance(value, Sequence) and not any(isinstance(i, Spread) for i in value.items):
        return value.items[number] if number < len(value.items) else OPAQUE
    return Subscript(value, Constant(number))


def position_of(node: ast.expr | ast.stmt) -> Position:
    """Where the node stands."""
    return Position(
        node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    )


def class_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a class, those under `if` and `try` included."""
    out: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            out += class_statements([*statement.body, *statement.orelse])
        else:
            out.append(statement)
    return out


def is_accessor(node: FunctionNode) -> bool:
    """Whether the definition is a property's setter or deleter, or an overload's signature."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Attribute(attr="setter" | "deleter"):
                return True
            case ast.Name(id="overload") | ast.Attribute(attr="overload"):
                return True
    return False


def is_drawn(target: ast.expr) -> bool:
    """Whether an assignment to the target takes all that its value iterates over: `first, *rest = value`."""
    return isinstance(target, ast.Tuple | ast.List) and any(isinstance(i, ast.Starred) for i in target.elts)


def instance_tests(test: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The objects and classes of each `isinstance` that a condition asks for."""
    match test:
        case ast.Call(func=ast.Name("isinstance"), args=[target, cls]):
            yield target, cls
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from instance_tests(part)
        case ast.UnaryOp(operand=part) | ast.NamedExpr(value=part):
            yield from instance_tests(part)


def is_guard(test: ast.expr) -> bool:
    """Whether a condition asks if a name or attribute has been set: `x is None`, `not self.x`."""
    match test:
        case ast.Compare(left=ast.Name() | ast.Attribute(), ops=[ast.Is() | ast.IsNot()]):
            return isinstance(test.comparators[0], ast.Constant)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name() | ast.Attribute()):
            return True
        case ast.BoolOp(values=values):
            return any(is_guard(value) for value in values)
    return False


def is_stub(body: list[ast.stmt]) -> bool:
    """Whether the body of a function does nothing but declare it."""
    rest = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    match rest:
        case [] | [ast.Pass()]:
            return True
        case [
            ast.Raise(
                exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))
            )
        ]:
            return True
    return False


def is_main(test: ast.expr) -> bool:
    """Whether a condition asks if the file is run by itself: `__name__ == "__main__"`."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            return any(isinstance(side, ast.Name) and side.id == "__name__" for side in (left, right))
    return False


def is_endless(loop: ast.While) -> bool:
    """Whether a loop is meant to go on for as long as the program serves.

    It asks for nothing or for a flag (`while True`, `while not stopped.is_set()`, `while self.running`), and
    is not one that tries until something has succeeded, which is left at the end of its first good round.
    """
    return _is_flag(loop.test) and not _is_left(loop.body)


def _is_flag(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.UnaryOp(op=ast.Not()) | ast.Attribute() | ast.Call():
            return True
        case ast.BoolOp(values=values):
            return all(map(_is_flag, values))
    return False


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
