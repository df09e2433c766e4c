"""SRV203 autoscaler-without-request: CPU utilisation is targeted but a container requests no CPU.

Utilisation is use divided by request. Without the request the controller cannot compute it, and the
autoscaler does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from servelint.finding import Confidence, Finding, Severity, Step
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.forms.resources import Autoscaler, Container, Metric, Workload

CODE = "SRV203"


def findings(deployment: Deployment) -> Iterator[Finding]:
    """A finding for every CPU utilisation metric that cannot be computed."""
    for autoscaler in deployment.autoscalers():
        if deployment.default_requests(autoscaler):
            continue
        for metric in autoscaler.metrics:
            if metric.resource == "cpu" and metric.utilization:
                yield from _missing(deployment, autoscaler, metric)


def _missing(deployment: Deployment, autoscaler: Autoscaler, metric: Metric) -> Iterator[Finding]:
    described = list(deployment.descriptions(autoscaler))
    requested = {
        container.name
        for workload in described
        for container in workload.containers
        if container.cpu_request is not None
        or container.cpu_limit is not None
        # Since Kubernetes 1.34 what the pod requests is asked first, unless the metric names a container.
        or (container.cpu_of_pod is not None and not metric.container)
    }
    for workload in described:
        for container in workload.containers:
            counts = not container.init and container.image is not None and bool(container.name)
            counts = counts and (not autoscaler.containers or container.name in autoscaler.containers)
            if counts and container.name not in requested and metric.container in ("", container.name):
                yield _finding(autoscaler, metric, workload, container)
                return


def _finding(autoscaler: Autoscaler, metric: Metric, workload: Workload, container: Container) -> Finding:
    return Finding(
        code=CODE,
        span=metric.token.span,
        message=(
            f"{autoscaler.title} targets CPU utilisation, but container {container.name} of {workload.title} "
            "requests no CPU: the utilisation is unknown and nothing is scaled"
        ),
        severity=Severity.WARNING,
        confidence=Confidence.MEDIUM,
        trace=(Step(container.place.span, "this container has no CPU request"),),
        unfixable="how much CPU to request has to be measured",
        identity=(autoscaler.title, container.name),
        containers=(container.place.span,),
    )
