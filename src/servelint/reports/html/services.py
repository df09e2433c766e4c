"""What stands together: the findings of one container, or of one file where no manifest serves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servelint.finding import Finding
from servelint.lint import Report
from servelint.reports.html.findings import Named, measured, severity
from servelint.reports.html.markup import Safe, element, joined, prose, when
from servelint.reports.style import Style
from servelint.serving import Service

# A picture with more is none; the list of findings has them all.
_CARDS, _LANES, _CALLS = 40, 12, 4


@dataclass
class Group:
    """The findings of one card: `service` is None where only the file is known. `number` counts the cards."""

    number: int
    path: Path
    service: Service | None
    findings: list[Named] = field(default_factory=list)

    @property
    def code(self) -> list[Named]:
        """The findings about what runs in the service."""
        return [item for item in self.findings if item.finding.span.path.suffix == ".py"]

    @property
    def manifests(self) -> list[Named]:
        """The findings about how it is started and scaled."""
        return [item for item in self.findings if item.finding.span.path.suffix != ".py"]

    @property
    def worst(self) -> int:
        """The rank of the worst severity in it."""
        return max(item.finding.severity.rank for item in self.findings)


def groups(findings: Sequence[Named], services: Sequence[Service]) -> list[Group]:
    """The cards, the worst first."""
    known = {service.place: Group(0, service.place.path, service) for service in services}
    files: dict[Path, Group] = {}
    for named in findings:
        span = named.finding.span
        homes = [known[place] for place in named.finding.containers if place in known]
        for home in homes or [files.setdefault(span.path, Group(0, span.path, None))]:
            home.findings.append(named)
    found = [group for group in (*known.values(), *files.values()) if group.findings]
    found.sort(key=lambda group: (group.service is None, -group.worst, -len(group.findings), group.path))
    for number, group in enumerate(found, 1):
        group.number = number
    return found


def title(group: Group, style: Style) -> str:
    """How a card is called."""
    if group.service is None:
        return style.path(group.path)
    return group.service.workload or f"image of {style.path(group.path)}"


def cards(report: Report, found: Sequence[Group], style: Style) -> Iterator[Safe]:
    """The cards, and in a sentence what has none."""
    for group in found[:_CARDS]:
        yield _card(group, style)
    if len(found) > _CARDS:
        yield element(
            "p", f"{len(found) - _CARDS} more have no picture here; their findings are listed below."
        )
    shown = {group.service.place for group in found if group.service is not None}
    clean = [service for service in report.services if service.place not in shown]
    if clean and report.tree.reported is None:
        names = list(dict.fromkeys(service.workload or service.reference for service in clean))
        more = f" and {len(names) - _CARDS} more" if len(names) > _CARDS else ""
        yield element("p", f"Nothing found about: {', '.join(names[:_CARDS])}{more}.")


def _card(group: Group, style: Style) -> Safe:
    return element(
        "article",
        element("h3", title(group, style), id=f"service-{group.number}"),
        when(group.service or _seen(group), element("dl", *_facts(group.service, style), *_seen(group))),
        when(group.code, joined(_lanes(group))),
        when(group.manifests, joined(_additions(group, style))),
        class_="service",
        aria_labelledby=f"service-{group.number}",
    )


def _facts(service: Service | None, style: Style) -> Iterator[Safe]:
    if service is None:
        return
    application = style.path(service.application) if service.application else "not a part of this project"
    limit = f"{service.cpu_limit:g} CPU" if service.cpu_limit is not None else ""
    place = f"{style.path(service.place.path)}:{service.place.line}"
    probe = f"{service.probe}, restarts after {service.allowance}" if service.probe else ""
    facts = {
        "Scaled by": ", ".join(service.autoscalers),
        "Container": f"{service.container} ({place})" if service.container else place,
        "Limit": limit,
        "Workers": service.workers,
        "Application": f"{service.reference} ({application})",
        "Liveness probe": probe,
    }
    for name, words in facts.items():
        if words:
            yield element("div", element("dt", name), element("dd", words))


def _seen(group: Group) -> list[Safe]:
    """What was measured of all its coroutines."""
    seen = {
        (item.finding.span.path, item.finding.function, item.finding.measured)
        for item in group.findings
        if item.finding.measured is not None
    }
    if not seen:
        return []
    longest = max(one.longest for _, _, one in seen if one is not None)
    words = f"{sum(one.stalls for _, _, one in seen if one is not None):,}, the longest {longest:.2f} s"
    return [element("div", element("dt", "Measured stalls"), element("dd", words))]


def _lanes(group: Group) -> Iterator[Safe]:
    lanes: dict[tuple[Path, str], list[Named]] = {}
    for named in group.code:
        lanes.setdefault((named.finding.span.path, named.finding.function), []).append(named)
    several = group.service is not None and group.service.workers not in ("", "1")
    yield element("h4", "On the one event loop of each worker" if several else "On the one event loop")
    items = [_lane(name, found) for (_, name), found in list(lanes.items())[:_LANES]]
    if len(lanes) > _LANES:
        items.append(element("li", f"and {len(lanes) - _LANES} more functions", class_="more"))
    service = group.service
    if service is not None and service.probe and any(_holds(item.finding) for item in group.code):
        words = element("span", " liveness probe", class_="role")
        who = element("span", element("code", service.probe), words, class_="who")
        waits = f"waits until the loop is free; unanswered for {service.allowance}, the container restarts"
        items.append(element("li", who, element("span", waits, class_="waits"), class_="waiting"))
    yield element("ol", *items, class_="lanes")


def _holds(finding: Finding) -> bool:
    return bool(finding.trace or finding.library)


def _lane(name: str, found: list[Named]) -> Safe:
    role = found[0].finding.role
    words = element("span", f" {role}" if role else "", class_="role")
    who = element("span", element("code", name or "module"), words, class_="who")
    calls = [_call(named) for named in found[:_CALLS]]
    if len(found) > _CALLS:
        calls.append(element("li", f"and {len(found) - _CALLS} more", class_="more"))
    return element("li", who, element("ul", *calls), measured(found[0].finding))


def _call(named: Named) -> Safe:
    finding = named.finding
    words = [step.message for step in finding.trace] or [finding.message.partition("; it shares ")[0]]
    steps = [element("span", prose(step), class_="step") for step in words]
    link = element(
        "a", finding.code, href=f"#{named.anchor}", aria_label=f"{finding.code}: {finding.message}"
    )
    arrow = element("span", " → ", class_="arrow")
    return element("li", severity(finding), " ", link, " ", joined(steps, arrow))


def _additions(group: Group, style: Style) -> Iterator[Safe]:
    yield element("h4", "What the manifests add")
    items = [
        element(
            "li",
            severity(named.finding),
            " ",
            element("a", named.finding.code, href=f"#{named.anchor}"),
            " ",
            prose(named.finding.message),
            " ",
            element(
                "code", f"{style.path(named.finding.span.path)}:{named.finding.span.line}", class_="place"
            ),
        )
        for named in group.manifests[: _LANES * _CALLS]
    ]
    yield element("ul", *items, class_="additions")
