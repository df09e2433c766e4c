"""What the expressions of a Python file are worth, as far as its text and the container's variables say.

Nothing is imported. Names, conversions, arithmetic, `os.getenv` with its default, options of the command line
and `if` are followed through the statements; the number of cores counts as "one per core".
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from servelint.boundary import LimitError
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.python.values import (
    ALIASES,
    CONVERSIONS,
    CORES,
    GETTERS,
    LARGEST,
    Value,
    arithmetic,
    comparison,
    dotted,
    extreme,
    last_name,
    said,
    texts,
)
from servelint.manifests.shell.commandline import ASSUMED_CORES, Words, WorkerCount, count, last_option
from servelint.project.text.parsing import parse
from servelint.project.text.source import Source

_MAX_STATEMENTS = 5000
_MAX_NESTING = 200
_MAX_IMPORTS = 3  # modules that settings are handed on through


Scope: TypeAlias = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
FindModule: TypeAlias = Callable[[str], Source | None]


@dataclass(slots=True)
class PythonModule:
    """The names of one file, taken from its statements in order.

    `parameters` is the command line that the file is given, `find` looks up another module of the project.
    """

    source: Source
    environment: Environment
    names: dict[str, Value] = field(default_factory=dict)
    assigned: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Value] = field(default_factory=dict)
    items: dict[str, dict[str, ast.expr]] = field(default_factory=dict)
    bases: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the classes in the file
    results: dict[str, ast.expr] = field(default_factory=dict)  # what functions return, the last of each
    parameters: Words = ()
    find: FindModule | None = None
    depth: int = 0
    statements: int = 0
    nesting: int = 0
    _foreign: dict[str, PythonModule | None] = field(default_factory=dict)

    def find_defaults(self, tree: ast.Module) -> None:
        """Defaults of command-line options and of settings classes: what `args.workers` is if nobody says."""
        handed = {
            argument.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for argument in node.args
            if isinstance(argument, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self.option_default(node)
            elif isinstance(node, ast.ClassDef):
                self.class_defaults(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                node.decorator_list or node.name in handed
            ):
                self.parameter_defaults(node)

    def class_defaults(self, node: ast.ClassDef) -> None:
        """`workers: int = 4` in a class of settings, which a variable of that name overrides."""
        from_environment = any("Settings" in ast.unparse(base) for base in node.bases)
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name, value = statement.target.id, statement.value
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name, value = statement.targets[0].id, statement.value
            else:
                continue
            names = [name.upper()]
            if isinstance(value, ast.Call) and last_name(value.func) == "Field":
                keywords = {keyword.arg: keyword.value for keyword in value.keywords}
                names = texts([keywords[key] for key in ALIASES if key in keywords]) or names
                value = keywords.get("default", value.args[0] if value.args else None)
            given = (self.environment.get(variable) for variable in names)
            set_outside = next(filter(None, given), None) if from_environment else None
            if set_outside is not None:
                self.defaults[name] = said(set_outside)
            else:
                self.default(name, value)

    def option_default(self, call: ast.Call) -> None:
        """`parser.add_argument("--workers", default=4)`, `@click.option("--workers", default=4)`."""
        if last_name(call.func) not in ("add_argument", "option"):
            return
        options = texts(call.args)
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        dest = texts([keywords["dest"]]) if "dest" in keywords else []
        long = [name for name in options if name.startswith("--")]
        plain = [name for name in options if name.isidentifier()]
        action = keywords.get("action", ast.Constant("store_true" if "is_flag" in keywords else ""))
        for chosen in [*dest, *plain, *long][:1]:
            name = chosen.lstrip("-").replace("-", "_")
            for flag in {"store_true", "store_false"}.intersection(texts([action])):
                given = any(word.text in options for word in self.parameters)
                self.defaults.setdefault(name, Value(given is (flag == "store_true")))
            self.option(name, options, keywords.get("default"))

    def parameter_defaults(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """The parameters of a function that a framework makes a command of."""
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args]
        pairs = [
            *zip(named[len(named) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *(
                (name, node)
                for name, node in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
                if node
            ),
        ]
        for parameter, default in pairs:
            options = [f"--{parameter.arg.replace('_', '-')}"]
            for node in ast.walk(parameter.annotation) if parameter.annotation is not None else ():
                options += texts([node]) if isinstance(node, ast.Constant) else []
            if isinstance(default, ast.Call):
                options += texts(default.args)
                keywords = {keyword.arg: keyword.value for keyword in default.keywords}
                first = default.args[0] if default.args and not texts(default.args[:1]) else None
                self.option(parameter.arg, options, keywords.get("default", first))
            else:
                self.option(parameter.arg, options, default)

    def option(self, name: str, options: Sequence[str], default: ast.expr | None) -> None:
        """Note what an option is worth: as the command line has it, else its default."""
        given = self.given(tuple(option for option in options if option.startswith("-")))
        if given is not None:
            self.defaults[name] = said(given)
        else:
            self.default(name, default)

    def given(self, options: tuple[str, ...]) -> Located | None:
        """The value that the command line gives one of these options."""
        value = last_option(self.parameters, options) if self.parameters and options else None
        return value if value is not None and value.runs else None

    def default(self, name: str, node: ast.expr | None) -> None:
        """Note a default; the first of a name counts."""
        value = self.value(node) if node is not None else None
        if value is not None:
            self.defaults.setdefault(name, value)

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
            case ast.FunctionDef(name=name, body=body):
                returned = [item.value for item in body if isinstance(item, ast.Return) and item.value]
                self.results.update({name: returned[-1]} if returned else {})
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value)
            case ast.If():
                self.condition(node)
            case ast.Try(body=body, orelse=otherwise, finalbody=final):
                self.run([*body, *otherwise, *final])
            case ast.With(body=body):
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
        self.run(scope.body)
        yield
        self.names, self.assigned, self.imports = names, assigned, imports

    def keywords(self, call: ast.Call) -> dict[str, ast.expr]:
        """The keyword arguments of a call, those of `**options` among them."""
        found: dict[str, ast.expr] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                found.update(self.mapping(keyword.value) or {})
            else:
                found[keyword.arg] = keyword.value
        return found

    def mapping(self, node: ast.expr) -> dict[str, ast.expr] | None:
        """The entries of a mapping whose keys are written there; None where it is none."""
        self.nesting += 1
        found = self.entries(node) if self.nesting <= _MAX_NESTING else None
        self.nesting -= 1
        return found

    def entries(self, node: ast.expr) -> dict[str, ast.expr] | None:
        """What `mapping` finds, without the count of how deep it looks."""
        match node:
            case ast.Dict(keys=keys, values=values):
                found: dict[str, ast.expr] = {}
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        found.update(self.mapping(value) or {})
                    elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                        found[key.value] = value
                return found
            case ast.DictComp(
                value=value, generators=[ast.comprehension(iter=ast.Call(func=ast.Attribute(value=inner)))]
            ):
                return self.mapping(inner)
            case ast.Call(func=ast.Name(id="dict"), args=arguments):
                outer: dict[str, ast.expr] = {}
                for argument in arguments:
                    outer.update(self.mapping(argument) or {})
                return {**outer, **self.keywords(node)}
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return {**(self.mapping(left) or {}), **(self.mapping(right) or {})}
            case ast.Name(id=name) if name in self.assigned or name in self.items:
                inner_node = self.assigned.get(name)
                known = (
                    self.mapping(inner_node) if inner_node is not None and inner_node is not node else None
                )
                return None if known is None else {**known, **self.items.get(name, {})}
            case _:
                return None

    def workers(self, node: ast.expr) -> WorkerCount | None:
        """The worker count that an expression says, standing on that expression."""
        value = self.value(node)
        if value is not None and value.text is not None:
            return count(value.text)
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
        return WorkerCount(number, value.per_core, text)

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

    def foreign(self, module: str) -> PythonModule | None:
        """A module of the project, its statements run."""
        if module not in self._foreign:
            self._foreign[module] = None
            source = self.find(module) if self.find is not None and module else None
            tree = parsed(source) if source is not None else None
            if source is not None and tree is not None:
                found = PythonModule(source, self.environment, find=self.find, depth=self.depth + 1)
                found.run(tree.body)
                found.find_defaults(tree)
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
                return self.defaults.get(name) or self.imported(node)
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))):
                return None if self.environment.unset(name) else self.said(name)
            case ast.BinOp(left=left, op=operator, right=right):
                return arithmetic(operator, self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.value(operand)
                return None if value is None else Value(not value.data, value.per_core)
            case ast.BoolOp(op=operator, values=values):
                return self.boolean(operator, values)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                outcome = self.value(test)
                return None if outcome is None else self.value(body if outcome.data else otherwise)
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
        if name in GETTERS:
            return self.variable(node)
        if name in self.results and not node.args and not node.keywords:
            return self.value(self.results[name])
        values = [self.value(argument) for argument in node.args]
        if last == "len" and len(node.args) == 1:
            return values[0] if values[0] and values[0].per_core else None
        if any(value is None for value in values) or not values:
            return None
        known = [value for value in values if value is not None]
        per_core = any(value.per_core for value in known)
        try:
            if name in CONVERSIONS and len(known) == 1:
                return Value(CONVERSIONS[name](known[0].data), per_core, known[0].text)
            if name in ("min", "max", "round", "math.ceil", "math.floor") and known:
                return extreme(last, known)
        except (TypeError, ValueError, OverflowError):
            return None
        return None

    def variable(self, node: ast.Call) -> Value | None:
        """`os.getenv("NAME", default)`: the container's value, else the default."""
        name = self.value(node.args[0]) if node.args else None
        if name is None or not isinstance(name.data, str):
            return None
        if not self.environment.unset(name.data):
            return self.said(name.data)
        default = node.args[1] if len(node.args) > 1 else None
        for keyword in node.keywords:
            if keyword.arg == "default":
                default = keyword.value
        return Value(None) if default is None else self.value(default)

    def said(self, variable: str) -> Value | None:
        """What the container says in a variable, where that is known."""
        text = self.environment.get(variable)
        return Value(text.text, text=text) if text is not None else None


def parsed(source: Source) -> ast.Module | None:
    """The tree of a Python file; None where it cannot be parsed."""
    try:
        return parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # A Python file that does not parse is reported by the Python side.
        return None
