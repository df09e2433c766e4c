"""What the expressions of a Python file are worth, as far as its text and the container's variables say.

Nothing is imported. Names, conversions, arithmetic, `os.getenv` with its default, options of the command line
and `if` are followed through the statements; the number of cores counts as "one per core".
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from servelint.boundary import LimitError
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import Node
from servelint.manifests.python import lookups, mappings, objects, results
from servelint.manifests.python.defaults import TREES, Defaults, parameters, uses, with_defaults
from servelint.manifests.python.values import (
    CONVERSIONS,
    CORES,
    GETTERS,
    LARGEST,
    SPELLINGS,
    Value,
    arithmetic,
    comparison,
    dotted,
    extreme,
    larger,
    respelled,
    said_twice,
    texts,
)
from servelint.manifests.shell.commandline import ASSUMED_CORES, PER_CORE, Words, WorkerCount, count
from servelint.project.text.parsing import parse
from servelint.project.text.source import Source

_MAX_STATEMENTS = 5000
_MAX_NESTING = 200
_OBJECT = 10  # what it takes to look for the field of an object, in levels of nesting
_NUMBERS = frozenset(("min", "max", "round", "math.ceil", "math.floor"))
_LARGE = 400_000  # characters of a file whose tree is not kept
_MAX_IMPORTS = 3  # modules that settings are handed on through


Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
FindModule: TypeAlias = Callable[[str], Source | None]


@dataclass(slots=True)
class PythonModule:
    """The names of one file, taken from its statements in order.

    `parameters` is the command line that the file is given, `find` looks up another module of the project, or
    a YAML file by its path.
    """

    source: Source
    environment: Environment
    names: dict[str, Value] = field(default_factory=dict)
    assigned: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Value] = field(default_factory=dict)
    items: dict[str, dict[str, ast.expr]] = field(default_factory=dict)
    bases: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the classes in the file
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    made: dict[str, objects.Made] = field(default_factory=dict)  # what parameters of a function are
    starting: dict[str, bool] = field(default_factory=dict)  # names whose files may start a server
    documents: dict[str, Node | None] = field(default_factory=dict)  # of files that it reads
    parameters: Words = ()
    find: FindModule | None = None
    depth: int = 0
    statements: int = 0
    nesting: int = 0
    calls: int = 0  # of functions that were run for what they return
    entered: int = 0  # how many of them one in another
    known: dict[tuple[ast.expr, int, int], Value | None] = field(default_factory=dict)  # see `objects.once`
    _foreign: dict[str, PythonModule | None] = field(default_factory=dict)
    prefixes: dict[ast.AST, str] = field(
        default_factory=dict
    )  # of calls in a block that gives their names one

    def read(self, tree: ast.Module) -> None:
        """Take the effect of a file's statements, and note its defaults."""
        if "prefixed(" in self.source.text:
            self.find_prefixes(tree)
        self.run(tree.body)
        self.reader.find(tree)

    @property
    def reader(self) -> Defaults:
        """What reads the defaults of the file, and the command line that it is given."""
        return Defaults(self.environment, self.parameters, self.value, self.classes, self.defaults)

    def find_prefixes(self, tree: ast.Module) -> None:
        """What `with env.prefixed("API_"):` puts before the names of variables in it."""
        waiting: list[tuple[ast.AST, str]] = [(tree, "")]
        for node, outer in waiting:
            prefix = outer
            for item in node.items if isinstance(node, ast.With) else ():
                match item.context_expr:
                    case ast.Call(func=ast.Attribute(attr="prefixed"), args=[ast.Constant(value=str(own))]):
                        prefix += own
            if isinstance(node, ast.Call) and prefix:
                self.prefixes[node] = prefix
            waiting.extend((child, prefix) for child in ast.iter_child_nodes(node))

    def run(self, body: Sequence[ast.stmt]) -> None:
        """Take the effect of statements, in order; a condition that is not known takes both branches."""
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            line = body[0].lineno if body else 0
            raise LimitError(
                f"conditions nested more than {_MAX_NESTING} levels deep", line, self.source.path
            )
        self.take(body)
        self.nesting -= 1

    def take(self, body: Sequence[ast.stmt]) -> None:
        """The statements one after another, up to a limit."""
        for statement in body:
            self.statements += 1
            if self.statements > _MAX_STATEMENTS:
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Take the effect of one statement."""
        match node:
            case ast.Import(names=names):
                for alias in names:
                    self.imports[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    path = ".".join(filter(None, (module, alias.name)))
                    self.imports[alias.asname or alias.name] = path
            case ast.ClassDef(name=name, bases=bases):
                self.bases[name] = tuple(self.qualified(base) for base in bases)
                self.classes[name] = node
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.functions[name] = node
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=value):
                found = arithmetic(operator, self.value(target), self.value(value))
                self.names.pop(name, None)
                self.names.update({name: found} if found is not None else {})
            case ast.If():
                self.condition(node)
            case ast.Try(body=body, orelse=otherwise, finalbody=final):
                self.run([*body, *otherwise, *final])
            case ast.With(items=items, body=body):
                opened = [(item.optional_vars, item.context_expr) for item in items]
                self.assigned.update({name.id: made for name, made in opened if isinstance(name, ast.Name)})
                self.run(body)
            case _:
                pass

    def condition(self, node: ast.If) -> None:
        """`if` and each `elif`, which the tree nests, one in the other's `else`."""
        while True:
            outcome = self.value(node.test)
            if outcome is None or outcome.data:
                self.run(node.body)
            if outcome is not None and outcome.data:
                return
            match node.orelse:
                case [ast.If() as following]:
                    node = following
                case otherwise:
                    self.run(otherwise)
                    return

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """Bind a name or an entry of a mapping."""
        if isinstance(target, ast.Name):
            self.assigned[target.id] = value
            found = self.value(value)
            if found is None:
                self.names.pop(target.id, None)
            else:
                self.names[target.id] = found
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            for key in texts([target.slice]):
                self.items.setdefault(target.value.id, {})[key] = value

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """With the variables of a function as they are at its end."""
        if isinstance(scope, ast.Module):
            yield
            return
        names, assigned, imports = dict(self.names), dict(self.assigned), dict(self.imports)
        try:
            self.run(scope.body)
            yield
        finally:
            self.names, self.assigned, self.imports = names, assigned, imports

    @contextmanager
    def within(self, function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> Iterator[None]:
        """With the variables of a function, if there is one."""
        if function is None:
            yield
            return
        with self.inside(function):
            yield

    @contextmanager
    def called(
        self,
        function: ast.FunctionDef | ast.AsyncFunctionDef,
        call: ast.Call,
        caller: PythonModule,
        owner: objects.Made | None = None,
    ) -> Iterator[None]:
        """With the variables of a function, or a method, that is given what a call in some module says."""
        given = dict(mappings.keywords(caller, call))
        named = list(parameters(function))[owner is not None :]
        for (parameter, _), argument in zip(named, call.args, strict=False):
            given.setdefault(parameter.arg, argument)
        bound: dict[str, Value] = {}
        made = {"self": owner} if owner is not None else {}
        for parameter, default in named:
            expression, module = (given[parameter.arg], caller) if parameter.arg in given else (default, self)
            value = module.placed(expression) if expression is not None else None
            part = objects.instance(module, expression) if expression is not None else None
            if value is not None and uses(function)[parameter.arg] > 1:
                value = replace(value, shared=True)
            bound.update({parameter.arg: value} if value is not None else {})
            made.update({parameter.arg: part} if part is not None else {})
        names, assigned, known = dict(self.names), dict(self.assigned), dict(self.made)
        for parameter, default in named:
            self.names.pop(parameter.arg, None)
            made_here = parameter.arg not in given and isinstance(default, (ast.Call, ast.BinOp))
            self.assigned[parameter.arg] = default if made_here and default else ast.Constant(None)
        self.names.update(bound)
        self.made.update(made)
        try:
            with self.inside(function):
                yield
        finally:
            self.names, self.assigned, self.made = names, assigned, known

    def placed(self, node: ast.expr) -> Value | None:
        """What an expression is worth, with the place where it says so."""
        value = self.value(node)
        if value is None or value.text is not None or value.data is None or not hasattr(node, "lineno"):
            return value
        place = self.place(node)
        written = str(value.data)
        text = (
            Located.of(self.source, place.start, place.end)
            if place.written == written and not value.per_core
            else Located.computed(f"{PER_CORE if value.per_core else ''}{written}", place)
        )
        return replace(value, text=text)

    def workers(self, node: ast.expr) -> WorkerCount | None:
        """The worker count that an expression says, standing on that expression."""
        value = self.value(node)
        if value is not None and value.text is not None:
            found = count(value.text)
            if found is None:
                return None
            return replace(found, unless=value.unless, names=value.names, shared=value.shared)
        if value is None or isinstance(value.data, bool) or not isinstance(value.data, (int, float)):
            return None
        if not abs(value.data) < LARGEST:  # no number is not smaller either
            return None
        place = self.place(node)
        number = int(value.data)
        verbatim = place.written == str(number)
        text = (
            Located.of(self.source, place.start, place.end)
            if verbatim
            else Located.computed(str(number), place)
        )
        return WorkerCount(number, value.per_core, text, unless=value.unless)

    def place(self, node: ast.expr) -> Place:
        """Where an expression stands."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._offset(node.lineno, node.col_offset)
        return Place(self.source, start, self._offset(node.end_lineno, node.end_col_offset), True)

    def _offset(self, line: int, column: int) -> int:
        """`ast` counts columns in UTF-8 bytes."""
        start, text = self.source.starts[line - 1], self.source.line(line)
        return start + len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))

    def qualified(self, node: ast.expr) -> str:
        """The dotted name of a callee, through the imports."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.origin(node.id), *reversed(parts)])

    def origin(self, name: str) -> str:
        """What a name stands for: what it is imported from, or the callable that made it."""
        made = self.assigned.get(name)
        if isinstance(made, ast.Call):
            self.nesting += 1
            callee = self.qualified(made.func) if self.nesting <= _MAX_NESTING else ""
            self.nesting -= 1
            return callee or name
        imported = self.imports.get(name, name)
        module, _, own = imported.rpartition(".")
        foreign = self.foreign(module) if own and self.depth < _MAX_IMPORTS else None
        return foreign.origin(own) if foreign is not None and own in foreign.assigned else imported

    def home(self, name: str) -> tuple[PythonModule, str] | None:
        """The module of the project that a name is imported from, and what it is called there."""
        module, _, own = self.imports.get(name, "").rpartition(".")
        foreign = self.foreign(module) if own and self.depth < _MAX_IMPORTS else None
        return (foreign, own) if foreign is not None and foreign is not self else None

    def named(self, name: str) -> PythonModule | None:
        """The module of the project that a name stands for."""
        module = self.imports.get(name, "") if self.home(name) is None else ""
        return self.foreign(module) if module and self.depth < _MAX_IMPORTS else None

    def maker(self, name: str) -> tuple[PythonModule, ast.Call] | None:
        """The call that made what a name stands for, and the module that it is in."""
        if name in self.assigned:
            made = self.assigned[name]
            return (self, made) if isinstance(made, ast.Call) else None
        home = self.home(name)
        return home[0].maker(home[1]) if home is not None else None

    def foreign(self, module: str) -> PythonModule | None:
        """A module of the project, its statements run."""
        if module not in self._foreign:
            self._foreign[module] = None
            source = self.find(module) if self.find is not None and module else None
            tree = parsed(source) if source is not None else None
            if source is not None and tree is not None:
                found = PythonModule(source, self.environment, find=self.find, depth=self.depth + 1)
                found.read(tree)
                self._foreign[module] = found
        return self._foreign[module]

    def imported(self, node: ast.expr) -> Value | None:
        """What a name or an attribute that another module of the project binds is worth."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imports or self.depth >= _MAX_IMPORTS:
            return None
        parts = [*self.imports[node.id].split("."), *reversed(attributes)]
        for length in range(len(parts) - 1, 0, -1):
            module = self.foreign(".".join(parts[:length]))
            if module is not None:
                own = ast.Name(parts[length])
                return (
                    module.value(own)
                    if length == len(parts) - 1
                    else module.defaults.get(parts[-1]) or module.imported(dotted(parts[length:]))
                )
        return None

    def value(self, node: ast.expr) -> Value | None:
        """What an expression is worth, or None where it cannot be known, or is nested too deeply."""
        self.nesting += 1
        value = self.worth(node) if self.nesting <= _MAX_NESTING else None
        self.nesting -= 1
        return value

    def worth(self, node: ast.expr) -> Value | None:
        """What `value` finds, without the count of how deep it looks."""
        match node:
            case ast.Constant(value=data):
                return Value(data)
            case ast.Name(id=name):
                found = self.names.get(name)
                if found is None and name not in self.assigned:
                    found = self.defaults.get(name) or self.imported(node)
                return found
            case ast.Call():
                return self.call(node)
            case ast.Attribute(attr=name):
                self.nesting += _OBJECT
                known = results.field(self, node) if self.nesting <= _MAX_NESTING else None
                self.nesting -= _OBJECT
                own = self.defaults.get(name) if known is None else None
                if own is not None:
                    return replace(own, shared=own.shared or said_twice(self.source.text, name))
                found = known.value if known is not None else self.imported(node)
                return replace(found, names=(*found.names, f".{name}")) if found is not None else None
            case ast.Subscript():
                return lookups.item(self, node)
            case ast.NamedExpr(target=target, value=bound):
                self.assign(target, bound)
                return self.value(target)
            case ast.BinOp(left=left, op=operator, right=right):
                return arithmetic(operator, self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.value(operand)
                return None if value is None else Value(not value.data, value.per_core)
            case ast.BoolOp(op=operator, values=values):
                return self.boolean(operator, values)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                outcome = self.value(test)
                if outcome is None:
                    return larger(self.value(body), self.value(otherwise))
                return self.value(body if outcome.data else otherwise)
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                inside = [found.data for item in items if (found := self.value(item)) is not None]
                nested = any(isinstance(data, tuple) for data in inside)  # one in another doubles each time
                return Value(tuple(inside)) if len(inside) == len(items) and not nested else None
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return comparison(operator, self.value(left), self.value(right))
            case _:
                return None

    def boolean(self, operator: ast.boolop, values: Sequence[ast.expr]) -> Value | None:
        """The value of `and` or `or`."""
        found: Value | None = None
        for node in values:
            found = self.value(node)
            if found is None or bool(found.data) is isinstance(operator, ast.Or):
                return found
        return found

    def call(self, node: ast.Call) -> Value | None:
        """What a call returns, of those that are known."""
        name = self.qualified(node.func)
        last = name.rpartition(".")[2]
        if last in CORES:
            return Value(ASSUMED_CORES, True)
        prefix = lookups.prefix(self, node)
        if prefix is None and name in GETTERS:
            prefix = self.prefixes.get(node, "") if not name.startswith("os.") else ""
        if prefix is not None:
            return lookups.variable(self, node, prefix)
        if (found := lookups.entry(self, node)) is not None:
            return found
        if (result := results.result(self, node)) is not None:
            return result
        if isinstance(node.func, ast.Attribute) and node.func.attr in SPELLINGS and not node.args:
            return respelled(self.value(node.func.value), node.func.attr)
        if name not in CONVERSIONS and name not in _NUMBERS and last != "len":
            return None
        values = [self.value(argument) for argument in node.args]
        if last == "len" and len(node.args) == 1:
            return values[0] if values[0] and values[0].per_core else None
        if any(value is None for value in values) or not values:
            return None
        known = [value for value in values if value is not None]
        try:
            if name in CONVERSIONS and len(known) == 1:
                return replace(known[0], data=CONVERSIONS[name](known[0].data))
            if name in _NUMBERS and known:
                return extreme(last, known)
        except (TypeError, ValueError, OverflowError):
            return None
        return None

    def said(self, variable: str) -> Value | None:
        """What the container says in a variable, where that is known."""
        text = self.environment.get(variable)
        return Value(text.text, text=text, names=(variable,)) if text is not None else None


def parsed(source: Source) -> ast.Module | None:
    """The tree of a Python file; None where it cannot be parsed."""
    try:
        return (_parsed if len(source.text) <= _LARGE else parse)(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # A Python file that does not parse is reported by the Python side.
        return None


_parsed = lru_cache(maxsize=TREES)(parse)


def forget_trees() -> None:
    """Let go of the trees that are kept; they take many times the room of the text."""
    _parsed.cache_clear()
    with_defaults.cache_clear()
    uses.cache_clear()
