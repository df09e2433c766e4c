"""Python files that say how a server runs: `gunicorn.conf.py`, and calls like `uvicorn.run(..., workers=4)`.

What the expressions in them are worth is the matter of `module`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from servelint.knowledge.servers import Call, Server, servers
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.python import mappings, reached, subcommands, yaml_settings
from servelint.manifests.python.module import FindModule, PythonModule, Scope, parsed
from servelint.manifests.shell.commandline import ASSUMED_CORES, Words, WorkerCount, count
from servelint.project.text import toml
from servelint.project.text.source import Source, decode_leniently

# In bits: a larger number of workers is a mistake, and Python may refuse to write it down.
_WIDEST = 64


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """What a server's configuration file sets."""

    workers: WorkerCount | None
    worker_class: str


@dataclass(frozen=True, slots=True)
class ServerCall:
    """A call that starts a server; `unknown` says that it gives a number which is not known."""

    server: Server
    workers: WorkerCount | None
    application: str
    place: Place
    unknown: bool = False


def configuration(
    source: Source, server: Server, environment: Environment, find: FindModule | None = None
) -> ServerConfiguration:
    """What a configuration file, Python, TOML or YAML, sets for a server; nothing where it cannot be parsed.

    `find` looks up a module of the project.
    """
    if source.path.suffix == ".toml":
        return _toml(source, server)
    if source.path.suffix in (".yaml", ".yml"):
        return ServerConfiguration(yaml_settings.workers(source, server), "")
    tree = parsed(source)
    if tree is None:
        return ServerConfiguration(None, "")
    module = PythonModule(source, environment, find=find)
    module.read(tree)
    for function in tree.body:
        # A file may build its settings in a function and put them into its globals.
        if isinstance(function, ast.FunctionDef) and server.workers.setting not in module.assigned:
            module.run(function.body)
    node = module.assigned.get(server.workers.setting)
    name = module.names.get(server.asgi.setting) if server.asgi else None
    workers = module.workers(node) if node is not None else None
    return ServerConfiguration(workers, str(name.data) if name and isinstance(name.data, str) else "")


def bases(source: Source, name: str) -> tuple[str, ...]:
    """The base classes of a class in a Python file, by their qualified names."""
    tree = parsed(source)
    if tree is None:
        return ()
    module = PythonModule(source, Environment())
    module.run(tree.body)
    return module.bases.get(name, ())


def embedded(text: Located, name: str, server: Server, environment: Environment) -> ServerConfiguration:
    """What a configuration file that stands in another file, such as a ConfigMap, sets for a server."""
    found = configuration(decode_leniently(Path(name), text.text.encode()), server, environment)
    if found.workers is None:
        return found
    place = found.workers.text.place
    written = text.slice(place.start, place.end)
    if written.text != found.workers.text.text:
        written = Located.computed(found.workers.text.text, written.place)
    return ServerConfiguration(replace(found.workers, text=written), found.worker_class)


def server_calls(
    source: Source,
    environment: Environment,
    parameters: Words = (),
    find: FindModule | None = None,
    *,
    runs: bool = False,
) -> Iterator[ServerCall]:
    """The calls in a Python file that start a server, by a function of the project too.

    `parameters` is what the file is given on the command line; `find` looks up a module of the project. Where
    the file `runs`, what it calls in other files runs too.
    """
    tree = parsed(source)
    if tree is None:
        return
    module = PythonModule(source, environment, parameters=parameters, find=find)
    module.read(tree)
    entered: list[ast.AST] = []
    left_out = subcommands.others(tree, parameters)
    for scope, calls in calls_by_scope(tree):
        if scope in left_out:
            continue
        likely = [call for call in calls if is_likely(call, module)]
        reaching = [call for call in calls if reached.may_start(module, call)]
        if not likely and not reaching:
            continue
        with module.inside(scope):
            for node in likely:
                found = server_call(module, node)
                if found is not None:
                    yield found
            for node in reaching:
                yield from reached.calls(module, node, server_call, runs=runs, entered=entered)


def is_likely(call: ast.Call, module: PythonModule) -> bool:
    """Whether a call may start a server, by the last part of its name."""
    return _last_name(call) in servers().last_names or _may_configure(call, module)


def server_call(module: PythonModule, node: ast.Call) -> ServerCall | None:
    """The server that a call starts, if it does."""
    entry = servers().calls.get(module.qualified(node.func))
    return _called(module, node, *entry) if entry else _configured(module, node)


def _called(module: PythonModule, node: ast.Call, server: Server, call: Call) -> ServerCall | None:
    """A call of the server's own function."""
    keywords = mappings.keywords(module, node)
    single = keywords.get(call.single_process) if call.single_process else None
    if single is not None and (said := module.value(single)) is not None and said.data:
        return None
    served = _given(node, call.application)
    application = _text(module, served)
    if call.by_name and served is not None and not application and _is_object(module, served):
        return ServerCall(server, None, "", module.place(node))
    expression = keywords.get(call.workers)
    workers = module.workers(expression) if expression is not None else None
    if expression is None:
        workers = count(given) if (given := module.reader.given(call.program_options)) is not None else None
        workers = workers or (_from_environment(module, call) if application else None)
    elif isinstance(expression, ast.Constant) and call.per_core == expression.value:
        workers = _per_core(module, expression)
    if call.all_cores and _is_true(keywords.get(call.all_cores)):
        workers = _per_core(module, keywords[call.all_cores])
    unknown = expression is not None and workers is None
    return ServerCall(server, workers, application, module.place(node), unknown)


def _per_core(module: PythonModule, node: ast.expr) -> WorkerCount:
    place = module.place(node)
    return WorkerCount(ASSUMED_CORES, True, Located.computed(place.written, place))


def _from_environment(module: PythonModule, call: Call) -> WorkerCount | None:
    """The number that a variable of the container says where the call says none."""
    for name in call.environment:
        value = module.environment.get(name)
        found = count(value) if value is not None else None
        if found is not None:
            return replace(found, variable=name)
    return None


def _configured(module: PythonModule, node: ast.Call) -> ServerCall | None:
    """The making of an application that a server's own base class runs, with the settings in a mapping."""
    bases = module.bases.get(node.func.id, ()) if isinstance(node.func, ast.Name) else ()
    for server in servers().servers:
        if not any(base in server.applications for base in bases):
            continue
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            settings = mappings.mapping(module, argument) or {}
            if server.workers.setting not in settings:
                continue
            kind = settings.get(server.asgi.setting) if server.asgi else None
            value = module.value(kind) if kind is not None else None
            name = value.data if value is not None and isinstance(value.data, str) else ""
            if server.asgi is None or server.asgi.runs_loop(name):
                workers = module.workers(settings[server.workers.setting])
                application = _text(module, _given(node, 0))
                return ServerCall(server, workers, application, module.place(node))
    return None


def _may_configure(call: ast.Call, module: PythonModule) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in module.bases


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _last_name(call: ast.Call) -> str:
    return getattr(call.func, "attr", "") or getattr(call.func, "id", "")


def calls_by_scope(tree: ast.Module) -> list[tuple[Scope, list[ast.Call]]]:
    """The calls of the module and of each function, a function's own apart from those around it."""
    found: dict[Scope, list[ast.Call]] = {}
    waiting: list[tuple[Scope, ast.AST]] = [(tree, tree)]
    for scope, node in waiting:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                found.setdefault(scope, []).append(child)
            waiting.append(
                (child if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else scope, child)
            )
    return list(found.items())


def _given(call: ast.Call, position: int | None) -> ast.expr | None:
    """What a call is given for its application."""
    if position is not None and len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "app"), None)


def _text(module: PythonModule, node: ast.expr | None) -> str:
    value = module.value(node) if node is not None else None
    return value.data if value is not None and isinstance(value.data, str) else ""


def _is_object(module: PythonModule, node: ast.expr) -> bool:
    """Whether an expression is an object and no text: what a call makes, a function, what is imported."""
    if isinstance(node, ast.Name):
        made = module.assigned.get(node.id)
        if made is None:
            home = module.home(node.id)
            known = home[0].assigned.get(home[1]) if home is not None else None
            imported = node.id in module.imports and not isinstance(known, ast.Constant)
            return imported or node.id in module.functions
        return isinstance(made, ast.Call)
    return isinstance(node, (ast.Call, ast.Lambda))


def _toml(source: Source, server: Server) -> ServerConfiguration:
    number = (toml.table(source.text) or {}).get(server.workers.setting)
    if not isinstance(number, int) or isinstance(number, bool) or number.bit_length() > _WIDEST:
        return ServerConfiguration(None, "")
    offset = _toml_value(source.text, server.workers.setting, str(number))
    if offset is None:
        return ServerConfiguration(None, "")
    return ServerConfiguration(WorkerCount(number, False, Located.of(source, *offset)), "")


def _toml_value(text: str, key: str, value: str) -> tuple[int, int] | None:
    import re

    found = re.search(rf"(?m)^[ \t]*+[\"']?{re.escape(key)}[\"']?[ \t]*+=[ \t]*+({re.escape(value)})\b", text)
    return found.span(1) if found else None
