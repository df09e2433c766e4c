"""Python files that say how a server runs: `gunicorn.conf.py`, and calls like `uvicorn.run(..., workers=4)`.

Nothing is imported. A small evaluator follows names, conversions, arithmetic, `os.getenv` with its default
and `if` through the statements; the number of cores counts as "one per core".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from servelint.boundary import LimitError
from servelint.knowledge.servers import Server, servers
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.shell.commandline import ASSUMED_CORES, WorkerCount
from servelint.project.text.parsing import parse
from servelint.project.text.source import Source

_CORES = frozenset(("cpu_count", "process_cpu_count", "sched_getaffinity"))
_GETTERS = frozenset(("os.getenv", "os.environ.get", "getenv", "environ.get", "config", "env", "env.int"))
_CONVERSIONS = {"int": int, "float": float, "str": str, "bool": bool}
_MAX_STATEMENTS = 5000
_MAX_NESTING = 200
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """What a server's configuration file sets."""

    workers: WorkerCount | None
    worker_class: str


@dataclass(frozen=True, slots=True)
class ServerCall:
    """A call that starts a server."""

    server: Server
    workers: WorkerCount | None
    application: str
    place: Place


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression is worth; `per_core` says that it grows with the machine."""

    data: object
    per_core: bool = False


def configuration(source: Source, server: Server, environment: Environment) -> ServerConfiguration:
    """What a configuration file, Python or TOML, sets for a server; nothing where it cannot be parsed."""
    if source.path.suffix == ".toml":
        return _toml(source, server)
    tree = _parse(source)
    if tree is None:
        return ServerConfiguration(None, "")
    module = _Module(source, environment)
    module.run(tree.body)
    for function in tree.body:
        # A file may build its settings in a function and put them into its globals.
        if isinstance(function, ast.FunctionDef) and server.workers.setting not in module.assigned:
            module.run(function.body)
    node = module.assigned.get(server.workers.setting)
    name = module.names.get(server.asgi.setting) if server.asgi else None
    workers = module.workers(node) if node is not None else None
    return ServerConfiguration(workers, str(name.data) if name and isinstance(name.data, str) else "")


def server_calls(source: Source, environment: Environment) -> Iterator[ServerCall]:
    """The calls in a Python file that start a server."""
    tree = _parse(source)
    if tree is None:
        return
    known = servers().calls
    module = _Module(source, environment)
    module.run(tree.body)
    module.find_defaults(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        entry = known.get(module.qualified(node.func))
        if entry is None:
            continue
        server, call = entry
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        single = keywords.get(call.single_process) if call.single_process else None
        if single is not None and not (isinstance(single, ast.Constant) and not single.value):
            continue
        workers = keywords.get(call.workers)
        yield ServerCall(
            server,
            module.workers(workers) if workers is not None else None,
            _application(node, call.application),
            module.place(node),
        )


def _application(call: ast.Call, position: int | None) -> str:
    if position is None or len(call.args) <= position:
        return ""
    argument = call.args[position]
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def _parse(source: Source) -> ast.Module | None:
    try:
        return parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # A Python file that does not parse is reported by the Python side.
        return None


def _toml(source: Source, server: Server) -> ServerConfiguration:
    import tomllib

    try:
        settings = tomllib.loads(source.text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return ServerConfiguration(None, "")
    number = settings.get(server.workers.setting)
    if not isinstance(number, int) or isinstance(number, bool):
        return ServerConfiguration(None, "")
    offset = _toml_value(source.text, server.workers.setting, str(number))
    if offset is None:
        return ServerConfiguration(None, "")
    return ServerConfiguration(WorkerCount(number, False, Located.of(source, *offset)), "")


def _toml_value(text: str, key: str, value: str) -> tuple[int, int] | None:
    import re

    found = re.search(rf"(?m)^[ \t]*+[\"']?{re.escape(key)}[\"']?[ \t]*+=[ \t]*+({re.escape(value)})\b", text)
    return found.span(1) if found else None


@dataclass(slots=True)
class _Module:
    source: Source
    environment: Environment
    names: dict[str, Value] = field(default_factory=dict)
    assigned: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Value] = field(default_factory=dict)
    statements: int = 0
    nesting: int = 0

    def find_defaults(self, tree: ast.Module) -> None:
        """Defaults of command-line options and of settings classes: what `args.workers` is if nobody says."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                self.option_default(node)
            elif isinstance(node, ast.ClassDef) and any(
                "Settings" in ast.unparse(base) for base in node.bases
            ):
                for statement in node.body:
                    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                        self.default(statement.target.id, statement.value)

    def option_default(self, call: ast.Call) -> None:
        """`parser.add_argument("--workers", default=4)`."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
            return
        names = [
            name.value for name in call.args if isinstance(name, ast.Constant) and isinstance(name.value, str)
        ]
        option = next((name for name in names if name.startswith("--")), "")
        default = next((keyword.value for keyword in call.keywords if keyword.arg == "default"), None)
        if option:
            self.default(option[2:].replace("-", "_"), default)

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
        for statement in body:
            self.statements += 1
            if self.statements > _MAX_STATEMENTS:
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    self.imports[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    self.imports[alias.asname or alias.name] = f"{module}.{alias.name}"
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
        if isinstance(target, ast.Name):
            self.assigned[target.id] = value
            found = self.value(value)
            if found is None:
                self.names.pop(target.id, None)
            else:
                self.names[target.id] = found

    def workers(self, node: ast.expr) -> WorkerCount | None:
        """The worker count that an expression says, standing on that expression."""
        value = self.value(node)
        if value is None or isinstance(value.data, bool) or not isinstance(value.data, (int, float)):
            return None
        if not abs(value.data) < _LARGEST:  # no number is not smaller either
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
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    def value(self, node: ast.expr) -> Value | None:
        """What an expression is worth, or None where it cannot be known, or is nested too deeply."""
        self.nesting += 1
        value = self.worth(node) if self.nesting <= _MAX_NESTING else None
        self.nesting -= 1
        return value

    def worth(self, node: ast.expr) -> Value | None:
        match node:
            case ast.Constant(value=data):
                return Value(data)
            case ast.Name(id=name):
                return self.names.get(name)
            case ast.Call():
                return self.call(node)
            case ast.Attribute(attr=name):
                return self.defaults.get(name)
            case ast.BinOp(left=left, op=operator, right=right):
                return _arithmetic(operator, self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.value(operand)
                return None if value is None else Value(not value.data, value.per_core)
            case ast.BoolOp(op=operator, values=values):
                return self.boolean(operator, values)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                outcome = self.value(test)
                return None if outcome is None else self.value(body if outcome.data else otherwise)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return _comparison(operator, self.value(left), self.value(right))
            case _:
                return None

    def boolean(self, operator: ast.boolop, values: Sequence[ast.expr]) -> Value | None:
        found: Value | None = None
        for node in values:
            found = self.value(node)
            if found is None or bool(found.data) is isinstance(operator, ast.Or):
                return found
        return found

    def call(self, node: ast.Call) -> Value | None:
        name = self.qualified(node.func)
        last = name.rpartition(".")[2]
        if last in _CORES:
            return Value(ASSUMED_CORES, True)
        if name in _GETTERS:
            return self.variable(node)
        values = [self.value(argument) for argument in node.args]
        if last == "len" and len(node.args) == 1:
            return values[0] if values[0] and values[0].per_core else None
        if any(value is None for value in values) or not values:
            return None
        known = [value for value in values if value is not None]
        per_core = any(value.per_core for value in known)
        try:
            if name in _CONVERSIONS and len(known) == 1:
                return Value(_CONVERSIONS[name](known[0].data), per_core)
            if name in ("min", "max", "round", "math.ceil", "math.floor") and known:
                return _extreme(last, known)
        except (TypeError, ValueError, OverflowError):
            return None
        return None

    def variable(self, node: ast.Call) -> Value | None:
        """`os.getenv("NAME", default)`: the container's value, else the default."""
        name = self.value(node.args[0]) if node.args else None
        if name is None or not isinstance(name.data, str):
            return None
        if not self.environment.unset(name.data):
            text = self.environment.get(name.data)
            return Value(text.text) if text is not None else None
        default = node.args[1] if len(node.args) > 1 else None
        for keyword in node.keywords:
            if keyword.arg == "default":
                default = keyword.value
        return Value(None) if default is None else self.value(default)


def _extreme(name: str, values: Sequence[Value]) -> Value | None:
    numbers = [(value.data, value.per_core) for value in values if isinstance(value.data, (int, float))]
    if len(numbers) != len(values):
        return None
    if name in ("min", "max"):
        chosen = (min if name == "min" else max)(numbers, key=lambda pair: pair[0])
        return Value(chosen[0], chosen[1])
    import math

    number = {"ceil": math.ceil, "floor": math.floor}.get(name, round)(numbers[0][0])
    return Value(number, numbers[0][1])


def _arithmetic(operator: ast.operator, left: Value | None, right: Value | None) -> Value | None:
    if left is None or right is None:
        return None
    first, second = left.data, right.data
    if not isinstance(first, (int, float)) or not isinstance(second, (int, float)):
        return None
    if not (abs(first) < _LARGEST and abs(second) < _LARGEST):
        return None
    result: float
    match operator:
        case ast.Add():
            result = first + second
        case ast.Sub():
            result = first - second
        case ast.Mult():
            result = first * second
        case ast.Div() if second:
            result = first / second
        case ast.FloorDiv() if second:
            result = first // second
        case _:
            return None
    return Value(result, left.per_core or right.per_core) if abs(result) < _LARGEST else None


def _comparison(operator: ast.cmpop, left: Value | None, right: Value | None) -> Value | None:
    if left is None or right is None:
        return None
    first, second = left.data, right.data
    match operator:
        case ast.Eq():
            return Value(first == second)
        case ast.NotEq():
            return Value(first != second)
        case ast.Is():
            return Value(first is second)
        case ast.IsNot():
            return Value(first is not second)
        case _:
            if not isinstance(first, (int, float)) or not isinstance(second, (int, float)):
                return None
            return _ordering(operator, first, second)


def _ordering(operator: ast.cmpop, first: float, second: float) -> Value | None:
    match operator:
        case ast.Lt():
            return Value(first < second)
        case ast.LtE():
            return Value(first <= second)
        case ast.Gt():
            return Value(first > second)
        case ast.GtE():
            return Value(first >= second)
        case _:
            return None
