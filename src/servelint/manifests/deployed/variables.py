"""What variables say: those named after a server, and those that a program takes from a file of its own.

`API_UVICORN_WORKERS` says what it is for, where the command of a container cannot be followed. A container
may have it from a ConfigMap and run something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from servelint.knowledge.servers import Server, servers
from servelint.manifests.deployed.start import Context, Start
from servelint.manifests.documents.environment import Environment
from servelint.manifests.forms import compose
from servelint.manifests.forms.dockerfile import Image, exec_words
from servelint.manifests.forms.sources import Sources
from servelint.manifests.shell.commandline import (
    ScriptStart,
    ServerStart,
    ShellCode,
    Words,
    count,
    split,
    started,
)

_SAYING = ("WORKERS", "COUNT", "CONCURRENCY")  # how the names of variables end that say a number of workers
_FILE = ".env"
_IGNORED = frozenset((".env", "/.env", "./.env", "**/.env", "*.env", "**/*.env", ".env*", "**/.env*"))


def told(sources: Sources, environment: Environment, context: Context) -> Iterator[Start]:
    """The servers that a container's variables are named after, where what it runs cannot be followed."""
    container = context.container
    for name, value in container.environment.values.items() if container is not None else ():
        server = servers().named(name) if name.endswith(_SAYING) else None
        workers = count(value) if value is not None and value.runs and server is not None else None
        if server is None or workers is None or not may_start(sources, server, context):
            continue
        workers = replace(workers, variable=name)
        start = ServerStart(server, (), workers, "", "", ())
        yield Start(start, workers, workers.text.place, environment, context, assumed=True)


def may_start(sources: Sources, server: Server, context: Context) -> bool:
    """Whether a container may well start a server: what it runs is no other program that is known."""
    if server.asgi is not None and not sources.serves_asynchronously:
        return False
    container, image = context.container, context.image
    if container is not None and container.command is not None:
        return _leads_on((*container.command, *(container.arguments or ())), bare=False)
    command = image.stage.command if image is not None else None
    begun = image.stage.entrypoint if image is not None else None
    own = begun or command
    words = container.arguments if container is not None and container.arguments else exec_words(command)
    if own is None:
        return not words or _leads_on(words, bare=True)
    if begun is not None:
        words = (*exec_words(begun), *words)
    return _leads_on(words, bare=False)


def _leads_on(words: Words, *, bare: bool) -> bool:
    """Whether a command line runs something of which nothing is known: a Python program, a script.

    With `bare` a name alone may be one as well.
    """
    found = started(words, Environment())
    if isinstance(found, ShellCode):
        return not any(word.text.rpartition("/")[2] in servers().others for word in split(found.code))
    if not isinstance(found, ScriptStart):
        return False
    path = found.path.text
    name = path.rpartition("/")[2]
    if name in servers().others or (found.python and path.partition(".")[0] in servers().others):
        return False
    if (
        "/" in path
        and not found.python
        and any(word.text.rpartition("/")[2] in servers().others for word in found.parameters[:1])
    ):
        return False
    return bare or found.python or "/" in path or path.endswith(".sh")


def from_file(sources: Sources, program: Path, image: Image | None) -> Environment:
    """What the nearest such file says, if something in the project reads it and the image may hold it."""
    root = sources.tree.root
    if not sources.reads_dotenv or not program.is_relative_to(root):
        return Environment()
    for folder in program.parents:
        path = folder / _FILE
        if path in sources.known_paths:
            if image is not None and _left_out(sources, path, root):
                break
            return Environment(compose.dotenv(sources, path) or {})
        if folder == root:
            break
    return Environment()


def _left_out(sources: Sources, path: Path, root: Path) -> bool:
    """Whether a `.dockerignore` above a file names it."""
    for folder in path.parents:
        ignoring = folder / ".dockerignore"
        source = sources.source(ignoring) if ignoring in sources.known_paths else None
        if source is not None and any(line.strip() in _IGNORED for line in source.text.split("\n")):
            return True
        if folder == root:
            break
    return False
