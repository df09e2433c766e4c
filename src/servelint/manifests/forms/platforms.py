"""Platforms that run containers from a file of their own, not from Kubernetes documents.

Render, Fly.io, Railway, App Engine and Heroku are told a command and variables, and build or take an image.
ECS and Azure Container Apps describe containers as Kubernetes does, under names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, scalars
from servelint.manifests.forms.autoscalers import number, on_memory
from servelint.manifests.forms.resources import AZURE_APP, Autoscaler, Container, Setting, Workload
from servelint.manifests.forms.sources import normal
from servelint.manifests.shell.commandline import Words, split


class Service(NamedTuple):
    """Something that a platform runs, and the Dockerfile that it builds it with, if it does."""

    workload: Workload
    dockerfile: Path | None = None


class Said(NamedTuple):
    """What a platform's file says of one thing it runs: variables, a command as shell code or as words."""

    kind: str
    name: str
    values: dict[str, Located | None]
    script: Located | None = None
    command: Words | None = None
    arguments: Words | None = None
    image: Located | None = None
    folder: str = ""
    dockerfile: str | None = None


Reader = Callable[[YamlMapping], Iterator[Said]]
_NOT_SERVED = frozenset(("cron", "static", "redis", "keyvalue"))


def services(document: YamlMapping, path: Path) -> Iterator[Service]:
    """What the platform runs whose file this is."""
    reader = _reader(path)
    for said in reader(document) if reader is not None else ():
        folder = normal(path.parent / said.folder)
        container = Container(
            name="",
            image=said.image,
            command=said.command,
            arguments=said.arguments,
            environment=Environment(said.values),
            place=document.place,
            script=said.script,
        )
        workload = Workload(said.kind, said.name, path, (container,), Setting.PLATFORM, folder=folder)
        yield Service(workload, normal(folder / said.dockerfile) if said.dockerfile else None)


def is_platform(path: Path) -> bool:
    """Whether a file's name is one that such a platform looks for."""
    return _reader(path) is not None


def _reader(path: Path) -> Reader | None:
    return next((reader for name, reader in _READERS if name.fullmatch(path.name)), None)


def _text(node: Node | None) -> Located | None:
    return node.text if isinstance(node, Scalar) and not node.is_null else None


def _words(node: Node | None) -> Words | None:
    """A command that no shell reads: a list of words, or one text that is split."""
    if isinstance(node, YamlSequence):
        return tuple(item.text for item in scalars(node.items))
    text = _text(node)
    return None if text is None else tuple(split(text))


def _values(node: Node | None) -> dict[str, Located | None]:
    """Variables written as a mapping."""
    entries = node.index().values() if isinstance(node, YamlMapping) else ()
    return {key.value: _text(value) for key, value in entries}


def _render(document: YamlMapping) -> Iterator[Said]:
    """https://render.com/docs/blueprint-spec"""
    projects = document.mappings("projects")
    scopes = [document, *(part for project in projects for part in project.mappings("environments"))]
    groups = {
        group.text("name"): group
        for scope in (*scopes, *projects)
        for group in scope.mappings("envVarGroups")
    }
    for service in (service for scope in scopes for service in scope.mappings("services")):
        if service.text("type") in _NOT_SERVED:
            continue
        values: dict[str, Located | None] = {}
        for item in service.mappings("envVars"):
            group = groups.get(item.text("fromGroup"))
            for variable in group.mappings("envVars") if group is not None else [item]:
                values[variable.text("key")] = _text(variable.get("value"))
        docker = "docker" in (service.text("runtime"), service.text("env"))
        script = _text(service.get("dockerCommand")) or _text(service.get("startCommand"))
        yield Said(
            "service",
            service.text("name"),
            values,
            script=script,
            image=_text(service.get("image", "url")),
            folder=service.text("rootDir"),
            dockerfile=(service.text("dockerfilePath") or "Dockerfile") if docker else None,
        )


def _fly(document: YamlMapping) -> Iterator[Said]:
    """https://fly.io/docs/reference/configuration

    No shell reads its commands, and they replace the image's CMD.
    """
    values = _values(document.get("env"))
    image = _text(document.get("build", "image"))
    dockerfile = None if image is not None else document.text("build", "dockerfile") or "Dockerfile"
    command = _words(document.get("experimental", "exec"))
    entrypoint = _words(document.get("experimental", "entrypoint"))
    groups: dict[str, Node | None] = {"app": document.get("experimental", "cmd")}
    processes = document.mapping("processes")
    if processes is not None and processes.entries:
        groups = {key.value: node for key, node in processes.index().values()}
    for name, node in groups.items():
        arguments = _words(node)
        if command is None and entrypoint is not None:
            words: Words | None = (*entrypoint, *(arguments or ()))
        else:
            words = command
        yield Said(
            "process",
            name,
            values,
            command=words,
            arguments=arguments if words is None else None,
            image=image,
            dockerfile=dockerfile,
        )


def _railway(document: YamlMapping) -> Iterator[Said]:
    """https://docs.railway.com/config-as-code/reference"""
    dockerfile = document.text("build", "dockerfilePath") or "Dockerfile"
    environments = document.mapping("environments")
    others = environments.index().items() if environments is not None else ()
    parts = [("", document), *((name, node) for name, (_, node) in others if isinstance(node, YamlMapping))]
    for name, part in parts:
        script = _text(part.get("deploy", "startCommand"))
        if script is not None:
            yield Said("service", name, {}, script=script, dockerfile=dockerfile)


def _nixpacks(document: YamlMapping) -> Iterator[Said]:
    """https://nixpacks.com/docs/configuration/file"""
    script = _text(document.get("start", "cmd"))
    if script is not None:
        yield Said("service", "", _values(document.get("variables")), script=script)


def _listed(node: Node | None, name: str) -> dict[str, Located | None]:
    """Variables written as a list of mappings, each with its name under a key."""
    items = node.items if isinstance(node, YamlSequence) else []
    return {item.text(name): _text(item.get("value")) for item in items if isinstance(item, YamlMapping)}


def _digital_ocean(document: YamlMapping) -> Iterator[Said]:
    """https://docs.digitalocean.com/products/app-platform/reference/app-spec/"""
    for service in document.mappings("services"):
        values = {**_listed(document.get("envs"), "key"), **_listed(service.get("envs"), "key")}
        yield Said(
            "service",
            service.text("name"),
            values,
            script=_text(service.get("run_command")),
            folder=service.text("source_dir").lstrip("/"),
            dockerfile=service.text("dockerfile_path") or None,
        )


def _app_runner(document: YamlMapping) -> Iterator[Said]:
    """https://docs.aws.amazon.com/apprunner/latest/dg/config-file-ref.html"""
    script = _text(document.get("run", "command"))
    if script is not None:
        yield Said("service", "", _listed(document.get("run", "env"), "name"), script=script)


def _copilot(document: YamlMapping) -> Iterator[Said]:
    """https://aws.github.io/copilot-cli/docs/manifest/overview/"""
    if not document.text("type").endswith("Service"):
        return
    image = document.get("image", "build")
    build = document.text("image", "build")
    named = image.text("dockerfile") if isinstance(image, YamlMapping) else build
    environments = document.mapping("environments")
    others = environments.index().values() if environments is not None else ()
    parts = [document, *(node for _, node in others if isinstance(node, YamlMapping))]
    for index, part in enumerate(parts):
        command = _words(part.get("command"))
        if index and command is None and part.get("variables") is None:
            continue
        values = {**_values(document.get("variables")), **_values(part.get("variables"))}
        yield Said(
            "service",
            document.text("name"),
            values,
            command=_words(part.get("entrypoint") or document.get("entrypoint")),
            arguments=command or _words(document.get("command")),
            folder="../..",
            dockerfile=named or "Dockerfile",
        )


def _app_engine(document: YamlMapping) -> Iterator[Said]:
    """https://cloud.google.com/appengine/docs/standard/reference/app-yaml"""
    if document.items("services"):
        yield from _digital_ocean(document)
        return
    script = _text(document.get("entrypoint"))
    custom = document.text("runtime") == "custom"
    if custom or (script is not None and document.text("runtime").startswith("python")):
        yield Said(
            "service",
            document.text("service") or "default",
            _values(document.get("env_variables")),
            script=script,
            dockerfile="Dockerfile" if custom else None,
        )


def _heroku(document: YamlMapping) -> Iterator[Said]:
    """https://devcenter.heroku.com/articles/build-docker-images-heroku-yml"""
    run = document.mapping("run")
    for key, node in run.index().values() if run is not None else ():
        command = node.get("command") if isinstance(node, YamlMapping) else node
        lines = command.items if isinstance(command, YamlSequence) else [command]
        for line in lines:
            script = _text(line)
            if script is not None:
                yield Said("process", key.value, {}, script=script)


_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (re.compile(r"render(?:[._-].*)?\.ya?ml"), _render),
    (re.compile(r"fly(?:[._-].*)?\.toml"), _fly),
    (re.compile(r"railway(?:[._-].*)?\.(?:toml|json)"), _railway),
    (re.compile(r"nixpacks\.toml"), _nixpacks),
    (re.compile(r"(?:.*[._-])?app(?:[._-].*)?\.ya?ml"), _app_engine),
    (re.compile(r"heroku\.ya?ml"), _heroku),
    (re.compile(r"apprunner\.ya?ml"), _app_runner),
    (re.compile(r"manifest\.ya?ml"), _copilot),
)

# One of these stands in a file about a container app.
CONTAINER_APP = (b"Microsoft.App", b"nvironmentId:", b"configuration:")
# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PredefinedMetricSpecification.html
ECS_MEMORY = "ECSServiceAverageMemoryUtilization"
MEMORY_METRIC = "MemoryUtilization"  # of ECS, in CloudWatch
TASK_KEYS = {"entryPoint": "command", "command": "args", "environment": "env"}
_WORD = "tag:yaml.org,2002:str"


def documents(node: YamlMapping) -> Iterator[YamlMapping]:
    """The Kubernetes documents that ECS task definitions and container apps mean."""
    for part in _parts(node):
        meant = _document(part)
        if meant is not None:
            yield meant
    for name, properties in _resources(node, "AWS::ECS::TaskDefinition"):
        containers = (_renamed(_lowered(c), TASK_KEYS) for c in properties.mappings("ContainerDefinitions"))
        found = _list(containers, properties)
        spec = YamlMapping([(_word("containers", properties), found)], 0, 0, properties.within)
        yield _described("Task", properties.get("Family") or name, spec, properties)


def _parts(node: YamlMapping) -> tuple[YamlMapping, ...]:
    """A document, and the resources of a template of Azure's.

    https://learn.microsoft.com/en-us/azure/azure-resource-manager/templates/syntax
    """
    return (node, *(item for item in node.mappings("resources") if item.text("type")))


def _resources(node: YamlMapping, kind: str) -> Iterator[tuple[Scalar, YamlMapping]]:
    """The names and properties of the resources of a kind in a CloudFormation template.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
    """
    resources = node.mapping("Resources")
    for name, resource in resources.index().values() if resources is not None else ():
        properties = resource.mapping("Properties") if isinstance(resource, YamlMapping) else None
        if isinstance(resource, YamlMapping) and properties is not None and resource.text("Type") == kind:
            yield name, properties


def _lowered(container: YamlMapping) -> YamlMapping:
    """A container with the keys of the task definition's own form: `Command` is `command` there."""
    entries: list[tuple[Scalar, Node]] = []
    for key, value in container.entries:
        items = value.items if isinstance(value, YamlSequence) else []
        if items and all(isinstance(item, YamlMapping) for item in items):
            meant: Node = _list((_lowered(i) for i in items if isinstance(i, YamlMapping)), container)
        else:
            meant = value
        lowered = key.value[:1].lower() + key.value[1:]
        entries.append((Scalar(lowered, key.tag, True, key.start, key.end, key.within), meant))
    return YamlMapping(entries, container.start, container.end, container.within)


def _document(node: YamlMapping) -> YamlMapping | None:
    task = node.mapping("taskDefinition") or node
    if task.items("containerDefinitions"):
        found = _list(map(task_container, task.mappings("containerDefinitions")), task)
        spec = YamlMapping([(_word("containers", task), found)], 0, 0, task.within)
        return _described("Task", task.get("family"), spec, task)
    template = node.mapping("properties", "template")
    if template is not None and template.items("containers") and _is_container_app(node):
        return _described(AZURE_APP, node.get("name"), _container_app(template), node)
    return None


def autoscalers(node: YamlMapping, path: Path) -> Iterator[Autoscaler]:
    """The memory rules of a container app, and what CloudFormation and Copilot are told to keep it at."""
    copilot = _reader(path) is _copilot and node.text("type").endswith("Service")
    tracked = node.get("count", "memory_percentage") if copilot else None
    target = tracked.scalar("value") if isinstance(tracked, YamlMapping) else number(tracked)
    if target is not None:
        yield on_memory("service", node.text("name"), path, target.text.place, target)
    for policy, properties in _resources(node, "AWS::ApplicationAutoScaling::ScalingPolicy"):
        tracking = properties.mapping("TargetTrackingScalingPolicyConfiguration")
        tracked = (
            tracking.scalar("PredefinedMetricSpecification", "PredefinedMetricType") if tracking else None
        )
        if tracking is not None and tracked is None:
            tracked = tracking.scalar("CustomizedMetricSpecification", "MetricName")
        if tracking is not None and tracked is not None and tracked.value in (ECS_MEMORY, MEMORY_METRIC):
            target = number(tracking.get("TargetValue"))
            yield on_memory("scaling policy", policy.value, path, tracked.text.place, target)
    for part in filter(_is_container_app, _parts(node)):
        for rule in part.mappings("properties", "template", "scale", "rules"):
            kind = rule.scalar("custom", "type")
            if kind is not None and kind.value == "memory":
                target = rule.scalar("custom", "metadata", "value")
                yield on_memory("container app", part.text("name"), path, kind.text.place, target, AZURE_APP)


def task_container(container: YamlMapping) -> YamlMapping:
    """A container of an ECS task as Kubernetes would spell it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-definition-template.html
    """
    return _renamed(container, TASK_KEYS)


def _is_container_app(node: YamlMapping) -> bool:
    """https://learn.microsoft.com/en-us/azure/container-apps/azure-resource-manager-api-spec"""
    properties = node.mapping("properties")
    kind = node.text("type").lower()
    return properties is not None and (
        kind == "microsoft.app/containerapps"
        or (not kind and properties.get("configuration") is not None)
        or properties.get("managedEnvironmentId") is not None
    )


def _container_app(template: YamlMapping) -> YamlMapping:
    """Its template; what a container gets there is what it may use, too."""
    containers: list[YamlMapping] = []
    for container in template.mappings("containers"):
        entries = [(key, value) for key, value in container.entries if key.value != "resources"]
        resources = container.get("resources")
        if resources is not None:
            both = [(_word("requests", container), resources), (_word("limits", container), resources)]
            entries.append((_word("resources", container), YamlMapping(both, 0, 0, container.within)))
        entries += [
            (_word("livenessProbe", probe), probe)
            for probe in container.mappings("probes")
            if probe.text("type").lower() == "liveness"
        ]
        containers.append(YamlMapping(entries, container.start, container.end, container.within))
    found = _list(iter(containers), template)
    others = [(key, value) for key, value in template.entries if key.value != "containers"]
    return YamlMapping([(_word("containers", template), found), *others], 0, 0, template.within)


def _renamed(node: YamlMapping, names: dict[str, str]) -> YamlMapping:
    entries = [
        (Scalar(names.get(key.value, key.value), key.tag, True, key.start, key.end, key.within), value)
        for key, value in node.entries
    ]
    return YamlMapping(entries, node.start, node.end, node.within)


def _list(items: Iterator[YamlMapping], near: YamlMapping) -> YamlSequence:
    return YamlSequence(list(items), near.start, near.end, near.within)


def _described(kind: str, name: Node | None, spec: YamlMapping, near: YamlMapping) -> YamlMapping:
    entries: list[tuple[Scalar, Node]] = [
        (_word("kind", near), _word(kind, near)),
        (_word("spec", near), spec),
    ]
    if name is not None:
        metadata = YamlMapping([(_word("name", near), name)], 0, 0, near.within)
        entries.append((_word("metadata", near), metadata))
    return YamlMapping(entries, near.start, near.end, near.within)


def _word(text: str, near: YamlMapping) -> Scalar:
    """A word that the kind of a document means."""
    place: Place = near.place
    return Scalar(text, _WORD, False, 0, len(text), Located.computed(text, place))
