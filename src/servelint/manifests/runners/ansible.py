"""Ansible: the containers that tasks run, and the documents that they apply.

https://docs.ansible.com/ansible/latest/collections/community/docker/docker_container_module.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlMapping,
    YamlSequence,
    scalars,
)
from servelint.manifests.forms.resources import Container, Setting, Workload
from servelint.manifests.shell.commandline import Words, split

# One of these is a key of a task that runs a container, or that applies a document.
_RUNNING = frozenset(
    (
        *("docker_container", "community.docker.docker_container", "podman_container"),
        *("containers.podman.podman_container", "docker_swarm_service"),
        *("community.docker.docker_swarm_service",),
    )
)
_APPLYING = frozenset(("k8s", "kubernetes.core.k8s", "community.kubernetes.k8s", "community.okd.k8s"))
WORDS = (b"docker_container:", b"podman_container:", b"swarm_service:", b"k8s:")
# Where tasks are.
_TASKS = re.compile(
    r"/(?:ansible|roles|playbooks?|tasks|handlers)/|/(?:playbook|site|deploy|provision|main)[^/]*$"
)
_DEFINITIONS = ("definition", "resource_definition")
_INNER = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


def may_hold_tasks(path: Path) -> bool:
    """Whether a file may hold tasks, by where it is."""
    return _TASKS.search(path.as_posix()) is not None


def _tasks(node: Node, depth: int = 0) -> Iterator[YamlMapping]:
    """The tasks of plays, roles and blocks."""
    for item in node.items if isinstance(node, YamlSequence) and depth < 10 else ():
        if isinstance(item, YamlMapping):
            yield item
            for key in _INNER:
                inner = item.get(key)
                if inner is not None:
                    yield from _tasks(inner, depth + 1)


def workloads(document: Node, path: Path) -> Iterator[Workload]:
    """The containers that tasks run."""
    for task in _tasks(document):
        for key, said in task.index().values():
            if key.value in _RUNNING and isinstance(said, YamlMapping) and said.text("state") != "absent":
                yield Workload("Container", said.text("name"), path, (_container(said),), Setting.PROCESS)


def definitions(document: Node) -> Iterator[Node]:
    """The Kubernetes documents that tasks apply."""
    for task in _tasks(document):
        for key, said in task.index().values():
            if key.value not in _APPLYING or not isinstance(said, YamlMapping):
                continue
            if said.text("state") == "absent":
                continue
            for name in _DEFINITIONS:
                found = said.get(name)
                yield from found.items if isinstance(found, YamlSequence) else (found,) if found else ()


def _container(said: YamlMapping) -> Container:
    variables = said.mapping("env")
    image = said.scalar("image")
    listed = said.items("env")
    values = {
        key.value: value.text if isinstance(value, Scalar) and not value.is_null else None
        for key, value in (variables.index().values() if variables is not None else ())
    }
    for item in scalars(listed):
        name, equals, _ = item.value.partition("=")
        values[name] = item.text.slice(len(name) + 1, len(item.text)) if equals else None
    entrypoint = _words(said.get("entrypoint"))
    words = _words(said.get("command"))
    return Container(
        name="",
        image=image.text if image else None,
        command=(*entrypoint, *(words or ())) if entrypoint else None,
        arguments=None if entrypoint else words,
        environment=Environment(values, said.get("env_file") is not None),
        place=said.place,
    )


def _words(node: Node | None) -> Words | None:
    if isinstance(node, YamlSequence):
        return tuple(item.text for item in scalars(node.items))
    text: Located | None = node.text if isinstance(node, Scalar) and not node.is_null else None
    return tuple(split(text)) if text is not None else None
