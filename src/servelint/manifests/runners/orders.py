"""Commands that run a container or set its variables: `docker run`, `gcloud run deploy`, `kubectl set env`.

Which there are, and what their options mean, is in `rules/servers/orders.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from servelint.knowledge.servers import Order, servers
from servelint.manifests.documents.text import Located
from servelint.manifests.shell.commandline import Words, behind, split

_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_DELIMITER = re.compile(r"\^([^^]{1,10})\^")
# What builds an image and gives it a name: https://docs.docker.com/reference/cli/docker/buildx/build/
_BUILDERS = (("build",), ("buildx", "build"), ("image", "build"))
_BUILD_FLAGS = frozenset(("--no-cache", "--pull", "--push", "--load", "-q", "--quiet", "--rm", "--squash"))


@dataclass(slots=True)
class Given:
    """What a command says of the container that it runs; `files` hold variables, `folder` is built from."""

    order: Order
    place: Located
    name: str = ""
    image: Located | None = None
    command: Words | None = None
    arguments: Words | None = None
    script: Located | None = None
    variables: dict[str, Located | None] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    folder: str | None = None
    ports: list[str] = field(default_factory=list)
    memory: list[Located] = field(default_factory=list)
    kind: str = ""
    patch: Located | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """An image that a command builds."""

    name: str
    folder: str
    dockerfile: str


def given(words: Words) -> Given | None:
    """What a command line says, behind what launches it; None where it runs no container."""
    words = behind(words)
    if not words:
        return None
    command = PurePosixPath(words[0].text).name
    for order in servers().orders:
        if command not in order.commands:
            continue
        for subcommand in order.subcommands:
            rest = _behind(words[1:], subcommand.split())
            if rest is not None:
                return _read(order, words[0], rest)
    return None


def built(words: Words) -> Built | None:
    """The image that a command line builds and names."""
    words = behind(words)
    if not words or PurePosixPath(words[0].text).name not in ("docker", "podman", "nerdctl"):
        return None
    texts = [word.text for word in words[1:]]
    for start in _BUILDERS:
        if tuple(texts[: len(start)]) != start:
            continue
        name, dockerfile, folder = "", "", ""
        rest = iter(texts[len(start) :])
        for text in rest:
            option, equals, value = text.partition("=")
            if not option.startswith("-"):
                folder = text
            elif option not in _BUILD_FLAGS:
                value = value if equals else next(rest, "")
                if option in ("-t", "--tag"):
                    name = name or value
                elif option in ("-f", "--file"):
                    dockerfile = value
        return Built(name, folder, dockerfile) if name and folder else None
    return None


def _behind(words: Words, subcommand: list[str]) -> Words | None:
    """What follows the subcommand; options of the command itself may stand before it."""
    position = 0
    for part in subcommand:
        while position < len(words) and words[position].text.startswith("-"):
            position += 1 if "=" in words[position].text else 2
        if position >= len(words) or words[position].text != part:
            return None
        position += 1
    return words[position:]


def _read(order: Order, command: Located, words: Words) -> Given:
    found = Given(order, command)
    operands = list(order.operands)
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        option, equals, _ = word.text.partition("=")
        if word.text == "--":
            found.arguments = words[position:]
            break
        if not word.text.startswith("-") or word.text == "-":
            kind = operands[0] if operands else ""
            if kind == "image":
                found.image, found.arguments = word, words[position:] or None
                break
            _operand(found, kind, word)
            if kind in ("name", "kind"):
                operands.pop(0)
        elif option in order.flags and not equals:
            continue
        elif equals and option.startswith("--"):
            _option(found, option, (word.slice(len(option) + 1, len(word)),))
        elif option not in _known(order) and option[:2] in order.environment and len(option) > 2:
            _option(found, option[:2], (word.slice(2, len(word)),))
        else:
            end = position + 1
            if order.separator == " " and option in order.environment:
                while end < len(words) and not words[end].text.startswith("-"):
                    end += 1
            _option(found, option, words[position:end])
            position = end
    return found


def _known(order: Order) -> tuple[str, ...]:
    return (*order.environment, *order.files, *order.name, *order.ports, *order.image)


def _operand(found: Given, kind: str, word: Located) -> None:
    """A plain word: what it is about, or a variable."""
    if kind in ("name", "kind"):
        # `deployment api` and `deployment/api`
        before, slash, name = word.text.rpartition("/")
        found.kind = before if slash else word.text if kind == "kind" else found.kind
        found.name = name
        return
    assigned = _ASSIGNED.fullmatch(word.text)
    if kind == "variables" and assigned is not None:
        found.variables[assigned[1]] = word.slice(*assigned.span(2))
    elif kind == "variables":
        found.name = word.text


def _option(found: Given, option: str, values: Words) -> None:
    order = found.order
    value = values[0] if values else None
    if value is None:
        return
    if option in order.environment:
        for text in values:
            found.variables.update(_variables(text, order.separator))
    elif option in order.files:
        found.files.append(value.text)
    elif option in (*order.entrypoint, *order.command):
        found.command = tuple(_words(value, order.words))
    elif option in order.arguments:
        found.arguments = tuple(_words(value, order.words))
    elif option in order.script:
        found.script = value
    elif option in order.patch:
        found.patch = value
    elif option in order.image:
        found.image = value
    elif option in order.name:
        found.name = value.text
    elif option in order.folder:
        found.folder = value.text
    elif option in order.ports:
        found.ports.append(value.text.rpartition(":")[2].partition("/")[0])
    elif option in order.scales or (option in order.memory and value.text == "memory"):
        found.memory.append(value)


def _variables(text: Located, separator: str) -> Iterator[tuple[str, Located | None]]:
    """`A=1`, or several such parted by a separator, which the text may name itself: `^;^A=1;B=2`."""
    start = 0
    own = _DELIMITER.match(text.text) if separator == "," else None
    if own is not None:
        separator, start = own[1], own.end()
    parts = list(_parts(text.slice(start, len(text)), separator)) if separator.strip() else [text]
    for part in parts:
        assigned = _ASSIGNED.fullmatch(part.text)
        if assigned is not None:
            yield assigned[1], part.slice(*assigned.span(2))
        elif part.text.isidentifier():
            yield part.text, None


def _parts(text: Located, separator: str) -> Iterator[Located]:
    position = 0
    while position <= len(text):
        end = text.text.find(separator, position)
        end = len(text) if end < 0 else end
        yield text.slice(position, end)
        position = end + len(separator)


def _words(text: Located, separator: str) -> Iterator[Located]:
    """The words of a command that one option holds."""
    parts = list(_parts(text, separator)) if separator.strip() else list(split(text))
    yield from (part.strip() for part in parts if part.text.strip())
