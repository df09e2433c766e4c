"""From the bytes of one Python file to its facts, in one pass over the syntax tree.

Every expression is visited once: it is turned into its `facts.Expression`, and the calls inside it are
recorded in the order in which Python makes them.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import TypeAlias

from servelint.code.facts import (
    OPAQUE,
    Attribute,
    Awaited,
    Binding,
    Call,
    Choice,
    ClassFacts,
    ClassValue,
    Closure,
    Constant,
    Element,
    Entered,
    Expression,
    FunctionFacts,
    Import,
    Iteration,
    Listed,
    Mapping,
    ModuleFacts,
    Name,
    Narrowed,
    Opaque,
    Parameter,
    Position,
    Sequence,
    Site,
    Spread,
    Subscript,
)

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def parse(data: bytes) -> ast.Module:
    """The syntax tree of a file's bytes. Raises SyntaxError or ValueError (null bytes)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes of the code that is read are not ours to report
        return ast.parse(data)


def extract(data: bytes) -> ModuleFacts:
    """The facts of a file's bytes. Raises SyntaxError, ValueError (null bytes) or RecursionError."""
    return _Module().read(parse(data))


class _Module:
    """Gathers the functions and classes of one file."""

    def __init__(self) -> None:
        self.functions: list[FunctionFacts | None] = []
        self.classes: list[ClassFacts | None] = []
        self.stars: list[tuple[str, int]] = []

    def read(self, tree: ast.Module) -> ModuleFacts:
        self.functions.append(None)
        body = _Body(self, index=0, parent=None, owner=None)
        body.statements(tree.body)
        last = tree.body[-1].end_lineno or 1 if tree.body else 1
        self.functions[0] = body.done("<module>", "<module>", Position(1, 0, last, 0))
        return ModuleFacts(
            tuple(f for f in self.functions if f is not None),
            tuple(c for c in self.classes if c is not None),
            tuple(self.stars),
        )


class _Body:
    """Reads the body of one function, lambda, class or module."""

    def __init__(
        self, module: _Module, index: int, parent: int | None, owner: int | None, prefix: str = ""
    ) -> None:
        self.module = module
        self.index = index
        self.parent = parent
        self.owner = owner
        self.prefix = prefix
        self.bindings: list[Binding] = []
        self.sites: list[Site] = []
        self.iterations: list[Iteration] = []
        self.returns: list[Expression] = []
        self.yields: list[Expression] = []
        self.imports: list[Import] = []
        self.names: dict[str, Expression] = {}
        self.outer: set[str] = set()
        self.awaited: set[str] = set()
        self.awaits = False
        self.is_generator = False
        self.guarded = False
        self.contexts: tuple[Expression, ...] = ()

    def done(
        self,
        name: str,
        qualname: str,
        position: Position,
        node: FunctionNode | ast.Lambda | None = None,
        decorators: tuple[Expression, ...] = (),
        parameters: tuple[Parameter, ...] = (),
    ) -> FunctionFacts:
        definition = node if isinstance(node, FunctionNode) else None
        return FunctionFacts(
            name=name,
            qualname=qualname,
            position=position,
            is_async=isinstance(node, ast.AsyncFunctionDef),
            is_generator=self.is_generator,
            is_lambda=isinstance(node, ast.Lambda),
            parent=self.parent,
            owner=self.owner,
            parameters=parameters,
            decorators=decorators,
            annotation=annotation(definition.returns) if definition else None,
            bindings=tuple(self.bindings),
            sites=tuple(self.sites),
            iterations=tuple(self.iterations),
            returns=tuple(self.returns),
            yields=tuple(self.yields),
            imports=tuple(self.imports),
            names=self.names,
            outer=frozenset(self.outer),
            awaited=frozenset(self.awaited),
            awaits=self.awaits,
            stub=definition is not None and _is_stub(definition.body),
            guarded=self.guarded,
        )

    # -- statements ------------------------------------------------------------------------------

    def statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            method = getattr(self, f"on_{type(statement).__name__}", None)
            if method is not None:
                method(statement)
            else:
                self.children(statement)

    def children(self, node: ast.AST) -> None:
        """Visit what a node without a meaning of its own holds."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child)
            elif isinstance(child, ast.stmt):
                self.statements([child])
            else:
                self.children(child)

    def on_Expr(self, node: ast.Expr) -> None:
        self.expression(node.value, use="discard")

    def on_Return(self, node: ast.Return) -> None:
        if isinstance(node.value, ast.GeneratorExp):
            self.returns.append(self.generator(node.value))
        elif node.value is not None:
            self.returns.append(self.expression(node.value, use="return"))

    def on_Assign(self, node: ast.Assign) -> None:
        single = (
            node.targets[0].id if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name) else ""
        )
        drawn = any(_is_drawn(target) for target in node.targets)
        value = self.expression(node.value, use="iterate" if drawn else "assign", name=single)
        if drawn:
            self.iterations.append(Iteration(value, _position(node.value)))
        for target in node.targets:
            self.bind(target, value)

    def on_AnnAssign(self, node: ast.AnnAssign) -> None:
        value = self.expression(node.value, use="assign") if node.value is not None else None
        self.bind(node.target, value, annotation(node.annotation))

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        self.expression(node.value)
        self.expression(node.target)

    def on_For(self, node: ast.For | ast.AsyncFor) -> None:
        lazy = isinstance(node, ast.AsyncFor)
        value = self.expression(node.iter, use="async" if lazy else "iterate")
        if not lazy:
            self.iterations.append(Iteration(value, _position(node.iter)))
        if lazy:
            self.awaits = True
            if isinstance(node.iter, ast.Name):
                self.awaited.add(node.iter.id)
        self.bind(node.target, Element(value))
        self.statements(node.body)
        self.statements(node.orelse)

    on_AsyncFor = on_For

    def on_With(self, node: ast.With) -> None:
        outer = self.contexts
        for item in node.items:
            value = self.expression(item.context_expr, use="enter")
            if item.optional_vars is not None:
                self.bind(item.optional_vars, Entered(value))
            self.contexts = (*self.contexts, value)
        self.statements(node.body)
        self.contexts = outer

    def on_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.awaits = True
        for item in node.items:
            value = self.expression(item.context_expr, use="async")
            if item.optional_vars is not None:
                self.bind(item.optional_vars, Entered(value))
        self.statements(node.body)

    def on_If(self, node: ast.If) -> None:
        self.guarded |= _is_guard(node.test)
        self.expression(node.test)
        self.narrow(node.test)
        self.statements(node.body)
        self.statements(node.orelse)

    def on_Assert(self, node: ast.Assert) -> None:
        self.expression(node.test)
        self.narrow(node.test)

    def on_Match(self, node: ast.Match) -> None:
        subject = self.expression(node.subject)
        for case in node.cases:
            for pattern in ast.walk(case.pattern):
                if isinstance(pattern, ast.MatchAs | ast.MatchStar) and pattern.name:
                    cls = pattern.pattern if isinstance(pattern, ast.MatchAs) else None
                    value = Narrowed(self.expression(cls.cls)) if isinstance(cls, ast.MatchClass) else subject
                    self.bindings.append(Binding(Name(pattern.name), value, None, node.lineno))
                elif isinstance(pattern, ast.MatchClass) and pattern is case.pattern:
                    narrowed = Narrowed(self.quiet(pattern.cls))
                    self.bindings.append(Binding(self.quiet(node.subject), narrowed, None, node.lineno))
            if case.guard is not None:
                self.expression(case.guard)
            self.statements(case.body)

    def on_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.outer.update(node.names)

    on_Nonlocal = on_Global

    def on_Import(self, node: ast.Import) -> None:
        for item in node.names:
            if item.asname:
                self.imports.append(Import(item.asname, item.name, "", 0))
            else:
                self.imports.append(Import(item.name.partition(".")[0], item.name, "", 0))

    def on_ImportFrom(self, node: ast.ImportFrom) -> None:
        for item in node.names:
            if item.name == "*":
                self.module.stars.append((node.module or "", node.level))
            else:
                self.imports.append(
                    Import(item.asname or item.name, node.module or "", item.name, node.level)
                )

    def on_Delete(self, node: ast.Delete) -> None:
        del node  # unbinding tells nothing about values

    def on_FunctionDef(self, node: FunctionNode) -> None:
        index = self.function(node)
        self.names[node.name] = Closure(index)

    on_AsyncFunctionDef = on_FunctionDef

    def on_ClassDef(self, node: ast.ClassDef) -> None:
        self.names[node.name] = ClassValue(self.klass(node))

    # -- definitions -----------------------------------------------------------------------------

    def function(self, node: FunctionNode, owner: int | None = None, prefix: str = "") -> int:
        decorators = tuple(self.expression(d) for d in node.decorator_list)
        parameters = self.parameters(node.args)
        index = len(self.module.functions)
        self.module.functions.append(None)
        qualname = f"{prefix or self.prefix}{node.name}"
        body = _Body(self.module, index, self.index, owner, f"{qualname}.<locals>.")
        body.statements(node.body)
        self.module.functions[index] = body.done(
            node.name, qualname, _position(node), node, decorators, parameters
        )
        return index

    def lambda_(self, node: ast.Lambda) -> Closure:
        parameters = self.parameters(node.args)
        index = len(self.module.functions)
        self.module.functions.append(None)
        qualname = f"{self.prefix}<lambda>"
        body = _Body(self.module, index, self.index, None, f"{qualname}.")
        body.returns.append(body.expression(node.body, use="return"))
        self.module.functions[index] = body.done(
            "<lambda>", qualname, _position(node), node, parameters=parameters
        )
        return Closure(index)

    def generator(self, node: ast.GeneratorExp) -> Call:
        """A generator expression that outlives the body: a call of a generator function without a name."""
        index = len(self.module.functions)
        self.module.functions.append(None)
        qualname = f"{self.prefix}<genexpr>"
        body = _Body(self.module, index, self.index, None, f"{qualname}.")
        body.is_generator = True
        body.comprehension(node.generators)
        body.yields.append(body.expression(node.elt, use="yield"))
        self.module.functions[index] = body.done("<genexpr>", qualname, _position(node))
        return Call(Closure(index), (), (), _position(node))

    def parameters(self, args: ast.arguments) -> tuple[Parameter, ...]:
        positional = [*args.posonlyargs, *args.args]
        defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
        out = [self.parameter(a, "positional", d) for a, d in zip(positional, defaults, strict=True)]
        if args.vararg:
            out.append(self.parameter(args.vararg, "*", None))
        out += [
            self.parameter(a, "keyword", d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)
        ]
        if args.kwarg:
            out.append(self.parameter(args.kwarg, "**", None))
        return tuple(out)

    def parameter(self, arg: ast.arg, kind: str, default: ast.expr | None) -> Parameter:
        value = self.expression(default) if default is not None else None
        return Parameter(arg.arg, kind, annotation(arg.annotation), value)

    def klass(self, node: ast.ClassDef, prefix: str = "") -> int:
        decorators = tuple(self.expression(d) for d in node.decorator_list)
        bases = tuple(self.expression(b) for b in node.bases)
        keywords = tuple((k.arg, self.expression(k.value)) for k in node.keywords)
        index = len(self.module.classes)
        self.module.classes.append(None)
        qualname = f"{prefix or self.prefix}{node.name}"
        inner = _Body(self.module, self.index, self.parent, None, f"{qualname}.")
        methods: dict[str, int] = {}
        classes: dict[str, int] = {}
        for statement in _class_statements(node.body):
            if isinstance(statement, FunctionNode):
                found = self.function(statement, owner=index, prefix=f"{qualname}.")
                if not _is_accessor(statement):
                    methods[statement.name] = found
            elif isinstance(statement, ast.ClassDef):
                classes[statement.name] = self.klass(statement, prefix=f"{qualname}.")
            else:
                inner.statements([statement])
        self.sites += inner.sites
        self.module.classes[index] = ClassFacts(
            node.name,
            qualname,
            _position(node),
            self.index,
            bases,
            keywords,
            decorators,
            methods,
            tuple(inner.bindings),
            classes,
        )
        return index

    # -- binding ---------------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: Expression | None, note: Expression | None = None) -> None:
        if isinstance(target, ast.Starred):
            target = target.value
        if isinstance(target, ast.Tuple | ast.List):
            for number, item in enumerate(target.elts):
                self.bind(item, _part(value, number))
            return
        self.bindings.append(Binding(self.expression(target), value, note, target.lineno))

    def narrow(self, test: ast.expr) -> None:
        for target, cls in _instance_tests(test):
            classes = cls.elts if isinstance(cls, ast.Tuple) else [cls]
            for one in classes:
                value = Narrowed(self.quiet(one))
                self.bindings.append(Binding(self.quiet(target), value, None, target.lineno))

    def quiet(self, node: ast.expr) -> Expression:
        """Turn an expression that has been visited already, recording nothing."""
        return annotation(node) or OPAQUE

    # -- expressions -----------------------------------------------------------------------------

    def expression(self, node: ast.expr, use: str = "other", name: str = "") -> Expression:
        """Turn an expression; record the calls in it. `use` and `name` say what becomes of its value."""
        match node:
            case ast.Name(id=id_):
                return Name(id_)
            case ast.Attribute(value=value, attr=attr):
                return Attribute(self.expression(value), attr)
            case ast.Constant(value=value):
                return Constant(value) if isinstance(value, str | int | float | None) else OPAQUE
            case ast.Call():
                return self.call(node, use, name)
            case ast.Await(value=value):
                self.awaits = True
                if isinstance(value, ast.Name):
                    self.awaited.add(value.id)
                return Awaited(self.expression(value, use="await"))
            case ast.Subscript(value=value, slice=key):
                return Subscript(self.expression(value), self.expression(key))
            case ast.Lambda():
                return self.lambda_(node)
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                return Sequence(
                    tuple(self.expression(i, "argument" if use == "argument" else "other") for i in items)
                )
            case ast.Dict(keys=keys, values=values):
                made = tuple(None if k is None else self.expression(k) for k in keys)
                return Mapping(made, tuple(self.expression(v) for v in values))
            case ast.BoolOp(values=values):
                return Choice(tuple(self.expression(v, use, name) for v in values))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):  # of dicts, types and LangChain's chains
                return Choice((self.expression(left), self.expression(right)))
            case ast.IfExp(test=test, body=body, orelse=other):
                self.expression(test)
                self.narrow(test)
                return Choice((self.expression(body, use, name), self.expression(other, use, name)))
            case ast.NamedExpr(target=target, value=value):
                bound = self.expression(value, use="assign", name=target.id)
                self.bind(target, bound)
                return bound
            case ast.Starred(value=value):
                drawn = self.expression(value, "argument" if use == "argument" else "iterate")
                self.iterations.append(Iteration(drawn, _position(value)))
                return Spread(drawn)
        return self.other(node, use)

    def other(self, node: ast.expr, use: str) -> Expression:
        match node:
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                self.comprehension(node.generators)
                lazy = isinstance(node, ast.GeneratorExp)
                return Listed(self.expression(node.elt, "argument" if use == "argument" else "other"), lazy)
            case ast.DictComp():
                self.comprehension(node.generators)
                self.expression(node.key)
                return Listed(self.expression(node.value), lazy=False)
            case ast.Yield(value=value) if value is not None:
                self.is_generator = True
                self.yields.append(self.expression(value, use="yield"))
            case ast.YieldFrom(value=value):
                self.is_generator = True
                made = self.expression(value, use="iterate")
                self.iterations.append(Iteration(made, _position(value)))
                self.yields.append(Element(made))
            case ast.Yield():
                self.is_generator = True
            case _:
                self.children(node)
        return OPAQUE

    def comprehension(self, generators: list[ast.comprehension]) -> None:
        for generator in generators:
            use = "async" if generator.is_async else "iterate"
            value = self.expression(generator.iter, use=use)
            if generator.is_async:
                self.awaits = True
            else:
                self.iterations.append(Iteration(value, _position(generator.iter)))
            self.bind(generator.target, Element(value))
            for condition in generator.ifs:
                self.expression(condition)
                self.narrow(condition)

    def call(self, node: ast.Call, use: str, name: str) -> Call:
        function = self.expression(node.func)
        first = len(self.sites)
        arguments = tuple(self.expression(a, use="argument") for a in node.args)
        keywords = tuple((k.arg, self.expression(k.value, use="argument")) for k in node.keywords)
        for number in range(first, len(self.sites)):
            site = self.sites[number]
            if site.use == "argument" and site.receiver is None:
                self.sites[number] = site._replace(receiver=function)
        call = Call(function, arguments, keywords, _position(node))
        self.sites.append(Site(call, use, None, name, self.contexts))
        return call


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
                _position(node),
            )
    return OPAQUE


def _part(value: Expression | None, number: int) -> Expression | None:
    if value is None or isinstance(value, Opaque):
        return value
    if isinstance(value, Sequence) and not any(isinstance(i, Spread) for i in value.items):
        return value.items[number] if number < len(value.items) else OPAQUE
    return Subscript(value, Constant(number))


def _position(node: ast.expr | ast.stmt) -> Position:
    return Position(
        node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    )


def _class_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a class, those under `if` and `try` included."""
    out: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            out += _class_statements([*statement.body, *statement.orelse])
        else:
            out.append(statement)
    return out


def _is_accessor(node: FunctionNode) -> bool:
    """Whether the definition is a property's setter or deleter, or an overload's signature."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Attribute(attr="setter" | "deleter"):
                return True
            case ast.Name(id="overload") | ast.Attribute(attr="overload"):
                return True
    return False


def _is_drawn(target: ast.expr) -> bool:
    """Whether an assignment to the target takes all that its value iterates over: `first, *rest = value`."""
    return isinstance(target, ast.Tuple | ast.List) and any(isinstance(i, ast.Starred) for i in target.elts)


def _instance_tests(test: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The objects and classes of each `isinstance` that a condition asks for."""
    match test:
        case ast.Call(func=ast.Name("isinstance"), args=[target, cls]):
            yield target, cls
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _instance_tests(part)
        case ast.UnaryOp(operand=part) | ast.NamedExpr(value=part):
            yield from _instance_tests(part)


def _is_guard(test: ast.expr) -> bool:
    """Whether a condition asks if a name or attribute has been set: `x is None`, `not self.x`."""
    match test:
        case ast.Compare(left=ast.Name() | ast.Attribute(), ops=[ast.Is() | ast.IsNot()]):
            return isinstance(test.comparators[0], ast.Constant)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name() | ast.Attribute()):
            return True
        case ast.BoolOp(values=values):
            return any(_is_guard(value) for value in values)
    return False


def _is_stub(body: list[ast.stmt]) -> bool:
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
