"""The text format: what is wrong, where, the way to the blocking call, why it matters and what to do."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from servelint.escape import output_line, visible
from servelint.finding import Applicability, Finding
from servelint.knowledge.pages import about, advice_for, codes, name_of
from servelint.lint import Report
from servelint.reports.frames import Sources, draw, frames_of, gutter_width
from servelint.reports.style import SEVERITY_COLOURS, Style

_STALLS = 10  # with no finding that are listed


def text(report: Report, style: Style) -> str:
    """Findings with source frames, then a summary."""
    lines: list[str] = []
    if not style.statistics:
        sources = Sources(report)
        for finding in report.findings:
            lines += [*_finding(finding, sources, style), ""]
    if style.summary or style.statistics:
        lines += [*summary(report, style), *_unexplained(report)]
    return "\n".join(lines).rstrip("\n") + "\n" if lines else ""


def _finding(finding: Finding, sources: Sources, style: Style) -> Iterator[str]:
    colour = SEVERITY_COLOURS[finding.severity]
    code = style.link(style.paint(finding.code, colour), about(finding.code).url)
    yield f"{code} {style.paint(name_of(finding.code), 'bold')}: {visible(finding.message)}"
    frames = frames_of(finding, sources)
    gutter = gutter_width(frames)
    arrow = style.paint("-->", "blue")
    yield f"{' ' * gutter}{arrow} {style.place(finding.span)}  {_degree(finding, style)}"
    edge = f"{' ' * gutter} {style.paint('|', 'blue')}"
    for index, frame in enumerate(frames):
        if index:
            yield edge
            yield f"{' ' * gutter}{style.paint(':::', 'blue')} {style.place(frame.span)}"
        yield edge
        yield from draw(frame, gutter, style)
    if frames:
        yield edge
    for name, words in _notes(finding):
        yield from _note(name, words, gutter, style)


def _degree(finding: Finding, style: Style) -> str:
    return style.paint(f"[{finding.severity}, {finding.confidence} confidence]", "dim")


def _notes(finding: Finding) -> Iterator[tuple[str, str]]:
    for step in finding.trace:
        if step.package:
            yield "in", f"{step.span.path.as_posix()}:{step.span.line}: {step.message}"
    if finding.measured is not None:
        yield "took", f"measured: {finding.measured.words}"
    yield from (note for note in (("why", about(finding.code).why), ("do", advice_for(finding))) if note[1])
    if finding.fix is not None and finding.fix.applicability is Applicability.SAFE:
        better = finding.fix.better if finding.fix.has_other_meaning else None
        also = f", or better, unsafe: {better.title} (`--unsafe-fixes`): {better.reason}" if better else ""
        yield "fix", f"{finding.fix.title} (`servelint fix`){also}"
    elif finding.fix is not None:
        reason = f"; unsafe: {finding.fix.reason}" if finding.fix.reason else ""
        yield "fix", f"{finding.fix.title}{reason} (`servelint fix --unsafe-fixes`)"
    elif finding.unfixable:
        yield "fix", f"none: {finding.unfixable}"


def _note(name: str, words: str, gutter: int, style: Style) -> Iterator[str]:
    lead = f"{' ' * gutter} {style.paint('=', 'blue')} {style.paint(f'{name}:'.ljust(4), 'bold')} "
    plain = visible(words.replace("**", ""))
    indent = gutter + 3 + 5
    wrapped = (
        textwrap.wrap(plain, max(style.width - indent, 30), break_on_hyphens=False)
        if style.width
        else [plain]
    )
    for number, line in enumerate(wrapped):
        yield output_line(f"{lead if number == 0 else ' ' * indent}{line}")


def summary(report: Report, style: Style) -> list[str]:
    """What was found in how many files, by rule, and what `fix` can do about it."""
    count = len(report.findings)
    where = f"in {_many(report.files, 'file')}"
    hidden = [
        f"{len(items)} {what}"
        for items, what in (
            (report.suppressed, "suppressed"),
            (report.unchanged, "unchanged"),
            (report.baselined, "in the baseline"),
        )
        if items
    ]
    aside = f" ({', '.join(hidden)})" if hidden else ""
    if not count:
        return [f"{style.paint('Nothing found', 'green')} {where}{aside}."]
    rules = Counter(finding.code for finding in report.findings)
    width = len(str(max(rules.values())))
    return [
        f"{style.paint(_many(count, 'finding'), 'bold')} {where}{aside}:",
        *(f"  {number:>{width}}  {code} {name_of(code)}" for code, number in sorted(rules.items())),
        *_fixable(report),
    ]


def _fixable(report: Report) -> Iterator[str]:
    kinds = Counter(finding.fix.applicability for finding in report.findings if finding.fix is not None)
    safe, unsafe = kinds[Applicability.SAFE], kinds[Applicability.UNSAFE]
    if safe:
        also = f", {unsafe:,} more with `--unsafe-fixes`" if unsafe else ""
        yield f"`servelint fix` can repair {safe:,}{also}; `--diff` shows how."
    elif unsafe:
        yield f"`servelint fix --unsafe-fixes` can repair {unsafe:,}; `--diff` shows how."


def _unexplained(report: Report) -> Iterator[str]:
    """The measured stalls that belong to no finding."""
    stalls = report.stalls or ()
    if not stalls:
        return
    yield f"Measured, with no finding{of_rules(report)}{' (the longest)' if len(stalls) > _STALLS else ''}:"
    for stall in stalls[:_STALLS]:
        place = f" {visible(stall.path)}:{stall.line}" if stall.path else ""
        name = visible(stall.function) or "a callback"
        yield output_line(f"  {name}{place}: {stall.measured.words}")


def of_rules(report: Report) -> str:
    """What to say of findings that are missing where rules are switched off."""
    return "" if all(map(report.config.selects, codes())) else " of the selected rules"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
