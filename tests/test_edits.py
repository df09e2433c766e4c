"""Fixes are applied together, checked, and taken back when they do not hold up."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from conftest import Project
from hypothesis import given
from hypothesis import strategies as st

from servelint import edits, lint
from servelint.edits import Outcome, WriteError
from servelint.finding import Applicability, Confidence, Edit, Finding, Fix, Severity, Span
from servelint.lint import Analysed
from servelint.project.config import Config
from servelint.project.text.splice import Together

pytestmark = pytest.mark.usefixtures("toy_engine")


def outcome_of(project: Project, *, unsafe: bool = False) -> Outcome:
    return edits.apply(lint.check([], Config(project.root)), unsafe=unsafe)


def test_everything_that_can_be_fixed_is_fixed_in_one_go(project: Project) -> None:
    project.write(
        {
            "app.py": "async def a(m):\n    return m.predict(m.predict(1))\n",
            "Dockerfile": "CMD uvicorn app:app --workers 4\n",
        }
    )
    outcome = outcome_of(project)
    assert {path.name: content.decode() for path, content in outcome.after.items()} == {
        "app.py": "async def a(m):\n    return m.apredict(m.apredict(1))\n",
        "Dockerfile": "CMD uvicorn app:app --workers 1\n",
    }
    assert len(outcome.applied) == 3
    assert not outcome.report.findings
    assert project.read("Dockerfile").endswith("4\n"), "nothing is written yet"


def test_a_fix_that_breaks_the_file_is_taken_back_and_the_others_stay(project: Project) -> None:
    project.write(
        {
            "app.py": "async def a(m):\n    m.predict_odd(1)\n\n\nasync def b(m):\n    m.predict(1)\n",
            "other.py": "async def c(m):\n    m.predict(2)\n",
        }
    )
    outcome = outcome_of(project)
    assert b"m.apredict(1)" in outcome.after[project.root / "app.py"]
    assert b"m.predict_odd(1)" in outcome.after[project.root / "app.py"]
    assert b"m.apredict(2)" in outcome.after[project.root / "other.py"]
    (rejected,) = outcome.rejected
    assert rejected.finding.function == "a"
    assert rejected.reason.startswith("the result would not compile")
    assert [item.function for item in outcome.report.findings] == ["a"]


def test_what_was_fixed_is_told_by_the_lines_of_the_original(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.root / "app.py"
    project.write({"app.py": "one\ntwo\n"})

    def analyse(tree: object, _config: object) -> Analysed:
        lines = tree.read(path).decode().splitlines()  # type: ignore[attr-defined]
        found = []
        for word in ("one", "two"):  # each fix adds a line at the top, so the second waits for a round
            if word in lines:
                line = lines.index(word) + 1
                span = Span(path, line, 1, line, 4)
                edits = (Edit(Span(path, 1, 1, 1, 1), f"# {word}\n"), Edit(span, "0"))
                fix = Fix(Applicability.SAFE, "do it", edits, replaces=(span,))
                finding = Finding(
                    "SRV101", span, word, Severity.ERROR, Confidence.HIGH, fix=fix, identity=(word,)
                )
                found.append(finding)
        return Analysed(tuple(found), (), tuple)

    monkeypatch.setattr(lint, "analyse", analyse)
    outcome = outcome_of(project)
    assert outcome.after[path] == b"# two\n# one\n0\n0\n"
    assert [(item.message, item.span.line) for item in outcome.applied] == [("one", 1), ("two", 2)]


def test_unsafe_fixes_need_to_be_asked_for(project: Project) -> None:
    project.write({"app.py": "async def a(m):\n    m.predict_raw(1)\n"})
    assert not outcome_of(project).after
    assert outcome_of(project, unsafe=True).after


def planted(project: Project, monkeypatch: pytest.MonkeyPatch, content: str, now: str) -> Outcome:
    """The outcome where the one finding's fix turns the file into `content` and `now` is found then."""
    path = project.root / "app.py"
    project.write({"app.py": "x\n"})

    def finding(code: str) -> Finding:
        edit = Edit(Span(path, 1, 1, 1, 2), content)
        fix = Fix(Applicability.SAFE, "plant", (edit,), replaces=(edit.span,))
        return Finding(code, edit.span, code, Severity.ERROR, Confidence.HIGH, fix=fix, identity=(code,))

    def analyse(tree: object, _config: object) -> Analysed:
        text = tree.read(path).decode()  # type: ignore[attr-defined]
        codes = ["SRV101"] if text == "x\n" else now.split()
        return Analysed(tuple(map(finding, codes)), (), tuple)

    monkeypatch.setattr(lint, "analyse", analyse)
    return outcome_of(project)


def test_a_fix_after_which_the_finding_remains_is_taken_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = planted(project, monkeypatch, "0", "SRV101")
    assert not outcome.after
    assert [item.reason for item in outcome.rejected] == ["the finding would remain"]


def test_a_fix_that_causes_another_finding_is_taken_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = planted(project, monkeypatch, "0", "SRV102")
    assert not outcome.after
    assert [item.reason for item in outcome.rejected] == ["it would cause SRV102: SRV102"]


def test_a_manifest_that_would_change_elsewhere_is_left_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.root / "hpa.yaml"
    project.write({"hpa.yaml": "a: 1\nb: 2\n"})

    def analyse(tree: object, _config: object) -> Analysed:
        if tree.read(path) != b"a: 1\nb: 2\n":  # type: ignore[attr-defined]
            return Analysed((), (), tuple)
        edit = Edit(Span(path, 1, 4, 1, 5), "2\nc: 3")  # one value is edited, an entry appears
        fix = Fix(Applicability.SAFE, "set it", (edit,))
        finding = Finding("SRV202", edit.span, "", Severity.ERROR, Confidence.HIGH, fix=fix)
        return Analysed((finding,), (), tuple)

    monkeypatch.setattr(lint, "analyse", analyse)
    outcome = outcome_of(project)
    assert not outcome.after
    assert [item.reason for item in outcome.rejected] == ["something else would change in line 1"]


def test_line_endings_encoding_and_mode_are_kept(project: Project) -> None:
    before = b"# coding: latin-1\r\nasync def a(m):\r\n    m.predict('\xe9')\r\n"
    project.write({"app.py": before, "bom.py": b"\xef\xbb\xbfasync def a(m):\n    m.predict(1)"})
    path = project.root / "app.py"
    path.write_bytes(before.replace(b"# coding: latin-1", b"# coding: utf-8  ").replace(b"\xe9", b"\xc3\xa9"))
    path.chmod(0o754)
    list(edits.write(outcome_of(project)))
    assert path.read_bytes() == (b"# coding: utf-8  \r\nasync def a(m):\r\n    m.apredict('\xc3\xa9')\r\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o754
    assert (project.root / "bom.py").read_bytes() == b"\xef\xbb\xbfasync def a(m):\n    m.apredict(1)"
    assert sorted(item.name for item in project.root.iterdir()) == ["app.py", "bom.py"], (
        "no file is left over"
    )


def test_a_linked_file_stays_a_link(project: Project) -> None:
    project.write({"target.py": "async def a(m):\n    m.predict(1)\n"})
    target = project.root / "target.py"
    (project.root / "app.py").symlink_to(target)
    list(edits.write(outcome_of(project)))
    assert (project.root / "app.py").is_symlink()
    assert "apredict" in target.read_text()


def test_a_file_that_changed_meanwhile_is_left_alone(project: Project) -> None:
    project.write({"app.py": "async def a(m):\n    m.predict(1)\n"})
    outcome = outcome_of(project)
    project.write({"app.py": "# someone was faster\n"})
    with pytest.raises(WriteError, match=r"app.py: was changed by someone else meanwhile"):
        list(edits.write(outcome))
    assert project.read("app.py") == "# someone was faster\n"


def test_a_crash_while_writing_leaves_the_file_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"app.py": "async def a(m):\n    m.predict(1)\n"})
    outcome = outcome_of(project)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"app.py: cannot be written: No space left"):
        list(edits.write(outcome))
    assert project.read("app.py") == "async def a(m):\n    m.predict(1)\n"
    assert [item.name for item in project.root.iterdir()] == ["app.py"]


PATCHED = {
    "plain.py": "async def a(m):\n    m.predict(1)\n",
    "no newline.py": "async def a(m):\n    m.predict(1)",
    "crlf.py": "async def a(m):\r\n    m.predict(1)\r\n\r\n# form\x0cfeed\r\n",
    "ünï/日.py": "async def a(m):\n    m.predict('日')\n",
    'quo"te.py': "async def a(m):\n    m.predict(1)\n",
    "Dockerfile": "CMD uvicorn app:app --workers 4",
}


@pytest.mark.parametrize("folder", [".", "ünï"])
def test_git_takes_the_patch(project: Project, folder: str) -> None:
    project.write(dict(PATCHED))
    project.commit()
    outcome = outcome_of(project)
    (project.root.parent / "fix.patch").write_bytes(edits.patch(outcome, project.root / folder))
    project.git("apply", "--whitespace=nowarn", str(project.root.parent / "fix.patch"))
    for name in PATCHED:
        assert (project.root / name).read_bytes() == outcome.after[project.root / name]


def test_a_new_file_is_part_of_the_patch(project: Project) -> None:
    project.write({"app.py": "x = 1\n"})
    project.commit()
    path = project.root / "pkg" / "pools.py"
    path.parent.mkdir()
    report = lint.check([], Config(project.root))
    outcome = Outcome({path: None}, {path: b"pool = 1\n"}, (), (), report)
    (project.root.parent / "fix.patch").write_bytes(edits.patch(outcome, project.root))
    project.git("apply", str(project.root.parent / "fix.patch"))
    assert project.read("pkg/pools.py") == "pool = 1\n"
    path.unlink()
    list(edits.write(outcome))
    assert project.read("pkg/pools.py") == "pool = 1\n"
    assert Path("pkg/pools.py").stat().st_mode & 0o600 == 0o600


PLACES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(0, 3), st.sampled_from("xy"))


@given(st.lists(PLACES, max_size=12))
def test_edits_are_made_together_unless_they_touch(places: list[tuple[int, int, int, str]]) -> None:
    path, together, taken = Path("/x"), Together(), list[Edit]()
    for line, column, length, content in places:
        edit = Edit(Span(path, line, column, line, column + length), content)
        free = edit in taken or not any(
            max(column, other.span.column) <= min(column + length, other.span.end_column)
            for other in taken
            if other.span.line == line
        )
        assert together.take([edit]) == free
        taken += [edit] * free
