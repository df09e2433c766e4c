"""Quadlets: containers that systemd runs with podman.

https://docs.podman.io/en/latest/markdown/podman-systemd.unit.5.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.forms.resources import Container, Setting, Workload
from servelint.manifests.forms.sources import normal
from servelint.manifests.shell.commandline import split

SUFFIX = ".container"
_SECTION = re.compile(r"^\[Container\][ \t]*+\r?$", re.MULTILINE)
_NEXT = re.compile(r"^\[", re.MULTILINE)
_ENTRY = re.compile(r"^(\w++)[ \t]*+=[ \t]*+((?:[^\\\n]|\\\r?\n|\\.)*)", re.MULTILINE)
_ASSIGNED = re.compile(r"(\w+)=(.*)", re.DOTALL)

Variables = Callable[[Path], dict[str, Located | None] | None]


def workload(code: Located, path: Path, variables: Variables) -> Workload | None:
    """The container that a unit runs; `variables` reads an environment file."""
    begun = _SECTION.search(code.text)
    if begun is None:
        return None
    ended = _NEXT.search(code.text, begun.end())
    said: dict[str, list[Located]] = {}
    for found in _ENTRY.finditer(code.text, begun.end(), ended.start() if ended else len(code.text)):
        said.setdefault(found[1], []).append(code.slice(*found.span(2)).strip())
    values: dict[str, Located | None] = {}
    complete = True
    for file in said.get("EnvironmentFile", ()):
        read = variables(normal(path.parent / file.text.lstrip("-").replace("%h/", "")))
        complete = complete and read is not None
        values.update(read or {})
    for line in said.get("Environment", ()):
        for word in split(line):
            if assigned := _ASSIGNED.fullmatch(word.text):
                values[assigned[1]] = word.slice(*assigned.span(2))
    images, commands = said.get("Image"), said.get("Exec")
    entrypoints = said.get("Entrypoint")
    words = tuple(split(commands[-1])) if commands else None
    container = Container(
        name="",
        image=images[-1] if images else None,
        command=(*split(entrypoints[-1]), *(words or ())) if entrypoints else None,
        arguments=None if entrypoints else words,
        environment=Environment(values, not complete),
        place=code.place_of(*begun.span()),
        ports=tuple(port.text.rpartition(":")[2].partition("/")[0] for port in said.get("PublishPort", ())),
    )
    return Workload("Unit", path.stem, path, (container,), Setting.PROCESS)
