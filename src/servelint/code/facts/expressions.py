"""From expressions of a syntax tree to those of the facts, and the calls, reads and iterations in them."""

from __future__ import annotations

import ast
import re
from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

from servelint.boundary import LimitError
from servelint.code.facts.facts import (
    OPAQUE,
    Attribute,
    Awaited,
    Call,
    Choice,
    Closure,
    Condition,
    Constant,
    Element,
    Expression,
    Iteration,
    Listed,
    Mapping,
    Name,
    Operated,
    Operation,
    Read,
    Sequence,
    Site,
    Slice,
    Spread,
    Subscript,
    Text,
)
from servelint.code.facts.nodes import (
    COMPARED,
    OPERATORS,
    UNARY,
    Link,
    chain,
    choice,
    operands,
    position_of,
)

# What people write is nested some twenty deep. Long chains (`a + b`, `x.f().g()`, `elif`) nest nothing.
MAXIMUM_NESTING = 500
NESTED_LINKS = 50
# So many links of a chain know the one before; what is further away is not known to them.
MAXIMUM_CHAIN = 100
MAXIMUM_OPERANDS = 10
# What may be an object of one of the project's classes.
_OBJECTS = (Name, Attribute, Call, Subscript, Awaited, Choice, Operated, Element)
_OPERANDS = (*_OBJECTS, Sequence, Listed)
# What the conversions of formatted strings call; without one it is `format`.
_CONVERSIONS = {ord("s"): "str", ord("r"): "repr", ord("a"): "repr"}

# What names and keys are written with, and how many parts they have at most.
_NAMING = re.compile(r"[\w.:@-]*")
MAXIMUM_PARTS = 6


class Depth(Protocol):
    """What counts how deep expressions are nested in a file."""

    nesting: int


class Expressions:
    """The part of reading a body that is about expressions: what a body records on the way."""

    module: Depth

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.iterations: list[Iteration] = []
        self.reads: list[Read] = []
        self.operations: list[Operation] = []
        self.yields: list[Expression] = []
        self.awaited: set[str] = set()
        self.awaits = False
        self.is_generator = False
        self.used: set[str] = set()
        self.aside = False
        self.contexts: tuple[Expression, ...] = ()
        self.endless = False
        self.lacking = ""
        self.conditions: tuple[Condition, ...] = ()

    @abstractmethod
    def children(self, node: ast.AST) -> None:
        """Read what is below a node that has no meaning of its own."""

    @abstractmethod
    def bind(self, target: ast.expr, value: Expression | None, note: Expression | None = None) -> None:
        """Record that a target gets a value."""

    @abstractmethod
    def narrow(self, test: ast.expr) -> None:
        """Record what a condition says of the classes of objects."""

    @abstractmethod
    def closure(self, node: ast.Lambda) -> Closure:
        """Read a lambda as a function of its own."""

    @abstractmethod
    def generator(self, node: ast.GeneratorExp) -> Call:
        """Read a generator expression that outlives the body as a function of its own."""

    def expression(self, node: ast.expr, use: str = "other", name: str = "") -> Expression:
        """Turn an expression; record the calls in it. `use` and `name` say what becomes of its value."""
        module = self.module
        module.nesting += 1
        if module.nesting > MAXIMUM_NESTING:
            raise LimitError(f"expressions are nested more than {MAXIMUM_NESTING} levels deep", node.lineno)
        turn = _EXPRESSIONS.get(type(node))
        if turn is not None:
            made: Expression = turn(self, node, use, name)
        else:
            self.children(node)
            made = OPAQUE
        module.nesting -= 1
        return made

    def look(self, node: ast.expr) -> Expression:
        """Turn an expression whose value goes nowhere; record the calls in it."""
        outer, self.aside = self.aside, True
        made = self.expression(node)
        self.aside = outer
        return made

    def test(self, node: ast.expr) -> None:
        """Record the calls in a condition, and that the language asks whether its value is true."""
        self.truth(node, self.look(node))

    def truth(self, node: ast.expr, made: Expression) -> None:
        """Record that the language asks whether a value is true; of `a and b`, that `a` is asked is known."""
        if isinstance(node, ast.BoolOp) and isinstance(made, Choice):
            self.truth(node.values[-1], made.options[-1])
        elif not isinstance(node, ast.BinOp):
            self.operate("bool", (made,), node)

    def operate(self, operator: str, operands: tuple[Expression, ...], node: ast.expr | ast.stmt) -> None:
        """Record an operation, unless none of the operands can be an object."""
        if any(isinstance(operand, _OBJECTS) for operand in operands):
            self.operations.append(Operation(Operated(operator, operands), position_of(node), self.endless))

    def value(self, node: ast.expr, use: str = "other", name: str = "") -> Expression:
        """Turn an expression whose value goes somewhere, even if that of what it is in does not."""
        outer, self.aside = self.aside, False
        made = self.expression(node, use, name)
        self.aside = outer
        return made

    def of_Name(self, node: ast.Name, *_: str) -> Name:
        if not self.aside:
            self.used.add(node.id)
        return Name(node.id)

    def of_Attribute(self, node: ast.Attribute, *_: str) -> Expression:
        if self.module.nesting > NESTED_LINKS:
            return self.chained(node, "other", "")
        read = self.attribute(node)
        if isinstance(node.ctx, ast.Load):
            self.reads.append(Read(read, position_of(node), self.endless))
        elif isinstance(node.ctx, ast.Del):
            self.operate("delattr", (read.value, Constant(read.name)), node)
        return read

    def attribute(self, node: ast.Attribute) -> Attribute:
        return Attribute(self.expression(node.value), node.attr)

    def of_Subscript(self, node: ast.Subscript, *_: str) -> Expression:
        if self.module.nesting > NESTED_LINKS:
            return self.chained(node, "other", "")
        made = Subscript(self.expression(node.value), self.expression(node.slice))
        self.subscribed(node, made)
        return made

    def subscribed(self, node: ast.Subscript, made: Subscript) -> None:
        """Record that an item is asked for or removed."""
        if not isinstance(node.ctx, ast.Store):
            self.operate("getitem" if isinstance(node.ctx, ast.Load) else "delitem", made, node)

    def of_Slice(self, node: ast.Slice, *_: str) -> Slice:
        parts = (node.lower, node.upper, node.step)
        return Slice(*(None if part is None else self.expression(part) for part in parts))

    def of_Call(self, node: ast.Call, use: str, name: str) -> Expression:
        if self.module.nesting > NESTED_LINKS:
            return self.chained(node, use, name)
        outer, self.aside = self.aside, False
        called = node.func
        function = self.attribute(called) if isinstance(called, ast.Attribute) else self.expression(called)
        self.aside = outer
        made = self.call(node, function, use, name)
        if made.function == Name("dict") and made.keywords and not made.arguments:
            keys, values = zip(*made.keywords, strict=True)
            return Mapping(tuple(None if key is None else Constant(key) for key in keys), values)
        return made

    def chained(self, node: Link, use: str, name: str) -> Expression:
        """The rest of a long chain of attributes, items and calls, from its innermost value outward."""
        links, root = chain(node)
        # The value of the chain may go nowhere; that of what a call is made on does.
        outer, calls = self.aside, [n for n, link in enumerate(links) if isinstance(link, ast.Call)]
        called = calls[0] if calls else len(links)
        self.aside = outer and not calls
        made = self.expression(root)
        for number in range(len(links) - 1, -1, -1):
            link = links[number]
            if (len(links) - number) % MAXIMUM_CHAIN == 0:
                made = OPAQUE
            self.aside = outer and number <= called
            if isinstance(link, ast.Attribute):
                made = Attribute(made, link.attr)
                is_called = number and isinstance(links[number - 1], ast.Call)
                if isinstance(link.ctx, ast.Load) and not is_called:
                    self.reads.append(Read(made, position_of(link), self.endless))
            elif isinstance(link, ast.Subscript):
                made = Subscript(made, self.expression(link.slice))
                self.subscribed(link, made)
            else:
                made = self.call(link, made, *((use, name) if not number else ("other", "")))
        self.aside = outer
        return made

    def of_Constant(self, node: ast.Constant, *_: str) -> Expression:
        return Constant(node.value) if isinstance(node.value, str | int | float | None) else OPAQUE

    def of_Await(self, node: ast.Await, *_: str) -> Awaited:
        self.awaits = True
        if isinstance(node.value, ast.Name):
            self.awaited.add(node.value.id)
        made = self.expression(node.value, use="await")
        self.operate("await", (made,), node.value)
        return Awaited(made)

    def of_Lambda(self, node: ast.Lambda, *_: str) -> Closure:
        return self.closure(node)

    def of_Tuple(self, node: ast.Tuple | ast.List | ast.Set, use: str, _: str) -> Sequence:
        inner = "argument" if use == "argument" else "other"
        return Sequence(tuple(self.expression(item, inner) for item in node.elts))

    of_List = of_Set = of_Tuple

    def of_Dict(self, node: ast.Dict, *_: str) -> Mapping:
        keys = tuple(None if key is None else self.expression(key) for key in node.keys)
        return Mapping(keys, tuple(self.expression(value) for value in node.values))

    def of_BoolOp(self, node: ast.BoolOp, use: str, name: str) -> Choice:
        outer, options = self.lacking, []
        for value in node.values:
            options.append(self.expression(value, use, name))
            if isinstance(node.op, ast.Or) and isinstance(value, ast.Name):
                self.lacking = value.id
        self.lacking = outer
        for value, made in zip(node.values[:-1], options, strict=False):
            self.truth(value, made)
        return Choice(tuple(options))

    def of_UnaryOp(self, node: ast.UnaryOp, *_: str) -> Expression:
        made = self.look(node.operand)
        if isinstance(node.op, ast.Not):
            self.truth(node.operand, made)
            return OPAQUE
        if (
            isinstance(made, Constant)
            and isinstance(node.op, ast.USub)
            and isinstance(made.value, int | float)
        ):
            return Constant(-made.value)
        self.operate(UNARY[type(node.op)], (made,), node)
        return Operated(UNARY[type(node.op)], (made,)) if isinstance(made, _OBJECTS) else OPAQUE

    def of_Compare(self, node: ast.Compare, *_: str) -> Expression:
        left = self.look(node.left)
        for operator, other in zip(node.ops, node.comparators, strict=True):
            right = self.look(other)
            if isinstance(operator, ast.In | ast.NotIn):
                self.operate("contains", (right, left), node)
            elif type(operator) in COMPARED:
                self.operate(COMPARED[type(operator)], (left, right), node)
            left = right
        return OPAQUE

    def of_FormattedValue(self, node: ast.FormattedValue, *_: str) -> Expression:
        made = self.look(node.value)
        self.operate(_CONVERSIONS.get(node.conversion, "format"), (made,), node.value)
        if node.format_spec is not None:
            self.look(node.format_spec)
        return made

    def of_BinOp(self, node: ast.BinOp, *_: str) -> Expression:
        first, others = operands(node)
        if isinstance(node.op, ast.BitOr):  # of dicts, types and LangChain's chains
            options = [self.expression(first), *(self.expression(other) for _, other in others)]
            for left, right in pairwise(options):
                self.operate("or", (left, right), node)
            return choice(options)
        made = self.look(first)
        parts = [made]
        for number, (operator, other) in enumerate(others):
            name, right = OPERATORS[type(operator)], self.look(other)
            parts.append(right)
            self.operate(name, (made, right), node)
            either = isinstance(made, _OPERANDS) or isinstance(right, _OPERANDS)
            made = Operated(name, (made, right)) if either and number < MAXIMUM_OPERANDS else OPAQUE
        return text(parts) or made

    def of_JoinedStr(self, node: ast.JoinedStr, *_: str) -> Expression:
        parts = list(map(self.look, node.values))
        return text(parts) or name_of(parts) or OPAQUE

    def of_IfExp(self, node: ast.IfExp, use: str, name: str) -> Choice:
        options: list[Expression] = []
        other: ast.expr = node
        while isinstance(other, ast.IfExp):
            self.test(other.test)
            self.narrow(other.test)
            options.append(self.expression(other.body, use, name))
            other = other.orelse
        options.append(self.expression(other, use, name))
        return choice(options, to_the_right=True)

    def of_NamedExpr(self, node: ast.NamedExpr, *_: str) -> Expression:
        bound = self.value(node.value, "assign", node.target.id)
        self.bind(node.target, bound)
        return bound

    def of_Starred(self, node: ast.Starred, use: str, _: str) -> Spread:
        drawn = self.expression(node.value, "argument" if use == "argument" else "iterate")
        self.iterations.append(Iteration(drawn, position_of(node.value), self.endless))
        return Spread(drawn)

    def of_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, use: str, _: str) -> Listed:
        self.comprehension(node.generators)
        element = self.expression(node.elt, "argument" if use == "argument" else "other")
        return Listed(element, isinstance(node, ast.GeneratorExp))

    of_SetComp = of_GeneratorExp = of_ListComp

    def of_DictComp(self, node: ast.DictComp, *_: str) -> Listed:
        self.comprehension(node.generators)
        self.expression(node.key)
        return Listed(self.expression(node.value), lazy=False)

    def of_Yield(self, node: ast.Yield, *_: str) -> Expression:
        self.is_generator = True
        if node.value is not None:
            self.yields.append(self.value(node.value, "yield"))
        return OPAQUE

    def of_YieldFrom(self, node: ast.YieldFrom, *_: str) -> Expression:
        self.is_generator = True
        made = self.value(node.value, "iterate")
        self.iterations.append(Iteration(made, position_of(node.value), self.endless))
        self.yields.append(Element(made))
        return OPAQUE

    def comprehension(self, generators: list[ast.comprehension]) -> None:
        for generator in generators:
            use = "async" if generator.is_async else "iterate"
            value = self.value(generator.iter, use)
            if generator.is_async:
                self.awaits = True
                self.operate("async for", (value,), generator.iter)
            else:
                self.iterations.append(Iteration(value, position_of(generator.iter), self.endless))
            self.bind(generator.target, Element(value))
            for condition in generator.ifs:
                self.test(condition)
                self.narrow(condition)

    def call(self, node: ast.Call, function: Expression, use: str, name: str) -> Call:
        """Record a call of what has been turned already."""
        outer, self.aside = self.aside, False
        first = len(self.sites)
        arguments = tuple(self.expression(a, use="argument") for a in node.args)
        keywords = tuple((k.arg, self.expression(k.value, use="argument")) for k in node.keywords)
        for number in range(first, len(self.sites)):
            site = self.sites[number]
            if site.use == "argument" and site.receiver is None:
                self.sites[number] = site._replace(receiver=function)
        self.aside = outer
        call = Call(function, arguments, keywords, position_of(node))
        around = (self.contexts, self.endless, self.lacking, self.conditions)
        self.sites.append(Site(call, use, None, name, *around))
        return call


def text(parts: list[Expression]) -> Text | None:
    """Text put together, where it may be an address or a module of a package; None for other sums."""
    pieces = [part.value for part in parts if isinstance(part, Constant) and isinstance(part.value, str)]
    meant = pieces[:1] and (pieces[0].partition("%")[0].endswith(".") or any("/" in p for p in pieces))
    return Text(tuple(parts)) if meant else None


def by_type(cls: type, prefix: str) -> dict[type[ast.AST], Callable[..., Any]]:
    """The methods of a class that are named after a type of node, by that type, if this Python has it."""
    methods = ((name, method) for name, method in vars(cls).items() if name.startswith(prefix))
    types = ((getattr(ast, name.removeprefix(prefix), None), method) for name, method in methods)
    return {node: method for node, method in types if node is not None}


_EXPRESSIONS = by_type(Expressions, "of_")


def name_of(parts: list[Expression]) -> Text | None:
    """A name or key put together, `f"{name}-small"`; None for what is read by people."""
    pieces = [part.value for part in parts if isinstance(part, Constant)]
    meant = pieces and len(parts) <= MAXIMUM_PARTS and all(map(_NAMING.fullmatch, map(str, pieces)))
    return Text(tuple(parts)) if meant else None
