"""SRV205 probe-outrun: the liveness probe's budget is shorter than the inference that blocks the same loop.

The probe is answered by the event loop that the inference holds. Queued requests hold it one after another,
so the probe misses its deadline as often as it takes and the kubelet restarts a healthy container.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from servelint.finding import Confidence, Finding, Severity, Step
from servelint.manifests.deployed.deployment import Deployment
from servelint.manifests.forms.resources import Probe, Workload

CODE = "SRV205"
# Rules whose findings hold the loop for as long as an inference takes.
_BLOCKING = frozenset(("SRV101", "SRV103", "SRV105", "SRV110"))
# Beyond a minute it takes many queued requests to outrun the probe; beyond five it is meant to find a dead
# process, not a busy one.
_PATIENT_SECONDS = 60
_UNREACHED_SECONDS = 300
_SHOWN = 3


def findings(deployment: Deployment) -> Iterator[Finding]:
    """A finding for every liveness probe that shares its event loop with blocking inference."""
    for start in deployment.starts:
        workload, container = start.context.workload, start.context.container
        probe = container.liveness if container is not None else None
        application = deployment.application(start)
        if workload is None or probe is None or application is None or probe.budget > _UNREACHED_SECONDS:
            continue
        blocking = [finding for finding in application.findings if finding.code in _BLOCKING]
        if blocking:
            yield replace(_finding(workload, probe, blocking), containers=(start.place,))


def _finding(workload: Workload, probe: Probe, blocking: list[Finding]) -> Finding:
    calls = "one call blocks" if len(blocking) == 1 else f"{len(blocking)} calls block"
    return Finding(
        code=CODE,
        span=probe.place.span,
        message=(
            f"the liveness probe {probe.path} of {workload.title} allows {probe.allowance} "
            f"on an event loop that {calls} for as long as an inference takes"
        ),
        severity=Severity.WARNING if probe.budget <= _PATIENT_SECONDS else Severity.INFO,
        confidence=Confidence.MEDIUM,
        trace=tuple(Step(finding.span, finding.message) for finding in blocking[:_SHOWN]),
        unfixable="take the inference off the event loop; a longer probe only hides it",
        identity=(workload.title, probe.path),
    )
