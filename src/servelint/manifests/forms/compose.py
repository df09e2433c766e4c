"""Compose files: services as workloads, with the images they build."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servelint.boundary import LimitError
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, word
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, scalars
from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.resources import Container, Setting, Workload
from servelint.manifests.forms.sources import Sources, normal
from servelint.manifests.shell.commandline import UNKNOWN, Words, split

NAME = re.compile(r"(?:docker-|podman-)?(?:compose|stack)(?:[._-].*)?\.ya?ml", re.IGNORECASE)
_BASE = re.compile(r"((?:docker-|podman-)?(?:compose|stack))(?:[._-].*)(\.ya?ml)", re.IGNORECASE)
_SERVICES = re.compile(rb"(?m)^services:[ \t\r]*+(?:#.*)?$")
_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:[^{}]|\{[^{}]*+\})*+))?\}|([A-Za-z_]\w*))")
_MAX_LAYERS = 50
_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*+=[ \t]*+(.*)$", re.MULTILINE)


class Images(Protocol):
    """The images that the project builds."""

    def at(self, path: Path, target: str = "") -> Image | None:
        """The image that a Dockerfile builds: its last stage, or the one named `target`."""

    def name(self, image: str, built: Image) -> None:
        """Remember that a service gives an image a name."""


def is_compose(path: Path, data: bytes) -> bool:
    """Whether a YAML file is a compose file, by its name or its form."""
    if NAME.fullmatch(path.name):
        return b"services" in data
    if b"\nservices:" not in data and not data.startswith(b"services:"):
        return False  # told at a fraction of what it costs to look at every line
    return _SERVICES.search(data) is not None and (b"image:" in data or b"build:" in data)


def workloads(
    path: Path, files: Mapping[Path, Sequence[Node]], sources: Sources, images: Images
) -> Iterator[tuple[Workload, Image | None]]:
    """The services of one of the compose files, each with the image it builds if that is of this project.

    A service that goes past a limit is a problem of its file, told once; the others are read.
    """
    document = _document(files, path)
    section = document.mapping("services") if document is not None else None
    told: set[str] = set()
    variables = functools.cache(functools.partial(dotenv, sources))
    for name, (_, node) in section.index().items() if section is not None else ():
        if not isinstance(node, YamlMapping):
            continue
        try:
            service = _Service(name, path, _layers(name, path, node, files), variables)
            image = service.built(images)
            workload = service.workload()
        except LimitError as error:
            if str(error) not in told:
                told.add(str(error))
                line = error.line or node.place.span.line
                sources.problem(path, f"reading a compose service: {error}", line)
            continue
        yield workload, image


def _document(files: Mapping[Path, Sequence[Node]], path: Path) -> YamlMapping | None:
    first = next(iter(files.get(path, ())), None)
    return first if isinstance(first, YamlMapping) else None


def _layers(
    name: str, path: Path, node: YamlMapping, files: Mapping[Path, Sequence[Node]]
) -> tuple[YamlMapping, ...]:
    """The service, then what it extends, then the same service in the file that this one overrides."""
    layers = [node]
    seen = {(path, name)}
    where, current = path, node
    while True:
        extended = current.get("extends")
        base_name = extended.value if isinstance(extended, Scalar) else current.text("extends", "service")
        if not base_name:
            break
        if isinstance(extended, YamlMapping) and extended.text("file"):
            where = normal(where.parent / extended.text("file"))
        document = _document(files, where)
        found = document.mapping("services", base_name) if document is not None else None
        if found is None or (where, base_name) in seen:
            break
        seen.add((where, base_name))
        layers.append(found)
        if len(layers) > _MAX_LAYERS:
            raise LimitError(f"services that extend one another more than {_MAX_LAYERS} times")
        current = found
    base = _BASE.sub(r"\1\2", path.name)
    for other in (
        path.with_name(base),
        path.with_name(base).with_suffix(".yaml"),
        path.with_name(base).with_suffix(".yml"),
    ):
        document = _document(files, other) if other != path else None
        below = document.mapping("services", name) if document is not None else None
        if below is not None:
            layers.append(below)
            break
    return tuple(layers)


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    path: Path
    layers: tuple[YamlMapping, ...]
    variables: Callable[[Path], dict[str, Located | None] | None]

    def get(self, *keys: str) -> Node | None:
        for layer in self.layers:
            node = layer.get(*keys)
            if node is not None:
                return node
        return None

    def text(self, *keys: str) -> str:
        node = self.get(*keys)
        return self.filled(node.text).text if isinstance(node, Scalar) and not node.is_null else ""

    def workload(self) -> Workload:
        image = self.get("image")
        place = self.layers[0].place
        container = Container(
            name="",
            image=self.filled(image.text) if isinstance(image, Scalar) else None,
            command=self.command(),
            arguments=self.arguments(),
            environment=self.environment(),
            place=place,
            folder=self.text("working_dir"),
            cpu_limit=self.limit(),
            ports=tuple(self.ports()),
            mounts=tuple(self.mounts()),
        )
        return Workload("service", self.name, self.path, (container,), Setting.COMPOSE)

    def command(self) -> Words | None:
        """The entrypoint that replaces the image's, with the command after it."""
        entrypoint = self.words("entrypoint")
        if entrypoint is None:
            return None
        return (*entrypoint, *(self.words("command") or ()))

    def arguments(self) -> Words | None:
        return None if self.words("entrypoint") is not None else self.words("command")

    def words(self, key: str) -> Words | None:
        node = self.get(key)
        if isinstance(node, YamlSequence):
            return tuple(self.filled(item.text) for item in scalars(node.items))
        if isinstance(node, Scalar) and not node.is_null:
            return tuple(split(self.filled(node.text)))
        return None

    def limit(self) -> Scalar | None:
        node = self.get("deploy", "resources", "limits", "cpus") or self.get("cpus")
        return node if isinstance(node, Scalar) and not node.is_null else None

    def ports(self) -> Iterator[str]:
        node = self.get("ports")
        for item in scalars(node.items) if isinstance(node, YamlSequence) else ():
            yield item.value.rpartition(":")[2].partition("/")[0]

    def mounts(self) -> Iterator[tuple[Path, str]]:
        """What is bound from the project: `./app:/srv/app:ro`, or its source and its target by name."""
        node = self.get("volumes")
        for item in node.items if isinstance(node, YamlSequence) else ():
            source, target = "", ""
            if isinstance(item, Scalar):
                source, target, *_ = (*self.filled(item.text).text.split(":"), "")
            elif isinstance(item, YamlMapping):
                source, target = item.text("source"), item.text("target")
            if source.startswith(".") and target.startswith("/"):
                yield normal(self.path.parent / source), target

    def environment(self) -> Environment:
        values: dict[str, Located | None] = {}
        complete = True
        for layer in reversed(self.layers):
            for path in self.environment_files(layer):
                found = self.variables(path)
                complete = complete and found is not None
                values.update(found or {})
            values.update(self.own_environment(layer))
        return Environment(values, not complete)

    def environment_files(self, layer: YamlMapping) -> Iterator[Path]:
        node = layer.get("env_file")
        for item in node.items if isinstance(node, YamlSequence) else [node]:
            name = (
                item.text("path")
                if isinstance(item, YamlMapping)
                else item.value
                if isinstance(item, Scalar)
                else ""
            )
            if name:
                yield normal(self.path.parent / name)

    def own_environment(self, layer: YamlMapping) -> dict[str, Located | None]:
        node = layer.get("environment")
        if isinstance(node, YamlMapping):
            return {
                key.value: self.filled(value.text)
                if isinstance(value, Scalar) and not value.is_null
                else self.given(key.value)
                for key, value in node.index().values()
            }
        found: dict[str, Located | None] = {}
        for item in scalars(node.items) if isinstance(node, YamlSequence) else ():
            name, equals, _ = item.value.partition("=")
            text = item.text
            found[name] = self.filled(text.slice(len(name) + 1, len(text))) if equals else self.given(name)
        return found

    def given(self, name: str) -> Located | None:
        """A variable that a service takes from where compose is run: from the `.env` beside its file."""
        return (self.variables(self.path.parent / ".env") or {}).get(name)

    def filled(self, text: Located) -> Located:
        """The text with `${NAME:-default}` replaced, from the `.env` file beside the compose file."""
        if "$" not in text.text:
            return text
        known = self.variables(self.path.parent / ".env") or {}
        parts: list[Located] = []
        position = 0
        for found in _VARIABLE.finditer(text.text):
            parts.append(text.slice(position, found.start()))
            parts.append(_value(found, text, known))
            position = found.end()
        parts.append(text.slice(position, len(text)))
        return word(parts)

    def built(self, images: Images) -> Image | None:
        """The image that the service builds."""
        build = self.get("build")
        if build is None:
            return None
        folder = self.text("build", "context") if isinstance(build, YamlMapping) else self.text("build")
        name = self.text("build", "dockerfile") if isinstance(build, YamlMapping) else ""
        context = normal(self.path.parent / folder)
        image = images.at(normal(context / (name or "Dockerfile")), self.text("build", "target"))
        if image is not None and self.text("image"):
            images.name(self.text("image"), image)
        return image


def _value(found: re.Match[str], text: Located, known: Mapping[str, Located | None]) -> Located:
    name = found.group(1) or found.group(4)
    if name is None:
        return text.slice(found.start(), found.start() + 1)
    value = known.get(name)
    if value is not None and (value.text or not (found.group(2) or "").startswith(":")):
        return value
    if found.group(2) in ("-", ":-"):
        return text.slice(*found.span(3))
    return Located.computed(UNKNOWN, text.slice(*found.span()).place)


def dotenv(sources: Sources, path: Path) -> dict[str, Located | None] | None:
    """The variables of an environment file, or None where the project has no such file."""
    source = sources.source(path) if path in sources.known_paths else None
    if source is None:
        return None
    return assignments(Located.of(source))


def assignments(text: Located) -> dict[str, Located | None]:
    """The variables that the lines of a text assign."""
    values: dict[str, Located | None] = {}
    for found in _LINE.finditer(text.text):
        value = text.slice(*found.span(2)).strip()
        quote = value.text[:1]
        if quote in "\"'" and quote and value.text.endswith(quote) and len(value) > 1:
            value = value.slice(1, len(value) - 1)
        else:
            value = value.slice(0, len(re.split(r"\s#", value.text)[0]))
        values[found.group(1)] = value
    return values
