"""Adopting servelint on a codebase that is not clean: baseline, changed lines, suppressions."""

from __future__ import annotations

import json

import pytest
from conftest import Project, Servelint

pytestmark = pytest.mark.usefixtures("toy_engine")

BLOCKING = "async def a(m):\n    return m.predict(1)\n"


def handler(name: str) -> str:
    return f"async def {name}(m):\n    return m.predict(1)\n\n\n"


def test_fifty_old_findings_are_adopted_and_the_51st_fails(project: Project, servelint: Servelint) -> None:
    project.write({f"m{n}.py": "".join(handler(f"h{n}_{k}") for k in range(10)) for n in range(5)})
    project.commit()
    assert servelint("baseline").out == ".servelint-baseline.json: accepted 50 findings\n"
    result = servelint("check")
    assert (result.status, result.out) == (0, "Nothing found in 5 files (50 in the baseline).\n")
    project.write({"m2.py": project.read("m2.py") + handler("fresh")})
    result = servelint("check", "--output-format", "concise")
    assert result.status == 1
    assert result.out == (
        "m2.py:42:12: SRV101 blocking-inference: `predict` blocks the event loop in `fresh`\n"
    )
    assert servelint("check", "--no-baseline", "--output-format", "concise").out.count("\n") == 51


def test_a_baseline_survives_moves_renames_and_formatting(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": handler("one"), "other.py": handler("two")})
    servelint("baseline")
    project.write({"app.py": "import os\n\n\nasync def one(m):\n    return m.predict(\n        1,\n    )\n"})
    (project.root / "other.py").rename(project.root / "renamed.py")
    result = servelint("check")
    assert (result.status, result.err) == (0, "")


def test_a_second_copy_of_an_old_finding_is_new(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": handler("one")})
    servelint("baseline")
    project.write({"copy.py": handler("one")})
    assert servelint("check", "--output-format", "concise").out.startswith("copy.py:2:12")


def test_stale_entries_are_told_and_pruned(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": handler("one") + handler("two")})
    servelint("baseline")
    project.write({"app.py": handler("two") + handler("three")})
    result = servelint("check")
    assert "1 entry of the baseline matches nothing any more" in result.err
    assert servelint("baseline", "--prune").out == ".servelint-baseline.json: removed 1, kept 1 finding\n"
    result = servelint("check")
    assert (result.status, result.err) == (1, "")
    assert "`three`" in result.out, "pruning accepts nothing new"


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"version": 9, "findings": []}', "has version 9"), ("{", "is damaged"), ("", "is damaged")],
)
def test_a_baseline_that_cannot_be_used_fails_the_run(
    text: str, message: str, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": BLOCKING, ".servelint-baseline.json": text})
    for command in ("check", "fix"):
        result = servelint(command)
        assert (result.status, result.out) == (2, "")
        assert message in result.err
    assert servelint("baseline").status == 0, "it can be written anew"
    assert servelint("check").status == 0


def test_a_broken_file_in_the_baseline_excuses_no_other(project: Project, servelint: Servelint) -> None:
    project.write({"fixtures/bad.py": "def f(:\n"})
    servelint("baseline")
    assert servelint("check").status == 0
    project.write({"app.py": "def f(:\n"})
    assert servelint("check").status == 1


def test_a_baseline_with_paths_is_refused(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BLOCKING, "b.py": BLOCKING})
    assert servelint("baseline", "app.py").status == 2
    assert not (project.root / ".servelint-baseline.json").exists()


def test_since_reports_what_the_change_touched_or_caused(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "old.py": handler("untouched") + handler("touched"),
            "app.py": "async def innocent(x):\n    return score(x)\n",
            "service.py": "def score(x):\n    return x\n",
        }
    )
    project.commit()
    project.write(
        {
            "old.py": project.read("old.py") + "x = 1\n",
            "service.py": "def score(x):\n    return model.predict(x)\n",
            "new.py": handler("fresh"),
        }
    )
    text = project.read("old.py")
    at = text.rindex("predict(1)")
    project.write({"old.py": text[:at] + "predict(1) or 2" + text[at + len("predict(1)") :]})
    result = servelint("check", "--since", "HEAD", "--output-format", "concise")
    assert result.status == 1
    assert [line.split(": ")[0] for line in result.out.splitlines()] == [
        "app.py:2:12",
        "new.py:2:12",
        "old.py:6:12",
    ]
    project.commit()
    assert servelint("check", "--since", "HEAD").status == 0
    assert servelint("check", "--since", "HEAD~1").status == 1


def test_since_in_a_part_of_a_repository(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"other/x.py": "", "api/servelint.toml": "", "api/app.py": handler("old")})
    project.commit()
    # What is added looks like the header of a diff.
    project.write(
        {"api/app.py": handler("old") + "x = 1\n++ +x\n" + handler("new"), "other/x.py": handler("new")}
    )
    monkeypatch.chdir(project.root / "api")
    result = servelint("check", "--since", "HEAD", "--output-format", "concise")
    assert [line.split(": ")[0] for line in result.out.splitlines()] == ["app.py:8:12"]


def test_since_looks_at_the_steps_of_a_trace(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": "async def a(x):\n    return score(x)\n",
            "service.py": "def score(x):\n    return model.predict(x)\n",
        }
    )
    project.commit()
    project.write({"service.py": "def score(x):\n    return model.predict(x + 1)\n"})
    assert servelint("check", "--since", "HEAD", "--output-format", "concise").out.startswith("app.py:2:12")


def test_since_without_such_a_revision_or_without_git_fails(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"app.py": BLOCKING})
    result = servelint("check", "--since", "main")
    assert (result.status, result.out) == (2, "")
    assert "not a git repository" in result.err
    project.commit()
    result = servelint("check", "--since", "v9")
    assert (result.status, result.out) == (2, "")
    assert result.err == "servelint: --since v9: there is no revision `v9`\n"
    assert servelint("check", "--since", "--output=/tmp/x").status == 2
    monkeypatch.setenv("PATH", "")
    result = servelint("check", "--since", "main")
    assert result.status == 2
    assert "git cannot be run" in result.err
    assert servelint("check").status == 1, "without git the files are found all the same"


def test_suppress_adds_a_reason_to_what_is_there(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": "async def a(m):\n    return [\n        m.predict(1),\n        m.predict(2),\n    ]\n",
            "Dockerfile": "CMD uvicorn app:a \\\n  --workers 4\n",
        }
    )
    result = servelint("suppress", "--reason", "legacy, see OPS-12")
    assert (result.status, result.out) == (0, "Dockerfile: suppressed\napp.py: suppressed\n")
    assert project.read("app.py") == (
        "async def a(m):\n    # servelint: ignore[SRV101] legacy, see OPS-12\n"
        "    return [\n        m.predict(1),\n        m.predict(2),\n    ]\n"
    )
    assert project.read("Dockerfile") == (
        "# servelint: ignore[SRV201] legacy, see OPS-12\nCMD uvicorn app:a \\\n  --workers 4\n"
    )
    assert servelint("check", "--report-unused").out == "Nothing found in 2 files (3 suppressed).\n"
    document = json.loads(servelint("check", "--output-format", "sarif").out)
    reasons = {item["suppressions"][0]["justification"] for item in document["runs"][0]["results"]}
    assert reasons == {"legacy, see OPS-12"}


def test_suppress_needs_a_reason(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BLOCKING})
    assert servelint("suppress").status == 2
    assert servelint("suppress", "--reason", " ").status == 2
    assert project.read("app.py") == BLOCKING


def test_suppress_shows_what_it_would_do(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BLOCKING})
    result = servelint("suppress", "--diff", "--reason", "why not")
    assert result.status == 1
    assert "+    # servelint: ignore[SRV101] why not\n" in result.out
    assert project.read("app.py") == BLOCKING
