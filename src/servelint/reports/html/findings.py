"""Each finding once: what it is on one line, and below it the way to the call, what to do and the change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from servelint.finding import Applicability, Finding
from servelint.knowledge.pages import advice_for, name_of
from servelint.reports.frames import Frame, Sources, frames_of, last_line, marked
from servelint.reports.html.changes import Hunk, Shared, hunks
from servelint.reports.html.markup import Safe, columns, element, joined, prose, when
from servelint.reports.style import Style

_LONGEST = 300  # characters of a line that are shown
_BEFORE = 80  # of them before the call


class Named(NamedTuple):
    """A finding and the name that links to it."""

    finding: Finding
    name: str

    @property
    def anchor(self) -> str:
        """What a link to the finding ends with."""
        return f"finding-{self.name}"


class Writer:
    """Writes the findings of one report."""

    def __init__(self, sources: Sources, style: Style, shared: Mapping[Path, Shared]) -> None:
        self.sources = sources
        self.style = style
        self.shared = shared

    def entry(self, named: Named, services: str) -> Safe:
        """A finding; `services` are the numbers of the cards that it stands in."""
        finding = named.finding
        body = element(
            "div",
            element("div", *self._frames(finding), class_="frames"),
            *self._notes(named),
            id=named.anchor,
            class_="body",
        )
        return element(
            "details",
            element("summary", self._line(finding)),
            body,
            class_=f"finding {finding.severity.value}",
            data_rank=finding.severity.rank,
            data_severity=finding.severity.value,
            data_code=finding.code,
            data_path=self.style.path(finding.span.path),
            data_library=finding.library,
            data_services=services,
            data_stall="0" if finding.measured is None else f"{finding.measured.longest}",
            data_fix="" if finding.fix is None else finding.fix.applicability.value,
        )

    def shared_changes(self) -> Iterator[Safe]:
        """What the fixes of several findings in a file share, for each such file."""
        for item in self.shared.values():
            yield element(
                "details",
                element("summary", "What fixes in ", element("code", self.style.path(item.path)), " share"),
                element("div", *map(self._hunk, hunks(item.edits, self.sources)), id=f"shared-{item.number}"),
                class_="shared",
            )

    def place(self, path: Path, line: int, column: int) -> Safe:
        """A place as other formats name it."""
        return element("code", f"{self.style.path(path)}:{line}:{column}", class_="place")

    def _line(self, finding: Finding) -> Safe:
        span = finding.span
        return joined(
            (
                severity(finding),
                element("strong", f"{finding.code} {name_of(finding.code)}", class_="rule"),
                element("span", prose(finding.message), class_="message"),
                when(
                    finding.function,
                    element("span", "in ", element("code", finding.function), class_="aside"),
                ),
                self.place(span.path, span.line, span.column),
                measured(finding),
            ),
            " ",
        )

    def _frames(self, finding: Finding) -> Iterator[Safe]:
        for frame in frames_of(finding, self.sources):
            yield element(
                "figure",
                element("figcaption", self.place(*frame.span[:3])),
                element("pre", element("code", joined(_lines(frame), "\n")), tabindex=0),
                when(frame.label, element("p", prose(frame.label), class_="label")),
            )

    def _notes(self, named: Named) -> Iterator[Safe]:
        finding = named.finding
        advice = advice_for(finding)
        sure = f"{finding.severity}, {finding.confidence} confidence"
        rule = element("a", f"Why {finding.code}", href=f"#rule-{finding.code}")
        link = element("a", "link to this finding", href=f"#{named.anchor}")
        for step in finding.trace:
            if step.package:
                place = element("code", f"{step.span.path.as_posix()}:{step.span.line}", class_="place")
                yield element("p", element("strong", "In: "), place, " ", prose(step.message))
        yield element("p", sure, ". ", rule, ", ", link, class_="aside")
        if advice:
            yield element("p", element("strong", "Do: "), prose(advice))
        if finding.fix is None:
            if finding.unfixable:
                yield element("p", element("strong", "No fix: "), prose(finding.unfixable))
            return
        fix = finding.fix
        safe = fix.applicability is Applicability.SAFE
        command = "servelint fix" if safe else "servelint fix --unsafe-fixes"
        reason = when(fix.reason, joined(("; unsafe: ", prose(fix.reason))))
        yield element(
            "p", element("strong", "Fix: "), prose(fix.title), reason, " (", element("code", command), ")"
        )
        if fix.better is not None and fix.has_other_meaning:
            unsafe = joined((prose(fix.better.title), "; unsafe: ", prose(fix.better.reason)))
            yield element("p", element("strong", "Better: "), unsafe, " (servelint fix --unsafe-fixes)")
        own = [edit for edit in fix.edits if not self._is_shared(edit.span.path, edit)]
        yield from map(self._hunk, hunks(own, self.sources))
        yield from self._shared_links(fix.edits)

    def _is_shared(self, path: Path, edit: object) -> bool:
        return path in self.shared and edit in self.shared[path].edits

    def _shared_links(self, edits: tuple[object, ...]) -> Iterator[Safe]:
        for path, item in self.shared.items():
            if item.edits.intersection(edits):
                words = joined(("what fixes in ", element("code", self.style.path(path)), " share"))
                yield element("p", "Together with ", element("a", words, href=f"#shared-{item.number}"), ".")

    def _hunk(self, hunk: Hunk) -> Safe:
        kinds = {"+": "ins", "-": "del"}
        lines = (element(kinds.get(line[:1], "span"), columns(line), class_="line") for line in hunk.lines)
        return element(
            "figure",
            element("figcaption", self.place(hunk.path, hunk.line, 1)),
            element("pre", element("code", joined(lines, "\n")), tabindex=0),
            class_="diff",
        )


def measured(finding: Finding) -> Safe:
    """What was measured of its coroutine, if anything."""
    seen = finding.measured
    return Safe("") if seen is None else element("span", f"measured: {seen.words}", class_="measured")


def severity(finding: Finding) -> Safe:
    """The severity as a word in its colour."""
    return element("span", finding.severity.value, class_=f"badge {finding.severity.value}")


def _lines(frame: Frame) -> Iterator[Safe]:
    if frame.header:
        yield _numbered(frame.header, columns(frame.source.line(frame.header)[:_LONGEST]))
    for number in range(frame.span.line, last_line(frame) + 1):
        text = frame.source.line(number)
        start, end = marked(text, number, frame.span)
        left = max(start - _BEFORE, 0) if end > _LONGEST else 0
        right = left + _LONGEST
        call = element("mark", columns(text[start : min(end, right)]))
        cut = "…" if left else ""
        more = "…" if right < len(text) else ""
        yield _numbered(
            number, joined((cut, columns(text[left:start]), call, columns(text[end:right]), more))
        )


def _numbered(number: int, text: Safe) -> Safe:
    return element("span", text, class_="line", data_line=number)
