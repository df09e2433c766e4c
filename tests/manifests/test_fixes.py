"""Fixes are exact to the byte, whatever the line endings, and nothing else changes in meaning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from servelint.finding import Applicability, Edit, Span
from servelint.manifests import verify
from servelint.project.text.source import decode
from servelint.project.text.splice import splice

from .harness import FIXTURES, check, fixed, written
from .harness import edits as edits_of

CASES = sorted(path.name for path in (FIXTURES / "fixes").iterdir())
_BOM = b"\xef\xbb\xbf"
_MEMORY = b"""kind: HorizontalPodAutoscaler
spec:
  metrics:
    - {type: Resource, resource: {name: cpu}}
    - {type: Resource, resource: {name: memory}}
"""


def _as_it_is(data: bytes) -> bytes:
    return data


def _windows(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def _marked(data: bytes) -> bytes:
    return _BOM + data


@pytest.mark.parametrize("form", [_as_it_is, _windows, _marked], ids=["lf", "crlf", "bom"])
@pytest.mark.parametrize("case", CASES)
def test_safe_fixes_are_byte_exact(case: str, form: type[_as_it_is], tmp_path: Path) -> None:
    root = Path(shutil.copytree(FIXTURES / "fixes" / case / "before", tmp_path / case))
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(form(path.read_bytes()))
    for path, before, after, edits in list(fixed(root)):
        assert verify(before, after, path, tuple(edits)) == ""
        path.write_bytes(after)
    wanted = FIXTURES / "fixes" / case / "after"
    for path in wanted.rglob("*"):
        if path.is_file():
            assert (root / path.relative_to(wanted)).read_bytes() == form(path.read_bytes())
    assert not list(fixed(root)), "fixing twice changes nothing more"


def test_a_fix_that_would_lose_the_only_metric_is_none(tmp_path: Path) -> None:
    only = _MEMORY.replace(b"    - {type: Resource, resource: {name: cpu}}\n", b"")
    [finding] = check(written(tmp_path, {"hpa.yaml": only})).findings
    assert finding.fix is None
    assert "only metric" in finding.unfixable


def test_the_fix_keeps_the_finding_exact(tmp_path: Path) -> None:
    [finding] = check(written(tmp_path, {"hpa.yaml": _MEMORY})).findings
    assert finding.fix is not None
    assert finding.fix.applicability is Applicability.SAFE
    assert finding.span == Span(tmp_path / "hpa.yaml", 5, 41, 5, 47)
    assert finding.identity == ("HorizontalPodAutoscaler", "")


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (_MEMORY.replace(b"{name: cpu}", b"{name: gpu}"), "something else would change in line 4"),
        (_MEMORY.replace(b"spec:", b"spec: ["), "the result would not be valid YAML"),
        (_MEMORY + b"---\nkind: Pod\n", "the result would have other documents"),
        (_MEMORY.replace(b"kind", b"kinds"), "something else would change in line 1"),
        (b"\xff" + _MEMORY, "the result is not utf-8"),
    ],
)
def test_verify_refuses_what_changes_more_than_the_edit(after: bytes, reason: str) -> None:
    path = Path("/x/hpa.yaml")
    edit = Edit(Span(path, 5, 41, 5, 47), "disk")
    assert verify(_MEMORY, after, path, [edit]) == reason


def test_verify_accepts_the_edit_itself() -> None:
    path = Path("/x/hpa.yaml")
    edit = Edit(Span(path, 5, 41, 5, 47), "disk")
    assert verify(_MEMORY, _MEMORY.replace(b"memory", b"disk"), path, [edit]) == ""


@pytest.mark.parametrize(
    ("name", "before", "good", "bad"),
    [
        ("start.sh", b"A=4\necho 4 $A\n", b"A=1\necho 4 $A\n", b"A=1\necho 1 $A\n"),
        ("Dockerfile", b"ENV A=4\nCMD x\n", b"ENV A=1\nCMD x\n", b"ENV A=1\nCMD y\n"),
        ("Containerfile", b"ENV A=4\nCMD x\n", b"ENV A=1\nCMD x\n", b"ENV A=1\nCMD y\n"),
        ("conf.py", b"a=4\nb=4\n", b"a=1\nb=4\n", b"a=1\nb=1\n"),
    ],
)
def test_verify_compares_scripts_token_by_token(name: str, before: bytes, good: bytes, bad: bytes) -> None:
    path = Path("/x") / name
    column = before.index(b"4") + 1
    edit = Edit(Span(path, 1, column, 1, column + 1), "1")
    assert verify(before, good, path, [edit]) == ""
    assert verify(before, bad, path, [edit]).startswith("something else would change")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "    # CPU work.\n    - {A}\n    # And the model is big.\n    - {B}\n",
            "    # CPU work.\n    - {A}\n",
        ),
        ("    # Two metrics.\n    - {B}\n    - {A}\n", "    # Two metrics.\n    - {A}\n"),
        ("    # Memory, for the model.\n    - {B}\n    - {A}\n", "    - {A}\n"),
        ("    - {A}\n  # Not an item's.\n    - {B}\n", "    - {A}\n  # Not an item's.\n"),
    ],
)
def test_a_comment_about_the_removed_metric_goes_with_it(tmp_path: Path, before: str, after: str) -> None:
    def document(metrics: str) -> str:
        head = "kind: HorizontalPodAutoscaler\nspec:\n  scaleTargetRef: {kind: Deployment, name: a}\n  metrics:\n"
        for letter, name in (("{A}", "cpu"), ("{B}", "memory")):
            metric = (
                "type: Resource\n      resource:\n        name: {}\n        target: {{type: Utilization}}"
            )
            metrics = metrics.replace(letter, metric.format(name))
        return head + metrics

    workload = "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: x, command: [uvicorn, a:a]}]}}}\n"
    root = written(tmp_path, {"hpa.yaml": document(before), "k8s.yaml": workload})
    result = check(root)
    path = root / "hpa.yaml"
    assert splice(decode(path, path.read_bytes()), edits_of(result, unsafe=True)[path]).decode() == document(
        after
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('FROM a\n# Four workers, one a core.\nCMD ["uvicorn", "a:a", "--workers", "4"]\n', "in line 2"),
        ("FROM a\nCMD uvicorn a:a \\\n  --workers 4  # one process a core\n", "in line 3"),
        ('FROM a\n# Four workers, one a core.\nRUN b\nCMD ["uvicorn", "a:a", "--workers", "4"]\n', ""),
        ('FROM a\n# Runs it.\nCMD ["uvicorn", "a:a", "--workers", "4"]\n', ""),
    ],
)
def test_a_comment_about_the_number_of_workers_is_named(tmp_path: Path, text: str, said: str) -> None:
    (finding,) = check(written(tmp_path, {"Dockerfile": text})).findings
    assert finding.fix is not None
    comment = f"; reword the comment about it {said}" if said else ""
    assert finding.fix.title == f"Start one worker{comment}"


@pytest.mark.parametrize("number", ['"${N}"', "${N}", "$N", '"$((N))"', "$(( $(nproc) * 2 ))"])
@pytest.mark.parametrize(
    "form", ["exec {}", "parts=({})\nexec ${{parts[@]}}", "parts=()\nparts+=({})\nexec ${{parts[@]}}"]
)
def test_an_expansion_in_a_script_becomes_a_number(number: str, form: str, tmp_path: Path) -> None:
    script = f"N=$(( $(nproc) + 1 ))\n{form.format(f'uvicorn a:b --workers {number}')}\n"
    root = written(tmp_path, {"Dockerfile": "FROM x\nCMD [./start.sh]\n", "start.sh": script})
    [(path, before, after, edits)] = list(fixed(root, unsafe=True))
    assert verify(before, after, path, tuple(edits)) == ""
    assert b"--workers 1" in after.replace(b'"', b"")
    assert verify(before, after.replace(b"a:b", b"a:c"), path, tuple(edits)).startswith("something else")
    assert verify(before, after + b"rm x\n", path, tuple(edits)) == "the result would have other words"
