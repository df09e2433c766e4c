"""Kubernetes documents as workloads, autoscalers and ConfigMaps.

Containers are found wherever a pod's specification may stand, so that a custom resource which embeds one
(Argo Rollouts, Knative, KServe, Ray, Seldon) needs no code of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from servelint.boundary import LimitError
from servelint.knowledge.servers import servers
from servelint.manifests.documents import openshift
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, word
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, scalars
from servelint.manifests.forms import autoscalers
from servelint.manifests.forms.resources import Container, Probe, Resources, Workload

_NOT_WORKLOADS = frozenset(
    (
        "CustomResourceDefinition",
        "VerticalPodAutoscaler",
        "ConfigMap",
        "Secret",
        "LimitRange",
        "ResourceQuota",
        "Workflow",
    )
)
_BATCH = frozenset(("Job", "CronJob", "ScaledJob", "SparkApplication", "PyTorchJob", "TFJob", "RayJob"))
_DEPTH = 14
_MAX_ENVIRONMENT = 2_097_152  # what the Linux kernel takes for all arguments and variables
_SECONDS = re.compile(r"[0-9]{1,9}")
_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")


def resources(documents: Sequence[Node], path: Path) -> Resources:
    """What a file's documents describe."""
    found = Resources()
    for document in documents:
        if isinstance(document, YamlMapping):
            _add(found, document, path)
        elif isinstance(document, YamlSequence):
            for item in document.items:
                if isinstance(item, YamlMapping) and item.text("kind"):
                    _add(found, item, path)
    return found


def _add(found: Resources, document: YamlMapping, path: Path) -> None:
    kind = document.text("kind")
    if kind.endswith("List") and document.items("items"):
        for item in document.mappings("items"):
            _add(found, item, path)
        return
    if kind == "Template" and document.items("objects"):
        for item in openshift.objects(document):
            _add(found, item, path)
        return
    if not kind or document.text("$patch") == "delete":
        return
    if kind == "ConfigMap":
        data = document.mapping("data")
        if data is not None:
            found.config_maps[document.text("metadata", "name")] = data
    elif kind == "LimitRange":
        found.default_requests = True
    if kind not in _NOT_WORKLOADS:
        found.autoscalers.extend(autoscalers.autoscalers(document, path))
        workload = _workload(document, kind, path)
        if workload is not None:
            found.workloads.append(workload)


def _workload(document: YamlMapping, kind: str, path: Path) -> Workload | None:
    spec = document.get("spec")
    # Some charts of one resource put the template elsewhere; a Pod template has no `spec` of its own kind.
    node = spec if spec is not None else document.get("template")
    containers = tuple(_containers(node, 0, set())) if node is not None else ()
    if not containers:
        return None
    return Workload(
        kind=kind,
        name=document.text("metadata", "name"),
        path=path,
        containers=containers,
        namespace=document.text("metadata", "namespace"),
        batch=kind in _BATCH,
    )


def _containers(node: Node, depth: int, seen: set[int]) -> Iterator[Container]:
    """The containers below a node; what aliases repeat is looked at once."""
    if depth > _DEPTH or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, YamlSequence):
        for item in node.items:
            yield from _containers(item, depth + 1, seen)
    elif isinstance(node, YamlMapping):
        for key, value in node.index().values():
            if key.value in ("containers", "initContainers", "ephemeralContainers") and isinstance(
                value, YamlSequence
            ):
                for item in value.items:
                    if isinstance(item, YamlMapping):
                        init = key.value != "containers" and not _is_sidecar(item)
                        yield _container(item, init=init, pod=node)
            elif (
                key.value in servers().embedded
                and isinstance(value, YamlMapping)
                and value.get("storageUri") is not None
            ):
                yield _container(value, init=False, pod=None)
            else:
                yield from _containers(value, depth + 1, seen)


def _is_sidecar(node: YamlMapping) -> bool:
    return node.text("restartPolicy") == "Always"


def _container(node: YamlMapping, *, init: bool, pod: YamlMapping | None) -> Container:
    environment = _environment(node)
    image = node.scalar("image")
    name = node.scalar("name")
    return Container(
        name=node.text("name"),
        image=image.text if image else None,
        command=_words(node, "command", environment),
        arguments=_words(node, "args", environment),
        environment=environment,
        place=name.text.place if name is not None and name.value else node.place,
        folder=node.text("workingDir"),
        environment_from=tuple(item.text("configMapRef", "name") for item in node.mappings("envFrom")),
        environment_keys=tuple(_environment_keys(node)),
        cpu_request=node.scalar("resources", "requests", "cpu"),
        cpu_limit=node.scalar("resources", "limits", "cpu"),
        cpu_of_pod=_cpu_of_pod(pod),
        liveness=_probe(node),
        ports=tuple(item.text("containerPort") for item in node.mappings("ports")),
        init=init,
    )


def _cpu_of_pod(pod: YamlMapping | None) -> Scalar | None:
    """https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/"""
    if pod is None:
        return None
    return pod.scalar("resources", "requests", "cpu") or pod.scalar("resources", "limits", "cpu")


def _words(node: YamlMapping, key: str, environment: Environment) -> tuple[Located, ...] | None:
    value = node.get(key)
    if isinstance(value, YamlSequence):
        return tuple(expanded(item.text, environment) for item in scalars(value.items))
    if isinstance(value, Scalar) and not value.is_null:
        # The API takes a list only; a template may still build it from one string.
        return (value.text,)
    return None


def expanded(text: Located, environment: Environment) -> Located:
    """The text with `$(NAME)` replaced by the values of variables that are known; `$$` is a dollar."""
    if "$" not in text.text:
        return text
    parts: list[Located] = []
    position = 0
    for found in _REFERENCE.finditer(text.text):
        value = environment.get(found.group(1)) if found.group(1) else None
        if value is None and found.group(1):
            continue
        parts.append(text.slice(position, found.start()))
        parts.append(value if value is not None else text.slice(found.start(), found.start() + 1))
        position = found.end()
    parts.append(text.slice(position, len(text)))
    return word(parts)


def _environment(node: YamlMapping) -> Environment:
    values: dict[str, Located | None] = {}
    length = 0
    for item in node.mappings("env"):
        value = item.scalar("value")
        name = item.text("name")
        if name:
            text = expanded(value.text, Environment(values)) if value else None
            length += len(text) if text is not None else 0
            if length > _MAX_ENVIRONMENT:
                raise LimitError(
                    f"an environment of more than {_MAX_ENVIRONMENT:,} characters", item.place.span.line
                )
            values[name] = text
    return Environment(values, bool(node.items("envFrom")))


def _environment_keys(node: YamlMapping) -> Iterator[tuple[str, str, str]]:
    for item in node.mappings("env"):
        reference = item.mapping("valueFrom", "configMapKeyRef")
        if reference is not None:
            yield item.text("name"), reference.text("name"), reference.text("key")


def with_config_maps(container: Container, config_maps: Mapping[str, YamlMapping]) -> Container:
    """The container with the variables that it takes from ConfigMaps, and its references to them resolved."""
    values: dict[str, Located | None] = {}
    complete = True
    for name in container.environment_from:
        data = config_maps.get(name)
        complete = complete and data is not None
        for key, value in data.index().values() if data is not None else ():
            values[key.value] = value.text if isinstance(value, Scalar) and not value.is_null else None
    own = dict(container.environment.values)
    for variable, name, data_key in container.environment_keys:
        found = config_maps[name].scalar(data_key) if name in config_maps else None
        if found is not None:
            own[variable] = found.text
    if not values and own == container.environment.values:
        return container
    environment = Environment({**values, **own}, not complete)
    return replace(
        container,
        environment=environment,
        command=_resolved(container.command, environment),
        arguments=_resolved(container.arguments, environment),
    )


def _resolved(words: tuple[Located, ...] | None, environment: Environment) -> tuple[Located, ...] | None:
    return None if words is None else tuple(expanded(word, environment) for word in words)


def _probe(container: YamlMapping) -> Probe | None:
    node = container.mapping("livenessProbe")
    get = node.mapping("httpGet") if node is not None else None
    if node is None or get is None:
        return None

    def seconds(key: str, default: int) -> int:
        text = node.text(key)
        return int(text) if _SECONDS.fullmatch(text) else default

    return Probe(
        path=get.text("path"),
        port=get.text("port"),
        period=seconds("periodSeconds", 10),
        timeout=seconds("timeoutSeconds", 1),
        failures=seconds("failureThreshold", 3),
        place=container.index()["livenessProbe"][0].place,
    )
