"""`servelint fix` as it is used."""

from __future__ import annotations

import pytest
from conftest import Project, Servelint

pytestmark = pytest.mark.usefixtures("toy_engine")

BEFORE = "async def a(m):\n    return m.predict(1)\n"
AFTER = "async def a(m):\n    return m.apredict(1)\n"
MIXED = BEFORE + "\n\nasync def b(m):\n    m.predict_raw(1)\n    return m.predict_odd(1)\n"


def test_says_what_was_done_and_what_was_left_and_why(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": MIXED})
    result = servelint("fix")
    assert result.status == 1
    assert result.out.splitlines() == [
        "Repaired 1 finding in 1 file:",
        "  app.py:2:12 SRV101 blocking-inference: await the asynchronous method",
        "Left 2 findings:",
        "  app.py:6:5 SRV101 blocking-inference: needs --unsafe-fixes: the raw call keeps state",
        (
            "  app.py:7:12 SRV101 blocking-inference: the fix was taken back: "
            "the result would not compile: '(' was never closed in line 7"
        ),
    ]
    assert project.read("app.py") == MIXED.replace(".predict(", ".apredict(")


def test_a_second_run_changes_nothing(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BEFORE, "Dockerfile": "CMD uvicorn app:a --workers 4 # four\n"})
    assert servelint("fix").status == 0
    written = project.read("app.py"), project.read("Dockerfile")
    assert written == (AFTER, "CMD uvicorn app:a --workers 1 # four\n")
    assert servelint("fix").out == "Nothing is left to report.\n"
    assert (project.read("app.py"), project.read("Dockerfile")) == written


def test_the_patch_is_taken_by_git_and_nothing_is_written(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BEFORE})
    project.commit()
    result = servelint("fix", "--diff")
    assert result.status == 1
    assert project.read("app.py") == BEFORE
    (project.root.parent / "patch").write_text(result.out)
    project.git("apply", str(project.root.parent / "patch"))
    assert project.read("app.py") == AFTER
    assert (servelint("fix", "--diff").status, servelint("fix", "--diff").out) == (0, "")


def test_standard_input_to_standard_output(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": "# on disk\n"})
    result = servelint("fix", "-", "--stdin-filename", "app.py", stdin=BEFORE)
    assert (result.status, result.out) == (0, AFTER)
    assert project.read("app.py") == "# on disk\n"
    assert servelint("fix", "-", stdin="x = 1\r\n").out == "x = 1\r\n"


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (("app.py",), {"app.py"}),
        (("--select", "SRV2"), {"Dockerfile"}),
        (("--ignore", "SRV2", "--unsafe-fixes"), {"app.py", "raw.py"}),
    ],
)
def test_paths_and_selection_narrow_it(
    arguments: tuple[str, ...], changed: set[str], project: Project, servelint: Servelint
) -> None:
    files = {
        "app.py": BEFORE,
        "raw.py": BEFORE.replace("predict", "predict_raw"),
        "Dockerfile": "CMD uvicorn --workers 2\n",
    }
    project.write(dict(files))
    servelint("fix", *arguments)
    assert {name for name in files if project.read(name) != files[name]} == changed


def test_what_the_baseline_knows_is_left_alone(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BEFORE})
    servelint("baseline")
    project.write({"new.py": "async def fresh(m):\n    m.predict(1)\n"})
    assert servelint("fix").status == 0
    assert project.read("app.py") == BEFORE
    assert "apredict" in project.read("new.py")


def test_a_suppressed_finding_is_not_fixed(project: Project, servelint: Servelint) -> None:
    text = "async def a(m):\n    return m.predict(1)  # servelint: ignore[SRV101] a lookup\n"
    project.write({"app.py": text})
    assert servelint("fix").status == 0
    assert project.read("app.py") == text


def test_a_path_that_does_not_exist(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BEFORE})
    result = servelint("fix", "app.py", "gone.py")
    assert result.status == 2
    assert project.read("app.py") == AFTER


def test_a_file_that_cannot_be_written_fails_the_run(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    def refuse(**_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    project.write({"app.py": BEFORE})
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    result = servelint("fix")
    assert result.status == 2
    assert result.err == f"servelint: {project.root}/app.py: cannot be written: Read-only file system\n"
    assert project.read("app.py") == BEFORE
