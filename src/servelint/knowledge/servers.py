"""What servelint knows about application servers and what starts them, read from `rules/servers/`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any, NamedTuple, TypeVar

from servelint.knowledge.compiled import tables
from servelint.knowledge.tables import KnowledgeError

Kind = TypeVar("Kind")


class Call(NamedTuple):
    """A Python call that starts a server: the keyword for the worker count, where the application is.

    `program_options` are options that the server reads from the command line of the program that calls it,
    `environment` are variables that say the number where the call does not, `per_core` is the text that means
    one worker per core.
    """

    workers: str = ""
    application: int | None = None
    single_process: str = ""
    all_cores: str = ""
    program_options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    per_core: str = ""
    by_name: bool = False  # several workers need the application's name: with an object it does not start


class Workers(NamedTuple):
    """What sets the number of worker processes, the strongest first within each kind."""

    options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    conventional: tuple[str, ...] = ()  # variables that images hand on to the server
    shared: tuple[str, ...] = ()  # variables of its own that others have, too
    endings: tuple[str, ...] = ()  # of names that projects give to variables for it
    setting: str = ""
    keys: tuple[str, ...] = ()  # in a YAML file, with dots; a star is any name
    per_core: str = ""  # the text in such a file that means one worker per core
    source: str = ""


class Configuration(NamedTuple):
    """Configuration files: the options and variables that name one, and files read without being named."""

    options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


class Asgi(NamedTuple):
    """What makes a server run an event loop, where it does not always."""

    options: tuple[str, ...] = ()
    setting: str = ""
    classes: tuple[str, ...] = ()

    def runs_loop(self, name: str) -> bool:
        """Whether workers of the class `name` run an event loop."""
        return any(fnmatchcase(name, pattern) for pattern in self.classes)


class NotAsgi(NamedTuple):
    """Values of an option that make an ASGI server serve something else."""

    options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    default: str = ""


class Server(NamedTuple):
    """One application server's command line.

    `handed` are options whose value is for another server that it starts, with its own number behind it.
    `kinds` are resources whose containers most often run it, `images` those that run it by themselves: what a
    container says is arguments for it.
    """

    name: str
    source: str
    commands: tuple[str, ...]
    modules: tuple[str, ...]
    workers: Workers
    subcommand: str = ""
    arguments: str = ""
    configuration: Configuration = Configuration()
    asgi: Asgi | None = None
    not_asgi: NotAsgi | None = None
    single_process: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    all_cores: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()  # base classes that run it, their settings in a mapping
    calls: Mapping[str, Call] | None = None
    kinds: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


def _is_named(image: str, names: tuple[str, ...]) -> bool:
    """Whether an image is one of these, whatever its tag and the registry that mirrors it."""
    name = image.partition("@")[0]
    tag = name.rfind(":")
    bare = name[:tag] if tag > name.rfind("/") else name
    return any(bare == known or bare.endswith(f"/{known}") for known in names)


class BaseImage(NamedTuple):
    """An image whose own command starts a server with several workers.

    `workers`, `limit`, `worker_class` and `application` are the variables that say them, `unless` are values
    with which it starts one process. `configuration` are files in the image that are read instead of its own.
    """

    names: tuple[str, ...]
    server: str
    source: str
    workers: str
    limit: str = ""
    worker_class: str = ""
    unless: Mapping[str, str] = {}
    scripts: tuple[str, ...] = ()
    folder: str = "/"
    configuration: tuple[str, ...] = ()
    application: str = ""
    applications: tuple[str, ...] = ()

    def is_named(self, image: str) -> bool:
        """Whether an image of that name is this one, whatever its tag and the registry that mirrors it."""
        return _is_named(image, self.names)


class Order(NamedTuple):
    """A command that runs a container, or sets the variables of one: `docker run`, `gcloud run deploy`.

    `flags` are options without a value; `operands` what its plain words are, in order. `separator` parts
    several variables in one word (a space: each is a word), `words` the words of a command in one option.
    With `cluster` Kubernetes runs it. `memory` are options that scale on memory where their value is that,
    `scales` others; `patch` is what holds a part of a document.
    """

    commands: tuple[str, ...]
    subcommands: tuple[str, ...]
    kind: str
    source: str
    flags: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    separator: str = ""
    files: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    script: tuple[str, ...] = ()
    words: str = " "
    image: tuple[str, ...] = ()
    folder: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()
    cluster: bool = False


class Launcher(NamedTuple):
    """Commands that start the command they are given.

    `operands` words stand before it; with `until` it stands after that word; `assignments` may stand before
    it; an optional `subcommand` ends with a question mark.
    """

    commands: tuple[str, ...]
    operands: int = 0
    values: tuple[str, ...] = ()
    subcommand: str = ""
    until: str = ""
    assignments: bool = False
    development: bool = False


class Interpreter(NamedTuple):
    """An interpreter's command names (patterns) and the options that take code or a module."""

    commands: tuple[str, ...]
    code: str = ""
    module: str = ""
    values: tuple[str, ...] = ()

    def runs(self, command: str) -> bool:
        """Whether `command` is this interpreter."""
        return any(fnmatchcase(command, pattern) for pattern in self.commands)


class ThreadPool(NamedTuple):
    """A native thread pool: the variables that bound it and the libraries that use it.

    `settings` are the names of arguments, attributes and functions that bound it in code, `threads` how many
    it has where nobody says (None: one for each core of the host), `advice` what to do without a variable.
    """

    name: str
    variables: tuple[str, ...]
    libraries: frozenset[str]
    settings: frozenset[str] = frozenset()
    threads: int | None = None
    advice: str = ""


@dataclass(frozen=True)
class Servers:
    """All of `rules/servers/`."""

    servers: tuple[Server, ...]
    launchers: Mapping[str, Launcher]
    python: Interpreter
    shell: Interpreter
    pools: tuple[ThreadPool, ...]
    model_images: re.Pattern[str]
    model_kinds: frozenset[str]
    embedded: frozenset[str]
    base_images: tuple[BaseImage, ...] = ()
    others: frozenset[str] = frozenset()  # programs that start no server of these
    orders: tuple[Order, ...] = ()

    def named(self, variable: str) -> Server | None:
        """The server that a variable for a number of workers is named after."""
        own = self.own_variables.get(variable)
        if own is not None:
            return own
        found = (
            server
            for server in self.servers
            for ending in server.workers.endings
            if variable == ending or variable.endswith(f"_{ending}")
        )
        return next(found, None)

    def base_image(self, name: str) -> BaseImage | None:
        """What is known of an image that starts several workers by itself."""
        return next((image for image in self.base_images if image.is_named(name)), None)

    def by_image(self, name: str) -> tuple[Server, ...]:
        """The servers that an image from elsewhere runs by itself."""
        return tuple(server for server in self.servers if _is_named(name, server.images))

    def by_name(self, name: str) -> Server:
        """The server of this name."""
        return next(server for server in self.servers if server.name == name)

    def by_command(self, command: str) -> tuple[Server, ...]:
        """The servers that this executable starts."""
        return tuple(server for server in self.servers if command in server.commands)

    def by_module(self, module: str) -> tuple[Server, ...]:
        """The servers that `python -m module` starts."""
        return tuple(server for server in self.servers if module in server.modules)

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """Words of which a file that names a server has to hold one."""
        names = {name for server in self.servers for name in (*server.commands, *server.modules)}
        return tuple(sorted(name.encode() for name in names if "." not in name))

    @cached_property
    def variables(self) -> frozenset[str]:
        """Environment variables that set a worker count."""
        return frozenset(
            name
            for server in self.servers
            for name in (*server.workers.environment, *server.workers.conventional)
        )

    @cached_property
    def stems(self) -> frozenset[str]:
        """How the endings of variables that are named after a server begin: `UVICORN_`."""
        endings = (ending for server in self.servers for ending in server.workers.endings)
        return frozenset(f"{ending.partition('_')[0]}_" for ending in endings)

    @cached_property
    def own_variables(self) -> Mapping[str, Server]:
        """Those of the variables that name their server: no other one reads them."""
        readers: dict[str, list[Server]] = {}
        for server in self.servers:
            for name in (*server.workers.environment, *server.workers.conventional):
                readers.setdefault(name, []).append(server)
        return {name: found[0] for name, found in readers.items() if len(found) == 1}

    @cached_property
    def last_names(self) -> frozenset[str]:
        """The last parts of the names of those calls."""
        return frozenset(name.rpartition(".")[2] for name in self.calls)

    @cached_property
    def packages(self) -> frozenset[str]:
        """The packages with calls that start a server."""
        called = {name for server in self.servers for name in (*(server.calls or {}), *server.applications)}
        return frozenset(name.partition(".")[0] for name in called)

    @cached_property
    def calls(self) -> Mapping[str, tuple[Server, Call]]:
        """Python calls that start a server, by qualified name."""
        return {
            name: (server, call) for server in self.servers for name, call in (server.calls or {}).items()
        }


@cache
def servers() -> Servers:
    """The tables in `rules/servers/`; raises `KnowledgeError` naming file and key where one does not fit."""
    return read_servers({name: data for name, data in tables().items() if name.startswith("servers/")})


def read_servers(files: Mapping[str, Any]) -> Servers:
    """What the files say, given by name."""
    found: list[Server] = []
    launchers: dict[str, Any] = {}
    threads: dict[str, Any] = {}
    models: dict[str, Any] = {}
    base_images: list[BaseImage] = []
    orders: list[Order] = []
    for name, data in files.items():
        if not isinstance(data, dict):
            raise KnowledgeError(f"{name}: not a mapping")
        if "server" in data:
            found.append(_server(name, data))
        elif "launchers" in data:
            launchers = data
        elif "pools" in data:
            threads = data
        elif "base-images" in data:
            base_images += [_record(BaseImage, image, name) for image in data["base-images"]]
        elif "orders" in data:
            orders += [_record(Order, order, name) for order in data["orders"]]
        else:
            models = data
    return Servers(
        tuple(found),
        {command: launcher for launcher in _launchers(launchers) for command in launcher.commands},
        _record(Interpreter, launchers["interpreters"]["python"], "launchers.yaml"),
        _record(Interpreter, launchers["interpreters"]["shell"], "launchers.yaml"),
        tuple(
            ThreadPool(
                pool["name"],
                tuple(pool["variables"]),
                frozenset(pool["libraries"]),
                frozenset(pool.get("settings", ())),
                pool.get("threads"),
                pool.get("advice", ""),
            )
            for pool in threads["pools"]
        ),
        re.compile("|".join(re.escape(word) for group in models["images"] for word in group["contains"])),
        frozenset(models["kinds"]),
        frozenset(models["embedded"]),
        tuple(base_images),
        frozenset(launchers["others"]),
        tuple(orders),
    )


def _server(file: str, data: dict[str, Any]) -> Server:
    data = {"name": data["server"], **{key: value for key, value in data.items() if key != "server"}}
    nested = {"workers": Workers, "configuration": Configuration, "asgi": Asgi, "not-asgi": NotAsgi}
    for key, kind in nested.items():
        if key in data:
            data[key] = _record(kind, data[key], file)
    if "calls" in data:
        data["calls"] = {name: _record(Call, call, file) for name, call in data["calls"].items()}
    return _record(Server, data, file)


def _launchers(data: dict[str, Any]) -> list[Launcher]:
    return [_record(Launcher, entry, "launchers.yaml") for entry in data["launchers"]]


def _record(kind: type[Kind], data: dict[str, Any], file: str) -> Kind:
    """A record filled from a mapping whose keys are its fields with dashes; lists become tuples."""
    known = set(kind.__annotations__)
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise KnowledgeError(f"{file}: unknown key {key!r}")
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as error:
        raise KnowledgeError(f"{file}: {error}") from None
