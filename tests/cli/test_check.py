"""`servelint check` as it is used: what is printed where, and the exit status."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from conftest import Project, Servelint

from servelint import lint

pytestmark = pytest.mark.usefixtures("toy_engine")

BLOCKING = "async def a(m):\n    m.predict(1)\n"
CLEAN = "def a(m):\n    m.predict(1)\n"


def test_nothing_found(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": CLEAN, "Dockerfile": "FROM x\n"})
    result = servelint("check")
    assert (result.status, result.out, result.err) == (0, "Nothing found in 2 files.\n", "")


def test_a_finding_with_its_way_to_the_library(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": "from service import score\n\n\nasync def predict(request):\n    data = request\n"
            "    return score(data)\n",
            "service.py": "def score(data):\n    return model.predict(data)\n",
        }
    )
    result = servelint("check")
    assert result.status == 1
    head, _, tail = result.out.partition("\n  = why: ")
    assert head == (
        "SRV101 blocking-inference: `score` blocks the event loop in `predict`\n"
        " --> app.py:6:12  [error, high confidence]\n"
        "  |\n"
        "4 | async def predict(request):\n"
        "...\n"
        "6 |     return score(data)\n"
        "  |            ^^^^^^^^^^^ calls score\n"
        "  |\n"
        " ::: service.py:2:12\n"
        "  |\n"
        "1 | def score(data):\n"
        "2 |     return model.predict(data)\n"
        "  |            ^^^^^^^^^^^^^^^^^^^ predict holds the event loop\n"
        "  |"
    )
    assert "\n  = do:  " in tail
    assert tail.endswith(
        "  = fix: none: the helper is shared\n\n1 finding in 2 files:\n  1  SRV101 blocking-inference\n"
    )


def test_only_what_is_named_is_reported_and_the_rest_is_read(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": "async def predict(x):\n    return score(x)\n",
            "service.py": "def score(x):\n    return model.predict(x)\n",
            "other.py": BLOCKING,
        }
    )
    result = servelint("check", "app.py", "--output-format", "concise")
    assert (
        result.out == "app.py:2:12: SRV101 blocking-inference: `score` blocks the event loop in `predict`\n"
    )


def test_a_path_that_does_not_exist_fails_the_run_and_the_rest_is_checked(
    project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": BLOCKING})
    result = servelint("check", "app.py", "gone.py")
    assert result.status == 2
    assert "app.py:2:5" in result.out
    assert result.err == "servelint: gone.py: no such file or folder\n"
    assert servelint("check", "gone.py").status == 2


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"def f(:\n", "syntax error", 1),
        (b"x = 1\n\n  y = 2\n", "syntax error", 3),
        (b"x = '\xe9'\n", "not UTF-8", 1),
    ],
)
def test_an_unreadable_file_is_a_finding_and_the_rest_is_checked(
    content: bytes, message: str, line: int, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": BLOCKING, "broken.py": content})
    result = servelint("check", "--output-format", "json")
    assert result.status == 1
    document = json.loads(result.out)
    assert [item["code"] for item in document["findings"]] == ["SRV101", "SRV000"]
    (error,) = document["errors"]
    assert error["path"] == "broken.py"
    assert message in error["message"]
    assert document["findings"][1]["line"] == line


def test_an_unreadable_folder_is_a_finding(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"locked/app.py": BLOCKING})

    def scandir(_: Path) -> None:  # the tests may run as a user whom no mode keeps out
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", scandir)
    for path in (".", "locked"):
        result = servelint("check", path, "--output-format", "concise")
        assert result.status == 1
        assert "SRV000 unreadable-file: the folder cannot be read: Permission denied" in result.out


def test_what_could_not_be_checked_fails_whatever_is_selected(project: Project, servelint: Servelint) -> None:
    project.write({"broken.py": "def f(:\n"})
    assert servelint("check", "--select", "SRV2").status == 1
    assert servelint("check", "--ignore", "SRV000").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "count"),
    [
        ((), 1, 2),
        (("--select", "SRV2"), 1, 1),
        (("--select", "SRV1,SRV201"), 1, 2),
        (("--ignore", "blocking-inference"), 1, 1),
        (("--ignore", "SRV1", "--ignore", "SRV201"), 0, 0),
        (("--select", "SRV2", "--extend-select", "SRV101"), 1, 2),
        (("--extend-exclude", "app"), 1, 1),
        (("--exit-zero",), 0, 2),
        (("--severity", "SRV101=info", "--ignore", "SRV2"), 0, 1),
        (("--severity", "SRV101=info", "--fail-on", "info"), 1, 2),
        (("--fail-on", "error"), 1, 2),
        (("--fail-on", "error", "--select", "SRV2"), 0, 1),
        (("--min-confidence", "low"), 1, 3),
    ],
)
def test_selection(
    arguments: tuple[str, ...], status: int, count: int, project: Project, servelint: Servelint
) -> None:
    project.write(
        {"app/main.py": BLOCKING + "    m.predict_maybe(1)\n", "Dockerfile": "CMD uvicorn --workers 4\n"}
    )
    result = servelint("check", "--output-format", "json-lines", *arguments)
    assert (result.status, len(result.out.splitlines())) == (status, count)


def test_per_file_ignores(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "servelint.toml": '[per-file-ignores]\n"legacy/**" = ["SRV1"]\n"*.gen.py" = ["SRV101"]\n',
            "legacy/a.py": BLOCKING,
            "x.gen.py": BLOCKING,
            "app.py": BLOCKING,
        }
    )
    result = servelint("check", "--output-format", "concise")
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["app.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "--select", "SRV999"), "unknown rule `SRV999`"),
        (("check", "--select", "blocking-inferense"), "did you mean SRV101 blocking-inference?"),
        (("check", "--output-format", "jsn"), "Did you mean `json`?"),
        (("check", "--output-format", "json="), "names no file"),
        (("check", "--severity", "SRV101"), "must be CODE=LEVEL"),
        (("check", "--selct", "SRV1"), "--select"),
        (("check", "--config", "gone.toml"), "does not exist"),
        (("check", "--output-format", "json", "--output-format", "sarif"), "give each a file"),
        (("check", "-", "app.py"), "cannot be combined"),
        (("chekc",), "Did you mean `check`?"),
        (("app.py",), "Did you mean `servelint check app.py`?"),
        (("rule", "SRV9"), "unknown rule `SRV9`"),
    ],
)
def test_wrong_usage_says_what_would_be_right(
    arguments: tuple[str, ...], message: str, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": CLEAN})
    result = servelint(*arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.servelint\n", "pyproject.toml:1: is not valid TOML"),
        ("[tool.servelint]\nselekt = []\n", "pyproject.toml:2: unknown key `selekt`; did you mean `select`?"),
        ("[tool]\nservelint = 3\n", "pyproject.toml: [tool.servelint] must be a table"),
    ],
)
def test_a_broken_configuration_fails_the_run(
    text: str, message: str, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": BLOCKING, "pyproject.toml": text})
    result = servelint("check")
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert servelint("check", "--isolated").status == 1


def test_paths_of_different_projects_are_refused(project: Project, servelint: Servelint) -> None:
    project.write({"one/.git/HEAD": "", "two/servelint.toml": "", "one/a.py": BLOCKING, "two/b.py": BLOCKING})
    result = servelint("check", "one/a.py", "two/b.py")
    assert (result.status, result.out) == (2, "")
    assert "the paths belong to different projects" in result.err
    project.write({"servelint.toml": ""})
    assert servelint("check", "one/a.py", "two/b.py").status == 1, "one configuration joins them"


def test_standard_input_is_taken_for_the_named_file(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": CLEAN, "other.py": BLOCKING})
    result = servelint(
        "check", "-", "--stdin-filename", "app.py", "--output-format", "concise", stdin=BLOCKING
    )
    assert result.status == 1
    assert result.out.startswith("app.py:2:5: SRV101")
    assert result.out.count("\n") == 1
    assert servelint("check", "-", stdin=CLEAN).status == 0


def test_several_reports_in_one_run(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": BLOCKING})
    result = servelint(
        "check",
        "--output-format",
        "concise",
        "--output-format",
        "sarif=out.sarif",
        "--output-format",
        "json=out.json",
    )
    assert result.out.startswith("app.py:2:5")
    assert json.loads(project.read("out.sarif"))["version"] == "2.1.0"
    assert json.loads(project.read("out.json"))["summary"]["findings"] == 1
    assert servelint("check", "-o", "out.txt").out == ""
    assert "app.py:2:5" in project.read("out.txt")
    failed = servelint("check", "-o", "no/such/folder.txt")
    assert (failed.status, failed.err.count("cannot be written")) == (2, 1)


def test_quiet_verbose_and_statistics(project: Project, servelint: Servelint) -> None:
    project.write(
        {
            "app.py": BLOCKING + "    m.predict(2)  # servelint: ignore[SRV101] a lookup\n",
            "build/x.py": "",
            "notes.txt": "",
        }
    )
    assert "finding in" not in servelint("check", "-q").out
    counts = servelint("check", "--statistics").out.splitlines()
    assert counts[:2] == ["1 finding in 1 file (1 suppressed):", "  1  SRV101 blocking-inference"]
    told = servelint("check", "-v", ".", "notes.txt").err
    assert "skipped build: excluded" in told
    assert "suppressed app.py:3: SRV101: a lookup" in told
    named = servelint("check", "-v", "notes.txt")
    assert named.status == 0
    assert "skipped notes.txt: not a kind of file that servelint reads" in named.err
    assert "no Python files and no manifests to check" in named.err


def test_colours_by_the_environment(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"app.py": BLOCKING})
    assert "\x1b" not in servelint("check").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31mSRV101\x1b[0m" in servelint("check").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in servelint("check").out


def test_a_source_file_cannot_speak_to_the_terminal(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": "async def a(m):\n    m.predict('\x1b[2J\x07')\n"})
    assert "\x1b" not in servelint("check").out


def test_suppressions_that_are_not_understood_are_told(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": "async def a(m):\n    m.predict(1)  # servelint: ignore\n"})
    result = servelint("check")
    assert result.status == 1
    assert result.err.startswith("servelint: app.py:2: suppression: `servelint: ignore` names no rule")


def test_unused_suppressions_are_reported_on_request(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": "x = 1  # servelint: ignore[SRV101] once\n"})
    assert servelint("check").status == 0
    result = servelint("check", "--report-unused", "--output-format", "concise")
    assert result.status == 1
    assert result.out == "app.py:1:8: SRV001 unused-suppression: nothing here is suppressed by `SRV101`\n"
    assert servelint("check", "--report-unused", "--select", "SRV2,SRV001").status == 0
    assert servelint("fix", "--report-unused").status == 0
    assert project.read("app.py") == "x = 1\n"


def test_the_job_summary_of_github_is_written(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"app.py": BLOCKING})
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "summary.md"))
    result = servelint("check", "--output-format", "github")
    assert result.out.startswith("::error file=app.py,line=2,")
    assert "| **SRV101** blocking-inference | `app.py:2` |" in project.read("summary.md")


def test_the_same_input_gives_the_same_output(project: Project, servelint: Servelint) -> None:
    project.write({f"m{number}.py": BLOCKING * 3 for number in range(5)})
    for form in ("text", "sarif", "gitlab", "junit", "markdown", "github"):
        assert (
            servelint("check", "--output-format", form).out == servelint("check", "--output-format", form).out
        )


def test_a_crash_is_a_failed_run_and_no_finding(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(lint, "analyse", explode)
    project.write({"app.py": CLEAN})
    result = servelint("check")
    assert result.status == 2
    assert "crashed: ZeroDivisionError: of all things" in result.err
    assert "Traceback" not in result.err
    monkeypatch.setenv("SERVELINT_DEBUG", "1")
    assert "Traceback" in servelint("check").err


def test_a_reader_that_leaves_early_is_no_crash(project: Project) -> None:
    import subprocess

    project.write({"app.py": BLOCKING * 2000})
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import toy; from servelint import cli, lint; "
        "lint.analyse = toy.analyse; cli.main(['check', '--output-format', 'concise'])"
    )
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", script, tests],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=project.root,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_library_finds_what_the_command_finds(project: Project) -> None:
    from servelint import check

    project.write({"app.py": BLOCKING})
    report = check(["app.py"])
    assert [finding.code for finding in report.findings] == ["SRV101"]
    assert report.exit_status == 1
    with pytest.raises(FileNotFoundError):
        check(["gone.py"])


def test_nothing_heavy_is_imported_for_a_check() -> None:
    import subprocess

    script = "import servelint.cli.check, servelint.lint, sys; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout
    assert not {"libcst", "yaml", "asyncio", "pygls", "tempfile", "json", "tomllib", "difflib"} & set(
        out.split()
    )
