"""The page for people: nothing that strangers wrote is markup, links lead somewhere, it grows with what is found."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from test_escaping import NASTY, WORDS, found
from test_formats import ROOT, report_of, shape

from servelint import check
from servelint.finding import Finding, Measured, Severity, Span, Stalled, Step
from servelint.lint import Report
from servelint.reports import render
from servelint.reports.style import Style
from servelint.run import prepare
from servelint.served import joined, services
from servelint.serving import Served, Service

EXAMPLE = Path(__file__).parents[2] / "examples" / "bankchurn"
VOID = {"meta", "input"}


def words(text: str) -> set[str]:
    return set(text.split())


TAGS = VOID | words(
    "a article body button code dd del details div dl dt figcaption figure footer form h1 h2 h3 h4 head header html "
    "ins label li main mark ol option output p pre script section select span strong style summary title ul"
)
ATTRIBUTES = words(
    "aria-label aria-labelledby aria-live autocomplete charset class content data-code data-filter data-fix "
    "data-library data-line data-path data-rank data-services data-severity data-stall hidden href http-equiv id lang name rel "
    "tabindex type value"
)


class Page(HTMLParser):
    """What a browser sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


def written(report: Report) -> str:
    return render("html", report, Style(folder=ROOT))


PLACE = Span(ROOT / "k8s.yaml", 1, 1, 1, 2)


def service(named: str = "deployment churn", place: Span = PLACE) -> Service:
    return Service(place, named, place.path, named, named, named, named, 1.5, named, (named, named))


MEASURED = Measured(3, 0.4, 0.812)


@given(item=found(), words=WORDS.filter(bool), source=WORDS, path=WORDS)
def test_nothing_that_strangers_wrote_is_markup(item: Finding, words: str, source: str, path: str) -> None:
    item = replace(item, containers=(PLACE,), role=words, measured=MEASURED)
    elsewhere = replace(item, span=item.span._replace(path=ROOT / "x" / item.span.path.name), containers=())
    report = report_of([item, elsewhere], source.encode("utf-8", "replace").decode())
    stalls = (Stalled(words, path, 1, MEASURED, (item.span.path, elsewhere.span.path)),)
    both = (service(words), service(words, PLACE._replace(line=9)))
    text = written(replace(report, services=both, stalls=stalls))
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= TAGS
    assert {name for _, attributes in page.elements for name in attributes} <= ATTRIBUTES
    assert Counter(tag for tag, _ in page.elements)["script"] == 1
    assert all(re.match(r"#[\w-]+$|https://", link) for link in page.all("href"))
    policy = page.all("content")[0]
    for name, (body,) in (
        ("style", re.findall(r"<style>(.*?)</style>", text, re.DOTALL)),
        ("script", re.findall(r"<script>(.*?)</script>", text, re.DOTALL)),
    ):
        digest = b64encode(sha256(body.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize(
    "words", [*NASTY, "</script><script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>"]
)
def test_hostile_names_are_shown_as_text(words: str) -> None:
    item = replace(shape(), message=words, function=words, containers=(PLACE,))
    text = written(replace(report_of([item]), services=(service(words),)))
    assert "<img" not in text
    assert text.count("<script") == 1
    Page(text)


def many(count: int) -> Report:
    """Findings in one file, each with a fix of its own and one that all share."""
    item = shape()
    assert item.fix is not None
    lines = "".join(f"async def f{number}():\n    predict({number})\n\n\n" for number in range(count))
    top = item.fix.edits[0]._replace(span=Span(ROOT / "app.py", 1, 1, 1, 1), content="import asyncio\n")
    items = []
    for number in range(count):
        line = 4 * number + 2
        span = Span(ROOT / "app.py", line, 5, line, 14)
        edit = item.fix.edits[0]._replace(span=span._replace(end_column=5))
        items.append(
            replace(
                item,
                span=span,
                function=f"f{number}",
                identity=(str(number),),
                trace=(Step(span, "runs the model"),),
                fix=item.fix._replace(edits=(edit, top)),
                containers=(PLACE,) if number % 2 else (),
            )
        )
    return replace(report_of(items, lines), services=(service(),))


@cache
def page_of(count: int) -> str:
    return written(many(count))


@pytest.mark.parametrize("count", [0, 11, 5000])
def test_every_finding_is_there_once_and_every_link_leads_somewhere(count: int) -> None:
    page = Page(page_of(count))
    names = page.all("id")
    assert len(names) == len(set(names))
    assert sum(name.startswith("finding-") for name in names) == count
    assert {link[1:] for link in page.all("href") if link.startswith("#")} <= set(names)
    assert ("Nothing found." in page.text) == (not count)


def test_it_can_be_sorted_by_stalls_where_some_were_measured() -> None:
    first, second = many(2).findings
    report = replace(many(2), findings=(first, replace(second, measured=MEASURED)))
    assert Page(written(report)).all("data-stall") == ["0", "0.812"]
    assert "stall" in Page(written(report)).all("value")
    assert "stall" not in Page(page_of(11)).all("value")


def test_it_grows_with_what_is_found() -> None:
    assert len(page_of(5000)) < 10.5 * len(page_of(500))
    calls = []
    for count in (50, 200):
        made, report = 0, many(count)

        def counted(*_: Any) -> None:
            nonlocal made
            made += 1

        sys.setprofile(counted)
        try:
            written(report)
        finally:
            sys.setprofile(None)
        calls.append(made)
    assert calls[1] < 4.5 * calls[0]


def test_what_many_fixes_share_is_shown_once() -> None:
    text = page_of(11)
    assert text.count("+import asyncio") == 1
    assert text.count("+    await predict(") == 11


@pytest.fixture(scope="module")
def example() -> tuple[Report, str]:
    report = check([EXAMPLE])
    return report, render("html", report, Style(folder=EXAMPLE))


def test_the_example_has_one_service_with_all_of_it(example: tuple[Report, str]) -> None:
    report, text = example
    (only,) = report.services
    assert (only.workload, only.container, only.reference) == (
        "deployment bankchurn",
        "api",
        "bankchurn.app:app",
    )
    assert (only.probe, only.cpu_limit, only.workers) == ("/health", 1.0, "2")
    assert only.autoscalers == ("HorizontalPodAutoscaler bankchurn",)
    assert all(finding.containers == (only.place,) for finding in report.findings)
    assert text.count('class="service"') == 1
    shown = " ".join(Page(text).text)
    for words in (
        "predict_batch",
        "On the one event loop of each worker",
        "What the manifests add",
        "waits until",
    ):
        assert words in shown


def test_the_diffs_are_those_of_fix(example: tuple[Report, str]) -> None:
    command = [sys.executable, "-m", "servelint", "fix", "--diff", "."]
    patch = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False).stdout
    wanted = [
        line for line in patch.splitlines() if line[:1] in "+-" and not line.startswith(("+++ ", "--- "))
    ]
    shown = re.findall(r'<(?:ins|del) class="line">(.*?)</(?:ins|del)>', example[1])
    plain = [re.sub(r"&#39;|&quot;|&lt;|&gt;|&amp;", lambda m: PLAIN[m[0]], line) for line in shown]
    assert {line for line in plain if line[1:].strip()} == {line for line in wanted if line[1:].strip()}


PLAIN = {"&#39;": "'", "&quot;": '"', "&lt;": "<", "&gt;": ">", "&amp;": "&"}


def test_a_container_that_is_described_several_times_is_one_service() -> None:
    place = Span(ROOT / "deployment.yaml", 8, 1, 8, 2)
    starts = [
        Served("app:app", (ROOT,), "deployment a", True, None, place=place, workers=n) for n in ("", "2", "4")
    ]
    (only,) = services(joined([*starts, starts[1]], None))
    assert (only.workload, only.workers, only.application) == ("deployment a", "2 or 4", None)


def test_what_came_from_the_cache_has_its_services(tmp_path: Path) -> None:
    copy = shutil.copytree(EXAMPLE, tmp_path / "service")
    first = prepare((copy,)).with_cache().check()
    again = prepare((copy,)).with_cache().check()
    assert first.services == again.services != ()


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_everything_that_is_read_has_contrast(scheme: int) -> None:
    sheet = re.findall(r":root \{(.*?)\}", page_of(0), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", sheet))
    pairs = [
        (name, ground) for name in ("text", "quiet", "link", *Severity) for ground in ("ground", "raised")
    ]
    pairs += [("gained", "gained-ground"), ("lost", "lost-ground"), ("text", "mark")]
    for name, ground in pairs:
        dark, light = sorted((luminance(colours[name]), luminance(colours[ground])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)
