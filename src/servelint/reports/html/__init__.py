"""A page for people: services as cards, findings as a list; it needs no network, and no script to be read."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.resources import files

from servelint.finding import Severity, Stalled
from servelint.knowledge.pages import about, name_of
from servelint.lint import Report
from servelint.reports.frames import Sources
from servelint.reports.html import changes, services
from servelint.reports.html.findings import Named, Writer
from servelint.reports.html.markup import Safe, element, joined, prose, void, when
from servelint.reports.style import Style
from servelint.reports.text import of_rules, summary
from servelint.version import __version__

_STALLS = 100  # that are listed; there is no end to what a log may hold


def html(report: Report, style: Style) -> str:
    """The page; sorting and filtering need its script, reading does not."""
    style = Style(folder=style.folder)
    named = [Named(item, name) for item, name in zip(report.findings, report.fingerprints(), strict=True)]
    named.sort(key=lambda item: -item.finding.severity.rank)
    groups = services.groups(named, report.services)
    body = element(
        "body",
        element("a", "Skip to the findings", href="#findings", class_="skip"),
        element("header", element("h1", "servelint"), *_headline(report, style)),
        element(
            "main",
            *_services(report, groups, style),
            *_findings(report, named, groups, style),
            *_stalls(report, style),
            *_rules(named),
        ),
        element("footer", element("p", f"servelint {__version__}")),
        element("script", _asset("page.js")),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(), body, lang='en')}\n"


def _asset(name: str) -> Safe:
    return Safe(files(__name__).joinpath(name).read_text("utf-8"))


def _head() -> Safe:
    def allowed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    sheet, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src {allowed(sheet)}; script-src {allowed(script)}; base-uri 'none'"
    return element(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        element("title", "servelint report"),
        element("style", sheet),
    )


def _headline(report: Report, style: Style) -> Iterator[Safe]:
    lines = summary(report, style)
    yield element("p", lines[0].rstrip(":"), class_="headline")
    counts = Counter(finding.severity for finding in report.findings)
    if counts:
        tiles = [
            element("li", element("strong", f"{counts[level]:,}"), f" {level.value}", class_=level.value)
            for level in reversed(Severity)
            if counts[level]
        ]
        yield element("ul", *tiles, class_="tiles")
    if lines[-1].startswith("`"):
        yield element("p", prose(lines[-1]))


def _services(report: Report, groups: Sequence[services.Group], style: Style) -> Iterator[Safe]:
    made = list(services.cards(report, groups, style))
    if made:
        yield element("section", element("h2", "Services", id="services"), *made, aria_labelledby="services")


def _findings(
    report: Report, named: Sequence[Named], groups: Sequence[services.Group], style: Style
) -> Iterator[Safe]:
    yield element("h2", "Findings", id="findings", tabindex=-1)
    if not named:
        yield element("p", "Nothing found.")
        return
    homes: dict[str, list[str]] = {}
    for group in groups:
        for item in group.findings:
            homes.setdefault(item.name, []).append(str(group.number))
    sources = Sources(report)
    writer = Writer(sources, style, changes.shared(report.findings))
    yield _controls(named, groups, style)
    entries = (writer.entry(item, " ".join(homes.get(item.name, ()))) for item in named)
    yield element("div", joined(entries, "\n"), id="list")
    together = list(writer.shared_changes())
    if together:
        yield element("h2", "What fixes share")
        yield from together


def _stalls(report: Report, style: Style) -> Iterator[Safe]:
    """What was measured and no finding explains."""
    if report.stalls is None:
        return
    yield element("h2", f"Stalls with no finding{of_rules(report)}", id="stalls")
    if not report.stalls:
        yield element("p", "Every stall in the log belongs to a finding.")
        return
    yield element(
        "p",
        "The log says that these held the event loop, and nothing is found in them. Where the coroutine is a "
        "server's or a framework's own, the endpoint is not named; the manual says how to record it.",
    )
    yield element("ul", *(_stall(item, style) for item in report.stalls[:_STALLS]), class_="stalls")
    if len(report.stalls) > _STALLS:
        yield element("p", f"and {len(report.stalls) - _STALLS:,} more, all shorter", class_="more")


def _stall(stall: Stalled, style: Style) -> Safe:
    place = element("code", f"{stall.path}:{stall.line}", class_="place")
    fits = f" (fits {' and '.join(style.path(path) for path in stall.fits)})"
    return element(
        "li",
        element("code", stall.function or "a callback"),
        " ",
        when(stall.path, place),
        when(stall.fits, joined([fits])),
        " ",
        element("span", stall.measured.words, class_="measured"),
    )


def _controls(named: Sequence[Named], groups: Sequence[services.Group], style: Style) -> Safe:
    codes = sorted({item.finding.code for item in named})
    homes = [(str(group.number), services.title(group, style)) for group in groups]
    orders = [("rank", "severity"), ("path", "file"), ("code", "rule"), ("library", "library")]
    if any(item.finding.measured for item in named):
        orders.append(("stall", "longest stall"))
    return element(
        "form",
        element("label", "Search ", void("input", type="search", id="search", autocomplete="off")),
        _choice("severity", "Severity", [(level.value, level.value) for level in reversed(Severity)]),
        _choice("code", "Rule", [(code, f"{code} {name_of(code)}") for code in codes]),
        _choice("services", "Service", homes),
        _choice("fix", "Fix", [("safe", "safe"), ("unsafe", "unsafe")]),
        element(
            "label",
            "Sort by ",
            element(
                "select",
                *(element("option", words, value=key) for key, words in orders),
                id="sort",
            ),
        ),
        element("button", "Open all", type="button", id="open"),
        element("output", "", id="count", aria_live="polite"),
        id="controls",
        hidden=True,
        aria_label="Sort and filter the findings",
    )


def _choice(key: str, words: str, values: Sequence[tuple[str, str]]) -> Safe:
    options = (element("option", shown, value=value) for value, shown in values)
    choice = element("select", Safe('<option value="">all</option>'), *options, data_filter=key)
    return element("label", f"{words} ", choice)


def _rules(named: Sequence[Named]) -> Iterator[Safe]:
    codes = sorted({item.finding.code for item in named})
    if codes:
        yield element("h2", "Why these rules")
    for code in codes:
        page = about(code)
        link = when(page.url, element("a", page.url, href=page.url, rel="noreferrer"))
        yield element(
            "section",
            element("h3", f"{code} {page.name}", id=f"rule-{code}"),
            element("p", prose(page.why)),
            element("p", element("strong", "Instead: "), prose(page.instead)),
            when(page.url, element("p", "Source: ", link, class_="aside")),
        )
