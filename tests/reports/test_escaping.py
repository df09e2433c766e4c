"""Whatever a name or a message holds, no format is broken by it and nothing in it is obeyed."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats import GITLAB_SCHEMA, REPORT_SCHEMA, ROOT, SARIF_SCHEMA, report_of

from servelint import escape
from servelint.finding import Applicability, Confidence, Edit, Finding, Fix, Severity, Span, Step
from servelint.project.reported import baseline
from servelint.reports import FORMATS, render
from servelint.reports.style import Style

NASTY = [
    "::error file=x::boo",
    "  ::stop-commands::x",
    "##[error]boo",
    "###[add-mask]x",
    "##vso[task.complete]",
    "##teamcity[x]",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "\x9b31m",
    "a\nb\r\nc\rd\x0b\x0c\x85\u2028\u2029",
    "\u202eabc\u2066",
    "\u200b\ufeff\U000e0001",
    "\udcff\udc80\ud800\udbff",
    "`x` `` ` | \\| <b> </details> ![i](http://x) [l](http://x) @all #1 **b** &lt; https://x $x$",
    "]]> <!-- --> &amp; \" '",
    "100 % %0A%25 ,:=",
    "\0\x01\x08\x7f",
    "\ufffe\uffff",
]
WORDS = st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=4).map(" ".join)
# What Linux takes as a name: any bytes but `/` and NUL.
BYTES = st.sampled_from([text.encode("utf-8", "surrogatepass") for text in NASTY]) | st.binary(max_size=20)
NAME = BYTES.map(lambda data: os.fsdecode(data.replace(b"/", b"").replace(b"\0", b"").strip(b".") or b"n"))
MACHINES = ("json", "json-lines", "sarif", "gitlab")


@st.composite
def found(draw: st.DrawFn) -> Finding:
    folder = draw(st.sampled_from([ROOT, ROOT / "below", Path("/elsewhere")]))
    span = Span(folder / draw(NAME), 1, 1, 1, 2)
    fix = Fix(Applicability.UNSAFE, draw(WORDS), (Edit(span, draw(WORDS)),), draw(WORDS))
    return Finding(
        code="SRV101",
        span=span,
        message=draw(WORDS.filter(bool)),
        severity=Severity.ERROR,
        confidence=Confidence.HIGH,
        function=draw(WORDS),
        library=draw(WORDS),
        trace=(Step(Span(folder / draw(NAME), 1, 1, 1, 2), draw(WORDS)),),
        advice=draw(WORDS),
        fix=draw(st.none() | st.just(fix)),
        unfixable=draw(WORDS),
        identity=(draw(WORDS),),
    )


def outputs(item: Finding, source: str = "") -> dict[str, str]:
    report = report_of([item], source.encode("utf-8", "replace").decode())
    return {name: render(name, report, Style(folder=ROOT, width=60)) for name in FORMATS}


@given(item=found(), source=WORDS)
def test_no_output_speaks_to_a_terminal_or_to_a_ci_system(item: Finding, source: str) -> None:
    for name, out in outputs(item, source).items():
        out.encode()
        assert out.replace("\n", "").isprintable(), name
        assert not re.search(r"##(?:\[|vso\[|teamcity\[)", out, re.IGNORECASE), name
        commands = [line for line in out.split("\n") if line.lstrip().startswith("::")]
        frames = [line for line in commands if line.lstrip().startswith("::: ")]
        assert len(commands) - len(frames) == (name == "github"), name


@given(item=found())
def test_a_finding_is_a_line_of_the_concise_format(item: Finding) -> None:
    (line, end) = outputs(item)["concise"].split("\n")
    assert (line.count(": SRV101 blocking-inference: ") >= 1, end) == (True, "")
    assert len(line.splitlines()) == 1


@given(item=found())
def test_documents_are_valid_and_hold_what_was_found(item: Finding) -> None:
    out = outputs(item)
    for name in MACHINES:
        assert len(out[name].splitlines()) == out[name].count("\n"), name
    document = json.loads(out["json"])
    jsonschema.Draft202012Validator(REPORT_SCHEMA).validate(document)
    (told,) = document["findings"]
    assert told["message"] == escape.unicode_text(item.message)
    assert json.loads(out["json-lines"]) == told
    assert (
        told["path"]
        .encode()
        .endswith(os.fsencode(item.span.path.name).decode(errors="backslashreplace").encode())
    )
    jsonschema.validate(json.loads(out["gitlab"]), GITLAB_SCHEMA)
    (failure,) = ET.fromstring(out["junit"]).findall(".//failure")
    assert (failure.text or "").count("\n") >= 1


@given(item=found())
def test_sarif_names_the_very_bytes_of_a_file(item: Finding) -> None:
    document = json.loads(outputs(item)["sarif"])
    jsonschema.Draft4Validator(SARIF_SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    (result,) = document["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert re.fullmatch(r"(?:file://)?[\w.~/%()-]*", uri)
    path = unquote_to_bytes(uri.removeprefix("file://"))
    assert os.fsencode(item.span.path).endswith(path)
    assert "](" not in result["message"]["text"].replace("\\](", "")


@given(item=found())
def test_github_is_told_one_command_with_the_properties_of_ours(item: Finding) -> None:
    (line, end) = outputs(item)["github"].split("\n")
    assert end == ""
    properties, _, _ = line.removeprefix("::error ").partition("::")
    keys = [part.partition("=")[0] for part in properties.split(",")]
    assert keys == ["file", "line", "endLine", "col", "endColumn", "title"]


def shown(markdown: str) -> str:
    """What is left of a line of Markdown when its code is taken away."""
    return re.sub(r"<code>.*?</code>|`[^`|]*`", "", markdown)


@given(text=WORDS)
def test_markdown_stands_literally(text: str) -> None:
    for out in (escape.markdown(text), escape.markdown_code(text)):
        plain = shown(out)
        assert "|" not in out
        assert "\n" not in out
        assert not re.search(r"[<>\[\]*_~`\\@]|#(?!\d+;)|://", plain)


@given(item=found())
def test_a_table_has_three_columns(item: Finding) -> None:
    lines = outputs(item)["markdown"].split("\n")
    (row,) = [line for line in lines if line.startswith("| **")]
    assert row.count("|") == 4
    assert lines[-2] == "</details>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`a` is b", "`a` is b"),
        ("a `b", "a &#96;b"),
        ("`a|b`", "<code>a&#124;b</code>"),
        ("`a``b`", "<code>a</code><code>b</code>"),
        ("`a` <img src=x> `b`", "`a` &#60;img src=x&#62; `b`"),
        ("ask @all, see #1", "ask &#64;&#8203;all, see &#35;&#8203;1"),
        ("at https://x", "at https&#58;//x"),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    assert escape.markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ünï 日本 🐍", "ünï 日本 🐍"),
        ("a\x1b[1m\n", "a\\x1b[1m\\n"),
        ("\u202e\U000e0001", "\\u202e\\U000e0001"),
        (os.fsdecode(b"\xff\xc3\xa9"), "\\xffé"),
        ("##[x]", "#\\x23[x]"),
        ("## heading", "## heading"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    assert escape.visible(text) == expected


@given(value=st.recursive(WORDS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_keeps_all_but_what_is_not_text(value: object) -> None:
    def kept(part: object) -> object:
        if isinstance(part, list):
            return [kept(item) for item in part]
        if isinstance(part, dict):
            return {kept(key): kept(item) for key, item in part.items()}
        return escape.unicode_text(str(part))

    for indent in (None, 2):
        assert json.loads(escape.json_text(value, indent=indent)) == kept(value)


@given(items=st.lists(found(), max_size=4))
def test_a_baseline_knows_its_findings_again(
    items: list[Finding], tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = report_of(items)
    place = tmp_path_factory.mktemp("baseline") / "baseline.json"
    place.write_text(baseline.dump(baseline.entries(items, ROOT, report.tree.read)), "utf-8", newline="")
    compared = baseline.compare(items, baseline.load(place), ROOT, report.tree.read)
    assert compared == ((), tuple(items), ())
