"""SRV201 multi-worker-container: a container starts an application server with more than one worker.

An orchestrator scales containers. Workers inside one hide load from it, multiply the model's memory and
compete for the container's CPU limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from servelint.finding import Confidence, Finding, Severity, Step
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.deployed.start import Start
from servelint.manifests.deployed.subjects import ManyWorkers
from servelint.manifests.documents.text import Place
from servelint.manifests.forms.resources import AZURE_APP, Setting
from servelint.manifests.shell.commandline import WorkerCount

CODE = "SRV201"


def findings(deployment: Deployment) -> Iterator[Finding]:
    """A finding for every start with more than one worker; those of WSGI count where they hold a model."""
    for start in (*deployment.starts, *deployment.wsgi):
        if start.workers is None or start.workers.number < 2:
            continue
        if not start.wsgi or deployment.holds_model(start):
            yield _finding(deployment, start, start.workers)


def _finding(deployment: Deployment, start: Start, workers: WorkerCount) -> Finding:
    place = workers.text.place
    application = deployment.application(start)
    templates = len(deployment.readers.get((str(place.source.path), place.start), ()))
    readers = max(templates, deployment.read_by(place, start.context.container))
    return Finding(
        code=CODE,
        span=place.span,
        message=_message(start, workers),
        severity=_severity(
            deployment,
            start,
            place,
            serves_model=not start.wsgi and application is not None and application.serves_model,
        ),
        confidence=Confidence.MEDIUM
        if workers.per_core or start.assumed or start.wsgi or start.unnamed
        else Confidence.HIGH,
        trace=tuple(_trace(start, place)),
        identity=(
            _where(start),
            start.server.server.name,
            workers.variable,
        ),
        containers=(start.place,),
        subject=ManyWorkers(workers, application, readers, start.assumed, start.unsaid, start.wsgi),
    )


def _message(start: Start, workers: WorkerCount) -> str:
    server = start.server.server.name
    each = ", each with the model" if start.wsgi else ""
    through = f" ({workers.variable})" if workers.variable else ""
    if start.unsaid:
        through = f": the image chooses the number where {start.unsaid} does not say it"
    if workers.per_core:
        return f"{server} starts one worker or more per core of the host in {_where(start)}{through}{each}"
    return f"{server} starts {workers.number} workers in {_where(start)}{through}{each}"


def _where(start: Start) -> str:
    container, workload = start.context.container, start.context.workload
    if container is None or workload is None:
        return {Setting.PROCESS: "one process group"}.get(start.context.setting, "one container")
    if workload.setting is Setting.COMPOSE or not container.name:
        return f"the container of {workload.title}"
    return f"container {container.name} of {workload.title}"


def _severity(deployment: Deployment, start: Start, place: Place, *, serves_model: bool) -> Severity:
    """By where the number stands: what an image holds is less sure to be what runs than a workload's own."""
    context = start.context
    own = context.workload is not None and context.workload.path == place.source.path
    cluster = context.setting is Setting.KUBERNETES and not (
        context.workload is not None and context.workload.kind == AZURE_APP
    )
    if cluster and (own or place.source.path.suffix in (".yaml", ".yml", ".tpl")):
        return Severity.ERROR
    run = context.image is not None and context.image.path in deployment.run
    severity = Severity.WARNING if run or cluster else Severity.INFO
    if serves_model:
        return Severity.ERROR if severity is Severity.WARNING else Severity.WARNING
    return severity


def _trace(start: Start, place: Place) -> Iterator[Step]:
    command = start.command
    if command.source is not place.source or not command.start <= place.start <= command.end:
        yield Step(command.span, f"{start.server.server.name} is started here")
    if place.definition is not None:
        yield Step(place.definition.place.span, f"{place.written} is set here")
