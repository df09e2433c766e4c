"""Finds the files that matter and turns them into one deployment.

A repository may hold thousands of manifests. Whether one matters is decided by its bytes; only those that
do are parsed.
"""

from __future__ import annotations

import re
from pathlib import Path

from servelint.finding import Problem
from servelint.manifests import dockerfile, kubernetes, masking
from servelint.manifests.applications import Applications
from servelint.manifests.deployment import Deployment
from servelint.manifests.environment import Environment
from servelint.manifests.resources import Resources, Setting, Workload
from servelint.manifests.servers import servers
from servelint.manifests.sources import Sources, Tree
from servelint.manifests.starts import Context, Follower, Image
from servelint.manifests.text import Located
from servelint.manifests.yaml_document import Node, YamlError, parse

_YAML = (".yaml", ".yml")
_DOCKERFILE = re.compile(r"(?:.*\.)?(?:dockerfile|containerfile)(?:[._-].*)?", re.IGNORECASE)
_AUTOSCALED = (b"HorizontalPodAutoscaler", b"ScaledObject", b"/metric:", b"scaleMetric", b"autoScaling")


def deployment(tree: Tree, applications: Applications | None) -> tuple[Deployment, tuple[Problem, ...]]:
    """Everything the tree's manifests describe, and the files that could not be read."""
    sources = Sources(tree)
    collected = _Collector(sources, Deployment(tree.root, Resources(), applications=applications))
    collected.run()
    return collected.deployment, tuple(sources.problems)


class _Collector:
    def __init__(self, sources: Sources, deployment: Deployment) -> None:
        self.sources = sources
        self.deployment = deployment
        self.follower = Follower(sources)
        self.images: list[Image] = []

    def run(self) -> None:
        for path in self.sources.tree.manifests:
            if is_dockerfile(path.name):
                self.add_dockerfile(path)
            elif path.suffix in _YAML:
                self.add_yaml(path)
        for workload in self.deployment.resources.workloads:
            self.follow(workload)
        for image in self.images:
            context = Context(Setting.IMAGE, image.path.parent, image=image)
            self.deployment.starts.extend(self.follower.image(image, _none(), context))

    def add_dockerfile(self, path: Path) -> None:
        source = self.sources.source(path)
        if source is not None:
            stages = dockerfile.stages(Located.of(source))
            self.images.extend(Image(path, stage, stage is stages[-1]) for stage in stages)

    def add_yaml(self, path: Path) -> None:
        data = self.sources.data(path)
        if not _matters(data):
            return
        documents = self.documents(path)
        self.deployment.resources.extend(kubernetes.resources(documents, path))

    def documents(self, path: Path) -> list[Node]:
        source = self.sources.source(path)
        if source is None:
            return []
        text = Located.of(source)
        try:
            return parse(text)
        except YamlError:
            masked = masking.masked(text)
            if masked is not None:
                try:
                    return parse(masked)
                except YamlError as inner:
                    error = inner
            self.sources.problem(path, f"not valid YAML: {error}", error.line)
            return []

    def follow(self, workload: Workload) -> None:
        for container in workload.containers:
            if container.init:
                continue
            context = Context(workload.setting, workload.path.parent, workload, container)
            self.deployment.starts.extend(self.follower.container(context))


def _none() -> Environment:
    return Environment()


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is a Dockerfile."""
    return _DOCKERFILE.fullmatch(name) is not None


def _matters(data: bytes) -> bool:
    return any(word in data for word in (*_AUTOSCALED, *servers().words))
