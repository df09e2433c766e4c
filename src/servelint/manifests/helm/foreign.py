"""What values say to a chart that is not in the project, by the names that charts have for it.

`helm create` writes a chart whose autoscaler is on with `autoscaling.enabled` and scales on memory with
`autoscaling.targetMemoryUtilizationPercentage`; most charts keep to that, with small changes to the names. A
command, its arguments and variables have the names that Kubernetes has for them. What is read so is not sure:
a chart may take no notice of a value.

https://helm.sh/docs/chart_best_practices/values/
https://github.com/helm/helm/blob/main/pkg/chart/v2/util/create.go
https://github.com/bitnami/charts/blob/main/template/CHART_NAME/values.yaml
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Scalar
from servelint.manifests.forms.resources import Autoscaler, Container, Metric, Resources, Workload
from servelint.manifests.helm.values import Leaf, Value, bare
from servelint.manifests.shell.commandline import UNKNOWN, Words, split

_SECTIONS = re.compile(
    r"(?:horizontal)?(?:pod)?_?auto_?scal(?:ing|er|e)|hpa|hpa_?autoscal(?:ing|er)|autoscal(?:ing|er)_?hpa|keda",
    re.IGNORECASE,
)
_AIM = "(?:target|average|avg)?_?"
_OF = "_?(?:average)?_?(?:util(?:i[sz]ation)?|usage)?_?(?:target|threshold)?_?(?:percent(?:age)?|value)?"
_RESOURCES = {
    "memory": re.compile(f"{_AIM}mem(?:ory)?{_OF}", re.IGNORECASE),
    "cpu": re.compile(f"{_AIM}cpu{_OF}", re.IGNORECASE),
}
_PERCENT = re.compile(r"(?!0+(?:\.0*)?%?\Z)[0-9]{1,4}(?:\.[0-9]{1,3})?%?")
_QUANTITY = re.compile(r"[1-9][0-9]{0,11}(?:\.[0-9]{1,3})?(?:[kKMGT]i?)")
_IMAGES = ("image",)
_COMMANDS = ("command", "entrypoint")
_ARGUMENTS = ("args", "arguments", "extraArgs", "commandArgs")
_VARIABLES = (
    *("env", "envs", "envVars", "environment", "environmentVariables"),
    *("extraEnv", "extraEnvs", "extraEnvVars", "additionalEnv"),
)
_DEPTH = 20


def resources(values: Value, path: Path, chart: str) -> Resources:
    """The autoscalers and containers that values mean, for a chart of that name; it may be empty."""
    found = Resources()
    for keys, section in _sections(values, ()):
        if _SECTIONS.fullmatch(keys[-1] if keys else ""):
            metrics = tuple(_metrics(section)) if _is_on(section.get("enabled")) else ()
            if metrics:
                title = ".".join(keys)
                found.autoscalers.append(
                    Autoscaler("the chart's", title, path, "", "", metrics, assumed=True)
                )
        else:
            container = _container(section, keys, chart)
            if container is not None:
                name = chart or path.name.partition(".")[0]
                found.workloads.append(Workload("release", name, path, (container,)))
    return found


def _sections(values: Value, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Value]]]:
    """The mappings in the values, but those of what is turned off."""
    if not isinstance(values, dict) or len(keys) > _DEPTH or _is_off(values.get("enabled")):
        return
    yield keys, values
    for key, value in values.items():
        yield from _sections(value, (*keys, str(key)))


def _is_on(value: Value) -> bool:
    return str(bare(value)).lower() == "true"


def _is_off(value: Value) -> bool:
    return str(bare(value)).lower() == "false"


def _metrics(section: dict[str, Value]) -> Iterator[Metric]:
    """What an autoscaler that is on looks at."""
    for key, value in section.items():
        if isinstance(value, list):
            yield from (metric for item in value if isinstance(item, dict) for metric in _listed(item))
            continue
        for resource, pattern in _RESOURCES.items():
            if pattern.fullmatch(str(key)):
                target = _target(value, resource)
                if target is not None:
                    percent = _PERCENT.fullmatch(target.value) is not None
                    yield Metric(resource, target.text.place, None, target=target, utilization=percent)


def _target(value: Value, resource: str) -> Scalar | None:
    """The number that a metric aims at: itself, or in a mapping that is not turned off."""
    if isinstance(value, dict):
        if _is_off(value.get("enabled")):
            return None
        names = [key for key in value if key != "enabled"]
        found = (_target(value[key], resource) for key in names if not isinstance(value[key], (dict, list)))
        return next((target for target in found if target is not None), None)
    scalar = _scalar(value)
    known = scalar is not None and (_PERCENT.fullmatch(scalar.value) or _QUANTITY.fullmatch(scalar.value))
    return scalar if known else None


def _listed(item: dict[str, Value]) -> Iterator[Metric]:
    """One of a list of metrics, as Kubernetes has them, or of triggers of KEDA."""
    kind = _text(item.get("type"))
    for key in ("resource", "containerResource"):
        inner = item.get(key)
        name = inner.get("name") if isinstance(inner, dict) else None
        token = _scalar(name)
        if isinstance(inner, dict) and token is not None and token.value in _RESOURCES:
            aim = inner.get("target")
            within = aim if isinstance(aim, dict) else inner
            target = _scalar(within.get("averageUtilization") or within.get("targetAverageUtilization"))
            yield Metric(token.value, token.text.place, None, target=target, utilization=target is not None)
    token = _scalar(item.get("type"))
    if kind in _RESOURCES and token is not None:
        metadata = item.get("metadata")
        target = _scalar(metadata.get("value")) if isinstance(metadata, dict) else None
        yield Metric(kind, token.text.place, None, target=target, utilization=target is not None)


def _container(section: dict[str, Value], keys: Sequence[str], chart: str) -> Container | None:
    """The container that a mapping describes; None where it says neither command nor variables."""
    command = _words(_first(section, _COMMANDS))
    arguments = _words(_first(section, _ARGUMENTS))
    values: dict[str, Located | None] = {}
    for name in _VARIABLES:
        values.update(_variables(section.get(name)))
    places = [text.place for text in (*(command or ()), *(arguments or ()), *filter(None, values.values()))]
    if not places:
        return None
    image = _image(_first(section, _IMAGES))
    if image is None and chart:
        image = Located.computed(chart, places[0])
    return Container(".".join(keys), image, command, arguments, Environment(values, True), places[0])


def _first(section: dict[str, Value], names: Sequence[str]) -> Value:
    return next((section[name] for name in names if section.get(name) not in (None, [], {})), None)


def _image(value: Value) -> Located | None:
    if not isinstance(value, dict):
        return _located(value)
    name = _located(value.get("repository") or value.get("name"))
    tag = _text(value.get("tag"))
    return Located.computed(f"{name.text}:{tag}" if tag else name.text, name.place) if name else None


def _words(value: Value) -> Words | None:
    """A command: a list, a text that is split, or options as a mapping (`extraArgs: {workers: 4}`)."""
    found: list[Located] = []
    if isinstance(value, list):
        found = [text for item in value if (text := _located(item)) is not None]
    elif isinstance(value, dict):
        for key, item in value.items():
            text = _located(item)
            if text is not None:
                found += [Located.computed(f"--{key}", text.place), text]
    elif (text := _located(value)) is not None:
        found = list(split(text))
    return tuple(found) or None


def _variables(value: Value) -> dict[str, Located | None]:
    """Variables as a mapping, or as the list that Kubernetes has."""
    found: dict[str, Located | None] = {}
    if isinstance(value, dict):
        for key, item in value.items():
            found[str(key)] = _located(item.get("value") if isinstance(item, dict) else item)
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict) and _text(item.get("name")):
            found[_text(item["name"])] = _located(item.get("value"))
    return found


def _text(value: Value) -> str:
    plain = bare(value)
    return plain if isinstance(plain, str) else ""


def _located(value: Value) -> Located | None:
    """A scalar as it is written; None for what is none, or is not known."""
    if not isinstance(value, Leaf) or not value.text.runs or UNKNOWN in value.text.text:
        return None
    return value.text


def _scalar(value: Value) -> Scalar | None:
    text = _located(value)
    return Scalar(text.text, "", True, 0, len(text), text, _text=text) if text is not None else None
