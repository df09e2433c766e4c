"""What scales a workload, and on which metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from servelint.manifests.documents.text import Place
from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlError,
    YamlMapping,
    YamlSequence,
    parse,
)
from servelint.manifests.forms.resources import Autoscaler, Metric

_ANNOTATIONS = ("autoscaling.knative.dev/metric", "serving.kserve.io/metric", "autoscaling.kserve.io/metric")
_RESOURCES = ("cpu", "memory")
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_NUMBER = re.compile(r"[0-9.]{1,9}")


def autoscalers(document: YamlMapping, path: Path) -> Iterator[Autoscaler]:
    """The autoscalers that one resource describes."""
    kind = document.text("kind")
    if kind == "HorizontalPodAutoscaler":
        yield _horizontal(document, path)
    elif kind == "ScaledObject":
        yield _scaled_object(document, path)
    else:
        yield from _annotated(document, path)
        if kind in ("InferenceService", "LLMInferenceService"):
            yield from _inference_service(document, path)
        elif kind == "SeldonDeployment":
            yield from _seldon_deployment(document, path)


def _horizontal(document: YamlMapping, path: Path) -> Autoscaler:
    metrics = document.get("spec", "metrics")
    items = metrics if isinstance(metrics, YamlSequence) else None
    found = [
        _metric(item)
        for item in (items.items if items else [])
        if isinstance(item, YamlMapping) and not _deletes(item)
    ]
    found += _annotated_metrics(document)
    legacy = document.scalar("spec", "targetCPUUtilizationPercentage")
    if legacy is not None:
        found.append(Metric("cpu", legacy.place, None, target=legacy, utilization=True))
    return Autoscaler(
        kind="HorizontalPodAutoscaler",
        name=document.text("metadata", "name"),
        path=path,
        target_kind=document.text("spec", "scaleTargetRef", "kind"),
        target_name=document.text("spec", "scaleTargetRef", "name"),
        metrics=tuple(found),
        items=items,
        namespace=document.text("metadata", "namespace"),
    )


def _annotated_metrics(document: YamlMapping) -> list[Metric]:
    """The metrics that version 1 keeps in an annotation, as JSON.

    https://kubernetes.io/docs/reference/labels-annotations-taints/#autoscaling-alpha-kubernetes-io-metrics
    """
    written = document.scalar("metadata", "annotations", _METRICS)
    if written is None or document.text("apiVersion") != "autoscaling/v1":
        return []
    try:
        listed = next(iter(parse(written.text)), None)
    except YamlError:
        return []
    items = listed.items if isinstance(listed, YamlSequence) else []
    return [replace(_metric(item), item=None) for item in items if isinstance(item, YamlMapping)]


def _deletes(item: YamlMapping) -> bool:
    return item.text("$patch") == "delete"


def _metric(item: YamlMapping) -> Metric:
    """One entry of `spec.metrics`, of autoscaling/v2, v2beta2 or v2beta1."""
    key = "containerResource" if item.get("containerResource") is not None else "resource"
    name = item.scalar(key, "name")
    if name is None or name.value not in _RESOURCES:
        return Metric("", item.place, item)
    utilization = item.scalar(key, "target", "averageUtilization") or item.scalar(
        key, "targetAverageUtilization"
    )
    value = item.scalar(key, "target", "averageValue") or item.scalar(key, "targetAverageValue")
    return Metric(
        resource=name.value,
        token=name.text.place,
        item=item,
        container=item.text(key, "container"),
        target=utilization or value,
        utilization=utilization is not None,
    )


def _scaled_object(document: YamlMapping, path: Path) -> Autoscaler:
    triggers = document.get("spec", "triggers")
    items = triggers if isinstance(triggers, YamlSequence) else None
    return Autoscaler(
        kind="ScaledObject",
        name=document.text("metadata", "name"),
        path=path,
        target_kind=document.text("spec", "scaleTargetRef", "kind") or "Deployment",
        target_name=document.text("spec", "scaleTargetRef", "name"),
        metrics=tuple(
            _trigger(item) for item in (items.items if items else []) if isinstance(item, YamlMapping)
        ),
        items=items,
        namespace=document.text("metadata", "namespace"),
    )


def _trigger(item: YamlMapping) -> Metric:
    kind = item.scalar("type")
    if kind is None or kind.value not in _RESOURCES:
        return Metric("", item.place, item)
    target = item.scalar("metadata", "value")
    style = item.text("metricType") or item.text("metadata", "type") or "Utilization"
    return Metric(
        resource=kind.value,
        token=kind.text.place,
        item=item,
        container=item.text("metadata", "containerName"),
        target=target,
        utilization=style == "Utilization",
    )


def _annotated(document: YamlMapping, path: Path) -> Iterator[Autoscaler]:
    """Knative and KServe take the metric as an annotation of the service or of its template."""
    places = (("metadata",), ("spec", "template", "metadata"), ("spec", "predictor", "metadata"))
    for keys in places:
        annotations = document.mapping(*keys, "annotations")
        for name in _ANNOTATIONS if annotations is not None else ():
            value = annotations.scalar(name) if annotations is not None else None
            if value is not None and value.value in _RESOURCES:
                yield _own(document, path, value)


def _inference_service(document: YamlMapping, path: Path) -> Iterator[Autoscaler]:
    for component in ("predictor", "transformer", "explainer"):
        part = document.mapping("spec", component)
        if part is None:
            continue
        value = part.scalar("scaleMetric")
        if value is not None and value.value in _RESOURCES:
            yield _own(document, path, value)
        metrics = part.get("autoScaling", "metrics")
        if isinstance(metrics, YamlSequence):
            found = tuple(_metric(item) for item in metrics.items if isinstance(item, YamlMapping))
            yield Autoscaler(
                document.text("kind"), document.text("metadata", "name"), path, document.text("kind"),
                document.text("metadata", "name"), found, metrics,
            )  # fmt: skip


_SELDON = (
    (("hpaSpec", "metrics"), _metric),
    (("hpaSpec", "metricsv2"), _metric),
    (("kedaSpec", "triggers"), _trigger),
)


def _seldon_deployment(document: YamlMapping, path: Path) -> Iterator[Autoscaler]:
    """Each component may have an autoscaler of its own, of Kubernetes or of KEDA.

    https://docs.seldon.ai/seldon-core-1/configuration/deployments/scaling
    """
    kind, name = document.text("kind"), document.text("metadata", "name")
    for predictor in document.mappings("spec", "predictors"):
        for component in predictor.mappings("componentSpecs"):
            for keys, read in _SELDON:
                metrics = component.get(*keys)
                if isinstance(metrics, YamlSequence):
                    found = tuple(read(item) for item in metrics.items if isinstance(item, YamlMapping))
                    containers = tuple(item.text("name") for item in component.mappings("spec", "containers"))
                    yield Autoscaler(
                        kind, name, path, kind, name, found, metrics, containers=containers or ("",)
                    )


def number(node: Node | None) -> Scalar | None:
    """The node, if it is a number."""
    return node if isinstance(node, Scalar) and _NUMBER.fullmatch(node.value) else None


def on_memory(
    kind: str, name: str, path: Path, token: Place, target: Scalar | None, workload: str = ""
) -> Autoscaler:
    """What scales on memory alone, `token` saying so; `workload` is the kind of that of the same name."""
    metric = Metric("memory", token, None, target=target, utilization=target is not None)
    return Autoscaler(kind, name, path, workload, name if workload else "", (metric,))


def _own(document: YamlMapping, path: Path, value: Scalar) -> Autoscaler:
    """A workload that scales itself on one metric."""
    kind, name = document.text("kind"), document.text("metadata", "name")
    return Autoscaler(kind, name, path, kind, name, (Metric(value.value, value.text.place, None),))
