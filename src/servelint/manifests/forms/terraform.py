"""Terraform: resources that run containers or scale them, as the Kubernetes documents that they mean.

The provider for Kubernetes writes `initContainers` as blocks `init_container`; other providers have forms of
their own for the same things. What comes of them keeps its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, walk
from servelint.manifests.forms import hcl, kubernetes, platforms
from servelint.manifests.forms.autoscalers import number, on_memory
from servelint.manifests.forms.hcl import Block, Body
from servelint.manifests.forms.resources import AZURE_APP, Autoscaler, Resources

SUFFIXES = (".tf", ".tofu")
# What a file with an autoscaler holds.
SCALING = (
    *(b"horizontal_pod_autoscaler", b"AverageMemoryUtilization", b"custom_scale_rule"),
    b"customized_metric_specification",
)

_STRING = "tag:yaml.org,2002:str"
_KUBERNETES = re.compile(r"kubernetes_(\w+?)(?:_v\d+(?:(?:alpha|beta)\d+)?)?")
_KINDS = {"daemonset": "DaemonSet", "stateful_set": "StatefulSet", "statefulset": "StatefulSet"}
# Other providers' resources that run containers, by what messages call them.
_SERVICES = {
    "google_cloud_run_service": "Service",
    "google_cloud_run_v2_service": "Service",
    "azurerm_container_app": AZURE_APP,
}
_TASK = "aws_ecs_task_definition"
# Blocks of which there may be several, by the key of the list that they are in a document.
_LISTS = {
    "container": "containers",
    "containers": "containers",
    "init_container": "initContainers",
    "env": "env",
    "env_from": "envFrom",
    "port": "ports",
    "ports": "ports",
    "metric": "metrics",
}
# What resources and modules of other kinds call a command as one text, as words, and variables.
_CODE = ("appCommandLine", "startCommand", "runCommand", "startupCommand")
_COMMANDS = ("command", "commands", "entryPoint", "entrypoint")
_VARIABLES = (
    *("environment", "env", "environmentVariables", "runtimeEnvironmentVariables", "appSettings"),
    *("containerEnvironment", "envVars", "environmentVars"),
)
_KEYS = {"target_cpu_utilization_percentage": "targetCPUUtilizationPercentage"}


def resources(
    code: Located,
    path: Path,
    documents: Callable[[Located], list[Node]],
    names: Mapping[str, Node] | None = None,
) -> Resources:
    """What the resources of a file describe; `documents` reads YAML that stands in it as a text.

    `names` are the variables and locals of its folder.
    """
    found = Resources()
    for block in hcl.parse(code, documents, names).blocks:
        if block.name.value == "resource" and len(block.labels) == 2:
            found.extend(kubernetes.resources(list(_documents(block, documents)), path))
            found.autoscalers.extend(_autoscalers(block, path))
        elif block.name.value == "module" and block.labels:
            found.extend(kubernetes.resources(list(_told(block)), path))
            found.autoscalers.extend(_tracked(block, path))
    return found


def _documents(block: Block, documents: Callable[[Located], list[Node]]) -> Iterator[Node]:
    """The Kubernetes documents that a resource means."""
    kind, body = block.labels[0], block.body
    if kind == "kubernetes_manifest":
        manifest = body.get("manifest")
        if manifest is not None:
            yield manifest
    elif kind == "kubectl_manifest":
        written = body.get("yaml_body")
        yield from documents(written.text) if isinstance(written, Scalar) else (written,) if written else ()
    elif found := _KUBERNETES.fullmatch(kind):
        yield _document(block, _KINDS.get(found[1]) or _title(found[1]), body)
    elif kind in _SERVICES:
        yield _named(block, _SERVICES[kind], body.below("template"))
    elif kind == _TASK:
        yield _task(block, documents)
    elif kind != "helm_release":
        yield from _told(block)


def _told(block: Block) -> Iterator[Node]:
    """A workload of the containers that a resource or a module of another kind is told of, by usual names."""
    whole = _mapping(block.body)
    parts = [node for node in walk(whole) if isinstance(node, YamlMapping)]
    described = [found for part in parts if (found := _container(part, whole, block)) is not None]
    # Variables of the whole are those of the part that says a command.
    containers = [found for found in described if found.get("command") is not None] or described
    if containers:
        listed = YamlSequence(list(containers), 0, 0, block.body.place)
        spec = YamlMapping([(_word("containers", block), listed)], 0, 0, block.body.place)
        yield _with_spec(block, block.labels[0] if len(block.labels) > 1 else "Module", spec)


def _container(part: YamlMapping, whole: YamlMapping, block: Block) -> YamlMapping | None:
    """The container that a mapping describes: it says a command, or variables and no part of it says one."""
    code = next((found for key in _CODE if (found := part.scalar(key)) is not None), None)
    words = (part.get(key) for key in _COMMANDS)
    command = next((node for node in words if isinstance(node, YamlSequence)), None)
    said: list[Node | None] = [part.get(key) or whole.get(key) for key in _VARIABLES]
    variables = next((node for node in said if node is not None), None)
    own = any(part.get(key) is not None for key in _VARIABLES)
    if code is None and command is None and not own:
        return None
    entries = [(key, value) for key, value in part.entries if key.value in ("name", "image", "args")]
    if code is not None:
        shell: list[Node] = [_word("sh", block), _word("-c", block), code]
        entries.append((_word("command", block), YamlSequence(shell, 0, 0, block.body.place)))
    elif command is not None:
        entries.append((_word("command", block), command))
    if isinstance(variables, YamlMapping):
        items: list[Node] = [
            YamlMapping([(_word("name", block), key), (_word("value", block), value)], 0, 0, part.within)
            for key, value in variables.entries
        ]
        entries.append((_word("env", block), YamlSequence(items, 0, 0, part.within)))
    elif variables is not None:
        entries.append((_word("env", block), variables))
    return YamlMapping(entries, part.start, part.end, part.within)


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _document(block: Block, kind: str, body: Body) -> YamlMapping:
    document = _mapping(body)
    return YamlMapping([(_word("kind", block), _word(kind, block)), *document.entries], 0, 0, document.within)


def _named(block: Block, kind: str, templates: Iterator[Body]) -> YamlMapping:
    """A document of a kind with what a template says as its specification."""
    spec: list[Node] = [_mapping(template) for template in templates]
    return _with_spec(block, kind, YamlSequence(spec, 0, 0, block.body.place))


def _with_spec(block: Block, kind: str, spec: Node) -> YamlMapping:
    name = block.body.get("name") or block.body.get("family")
    known = isinstance(name, Scalar) and name.style == '"'
    metadata = [
        (_word("name", block), name if known and name is not None else _word(block.labels[-1], block))
    ]
    within = block.body.place
    return YamlMapping(
        [
            (_word("kind", block), _word(kind, block)),
            (_word("metadata", block), YamlMapping(metadata, 0, 0, within)),
            (_word("spec", block), spec),
        ],
        0,
        0,
        within,
    )


def _task(block: Block, documents: Callable[[Located], list[Node]]) -> YamlMapping:
    """An ECS task, whose containers are JSON or what makes JSON."""
    written = block.body.get("container_definitions")
    if isinstance(written, Scalar):
        read = documents(written.text) if written.text.runs else []
        written = read[0] if read else None
    items = written.items if isinstance(written, YamlSequence) else []
    containers = [platforms.task_container(item) for item in items if isinstance(item, YamlMapping)]
    place = block.body.place
    found = YamlSequence(list(containers), 0, 0, place)
    spec = YamlMapping([(_word("containers", block), found)], 0, 0, place)
    return _with_spec(block, "Task", spec)


def _mapping(body: Body) -> YamlMapping:
    """A body as the mapping that it is in a document."""
    entries: list[tuple[Scalar, Node]] = [(_renamed_key(key), value) for key, value in body.attributes]
    lists: dict[str, YamlSequence] = {}
    for block in body.blocks:
        key = _LISTS.get(block.name.value)
        if key is None:
            entries.append((_renamed_key(block.name), _mapping(block.body)))
            continue
        if key not in lists:
            # The list is as long as the body: its items are blocks in it.
            lists[key] = YamlSequence([], body.start, body.end, body.place)
            entries.append((_renamed_key(block.name, key), lists[key]))
        if block.repeated:
            lists[key].start = lists[key].end = 0
        lists[key].items.append(_mapping(block.body))
    return YamlMapping(entries, body.start, body.end, body.place)


def _renamed_key(key: Scalar, name: str = "") -> Scalar:
    name = name or _KEYS.get(key.value) or re.sub(r"_([a-z])", lambda found: found[1].upper(), key.value)
    return Scalar(name, key.tag, True, key.start, key.end, key.within)


def _word(text: str, block: Block) -> Scalar:
    """A word that the kind of the resource means."""
    located = Located.computed(text, block.name.place)
    return Scalar(text, _STRING, False, 0, len(text), located)


def _autoscalers(block: Block, path: Path) -> Iterator[Autoscaler]:
    """What scales on memory and is no document: a policy for ECS, a rule of a container app."""
    body, name = block.body, block.labels[1]
    if block.labels[0] == "aws_appautoscaling_policy":
        for policy in body.below("target_tracking_scaling_policy_configuration"):
            target = _said(number(policy.get("target_value")), block)
            for metric in policy.below("predefined_metric_specification"):
                kind = metric.get("predefined_metric_type")
                if isinstance(kind, Scalar) and kind.value == platforms.ECS_MEMORY:
                    yield on_memory("scaling policy", name, path, kind.text.place, target)
            for metric in policy.below("customized_metric_specification"):
                kind = metric.get("metric_name")
                if isinstance(kind, Scalar) and kind.value == platforms.MEMORY_METRIC:
                    yield on_memory("scaling policy", name, path, kind.text.place, target)
    elif block.labels[0] == "azurerm_container_app":
        for rule in body.below("template", "custom_scale_rule"):
            kind, metadata = rule.get("custom_rule_type"), rule.get("metadata")
            if isinstance(kind, Scalar) and kind.value == "memory":
                aim = metadata.get("value") if isinstance(metadata, YamlMapping) else None
                yield on_memory("container app", name, path, kind.text.place, number(aim))


def _said(target: Scalar | None, block: Block) -> Scalar | None:
    """The number as the resource has it: what a variable says of it elsewhere is no reason to scale on it."""
    if target is None or target.text.place.source is block.name.place.source:
        return target
    return _word(target.value, block)


def _tracked(block: Block, path: Path) -> Iterator[Autoscaler]:
    """The policies that a module is told of, in words of the provider."""
    for node in walk(_mapping(block.body)):
        tracked = node.scalar("predefined_metric_type") if isinstance(node, YamlMapping) else None
        if tracked is not None and tracked.value == platforms.ECS_MEMORY:
            yield on_memory("scaling policy of module", block.labels[0], path, tracked.text.place, None)
