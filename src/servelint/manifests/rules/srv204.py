"""SRV204 oversubscribed-threads: a CPU limit without `OMP_NUM_THREADS` or its kin.

Native libraries start one thread per core that they see. A limit is a quota of time and hides no core: the
threads use up the quota at once, and the container then stands still for the rest of each period.
"""

from __future__ import annotations

from collections.abc import Iterator

from servelint.finding import Confidence, Finding, Severity
from servelint.knowledge.servers import ThreadPool, servers
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.deployed.start import Start
from servelint.manifests.documents.yaml_document import Scalar
from servelint.manifests.forms.resources import Container, Workload
from servelint.serving import Application

CODE = "SRV204"
# Above this many CPUs a pool as wide as the host is no longer far from what the limit allows.
_MANY_CPUS = 16.0


def findings(deployment: Deployment) -> Iterator[Finding]:
    """A finding for every limited container whose application starts an unbounded native thread pool."""
    for start in deployment.starts:
        workload, container = start.context.workload, start.context.container
        application = deployment.application(start)
        if workload is None or container is None or application is None:
            continue
        limit = container.cpu_limit
        cpus = container.cpus
        if limit is None or cpus is None or cpus >= _MANY_CPUS or start.environment.open_ended:
            continue
        pool = _unbounded(start, application, cpus)
        if pool is not None:
            yield _finding(workload, container, limit, pool)


def _unbounded(start: Start, application: Application, cpus: float) -> ThreadPool | None:
    """The first native thread pool that the application uses and no variable bounds."""
    for pool in servers().pools:
        used = pool.libraries & application.libraries
        if pool.threads is not None and pool.threads <= cpus:
            continue
        if not used or not all(start.environment.unset(variable) for variable in pool.variables):
            continue
        # What bounds the threads of one library says nothing about one that has a pool of its own.
        if pool.variables and application.limits_threads:
            continue
        if not (pool.settings and application.mentions(pool.settings)):
            return pool
    return None


def _finding(workload: Workload, container: Container, limit: Scalar, pool: ThreadPool) -> Finding:
    where = f"container {container.name} of {workload.title}" if container.name else workload.title
    place = limit.text.place
    if pool.variables:
        unset = f"{pool.variables[0]} is not set"
        advice = f"Set {pool.variables[0]} to the limit, rounded up, in the container's environment."
    else:
        unset = f"no variable bounds it, and {min(pool.settings)} is not set"
        advice = pool.advice
    threads = (
        f"one {pool.name} thread per core of the host"
        if pool.threads is None
        else f"{pool.threads} threads of {pool.name}"
    )
    return Finding(
        code=CODE,
        span=place.span,
        message=(f"{where} may use {limit.value} CPU but starts {threads}: {unset}"),
        severity=Severity.WARNING,
        confidence=Confidence.MEDIUM,
        advice=advice,
        unfixable="the number of threads has to go with the limit and the size of the thread pool",
        identity=(workload.title, container.name, pool.name),
        containers=(container.place.span,),
    )
