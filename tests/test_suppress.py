"""Which findings a comment suppresses: `# FOUND` and `# SUPPRESSED` stand on the lines of the findings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servelint.finding import Confidence, Finding, Severity, Span, Step
from servelint.project.listing.files import Tree
from servelint.project.reported.suppress import sort_out, unused
from servelint.project.text.source import decode

PYTHON = [
    """\
    model.predict(x)  # servelint: ignore[SRV101] SUPPRESSED fast
    """,
    """\
    # servelint: ignore[SRV101] takes a microsecond
    model.predict(x)  # SUPPRESSED
    model.predict(x)  # FOUND
    """,
    """\
    # servelint: ignore[SRV101] a comment may follow
    # about something else
    model.predict(  # SUPPRESSED
        x,
    )
    """,
    """\
    # servelint: ignore[SRV101] not across a blank line

    model.predict(x)  # FOUND
    """,
    """\
    results = [  # servelint: ignore[SRV101] the whole statement
        model.predict(a),  # SUPPRESSED
        model.predict(b),  # SUPPRESSED
    ]
    """,
    """\
    results = [
        model.predict(a),  # servelint: ignore[SRV101] SUPPRESSED
        model.predict(b),  # FOUND
        # servelint: ignore[SRV101] the next line only
        model.predict(c),  # SUPPRESSED
        model.predict(d),  # FOUND
    ]
    """,
    """\
    results = [
        model.predict(a),  # SUPPRESSED
    ]  # servelint: ignore[SRV101] at the end
    """,
    """\
    model.predict(x)  # noqa: E501, SRV101 SUPPRESSED
    model.predict(x)  # noqa: srv101 SUPPRESSED
    model.predict(x)  # noqa FOUND
    model.predict(x)  # noqa: E501 FOUND
    """,
    """\
    model.predict(x)  # servelint: ignore[blocking-inference] SUPPRESSED by name
    model.predict(x)  # servelint:ignore[ SRV101 , SRV102 ]: SUPPRESSED
    model.predict(x)  # servelint: ignore[SRV102] FOUND
    """,
    """\
    text = "# servelint: ignore[SRV101]"; model.predict(x)  # FOUND
    """,
    """\
    # servelint: ignore-file[SRV101] generated
    model.predict(x)  # SUPPRESSED
    def f():
        model.predict(x)  # SUPPRESSED
    """,
    """\
    if ready:
        # servelint: ignore[SRV101] above, indented
        model.predict(x)  # SUPPRESSED
    else:
        model.predict(x)  # FOUND
    """,
    """\
    broken(  # a file that cannot be tokenized is read by lines
    model.predict(x)  # servelint: ignore[SRV101] SUPPRESSED
    """,
]

MANIFESTS = [
    """\
    args: ["--workers", "4"]  # servelint: ignore[SRV101] SUPPRESSED
    args: ["--workers", "4"]  # FOUND
    """,
    """\
    # servelint: ignore[SRV101] one virtual machine
    args:
      - --workers
      - "4"  # SUPPRESSED
    other: 4  # FOUND
    """,
    """\
    # servelint: ignore[SRV101] a list at the depth of its key
    args:
    - "4"  # SUPPRESSED
    other: 4  # FOUND
    """,
    """\
    metrics:
      # servelint: ignore[SRV101] a cache
      - type: Resource
        resource:
          name: memory  # SUPPRESSED
      - type: Resource
        resource:
          name: memory  # FOUND
    """,
    """\
    {{- /* servelint: ignore[SRV101] from values */ -}}
    workers: 4  # SUPPRESSED
    """,
    """\
    # servelint: ignore[SRV101] a continued command
    exec uvicorn app.main:app \\
    --host 0.0.0.0 \\
    --workers 4  # SUPPRESSED
    exec uvicorn --workers 4  # FOUND
    """,
    """\
    # servelint: ignore-file[SRV101] all of it
    a: 4  # SUPPRESSED
    b: 4  # SUPPRESSED
    """,
]

CASES = [("case.py", text) for text in PYTHON] + [("case.yaml", text) for text in MANIFESTS]


def dedented(text: str) -> str:
    return re.sub(r"^    ", "", text, flags=re.MULTILINE)


def tree_of(name: str, text: str) -> Tree:
    path = Path("/project") / name
    files = (path,)
    is_python = name.endswith(".py")
    return Tree(
        Path("/project"),
        files if is_python else (),
        () if is_python else files,
        overlay={path: text.encode()},
    )


def findings_in(name: str, text: str, mark: str = "SUPPRESSED|FOUND") -> list[Finding]:
    source = decode(Path("/project") / name, text.encode())
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(mark, line):
            call = re.search(r"model\.predict\(", line)
            start = call.start() + 1 if call else 1
            closed = line.find(")", start) + 2 if ")" in line[start:] else len(line) + 1
            span = Span(source.path, number, start, number, closed)
            found.append(Finding("SRV101", span, line, Severity.ERROR, Confidence.HIGH))
    return found


@pytest.mark.parametrize(("name", "text"), CASES)
def test_suppresses_what_it_says(name: str, text: str) -> None:
    text = dedented(text)
    outcome = sort_out(findings_in(name, text), tree_of(name, text))
    assert not outcome.malformed
    assert [item.message for item in outcome.findings if "SUPPRESSED" in item.message] == []
    assert [item.finding.message for item in outcome.suppressed if "FOUND" in item.finding.message] == []


def test_a_comment_at_the_library_call_speaks_for_every_way_to_it() -> None:
    text = "def helper():\n    return model.predict(x)  # servelint: ignore[SRV101] a lookup\n"
    handler, helper = Path("/project/app.py"), Path("/project/helper.py")
    overlay = {handler: b"helper()\n", helper: text.encode()}
    tree = Tree(Path("/project"), (handler, helper), (), overlay=overlay)
    step = Step(Span(helper, 2, 12, 2, 28), "predict")
    finding = Finding("SRV101", Span(handler, 1, 1, 1, 9), "", Severity.ERROR, Confidence.HIGH, trace=(step,))
    outcome = sort_out([finding], tree)
    assert not outcome.findings
    assert outcome.suppressed[0].suppression.reason == "a lookup"


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# servelint: ignore", "`servelint: ignore` names no rule"),
        ("# servelint: ignore[]", "`servelint: ignore` names no rule"),
        ("# servelint: ignore-file", "`servelint: ignore-file` names no rule"),
        ("# servelint: disable[SRV101]", "`servelint: disable` is not known"),
        ("# servelint: ignore[SRV10l]", "unknown rule `SRV10l`; did you mean SRV101 blocking-inference?"),
    ],
)
def test_what_is_not_understood_suppresses_nothing_and_is_told(comment: str, message: str) -> None:
    text = f"model.predict(x)  {comment} FOUND\n"
    outcome = sort_out(findings_in("case.py", text), tree_of("case.py", text))
    assert len(outcome.findings) == 1
    (problem,) = outcome.malformed
    assert problem.line == 1
    assert message in problem.message


UNUSED = [
    ("x = 1  # servelint: ignore[SRV101] gone\n", "x = 1\n"),
    ("# servelint: ignore[SRV101] gone\nx = 1\n", "x = 1\n"),
    ("x = 1  # noqa: E501, SRV101\n", "x = 1  # noqa: E501\n"),
    ("x = 1  # noqa: SRV101\n", "x = 1\n"),
    ("# servelint: ignore-file[SRV101] gone\n\nx = 1\n", "\nx = 1\n"),
    (
        "model.predict(x)  # servelint: ignore[SRV101, SRV102] SUPPRESSED\n",
        "model.predict(x)  # servelint: ignore[SRV101] SUPPRESSED\n",
    ),
    ("x = 1  # servelint: ignore[SRV101]", "x = 1"),
]


@pytest.mark.parametrize(("before", "after"), UNUSED)
def test_an_unused_suppression_is_found_and_can_be_removed(before: str, after: str) -> None:
    from servelint.project.text.splice import splice

    tree = tree_of("case.py", before)
    outcome = sort_out(findings_in("case.py", before), tree)
    (finding,), malformed = unused(outcome.suppressed, tree, ["SRV101", "SRV102"])
    assert not malformed
    assert finding.fix is not None
    assert splice(decode(finding.span.path, before.encode()), finding.fix.edits).decode() == after


def test_a_rule_that_did_not_run_says_nothing_about_its_suppressions() -> None:
    tree = tree_of("case.py", "x = 1  # servelint: ignore[SRV101] gone\n")
    assert unused((), tree, ["SRV201"]) == ((), ())
