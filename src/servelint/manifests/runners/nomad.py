"""Nomad: the tasks of a job as containers.

https://developer.hashicorp.com/nomad/docs/job-specification
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, scalars
from servelint.manifests.forms import hcl
from servelint.manifests.forms.compose import assignments
from servelint.manifests.forms.hcl import Block, Body
from servelint.manifests.forms.resources import Container, Workload
from servelint.manifests.shell.commandline import Words

SUFFIXES = (".nomad", ".hcl")
# The drivers that run a command by itself; others run it in an image.
_BARE = frozenset(("exec", "exec2", "raw_exec", "java"))


def is_job(data: bytes) -> bool:
    """Whether a file describes a job."""
    return b"job " in data and b"task " in data


def workloads(code: Located, path: Path, documents: Callable[[Located], list[Node]]) -> Iterator[Workload]:
    """The groups of a file's jobs, each with the containers of its tasks."""
    for job in _named(hcl.parse(code, documents), "job"):
        for group in _named(job.body, "group"):
            containers = tuple(_container(task) for task in _named(group.body, "task"))
            yield Workload("Job", job.labels[0] if job.labels else "", path, containers)


def _named(body: Body, name: str) -> Iterator[Block]:
    return (block for block in body.blocks if block.name.value == name)


def _container(task: Block) -> Container:
    config = next(task.body.below("config"), None) or Body(task.body.place, 0, 0)
    given = config.get("command")
    words = (*((given.text,) if isinstance(given, Scalar) else ()), *_words(config.get("args")))
    entrypoint = _words(config.get("entrypoint"))
    image = config.get("image")
    bare = task.body.text("driver") in _BARE
    if bare:
        command, arguments = words or None, None
    elif entrypoint:
        command, arguments = (*entrypoint, *words), None
    else:
        command, arguments = None, words or None
    return Container(
        name=task.labels[0] if task.labels else "",
        image=image.text if isinstance(image, Scalar) else None,
        command=command,
        arguments=arguments,
        environment=Environment(_variables(task.body)),
        place=task.name.place,
    )


def _words(node: Node | None) -> Words:
    return tuple(item.text for item in scalars(node.items)) if isinstance(node, YamlSequence) else ()


def _variables(body: Body) -> dict[str, Located | None]:
    """What `env` says, and templates that are read as variables."""
    found: dict[str, Located | None] = {}
    for template in body.below("template"):
        data = template.get("data")
        if template.text("env") == "true" and isinstance(data, Scalar):
            found.update(assignments(data.text))
    said = body.get("env")
    pairs = list(said.entries) if isinstance(said, YamlMapping) else []
    for block in body.below("env"):
        pairs += block.attributes
    found.update({key.value: value.text if isinstance(value, Scalar) else None for key, value in pairs})
    return found
