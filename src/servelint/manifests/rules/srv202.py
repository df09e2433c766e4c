"""SRV202 memory-autoscaler: an autoscaler scales a service on memory.

A process that holds a model keeps its memory whatever the load. With the ratio of use to target above one
and independent of the number of replicas, the autoscaler adds replicas to the maximum and keeps them;
below one the metric never acts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from servelint.finding import Confidence, Finding, Severity, Step
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.deployed.subjects import MemoryMetric, MemoryValue
from servelint.manifests.forms.resources import Autoscaler, Metric
from servelint.manifests.shell.commandline import UNKNOWN

CODE = "SRV202"


def findings(deployment: Deployment) -> Iterator[Finding]:
    """A finding for every memory metric of every autoscaler."""
    for autoscaler in deployment.autoscalers():
        for metric in autoscaler.metrics:
            if metric.resource == "memory":
                finding = _finding(deployment, autoscaler, metric)
                yield _switched_on(deployment, autoscaler, metric, finding) or finding


def _finding(deployment: Deployment, autoscaler: Autoscaler, metric: Metric) -> Finding:
    workload = deployment.target(autoscaler)
    serves_model = workload is not None and deployment.serves_model(workload)
    trace: tuple[Step, ...] = ()
    if workload is not None and workload.containers and workload.kind != autoscaler.kind:
        trace = (Step(workload.containers[0].place.span, f"it scales {workload.title}"),)
    return Finding(
        code=CODE,
        span=metric.token.span,
        message=_message(autoscaler, metric),
        severity=Severity.ERROR if serves_model else Severity.WARNING,
        confidence=Confidence.MEDIUM if autoscaler.assumed else Confidence.HIGH,
        trace=trace,
        identity=(autoscaler.title, metric.container),
        containers=tuple(
            box.place.span for found in deployment.descriptions(autoscaler) for box in found.containers
        ),
        subject=_assumed(autoscaler, metric) or MemoryMetric(autoscaler, metric),
    )


def _assumed(autoscaler: Autoscaler, metric: Metric) -> MemoryValue | None:
    """The value for a chart elsewhere, where a number of its own turns the metric on."""
    if not autoscaler.assumed or metric.target is None or metric.token != metric.target.text.place:
        return None
    return MemoryValue(autoscaler, metric, metric.token, 1, True)


def _switched_on(
    deployment: Deployment, autoscaler: Autoscaler, metric: Metric, finding: Finding
) -> Finding | None:
    """The finding on the value that makes a chart's template scale on memory, if there is one.

    The value is where a user of the chart looks for it; the template is where it is read.
    """
    target = metric.target.text if metric.target is not None else None
    if target is None or not target.runs or target.place.source.path == metric.token.source.path:
        return None
    place = target.place
    key = (str(place.source.path), place.start)
    asked = deployment.switches.get(key)
    readers = len(deployment.readers.get(key, ()))
    return replace(
        finding,
        span=place.span,
        trace=(Step(metric.token.span, "the template that reads it"), *finding.trace),
        subject=MemoryValue(autoscaler, metric, place, readers, asked),
    )


def _message(autoscaler: Autoscaler, metric: Metric) -> str:
    target = ""
    if metric.target is not None and UNKNOWN not in metric.target.value:
        target = f" at {metric.target.value}{' %' if metric.utilization else ''}"
    return (
        f"{autoscaler.title} scales on memory{target}: "
        "above it the replicas climb to the maximum and stay, below it the metric never acts"
    )
