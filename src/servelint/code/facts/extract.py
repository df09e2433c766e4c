"""From the bytes of one Python file to its facts, in one pass over the syntax tree.

Every expression is visited once: it is turned into its `facts.Expression`, and the calls inside it are
recorded in the order in which Python makes them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from servelint.code.facts.asked import (
    conditions,
    guards,
    is_kept,
    lacked,
    lacking_behind,
    left_before,
    otherwise,
)
from servelint.code.facts.expressions import Expressions, by_type
from servelint.code.facts.facts import (
    OFF_LOOP,
    OPAQUE,
    Attribute,
    Binding,
    Call,
    ClassFacts,
    ClassValue,
    Closure,
    Condition,
    Constant,
    Element,
    Entered,
    Expression,
    FunctionFacts,
    Import,
    Iteration,
    Listed,
    ModuleFacts,
    Name,
    Narrowed,
    Operated,
    Operation,
    Parameter,
    Position,
    Sequence,
    Subscript,
)
from servelint.code.facts.loops import is_endless
from servelint.code.facts.nodes import (
    OPERATORS,
    FunctionNode,
    annotation,
    branches,
    captured,
    class_statements,
    instance_tests,
    is_accessor,
    is_drawn,
    is_main,
    is_plain,
    is_stub,
    parts,
    position_of,
)
from servelint.project.text.parsing import parse
from servelint.project.text.source import decode


def extract(data: bytes) -> ModuleFacts:
    """The facts of a file's bytes.

    The parser does not look at what comments are made of, but who shows the file or edits it does: what is
    no text raises `SourceError`. Raises SyntaxError, ValueError (null bytes), `LimitError`, and what the
    parser does where it gives up: RecursionError or MemoryError.
    """
    if not data.isascii():
        decode(Path("module.py"), data)
    return _Module().read(parse(data))


class _Module:
    """Gathers the functions and classes of one file."""

    def __init__(self) -> None:
        self.functions: list[FunctionFacts | None] = []
        self.classes: list[ClassFacts | None] = []
        self.stars: list[tuple[str, int]] = []
        self.demo = False
        self.nesting = 0

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


class _Body(Expressions):
    """Reads the body of one function, lambda, class or module."""

    module: _Module

    def __init__(
        self, module: _Module, index: int, parent: int | None, owner: int | None, prefix: str = ""
    ) -> None:
        super().__init__()
        self.module = module
        self.index = index
        self.parent = parent
        self.owner = owner
        self.prefix = prefix
        self.bindings: list[Binding] = []
        self.returns: list[Expression] = []
        self.imports: list[Import] = []
        self.names: dict[str, Expression] = {}
        self.outer: set[str] = set()
        self.guards: list[Expression] = []

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
        body = definition.body if definition else []
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
            sites=tuple(lacking_behind(left_before(self.sites, body, parameters), body, self.bindings)),
            iterations=tuple(self.iterations),
            reads=tuple(self.reads),
            operations=tuple(self.operations),
            returns=tuple(self.returns),
            yields=tuple(self.yields),
            imports=tuple(self.imports),
            names=self.names,
            outer=frozenset(self.outer),
            awaited=frozenset(self.awaited),
            awaits=self.awaits,
            stub=definition is not None and is_stub(definition.body),
            guarded=is_kept(self.guards, parameters, self.bindings, self.outer),
            demo=self.module.demo,
            used=frozenset(self.used.difference(self._without_objects(parameters))),
        )

    def _without_objects(self, parameters: tuple[Parameter, ...]) -> Iterator[str]:
        """The parameters that hold numbers or text; where modules are named by text, it counts."""
        if self.used.isdisjoint(_IMPORTERS):
            yield from (p.name for p in parameters if is_plain(p.annotation))

    # -- statements ------------------------------------------------------------------------------

    def statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            read = _STATEMENTS.get(type(statement), _Body.children)
            read(self, statement)

    def children(self, node: ast.AST) -> None:
        """Visit what a node without a meaning of its own holds."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.look(child)
            elif isinstance(child, ast.stmt):
                self.statements([child])
            else:
                if isinstance(child, ast.ExceptHandler) and child.name and child.type is not None:
                    caught = Narrowed(self.quiet(child.type))
                    self.bindings.append(Binding(Name(child.name), caught, None, child.lineno))
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
        drawn = any(is_drawn(target) for target in node.targets)
        if isinstance(node.value, ast.GeneratorExp):
            value: Expression = self.generator(node.value)
        else:
            value = self.expression(node.value, use="iterate" if drawn else "assign", name=single)
        if drawn:
            self.iterations.append(Iteration(value, position_of(node.value), self.endless))
        elif any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            self.operate("unpack", (value,), node.value)
        for target in node.targets:
            self.bind(target, value)

    def on_TypeAlias(self, node: Any) -> None:
        """`type X = ...`: to values it is an assignment, and an older Python is told that it is one."""
        self.bind(node.name, self.expression(node.value, use="assign", name=node.name.id))

    def on_AnnAssign(self, node: ast.AnnAssign) -> None:
        value = self.expression(node.value, use="assign") if node.value is not None else None
        self.bind(node.target, value, annotation(node.annotation))

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        value, target = self.look(node.value), self.look(node.target)
        self.operate(f"i{OPERATORS[type(node.op)]}", (target, value), node)
        self.stored(node.target, target, OPAQUE)
        if isinstance(value, Sequence | Listed):
            filled = Binding(Subscript(target, OPAQUE), Element(value), None, node.lineno)
            self.bindings.append(filled)

    def on_For(self, node: ast.For | ast.AsyncFor) -> None:
        lazy = isinstance(node, ast.AsyncFor)
        value = self.expression(node.iter, use="async" if lazy else "iterate")
        if not lazy:
            self.iterations.append(Iteration(value, position_of(node.iter), self.endless))
        if lazy:
            self.operate("async for", (value,), node.iter)
            self.awaits = True
            if isinstance(node.iter, ast.Name):
                self.awaited.add(node.iter.id)
        self.bind(node.target, Element(value))
        self.looped(node.body, endless=lazy)
        self.statements(node.orelse)

    on_AsyncFor = on_For

    def on_While(self, node: ast.While) -> None:
        self.test(node.test)
        self.narrow(node.test)
        self.looped(node.body, endless=is_endless(node))
        self.statements(node.orelse)

    def looped(self, body: list[ast.stmt], *, endless: bool) -> None:
        outer, self.endless = self.endless, self.endless or endless
        self.statements(body)
        self.endless = outer

    def on_With(self, node: ast.With) -> None:
        outer = self.contexts
        for item in node.items:
            value = self.expression(item.context_expr, use="enter")
            if not isinstance(value, Call):  # that is judged as a call site
                self.operate("with", (value,), item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, Entered(value))
            self.contexts = (*self.contexts, value)
        self.statements(node.body)
        self.contexts = outer

    def on_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.awaits = True
        for item in node.items:
            value = self.expression(item.context_expr, use="async")
            self.operate("async with", (value,), item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, Entered(value))
        self.statements(node.body)

    def on_If(self, node: ast.If) -> None:
        outside = self.conditions
        others: tuple[Condition, ...] = ()
        for branch in branches(node):
            self.conditions = outside + others
            if isinstance(branch, ast.If):
                self.guards += map(self.quiet, guards(branch))
                self.test(branch.test)
                self.narrow(branch.test)
                outer, self.module.demo = self.module.demo, self.module.demo or is_main(branch.test)
                missing = self.lacking
                self.lacking = lacked(branch.test) or missing
                self.conditions += conditions(branch.test)
                others += otherwise(branch.test)
                self.statements(branch.body)
                self.module.demo, self.lacking = outer, missing
            else:
                self.statements(branch)
        # Behind `if get_ident() == thread: return ...` is another thread.
        leaves = isinstance(node.body[-1], ast.Return | ast.Raise) and not node.orelse
        self.conditions = outside + tuple(o for o in others if leaves and o.name == OFF_LOOP)

    def on_Assert(self, node: ast.Assert) -> None:
        self.test(node.test)
        self.narrow(node.test)

    def on_Raise(self, node: ast.Raise) -> None:
        self.children(node)
        if isinstance(node.exc, ast.Name | ast.Attribute):
            self.operate("raise", (self.quiet(node.exc),), node.exc)

    def on_Match(self, node: ast.Match) -> None:
        subject = self.expression(node.subject)
        for case in node.cases:
            for name, value in captured(case.pattern, subject):
                self.bindings.append(Binding(Name(name), value, None, node.lineno))
            if isinstance(case.pattern, ast.MatchClass):
                narrowed = Narrowed(self.quiet(case.pattern.cls))
                self.bindings.append(Binding(self.quiet(node.subject), narrowed, None, node.lineno))
            if case.guard is not None:
                self.test(case.guard)
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
        for target in node.targets:
            self.look(target)

    def on_FunctionDef(self, node: FunctionNode) -> None:
        index = self.function(node)
        self.names[node.name] = Closure(index)

    on_AsyncFunctionDef = on_FunctionDef

    def on_ClassDef(self, node: ast.ClassDef) -> None:
        made = ClassValue(self.klass(node))
        self.names[node.name] = made
        if self.index and node.bases:
            self.operations.append(Operation(Operated("class", (made,)), position_of(node), self.endless))

    # -- definitions -----------------------------------------------------------------------------

    def function(self, node: FunctionNode, owner: int | None = None, prefix: str = "") -> int:
        decorators = tuple(self.expression(d) for d in node.decorator_list)
        parameters = self.parameters(node.args)
        index = len(self.module.functions)
        self.module.functions.append(None)
        qualname = f"{prefix or self.prefix}{node.name}"
        body = _Body(self.module, index, self.index, owner, f"{qualname}.<locals>.")
        body.statements(node.body)
        self.within(body)
        self.module.functions[index] = body.done(
            node.name, qualname, position_of(node), node, decorators, parameters
        )
        return index

    def closure(self, node: ast.Lambda) -> Closure:
        parameters = self.parameters(node.args)
        index = len(self.module.functions)
        self.module.functions.append(None)
        qualname = f"{self.prefix}<lambda>"
        body = _Body(self.module, index, self.index, None, f"{qualname}.")
        body.returns.append(body.expression(node.body, use="return"))
        self.within(body)
        self.module.functions[index] = body.done(
            "<lambda>", qualname, position_of(node), node, parameters=parameters
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
        self.within(body)
        self.module.functions[index] = body.done("<genexpr>", qualname, position_of(node))
        return Call(Closure(index), (), (), position_of(node))

    def within(self, body: _Body) -> None:
        """Take over what a body inside this one does with names."""
        self.used |= body.used

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
        for statement in class_statements(node.body):
            if isinstance(statement, FunctionNode):
                found = self.function(statement, owner=index, prefix=f"{qualname}.")
                if not is_accessor(statement):
                    methods[statement.name] = found
            elif isinstance(statement, ast.ClassDef):
                classes[statement.name] = self.klass(statement, prefix=f"{qualname}.")
            else:
                inner.statements([statement])
        self.sites += inner.sites
        self.within(inner)
        self.module.classes[index] = ClassFacts(
            node.name,
            qualname,
            position_of(node),
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
            starred = [isinstance(item, ast.Starred) for item in target.elts]
            for item, one in zip(target.elts, parts(value, starred), strict=True):
                self.bind(item, one)
            return
        made = self.expression(target)
        self.stored(target, made, value or OPAQUE)
        self.bindings.append(Binding(made, value, note, target.lineno))

    def stored(self, node: ast.expr, target: Expression, value: Expression) -> None:
        """Record that an item or an attribute is set."""
        match target:
            case Subscript(holder, key):
                self.operate("setitem", (holder, key, value), node)
            case Attribute(holder, name):
                self.operate("setattr", (holder, Constant(name), value), node)

    def narrow(self, test: ast.expr) -> None:
        for target, cls in instance_tests(test):
            classes = cls.elts if isinstance(cls, ast.Tuple) else [cls]
            for one in classes:
                value = Narrowed(self.quiet(one))
                self.bindings.append(Binding(self.quiet(target), value, None, target.lineno))

    def quiet(self, node: ast.expr) -> Expression:
        """Turn an expression that has been visited already, recording nothing."""
        return annotation(node) or OPAQUE


_IMPORTERS = frozenset({"importlib", "import_module", "__import__"})
_STATEMENTS = by_type(_Body, "on_")
