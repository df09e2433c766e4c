"""Whatever a manifest is: it is read without a failure, what is found stands in it, and fixes hold up.

The inputs are the fixtures, cut up and put together again with what parsers like least.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifests.harness import FIXTURES

from servelint import edits
from servelint.finding import Applicability, Finding
from servelint.lint import Report, check
from servelint.manifests import verify
from servelint.project.config import Config
from servelint.project.text.source import decode, decode_leniently

# One reader each; a file is changed only if its name ends like this.
_READERS = {
    "yaml": ("kubernetes", "autoscalers", "requests", "templates"),
    "helm": ("helm",),
    "kustomize": ("kustomize",),
    "compose": ("compose",),
    "image": ("dockerfiles", "processes", "python"),
    "fixes": ("fixes",),
}
_PIECES = (
    *("{{", "}}", "{{-", "-}}", "{%", "%}", "{{ end }}", "{{ range until 9 }}", '{{ include "a" . }}'),
    *(
        "&a ",
        "*a",
        "<<: *a\n",
        "- ",
        ": ",
        "? ",
        "|\n",
        ">-\n",
        "---\n",
        "\t",
        "!!binary ",
        "[",
        "]",
        "{",
        "}",
    ),
    *(
        '"',
        "'",
        "`",
        "\\",
        "\\\n",
        "$",
        "${A:-",
        "$((",
        "$(",
        "<<EOF\n",
        ";",
        "&&",
        "if [ a ]; then\n",
        "fi\n",
    ),
    *(
        "FROM x AS y\n",
        "CMD [",
        "ENV A=",
        "#",
        "\r",
        "\r\n",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "²",
        "é",
        "😀",
    ),
    *("99999999999999999999", "1e999", "-1", "0x", ".inf", "~", "null", "workers", "--workers", " 4"),
)
_CHANGE = st.tuples(
    st.sampled_from(("insert", "delete", "repeat", "swap")),
    st.floats(0, 1),
    st.floats(0, 0.2),
    st.sampled_from(_PIECES),
)


@cache
def _projects(reader: str) -> tuple[dict[str, bytes], ...]:
    """The fixture folders of a reader, as contents by name."""
    folders = [FIXTURES / name for name in _READERS[reader]]
    roots = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()] or folders
    found = [
        {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in roots
    ]
    return tuple(project for project in found if project)


def _changed(text: str, changes: list[tuple[str, float, float, str]]) -> str:
    for kind, place, length, piece in changes:
        start = round(place * len(text))
        end = min(len(text), start + round(length * len(text)))
        match kind:
            case "insert":
                text = text[:start] + piece + text[start:]
            case "delete":
                text = text[:start] + text[end:]
            case "repeat":
                text = text[:end] + text[start:end] + text[end:]
            case _:
                text = text[end:] + text[start:end] + text[:start]
    return text


def _written(root: Path, data: st.DataObject, reader: str) -> None:
    project = data.draw(st.sampled_from(_projects(reader)))
    chosen = data.draw(st.sampled_from(sorted(project)))
    changes = data.draw(st.lists(_CHANGE, min_size=1, max_size=5))
    for name, content in project.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        changed = _changed(content.decode(), changes if name == chosen else [])
        path.write_bytes(changed.encode())


def _stands_there(finding: Finding) -> None:
    spans = [finding.span, *(step.span for step in finding.trace)]
    spans += [edit.span for edit in finding.fix.edits] if finding.fix else []
    for span in spans:
        if not span.path.is_file():
            continue
        source = decode_leniently(span.path, span.path.read_bytes())
        first = source.offset(span.line, span.column)
        assert first <= source.offset(span.end_line, span.end_column)


def _holds_up(report: Report, *, unsafe: bool) -> None:
    outcome = edits.apply(report, unsafe=unsafe)
    for path, after in outcome.after.items():
        before = outcome.before[path]
        assert before is not None
        made = {
            edit
            for finding in outcome.applied
            for edit in (finding.fix.edits if finding.fix else ())
            if edit.span.path == path
        }
        # Of findings that differ in nothing but their place, an outcome does not say which was fixed when.
        told_apart = {(finding.span.path, finding.code, finding.identity) for finding in report.findings}
        if len(told_apart) == len(report.findings):
            # Nothing but the edits: they make of the one exactly the other.
            assert edits.splice(decode(path, before), made) == after
            assert verify(before, after, path, tuple(made)) == ""
    left = edits.apply(outcome.report, unsafe=unsafe)
    again = [finding for finding in left.applied if finding not in outcome.applied]
    assert not again, "fixing twice changes nothing more"


@pytest.mark.parametrize("reader", _READERS)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_manifest(reader: str, data: st.DataObject) -> None:
    root = Path(tempfile.mkdtemp(prefix="servelint-")).resolve()
    try:
        _written(root, data, reader)
        report = check([], Config(root=root))
        assert not [problem for problem in report.problems if "defect of servelint" in problem.message]
        for finding in report.findings:
            _stands_there(finding)
        if any(finding.fix for finding in report.findings):
            safe = [f for f in report.findings if f.fix and f.fix.applicability is Applicability.SAFE]
            _holds_up(report, unsafe=not safe)
    finally:
        shutil.rmtree(root)
