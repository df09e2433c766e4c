"""What runs containers, neither for Kubernetes nor for compose: platforms, programs, commands."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from servelint.boundary import Boundary
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.deployed.images import ImageIndex
from servelint.manifests.deployed.ordered import Ordered
from servelint.manifests.deployed.reading import Reader
from servelint.manifests.deployed.relevance import Relevance
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, YamlMapping
from servelint.manifests.forms import compose, infrastructure, kubernetes, masking, platforms
from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.resources import Resources, Workload
from servelint.manifests.forms.sources import Sources
from servelint.manifests.runners import ansible, bicep, nomad, pulumi, quadlets

SUFFIXES = (infrastructure.TYPESCRIPT, *nomad.SUFFIXES, bicep.SUFFIX, quadlets.SUFFIX)
TEST_FOLDER = re.compile(r"(^|/)(tests?|testing|testdata|test_data|fixtures)(/|$)")
_YAML = (".yaml", ".yml")


class Host(Protocol):
    """What joins all that is described."""

    sources: Sources
    reader: Reader
    images: ImageIndex
    relevance: Relevance
    deployment: Deployment

    def boundary(self, path: Path, stage: str) -> Boundary:
        """Keeps what goes wrong with one file from the others."""

    def follow(self, workload: Workload, config_maps: dict[str, YamlMapping], image: Image | None) -> None:
        """Follow what a workload's containers run."""

    def add_scope(self, found: Resources) -> None:
        """Add documents that know each other."""


class Others:
    """Reads them, one form after another."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def add(self, paths: Sequence[Path]) -> None:
        """All forms."""
        self.add_platforms(paths)
        self.add_infrastructure(self.host.sources.tree.python)
        self.add_stacks(paths)
        self.add_files(paths)
        self.add_orders(paths)

    def add_infrastructure(self, paths: Iterable[Path]) -> None:
        """Python programs that describe deployments, all of them as one set of documents."""
        found = Resources()
        for path in paths:
            data = self.host.sources.data(path)
            if not any(word in data for word in infrastructure.LIBRARIES) or not (
                any(word in data for word in infrastructure.SCALING) or self.host.relevance.matters(path)
            ):
                continue
            source = self.host.sources.source(path)
            if source is not None and not TEST_FOLDER.search(self.host.deployment.relative(path)):
                with self.host.boundary(path, "reading what a program deploys"):
                    found.extend(infrastructure.resources(source))
        self.host.add_scope(found)

    def add_stacks(self, paths: Iterable[Path]) -> None:
        """Stacks in TypeScript."""
        for path in paths:
            source = self.host.sources.source(path) if path.suffix == infrastructure.TYPESCRIPT else None
            if source is not None and b"aws-cdk" in self.host.sources.data(path):
                with self.host.boundary(path, "reading a stack"):
                    self.host.add_scope(infrastructure.typescript(source))

    def add_platforms(self, paths: Iterable[Path]) -> None:
        """Files of platforms that run containers, and documents that mean the same as Kubernetes'."""
        for path in paths:
            if not (platforms.is_platform(path) or path.suffix == ".json" or self.is_cloud(path)):
                continue
            if self.matters(path):
                with self.host.boundary(path, "reading what a platform runs"):
                    self.add_platform(path)

    def is_cloud(self, path: Path) -> bool:
        """Whether a file is a template of CloudFormation, or describes a container app of Azure."""
        data = self.host.sources.data(path) if path.suffix in _YAML else b""
        if b"AWS::" in data:
            return b"Resources" in self.host.sources.top_keys(path)
        named = b"containers:" in data and any(word in data for word in platforms.CONTAINER_APP)
        return named and b"properties" in self.host.sources.top_keys(path)

    def add_platform(self, path: Path) -> None:
        """What one of them says."""
        found = Resources()
        for node in self.host.reader.documents(path):
            if not isinstance(node, YamlMapping):
                continue
            for service in platforms.services(node, path):
                image = self.host.images.at(service.dockerfile) if service.dockerfile is not None else None
                self.host.follow(service.workload, {}, image)
            found.extend(kubernetes.resources(list(platforms.documents(node)), path))
            found.autoscalers.extend(platforms.autoscalers(node, path))
        self.host.add_scope(found)

    def matters(self, path: Path) -> bool:
        """Whether a file may run something of this project, or names a server."""
        relevance = self.host.relevance
        return bool(self.host.images.starts) or relevance.matters(path) or relevance.may_run_program(path)

    def add_files(self, paths: Iterable[Path]) -> None:
        """Jobs of Nomad, quadlets, Bicep, programs of Pulumi's in YAML, tasks of Ansible."""
        for path in paths:
            suffix = masking.suffix(path)
            if suffix in SUFFIXES:
                data, wanted = self.host.sources.data(path), True
            elif suffix in _YAML and (pulumi.may_be(path) or ansible.may_hold_tasks(path)):
                data = self.host.sources.data(path)
                wanted = pulumi.is_program(path, data) or any(word in data for word in ansible.WORDS)
            else:
                continue
            if wanted and self.matters(path):
                with self.host.boundary(path, "reading what runs containers"):
                    self.add_file(path, suffix, data)

    def add_file(self, path: Path, suffix: str, data: bytes) -> None:
        """What one of them says."""
        source = self.host.sources.source(path)
        if source is None:
            return
        code, found = Located.of(source), Resources()
        if suffix in nomad.SUFFIXES and nomad.is_job(data):
            found.workloads.extend(nomad.workloads(code, path, self.host.reader.written))
        elif suffix == quadlets.SUFFIX:
            variables = functools.partial(compose.dotenv, self.host.sources)
            unit = quadlets.workload(code, path, variables)
            found.workloads.extend([unit] if unit is not None else [])
        elif suffix == bicep.SUFFIX:
            for node in bicep.resources(code):
                found.extend(kubernetes.resources(list(platforms.documents(node)), path))
                found.autoscalers.extend(platforms.autoscalers(node, path))
        elif suffix in _YAML:
            for document in self.host.reader.documents(path):
                found.workloads.extend(ansible.workloads(document, path))
                found.extend(kubernetes.resources(list(_meant(document)), path))
        self.host.add_scope(found)

    def add_orders(self, paths: Iterable[Path]) -> None:
        """What commands run, in scripts and in the steps of workflows."""
        ordered = Ordered(self.host.sources, self.host.reader, self.host.images)
        for path in paths:
            if ordered.may_order(path) and self.matters(path):
                with self.host.boundary(path, "reading what commands run"):
                    found = Resources()
                    for workload, image, autoscalers in ordered.found(path):
                        if workload is not None:
                            self.host.follow(workload, {}, image)
                        found.autoscalers.extend(autoscalers)
                    self.host.add_scope(found)


def _meant(document: Node) -> Iterable[Node]:
    """The Kubernetes documents in a program of Pulumi's or in the tasks of Ansible."""
    if isinstance(document, YamlMapping):
        return pulumi.documents(document)
    return ansible.definitions(document)
