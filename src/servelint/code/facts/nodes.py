"""What single nodes of a syntax tree show: annotations, positions, and the forms that statements have."""

from __future__ import annotations

import ast
import io
import tokenize
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
    Narrowed,
    Opaque,
    Position,
    Sequence,
    Slice,
    Spread,
    Subscript,
)

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
# What a chain is made of.
Link: TypeAlias = ast.Attribute | ast.Subscript | ast.Call
# Operators by the names of their special methods.
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.MatMult: "matmul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}
UNARY: dict[type[ast.unaryop], str] = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert"}
COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}
MAXIMUM_NESTED_OPTIONS = 50
MAXIMUM_ANNOTATION = 100


def annotation(node: ast.expr | None, nesting: int = 0) -> Expression | None:
    """Turn an annotation, quoted or not; what is no name, subscript or union becomes opaque.

    So does what is nested too deeply, and a text that the parser does not take.
    """
    if nesting > MAXIMUM_ANNOTATION:
        return OPAQUE

    def inner(part: ast.expr) -> Expression:
        return annotation(part, nesting + 1) or OPAQUE

    match node:
        case None:
            return None
        case ast.Constant(value=str(text)):
            try:
                return annotation(ast.parse(text.strip(), mode="eval").body, nesting + 1)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return OPAQUE
        case ast.Constant(value=None):
            return Constant(None)
        case ast.Name(id=id_):
            return Name(id_)
        case ast.Attribute(value=value, attr=attr):
            return Attribute(inner(value), attr)
        case ast.Subscript(value=value, slice=key):
            return Subscript(inner(value), inner(key))
        case ast.BinOp(op=ast.BitOr()):
            first, others = operands(node)
            return choice([inner(first), *(inner(other) for _, other in others)])
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return Sequence(tuple(map(inner, items)))
        case ast.Call(func=func, args=args, keywords=keywords):
            return Call(
                inner(func),
                tuple(map(inner, args)),
                tuple((k.arg, inner(k.value)) for k in keywords),
                position_of(node),
            )
    return OPAQUE


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


def branches(node: ast.If) -> Iterator[ast.If | list[ast.stmt]]:
    """The branches of an `if`: one `ast.If` for each `elif`, and what stands after `else`."""
    yield node
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node = node.orelse[0]
        yield node
    yield node.orelse


def chain(node: Link) -> tuple[list[Link], ast.expr]:
    """The attributes, items and calls made of a value one after the other, the last first; and the value."""
    links: list[Link] = [node]
    while True:
        link = links[-1]
        inner = link.func if isinstance(link, ast.Call) else link.value
        if not isinstance(inner, Link):
            return links, inner
        links.append(inner)


def operands(node: ast.BinOp) -> tuple[ast.expr, list[tuple[ast.operator, ast.expr]]]:
    """The first operand of `a + b - c`, and the others with what stands before them; those of `|` apart."""
    kind, others = isinstance(node.op, ast.BitOr), [(node.op, node.right)]
    first = node.left
    while isinstance(first, ast.BinOp) and isinstance(first.op, ast.BitOr) is kind:
        others.append((first.op, first.right))
        first = first.left
    return first, others[::-1]


def choice(options: list[Expression], *, to_the_right: bool = False) -> Choice:
    """One of several, nested as they are written; many are not nested."""
    if len(options) > MAXIMUM_NESTED_OPTIONS:
        return Choice(tuple(options))
    first, *others = reversed(options) if to_the_right else options
    made = first
    for option in others:
        made = Choice((option, made) if to_the_right else (made, option))
    assert isinstance(made, Choice)
    return made


def parts(value: Expression | None, starred: list[bool]) -> Iterator[Expression | None]:
    """What unpacking the value gives to each of the targets, one of which may be starred."""
    star = starred.index(True) if True in starred else len(starred)
    for number in range(len(starred)):
        place = number if number <= star else number - len(starred)
        behind = Constant(star + 1 - len(starred)) if star + 1 < len(starred) else None
        key = Slice(Constant(star), behind, None) if number == star else Constant(place)
        yield _part(value, key)


def _part(value: Expression | None, key: Slice | Constant) -> Expression | None:
    if value is None or isinstance(value, Opaque):
        return value
    if isinstance(value, Sequence):
        return picked(value.items, key) or Subscript(value, key)
    return Subscript(value, key)


def picked(items: tuple[Expression, ...], key: Expression | None) -> Expression | None:
    """The item, or the part, of a display that a key names; None where that is not known."""
    if any(isinstance(item, Spread) for item in items):
        return None
    match key:
        case Constant(int(number)):
            return items[number] if -len(items) <= number < len(items) else OPAQUE
        case Slice():
            ends = bounds(key)
            return Sequence(items[ends]) if ends is not None else None
    return None


def bounds(key: Slice) -> slice | None:
    """The slice that a key is; None where one of its numbers is not known."""
    numbers: list[int | None] = []
    for bound in key:
        match bound:
            case None:
                numbers.append(None)
            case Constant(int(number)):
                numbers.append(number)
            case _:
                return None
    return slice(*numbers) if numbers[2] != 0 else None


def captured(pattern: ast.pattern, subject: Expression) -> Iterator[tuple[str, Expression]]:
    """The names that a pattern binds, and what to: a part of what is matched, or an object of a class."""
    match pattern:
        case ast.MatchAs(pattern=inner, name=name):
            if name:
                cls = inner.cls if isinstance(inner, ast.MatchClass) else None
                yield name, Narrowed(annotation(cls) or OPAQUE) if cls is not None else subject
            if inner is not None:
                yield from captured(inner, subject)
        case ast.MatchStar(name=name):
            if name:
                yield name, subject
        case ast.MatchSequence(patterns=patterns):
            starred = [isinstance(one, ast.MatchStar) for one in patterns]
            for one, value in zip(patterns, parts(subject, starred), strict=True):
                yield from captured(one, value or OPAQUE)
        case ast.MatchMapping(keys=keys, patterns=patterns, rest=rest):
            for key, one in zip(keys, patterns, strict=True):
                text = key.value if isinstance(key, ast.Constant) else None
                known = Constant(text) if isinstance(text, str | int) else OPAQUE
                yield from captured(one, Subscript(subject, known))
            if rest:
                yield rest, subject
        case ast.MatchOr(patterns=patterns):
            for one in patterns:
                yield from captured(one, subject)
        case ast.MatchClass(cls=cls, patterns=patterns, kwd_attrs=names, kwd_patterns=named):
            narrowed = Choice((subject, Narrowed(annotation(cls) or OPAQUE)))
            for number, one in enumerate(patterns):
                yield from captured(one, Subscript(narrowed, Constant(number)))
            for name, one in zip(names, named, strict=True):
                yield from captured(one, Attribute(narrowed, name))


def position_of(node: ast.expr | ast.stmt) -> Position:
    """Where the node stands."""
    return Position(
        node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    )


def class_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a class, those under `if` and `try` included."""
    out: list[ast.stmt] = []
    waiting = body[::-1]
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.If | ast.Try):
            waiting += [*statement.orelse[::-1], *statement.body[::-1]]
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
    """Whether an assignment to the target iterates over its value: `first, *rest = value`."""
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


def longest_statement(data: bytes) -> int:
    """The line of the statement with the most operators and names, or of the `if` with the most `elif`.

    For files that the parser gives up on; 0 where not even words can be told apart.
    """
    counts: dict[int, int] = {}
    branches: dict[int, tuple[int, int]] = {}  # by column: the line of the `if`, how many `elif` it has
    start = column = 0
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.INDENT):
                start = start if token.type != tokenize.NEWLINE else 0
                continue
            if token.type in (tokenize.ENCODING, tokenize.DEDENT):
                continue
            if not start:
                start, column = token.start
                if token.string == "if":
                    branches[column] = (start, 0)
                elif token.string == "elif" and column in branches:
                    line, number = branches[column]
                    branches[column] = (line, number + 1)
                    counts[line] = max(counts.get(line, 0), 2 * number)
            counts[start] = counts.get(start, 0) + 1
    except (SyntaxError, ValueError, tokenize.TokenError):
        return max(counts, key=counts.__getitem__, default=0)
    return max(counts, key=counts.__getitem__, default=0)
