"""Containers that commands run: in scripts, in the steps of workflows, in tasks of make and the like."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from servelint.knowledge.servers import servers
from servelint.manifests.deployed.images import ImageIndex
from servelint.manifests.deployed.reading import Reader
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlMapping,
    scalars,
    walk,
)
from servelint.manifests.forms import compose, kubernetes, masking, tasks
from servelint.manifests.forms.autoscalers import on_memory
from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.resources import Autoscaler, Container, Setting, Workload
from servelint.manifests.forms.sources import Sources, normal
from servelint.manifests.runners import orders
from servelint.manifests.runners.orders import Given
from servelint.manifests.shell import script as shell
from servelint.manifests.shell.commandline import Words, split

_YAML = (".yaml", ".yml")
# Where workflows, pipelines and playbooks are.
_WORKFLOW = re.compile(
    r"/(?:\.github|\.gitea|\.forgejo|\.circleci|\.woodpecker|\.buildkite|playbooks?|roles|ansible|ci|pipelines)/"
    r"|/(?:\.gitlab-ci|\.drone|\.travis|\.woodpecker|cloudbuild|azure-pipelines|bitbucket-pipelines|buildspec"
    r"|playbook|deploy|site|cloud-init|cloud-config|user-?data)[^/]*$"
)
# What is given to such actions stands for variables.
_VARIABLES = ("env_vars", "environmentVariables", "environment-variables")
_DEPLOYING = ("gcloud", "run", "deploy")  # what `deploy-cloudrun` runs
_PROGRAMS = (b"gcloud", b"cloud-sdk")  # of steps that list the words of a command
# What kubectl calls the kinds of documents that matter.
_KINDS = dict.fromkeys(("deployment", "deployments", "deploy"), "Deployment")
_KINDS |= dict.fromkeys(("statefulset", "statefulsets", "sts"), "StatefulSet")
_KINDS |= dict.fromkeys(("hpa", "horizontalpodautoscaler"), "HorizontalPodAutoscaler")
_FLAGS = "flags"  # options of the command that an action runs
_COMMANDS = ("args", "command", "commands", "argv")


class Ordered:
    """Finds the commands of files that run containers; `images` get the names that they are built under."""

    def __init__(self, sources: Sources, reader: Reader, images: ImageIndex) -> None:
        self.sources = sources
        self.reader = reader
        self.images = images

    @functools.cached_property
    def words(self) -> tuple[bytes, ...]:
        """Words of which a file with such a command holds one."""
        names = {sub for order in servers().orders for sub in order.subcommands if " " in sub}
        plain = {
            f"{command} {sub}"
            for order in servers().orders
            for command in order.commands
            for sub in order.subcommands
            if " " not in sub
        }
        actions = (*_VARIABLES, "deploy-cloudrun")
        return tuple(word.encode() for word in (*names, *plain, *actions))

    def may_order(self, path: Path) -> bool:
        """Whether a file may hold such a command: a script, a list of tasks, a workflow."""
        if path.suffix in _YAML and not (
            _WORKFLOW.search(path.as_posix()) or tasks.NAMES.fullmatch(path.name)
        ):
            return False
        if path.suffix not in (*_YAML, ".sh", ".bash", "") and not tasks.NAMES.fullmatch(path.name):
            return False
        data = self.sources.data(path)
        words = (*self.words, *_PROGRAMS) if path.suffix in _YAML else self.words
        return any(word in data for word in words)

    def found(self, path: Path) -> Iterator[tuple[Workload | None, Image | None, list[Autoscaler]]]:
        """What the commands of a file run, with the image if they build it, and what they scale on memory."""
        for words in self.lines(path):
            built = orders.built(words)
            if built is not None:
                image = self.built_in(path, built.folder, built.dockerfile)
                if image is not None:
                    self.images.name(built.name, image)
                continue
            given = orders.given(words)
            if given is not None:
                image = self.built_in(path, given.folder, "") if given.folder is not None else None
                patched = kubernetes.resources(list(self.patched(given)), path)
                yield from ((workload, None, []) for workload in patched.workloads)
                runs = not (given.order.patch or given.order.scales)
                scaled = [*_autoscalers(given, path), *patched.autoscalers]
                yield self.workload(given, path) if runs else None, image, scaled
        if path.suffix in _YAML:
            for workload in self.actions(path):
                yield workload, None, []

    def patched(self, given: Given) -> Iterator[Node]:
        """What a patch says of a document, as one of its kind."""
        kind = _KINDS.get(given.kind.partition(".")[0].lower())
        for node in self.reader.written(given.patch) if given.patch is not None and kind else ():
            if isinstance(node, YamlMapping):
                text = Located.computed(kind or "", given.place.place)
                word = Scalar(text.text, "tag:yaml.org,2002:str", True, 0, len(text), text)
                key = Scalar("kind", word.tag, True, 0, 4, Located.computed("kind", given.place.place))
                yield YamlMapping([(key, word), *node.entries], node.start, node.end, node.within)

    def built_in(self, path: Path, folder: str, dockerfile: str) -> Image | None:
        """The image that is built of a folder, which is named from the file's own or from the project's."""
        for base in (path.parent, self.sources.tree.root):
            context = normal(base / folder)
            for name in (
                (base / dockerfile, context / dockerfile) if dockerfile else (context / "Dockerfile",)
            ):
                image = self.images.at(normal(name))
                if image is not None:
                    return image
        return None

    def workload(self, given: Given, path: Path) -> Workload:
        """The container that a command runs, as a workload."""
        order = given.order
        values: dict[str, Located | None] = {}
        complete = True
        for name in given.files:
            read = self.variables(normal(path.parent / name))
            if read is None:
                read = self.variables(normal(self.sources.tree.root / name))
            complete = complete and read is not None
            values.update(read or {})
        values.update(given.variables)
        name = given.name or (given.image.text if given.image is not None else "")
        container = Container(
            name="",
            image=given.image or (Located(given.name) if given.name else None),
            command=(*given.command, *(given.arguments or ())) if given.command else None,
            arguments=None if given.command else given.arguments,
            environment=Environment(values, not complete),
            place=given.place.place,
            ports=tuple(given.ports),
            script=given.script,
        )
        setting = Setting.KUBERNETES if order.cluster else Setting.PLATFORM
        if order.commands[0] == "docker":
            setting = Setting.PROCESS
        return Workload(order.kind, name, path, (container,), setting)

    @functools.cached_property
    def variables(self) -> functools.partial[dict[str, Located | None] | None]:
        """What reads an environment file."""
        return functools.partial(compose.dotenv, self.sources)

    def lines(self, path: Path) -> Iterator[Words]:
        """The command lines of a file, as a shell would take them."""
        source = self.sources.source(path)
        if source is None:
            return
        if tasks.NAMES.fullmatch(path.name):
            for code in tasks.tasks(source).values():
                yield from _read(code)
        elif path.suffix in _YAML:
            for document in self.reader.documents(path):
                yield from self.steps(document)
        else:
            yield from _read(Located.of(source))

    def steps(self, document: Node) -> Iterator[Words]:
        """The commands of a workflow: shell code in any text, lists of words beside a program's name."""
        for node in walk(document):
            if isinstance(node, Scalar) and self.has_word(node.value):
                yield from _read(node.text)
            elif isinstance(node, YamlMapping):
                yield from _listed(node)
                flags = node.scalar("with", _FLAGS)
                if flags is not None and "deploy-cloudrun" in node.text("uses"):
                    place = flags.text.place
                    command = (Located.computed(word, place) for word in _DEPLOYING)
                    yield (*command, *split(flags.text))

    def has_word(self, text: str) -> bool:
        """Whether a text may hold such a command."""
        return any(word.decode() in text for word in self.words)

    def actions(self, path: Path) -> Iterator[Workload]:
        """What an action of a workflow deploys, of those that are given variables as a text."""
        for document in self.reader.documents(path):
            for node in walk(document):
                told = node.mapping("with") if isinstance(node, YamlMapping) else None
                given = [told.scalar(name) for name in _VARIABLES] if told is not None else []
                for text in given if told is not None else ():
                    if text is None:
                        continue
                    values: Mapping[str, Located | None] = {
                        key: value
                        for line in _split(text.text)
                        for key, value in compose.assignments(line).items()
                    }
                    image = told.scalar("image") if told is not None else None
                    box = Container(
                        "",
                        image.text if image is not None else None,
                        None,
                        None,
                        Environment(values),
                        text.place,
                    )
                    name = told.text("service") if told is not None else ""
                    yield Workload("service", name, path, (box,), Setting.PLATFORM)


def _listed(step: YamlMapping) -> Iterator[Words]:
    """The words of a step's command, behind the program that the step or its image names."""
    for key in _COMMANDS:
        words = tuple(item.text for item in scalars(step.items(key)))
        program = step.scalar("entrypoint") or step.scalar("name")
        if words and words[0].runs:
            yield words
        if words and words[0].runs and program is not None:
            name = program.value.rpartition("/")[2].partition(":")[0]
            yield (Located.computed(name, words[0].place), *words)


def _split(text: Located) -> Iterator[Located]:
    """Assignments on lines of their own, or parted by spaces or commas."""
    position = 0
    for end, character in enumerate(f"{text.text}\n"):
        if character in " ,\n":
            if end > position:
                yield text.slice(position, end)
            position = end + 1


def _read(code: Located) -> Iterator[Words]:
    text = masking.masked(code) or code if "{{" in code.text else code
    for command in shell.read(text, Environment()).commands:
        yield command.words


def _autoscalers(given: Given, path: Path) -> Iterator[Autoscaler]:
    for value in given.memory:
        yield on_memory(given.order.kind, given.name, path, value.place, None)
