"""YAML files that say how a server runs, such as BentoML's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from servelint.knowledge.servers import Server
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlError, YamlMapping, parse
from servelint.manifests.shell.commandline import ASSUMED_CORES, WorkerCount, count
from servelint.project.text.source import Source


def workers(source: Source, server: Server) -> WorkerCount | None:
    """The largest number of workers that the file says under one of the server's keys."""
    try:
        documents = parse(Located.of(source))
    except YamlError:
        return None
    found = [
        number
        for document in documents
        for key in server.workers.keys
        for scalar in _under(document, key.split("."))
        if (number := _number(scalar, server)) is not None
    ]
    return max(found, key=lambda number: number.number, default=None)


def _number(scalar: Scalar, server: Server) -> WorkerCount | None:
    if server.workers.per_core and scalar.value == server.workers.per_core:
        return WorkerCount(ASSUMED_CORES, True, Located.computed(scalar.value, scalar.place))
    return count(scalar.text)


def _under(node: Node | None, keys: Sequence[str]) -> Iterator[Scalar]:
    """The scalars under a path of keys, of which a star is any."""
    if isinstance(node, Scalar) and not keys:
        yield node
    elif isinstance(node, YamlMapping) and keys:
        for name in node.index() if keys[0] == "*" else keys[:1]:
            yield from _under(node.get(name), keys[1:])
