"""What a finding about code means for the workload that serves it, and which services there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from servelint.finding import Finding, Span
from servelint.serving import Application, Applications, Served, Service

# What is served, and the application if it is a part of the project.
Pair: TypeAlias = tuple[Served, Application | None]


def joined(served: Iterable[Served], applications: Applications | None) -> list[Pair]:
    """What is served with the application that it names."""
    return [
        (item, applications.find(item.reference, item.folders) if applications is not None else None)
        for item in served
    ]


def told(findings: Sequence[Finding], served: Sequence[Pair]) -> Iterator[Finding]:
    """The findings with the containers that they are about.

    Those that hold up a liveness probe say which probe and what it then does.
    """
    probes: dict[Finding, str] = {}
    containers: dict[Finding, dict[Span, None]] = {}
    for workload, application in served:
        for finding in application.findings if application is not None else ():
            if workload.liveness is not None and workload.workload:
                probes.setdefault(finding, _sentence(workload))
            if workload.place is not None:
                containers.setdefault(finding, {})[workload.place] = None
    for finding in findings:
        said = probes.get(finding, "") if finding.trace or finding.library else ""
        places = tuple(containers.get(finding, ()))
        message = f"{finding.message}; {said}" if said else finding.message
        yield replace(finding, message=message, containers=places) if places else finding


def services(served: Iterable[Pair]) -> tuple[Service, ...]:
    """What is served in plain words, each container once, in the order of their places.

    One that is described several times, as by the releases of a chart, has the workers of all.
    """
    found: dict[Span, Service] = {}
    workers: dict[Span, dict[str, None]] = {}
    for item, application in served:
        if item.place is not None:
            found.setdefault(item.place, _service(item, item.place, application))
            workers.setdefault(item.place, {})[item.workers] = None
    return tuple(replace(found[place], workers=_or(workers[place])) for place in sorted(found))


def _or(workers: Iterable[str]) -> str:
    *others, last = [words for words in workers if words] or [""]
    return f"{', '.join(others)} or {last}" if others else last


def _service(item: Served, place: Span, application: Application | None) -> Service:
    return Service(
        place,
        item.reference,
        application.path if application is not None else None,
        item.workload,
        item.container,
        item.liveness.path if item.liveness is not None else "",
        item.liveness.allowance if item.liveness is not None else "",
        item.cpu_limit,
        item.workers,
        item.autoscalers,
    )


def _sentence(workload: Served) -> str:
    assert workload.liveness is not None
    probe = workload.liveness
    return (
        f"it shares its event loop with the liveness probe {probe.path} of {workload.workload},"
        f" which restarts the container after {probe.allowance}"
    )
