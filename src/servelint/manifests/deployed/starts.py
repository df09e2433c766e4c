"""Which servers the project's containers start, followed through images, scripts and shell code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from servelint.boundary import Boundary, LimitError
from servelint.knowledge.servers import BaseImage, Server, servers
from servelint.manifests.deployed import base_images, variables
from servelint.manifests.deployed.start import Context, Start
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import YamlMapping
from servelint.manifests.forms.dockerfile import Command, Image, Stage, exec_words
from servelint.manifests.forms.sources import Sources
from servelint.manifests.forms.tasks import RUNNERS
from servelint.manifests.python import commands, files, read_files
from servelint.manifests.python.module import FindModule
from servelint.manifests.shell import script as shell
from servelint.manifests.shell.commandline import (
    ScriptStart,
    ServerStart,
    ShellCode,
    Words,
    count,
    from_environment,
    last_option,
    started,
)
from servelint.manifests.shell.written import path_in
from servelint.project.text.source import Source

_DEPTH = 8
_MAX_SPENT = 1_000_000
_COMMAND = 20  # what following a command takes, in characters that are read
_SOURCING = frozenset((".", "source"))
_DETACHED = frozenset(("--daemon", "-D"))


@dataclass(slots=True)
class Follower:
    """Follows commands to the servers they start."""

    sources: Sources
    scripts_read: set[Path] = field(default_factory=set)
    spent: int = 0  # since a container, an image or a command was begun, in characters
    _active: list[Path] = field(default_factory=list)
    _given_up: set[Path] = field(default_factory=set)

    def container(self, context: Context) -> Iterator[Start]:
        """The servers that a container starts, with its image's command where it has none of its own."""
        container, image = context.container, context.image
        assert container is not None
        self.spent = 0
        environment = container.environment
        if image is not None:
            environment = environment.over(_environment(image.stage))
            if not context.folder:
                context = replace(context, folder=container.folder or image.stage.folder)
        if container.script is not None:
            yield from self.code(container.script, environment, (), context, 0)
            return
        if container.command is not None:
            words = (*container.command, *(container.arguments or ()))
            found = list(self.words(words, environment, context))
        else:
            if image is not None:
                found = list(self.image(image, environment, context, container.arguments))
            elif container.image is not None and container.arguments is None:
                found = list(self.by_itself(container.image, environment, context))
            else:
                found = []
            if not found and container.arguments:
                # An entrypoint that cannot be followed most often ends in `exec "$@"`.
                found = list(self.words(container.arguments, environment, context))
        yield from found
        if all(start.unknown and start.workers is None for start in found):
            yield from variables.told(self.sources, environment, context)
            yield from self.assumed(environment, context)

    def assumed(self, environment: Environment, context: Context) -> Iterator[Start]:
        """The servers that a container's kind or image name, which is not of this project."""
        container, image = context.container, context.image
        if container is None or (image is not None and (image.stage.command or image.stage.entrypoint)):
            return
        kind = context.workload.kind if context.workload is not None else ""
        found = [server for server in servers().servers if kind in server.kinds]
        if container.command is None and container.image is not None:
            found += servers().by_image(container.image.text)
        yield from self.served(found, container.arguments or (), environment, context)

    def served(
        self, found: Sequence[Server], arguments: Words, environment: Environment, context: Context
    ) -> Iterator[Start]:
        """The starts of servers that take what a container says for their arguments."""
        for server in found:
            if any(word.text in server.single_process for word in arguments):
                continue
            value = last_option(arguments, server.workers.options)
            own = None if value.runs else from_environment(server, environment)
            workers = count(value) if value.runs else own
            if workers is not None and workers.text.runs and workers.variable not in servers().own_variables:
                start = ServerStart(server, (), workers, "", "", ())
                yield Start(start, workers, workers.text.place, environment, context, assumed=True)

    def image(
        self, image: Image, environment: Environment, context: Context, arguments: Words | None = None
    ) -> Iterator[Start]:
        """The servers that an image starts; `arguments` replace its CMD."""
        stage = image.stage
        command = stage.command if arguments is None else Command(words=arguments)
        named = servers().by_image(stage.base.text) if stage.entrypoint is None else ()
        words = command.words if command is not None else ()
        if base_images.keeps_command(stage, command):
            yield from self.by_itself(stage.base, environment, context)
        elif named and (command is None or (words and words[0].text.startswith("-"))):
            yield from self.served(named, words, environment, context)
        elif stage.entrypoint is not None and stage.entrypoint.script is not None:
            # A shell that is given code takes what follows as `$0` and its parameters.
            yield from self.code(stage.entrypoint.script, environment, exec_words(command), context, 0)
        elif stage.entrypoint is not None:
            yield from self.words((*stage.entrypoint.words, *exec_words(command)), environment, context)
        elif command is not None and command.script is not None:
            yield from self.code(command.script, environment, (), context, 0)
        elif command is not None:
            yield from self.words(command.words, environment, context)

    def by_itself(self, name: Located, environment: Environment, context: Context) -> Iterator[Start]:
        """The server that an image from elsewhere is known to start by its own command."""
        known = servers().base_image(name.text)
        if known is None or not name.runs:
            return
        application = base_images.application(known, environment, self.sources, context.image)
        server = servers().by_name(known.server)
        kind = environment.get(known.worker_class)
        start = ServerStart(server, (), None, application, kind.text if kind is not None else "", ())
        if kind is not None and not start.runs_loop():
            return
        configured = self.replaced_configuration(known, server, environment, context)
        if configured is not None:
            if start.runs_loop(configured.worker_class):
                yield Start(start, configured.workers, name.place, environment, context)
            return
        workers = base_images.workers(known, name, environment)
        unsaid = known.workers if workers is not None and not workers.variable else ""
        yield Start(start, workers, name.place, environment, context, unsaid=unsaid)

    def replaced_configuration(
        self, known: BaseImage, server: Server, environment: Environment, context: Context
    ) -> files.ServerConfiguration | None:
        """What a configuration file says that the project's image has in the place of its base's own."""
        for path in known.configuration:
            found = base_images.copied(path, self.sources, context.image)
            source = self.sources.source(found) if found is not None else None
            if source is not None:
                self.scripts_read.add(source.path)
                return files.configuration(source, server, environment, self.finder(source.path))
        return None

    def words(
        self, words: Words, environment: Environment, context: Context, depth: int = 0
    ) -> Iterator[Start]:
        """The servers that a command line starts."""
        if not words or depth > _DEPTH:
            return
        self.spend(_COMMAND, words[0])
        if words[0].text in _SOURCING:
            found: ServerStart | ShellCode | ScriptStart | None = (
                ScriptStart(words[1], words[2:]) if len(words) > 1 else None
            )
        elif words[0].text == "eval":
            found = ShellCode(words[1]) if len(words) > 1 else None
        else:
            found = started(words, environment)
        if isinstance(found, ServerStart):
            yield from self.server(found, words, environment, context)
        elif isinstance(found, ShellCode):
            yield from self.code(found.code, environment, found.parameters, context, depth + 1)
        elif isinstance(found, ScriptStart):
            yield from self.script(found, environment, context, depth + 1)

    def code(
        self, code: Located, environment: Environment, words: Words, context: Context, depth: int
    ) -> Iterator[Start]:
        """The servers that a piece of shell code starts; `words` are its name and its parameters."""
        names = (*self.sources.server_names, *self.sources.tasks)
        if not any(name in code.text for name in names) and not _may_start(code.text):
            return
        self.spend(len(code), code)
        name = words[0] if words else None
        for command in shell.read(code, environment, words[1:], name).commands:
            yield from self.words(command.words, command.environment, context, depth + 1)

    def spend(self, cost: int, text: Located) -> None:
        """Count what is read since a container, an image or a command was begun; raises `LimitError`."""
        self.spent += cost
        if self.spent > _MAX_SPENT:
            place = text.place
            raise LimitError(
                f"scripts that run scripts: more than {_MAX_SPENT:,} characters",
                place.span.line,
                place.source.path,
            )

    def script(
        self, script: ScriptStart, environment: Environment, context: Context, depth: int
    ) -> Iterator[Start]:
        """The servers that a script file starts."""
        mounted = _mounted(script.path.text, context.config_maps)
        if mounted is not None and not script.python:
            yield from self.code(mounted, environment, (script.path, *script.parameters), context, depth)
            return
        inside = _written(script.path.text, context)
        if inside is not None and not script.python:
            yield from self.code(inside, environment, (script.path, *script.parameters), context, depth)
            return
        path = self.sources.resolve(script.path.text, context.base, context.image, python=script.python)
        if path is None and script.python:
            path = self.sources.module(f"{script.path.text}.__main__", context.base)
        if path is None and not script.python and (module := self._installed(script.path.text)):
            path = self.sources.module(module, context.base)
        if path is None and not script.python and (task := self.task(script, context)) is not None:
            yield from self.code(task, environment, (), context, depth)
            return
        if path is None and not script.python and "/" in script.path.text:
            # What the image has of its own most often ends in `exec "$@"`.
            yield from self.words(script.parameters, environment, context, depth)
        if path is None or path in self._active or path in self._given_up:
            return
        source = self.sources.source(path)
        if source is None:
            return
        self._active.append(path)
        self.scripts_read.add(path)
        with Boundary(path, "reading the script", self.sources.note) as boundary:
            if is_python(source):
                yield from self.python(path, environment, context, script.parameters, depth + 1)
            elif not script.python:
                yield from self.code(
                    Located.of(source), environment, (script.path, *script.parameters), context, depth
                )
        self._active.pop()
        if boundary.failed:
            self._given_up.add(path)

    def task(self, script: ScriptStart, context: Context) -> Located | None:
        """What a task of the project runs: named to a runner, or by itself behind `pdm run` and the like."""
        name = script.path.text
        if name in RUNNERS:
            operands = [word.text for word in script.parameters if not word.text.startswith("-")]
            name = next((text for text in operands if "=" not in text and text != "run"), "")
        return self.sources.task(name, context.base) if name else None

    def _installed(self, command: str) -> str:
        """The module of a program that the project installs, named alone or in a folder of programs."""
        folder, _, name = command.rpartition("/")
        return self.sources.console_scripts.get(name, "") if not folder or folder.endswith("bin") else ""

    def python(
        self,
        path: Path,
        environment: Environment,
        context: Context,
        parameters: Words = (),
        depth: int = 0,
        *,
        runs: bool = True,
    ) -> Iterator[Start]:
        """The servers that a Python file starts by a call; an application is looked for from there.

        Where the file `runs` in a container, the commands count that it runs.
        """
        source = self.sources.source(path)
        if source is None:
            return
        context = replace(context, base=path.parent)
        if runs:
            own = variables.from_file(self.sources, path, context.image)
            environment = environment.over(own)
        for call in files.server_calls(source, environment, parameters, self.finder(path), runs=runs):
            application = call.application or path.name
            workers = call.workers
            if workers is not None and not workers.shared:
                shared = any(self.sources.mentions(name, path) > 1 for name in workers.names)
                workers = replace(workers, shared=shared)
            start = ServerStart(call.server, (), workers, application, "", ())
            if runs:
                self.scripts_read.add(call.place.source.path)
            yield Start(start, workers, call.place, environment, context, unknown=call.unknown)
        if runs and any(word in self.sources.data(path) for word in commands.WORDS):
            for command in commands.commands(source, environment, parameters, self.finder(path)):
                if command.code is not None:
                    yield from self.code(command.code, environment, (), context, depth)
                else:
                    yield from self.words(command.words, environment, context, depth)

    def finder(self, path: Path) -> FindModule:
        """What finds the modules that a Python file imports, and the YAML files that it reads."""

        def find(module: str) -> Source | None:
            if module.endswith(read_files.SUFFIXES):
                found = self.sources.resolve(module, path.parent, None)
            else:
                found = self.sources.module(module, path.parent)
            return self.sources.source(found) if found is not None and found != path else None

        return find

    def lone_configuration(self, path: Path, context: Context) -> Iterator[Start]:
        """The start that a configuration file means which its server reads without being told to."""
        source = self.sources.source(path)
        for server in servers().servers:
            if source is None or path.name not in server.configuration.files:
                continue
            found = files.configuration(source, server, Environment(), self.finder(path))
            start = ServerStart(server, (), None, "", "", ())
            if found.workers is not None and start.runs_loop(found.worker_class):
                yield Start(start, found.workers, found.workers.text.place, Environment(), context)

    def server(
        self, server: ServerStart, words: Words, environment: Environment, context: Context
    ) -> Iterator[Start]:
        """The start of a server, its configuration files read."""
        if any(word.text in _DETACHED for word in words):
            # A daemon is no container's process: the command returns and the container would end.
            return
        configured = self.configuration(server, environment, context)
        kind = configured.worker_class if configured else ""
        wsgi = not server.runs_loop(kind) and not self.defines_loop(server, kind, context)
        workers = server.workers
        if workers is None and configured is not None:
            workers = configured.workers
        if workers is None and server.server.configuration.options:
            workers = server.environment_workers
        if not wsgi or workers is not None:
            yield Start(server, workers, _whole(words), environment, context, wsgi=wsgi)

    def defines_loop(self, server: ServerStart, configured: str, context: Context) -> bool:
        """Whether the class of workers is one of the project's that is made of one with an event loop."""
        module, _, name = (server.worker_class or configured).replace(":", ".").rpartition(".")
        path = self.sources.module(module, context.base) if module else None
        source = self.sources.source(path) if path is not None else None
        loops = server.server.asgi
        return (
            source is not None and loops is not None and any(map(loops.runs_loop, files.bases(source, name)))
        )

    def configuration(
        self, server: ServerStart, environment: Environment, context: Context
    ) -> files.ServerConfiguration | None:
        """What the configuration file that a server reads sets; None where there is none to be found."""
        named = [name.removeprefix("python:").removeprefix("file:") for name in server.configuration]
        if named and named[0].startswith(tuple("0123456789")):
            named = []
        for name in named:
            mounted = _mounted(name, context.config_maps)
            if mounted is not None and mounted.runs:
                return files.embedded(mounted, PurePosixPath(name).name, server.server, environment)
        for name in named or server.server.configuration.files:
            path = self.sources.resolve(name, context.base, context.image, python=True, exact=not named)
            source = self.sources.source(path) if path is not None else None
            if source is not None:
                self.scripts_read.add(source.path)
                return files.configuration(source, server.server, environment, self.finder(source.path))
        return None


def is_python(source: Source) -> bool:
    """Whether a file is a program in Python, by its name or its first line."""
    return source.path.suffix == ".py" or (
        source.text.startswith("#!") and "python" in source.text.partition("\n")[0]
    )


def _written(path: str, context: Context) -> Located | None:
    """A script that the image's own Dockerfile writes."""
    stage = context.image.stage if context.image is not None else None
    if stage is None or not stage.written:
        return None
    found = stage.written.get(path_in(stage.folder, path))
    if found is None and "/" not in path:  # found through PATH
        found = next((text for name, text in stage.written.items() if name.endswith(f"bin/{path}")), None)
    return found if found is not None and found.runs else None


def _mounted(path: str, config_maps: Mapping[str, YamlMapping]) -> Located | None:
    """A script that a ConfigMap of the project holds under the file's name."""
    name = path.rpartition("/")[2]
    if "." not in name:
        return None
    for data in config_maps.values():
        script = data.scalar(name)
        if script is not None:
            return script.text
    return None


def _may_start(text: str) -> bool:
    return "$" in text or ".sh" in text or "python" in text or "exec" in text or "/" in text


def _environment(stage: Stage) -> Environment:
    return Environment(dict(stage.environment))


def _whole(words: Sequence[Located]) -> Place:
    """From the first word to the last, as far as they stand in one file."""
    first = words[0].place
    last = first
    for word in words:
        if word.runs and word.place.source is first.source and word.place.end > last.end:
            last = word.place
    return Place(first.source, first.start, max(first.end, last.end), False)
