"""What a finding about code means for the workload that serves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from servelint.finding import Finding
from servelint.serving import Applications, Served


def with_probes(
    findings: Sequence[Finding], served: Sequence[Served], applications: Applications
) -> Iterator[Finding]:
    """The findings, those that hold up a liveness probe saying which probe and what it then does."""
    probes: dict[Finding, str] = {}
    for workload in served:
        if workload.liveness is None:
            continue
        application = applications.find(workload.reference, workload.folders)
        for finding in application.findings if application is not None else ():
            probes.setdefault(finding, _sentence(workload))
    for finding in findings:
        said = probes.get(finding, "") if finding.trace or finding.library else ""
        yield replace(finding, message=f"{finding.message}; {said}") if said else finding


def _sentence(workload: Served) -> str:
    assert workload.liveness is not None
    probe = workload.liveness
    return (
        f"it shares its event loop with the liveness probe {probe.path} of {workload.workload},"
        f" which restarts the pod after {probe.allowance}"
    )
