"""The command line with hostile names, values and configuration: a message and status 2, never a crash."""

from __future__ import annotations

import io
import json
import os
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
from conftest import Project, Servelint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelint import run
from servelint.cli import terminal
from servelint.project import config
from servelint.project.reported.baseline import BaselineError

ENDPOINT = (
    "import joblib\n\nmodel = joblib.load('m')\n\n\nasync def predict(row):\n    return model.predict(row)\n"
)
NAMES = [
    b"caf\xe9.py",
    b"\x1b[31mred\x1b[0m.py",
    b"two\nlines.py",
    b"::error file=x::boo.py",
    "\u202etxt.py".encode(),
    b"##[error]x.py",
    b"a`|<b>[c](x:y).py",
]
posix = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")


@posix
@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_any_name(
    name: bytes, project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.root / os.fsdecode(name)
    path.write_text(ENDPOINT)
    summary = project.root / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for form in ("text", "concise", "json", "json-lines", "sarif", "github", "gitlab", "junit", "markdown"):
        result = servelint("check", "--no-cache", "--verbose", "--output-format", form)
        assert (result.status, "SRV101" in result.out) == (1, True), form
        assert (result.out + result.err).replace("\n", "").isprintable(), form
        written = servelint("check", "--no-cache", "-q", "--output-format", f"{form}=report")
        assert (written.status, "SRV101" in project.read("report")) == (1, True), form
    assert "SRV101" in summary.read_text("utf-8")
    for arguments in (["config", os.fsdecode(name)], ["check", "--explain", f"{path}:7"]):
        result = servelint(*arguments)
        assert result.err == "", arguments
        assert result.status != 2, arguments
    assert servelint("baseline").status == 0
    assert json.loads(project.read(".servelint-baseline.json"))["findings"]
    assert servelint("check").status == 0
    assert servelint("fix", "--no-baseline", "--unsafe-fixes").status == 0


@posix
@pytest.mark.parametrize("name", [b"caf\xe9", b"caf\xe9.sh", b"\xff\xfe"])
def test_a_script_may_have_any_name(name: bytes, project: Project, servelint: Servelint) -> None:
    path = project.root / os.fsdecode(name)
    path.write_text("#!/bin/sh\nexec uvicorn app:app --workers 4\n")
    project.write({"Dockerfile": 'FROM python:3.12\nCOPY . .\nCMD ["./start"]\n'})
    assert "defect" not in servelint("check", "--no-cache", "--output-format", "concise").out


@posix
def test_messages_are_one_line_and_do_not_speak_to_the_terminal(
    project: Project, servelint: Servelint
) -> None:
    for name in (b"\x1b[31mred\xff\n::error::x", b"##[error]x"):
        typed = os.fsdecode(name)
        for arguments in (
            ["check", typed],
            ["check", f"--{typed}"],
            ["check", "--select", typed],
            ["check", "--config", typed],
            ["check", "--output-format", typed],
            ["check", "--explain", typed],
            ["check", "--severity", typed],
            ["rule", typed],
            [typed],
        ):
            result = servelint(*arguments)
            assert result.status == 2, arguments
            assert result.err.replace("\n", "").isprintable()
            assert not any(line.startswith("::") or "##[" in line for line in result.err.split("\n"))


@pytest.mark.parametrize("nothing", ["", ",", " ", " , ,"])
def test_a_selection_of_nothing_is_an_error(nothing: str, project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    result = servelint("check", "--select", nothing)
    assert (result.status, "--select names no rule" in result.err) == (2, True)
    assert servelint("check", "--ignore", nothing, "--extend-select", nothing).status == 1
    assert servelint("check", "--severity", f"{nothing}=error").status == 2


def test_a_severity_for_several_rules(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    assert servelint("check", "--severity", "SRV2,SRV101=info").status == 0


@pytest.mark.parametrize(
    "place", ["../outside.json", "/tmp/outside.json", "below/../../outside.json", "link.json"]
)
@pytest.mark.parametrize("command", ["check", "baseline", "fix", "suppress"])
def test_a_baseline_outside_the_project_is_refused(
    place: str, command: str, project: Project, servelint: Servelint
) -> None:
    outside = project.root.parent / "outside.json"
    outside.write_text("secret")
    (project.root / "link.json").symlink_to(outside)
    project.write({"app.py": ENDPOINT, "servelint.toml": f"# ours\nbaseline = '{place}'\n"})
    result = servelint(command, *(["--reason", "x"] if command == "suppress" else []))
    assert result.status == 2
    expected = f"{project.root}/servelint.toml:2: the baseline must be inside the project, {project.root}"
    assert result.err == f"servelint: {expected}\n"
    assert outside.read_text() == "secret"
    assert project.read("app.py") == ENDPOINT
    with pytest.raises(BaselineError):
        run.check([project.root], None)


def test_a_baseline_that_the_user_names_may_be_anywhere(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT, "servelint.toml": "baseline = 'ci/known.json'\n", "ci/x": ""})
    assert servelint("baseline", "--output", "../elsewhere.json").status == 0
    assert servelint("check", "--baseline", "../elsewhere.json").status == 0
    assert servelint("check").status == 1
    assert servelint("baseline").status == 0
    assert servelint("check").status == 0


@posix
def test_a_baseline_that_is_no_file_is_not_read(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    os.mkfifo(".servelint-baseline.json")
    result = servelint("check")
    assert (result.status, "is not a file" in result.err) == (2, True)


CONFIGURATIONS = {
    "not_utf8": b"exclude = ['caf\xe9']\n",
    "utf16": "exclude = ['x']\n".encode("utf-16"),
    "nul": b"exclude = ['\0']\n",
    "not_toml": b"select = [\n",
    "unclosed": b'baseline = "x\n',
    "deep_array": b"select = " + b"[" * 5000 + b"]" * 5000,
    "deep_table": b"select = " + b"{a=" * 5000 + b"1" + b"}" * 5000,
    "dotted": b".".join([b"a"] * 20_000) + b" = 1\n",
    "digits": b"[fix]\nmax-workers = " + b"9" * 100_000 + b"\n",
    "date": b"[fix]\nmax-workers = 2024-99-99\n",
    "long_key": b"s" * 200_000 + b" = 1\n",
    "long_code": b"select = ['" + b"S" * 100_000 + b"']\n",
    "empty_code": b"select = ['']\n",
    "empty_severity": b"[severity]\n'' = 'error'\n",
    "twice": b"select = []\nselect = []\n",
    "nan": b"fail-on = nan\n",
    "control": b'"\\u001b[31m" = 1\n',
    "surrogate": b'select = ["\\ud800"]\n',
    "newline_key": b'"a\\n::error::b" = 1\n',
    "baseline_nul": b'baseline = "a\\u0000b"\n',
    "offload_nul": b'[fix]\noffload = "project:a\\u0000b"\n',
    **{
        f"type_{key}": f"{key} = {{x = [1, 1979-05-27]}}\n".encode()
        for key in config.option_names()
        if "." not in key
    },
    **{f"flag_{key}": f"{key} = 1.5\n".encode() for key in config.option_names() if "." not in key},
    "braces": b"startup = ['*{']\n",
    "nested": b"loop-bound = ['{a,{b,c}}']\n",
    "many": b"blocking-calls = ['" + b"{a,b}" * 22 + b"']\n",
    "fix": b"fix = [1]\n",
    "fix_negative": b"[fix]\nmax-workers = -1\n",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("command", ["check", "config", "init"])
def test_a_configuration_that_cannot_be_used(
    name: str, command: str, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": ENDPOINT, "servelint.toml": CONFIGURATIONS[name]})
    if command == "init" and name not in ("not_utf8", "not_toml", "deep_array", "digits"):
        return  # init asks only whether there is one
    result = servelint(command)
    assert result.status == 2
    assert "crashed" not in result.err
    assert result.err.startswith(f"servelint: {project.root / 'servelint.toml'}:")
    assert result.err.count("\n") == 1
    assert len(result.err) < 2000
    assert result.err[:-1].isprintable()


@pytest.mark.parametrize("content", ["[tool]\nservelint = 1\n", "[tool.servelint]\nx = 1\n"])
def test_a_table_that_is_none(content: str, project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT, "pyproject.toml": content})
    result = servelint("check")
    assert result.status == 2
    assert result.err.startswith(f"servelint: {project.root / 'pyproject.toml'}:")


@pytest.mark.parametrize("name", ["pyproject.toml", "ruff.toml", ".ruff.toml"])
@pytest.mark.parametrize(
    "content",
    [
        "tool = 1\n# servelint\n",
        "[tool]\nruff = 1\nblack = [1]\n",
        "tool.ruff.line-length = true\n",
        "line-length = -7\n",
        f"x = {'9' * 5000}\n",
        f"x = {'[' * 5000}",
    ],
)
def test_the_configuration_of_a_formatter(
    name: str, content: str, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": ENDPOINT, name: content})
    result = servelint("check", "--no-cache", "--output-format", "json")
    assert (result.status, result.err) == (1, "")
    assert json.loads(result.out)["findings"][0]["fix"]


@posix
def test_a_pipe_instead_of_the_configuration_of_a_formatter(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    os.mkfifo("ruff.toml")
    assert servelint("check", "--no-cache").status == 1


def test_a_folder_instead_of_a_configuration(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT, "servelint.toml/x": ""})
    assert servelint("check").status == 1
    assert servelint("check", "--config", "servelint.toml").status == 2
    assert servelint("check", "--config", "missing.toml").status == 2


@posix
def test_a_pipe_instead_of_a_configuration_is_not_opened(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    os.mkfifo("servelint.toml")
    assert servelint("check").status == 1


def toml(value: object) -> str:
    """`value` as TOML has it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(key)} = {toml(item)}' for key, item in value.items())}}}"
    return str(value)


STRINGS = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = st.booleans() | st.integers() | st.floats() | STRINGS | st.datetimes(min_value=datetime(1000, 1, 1))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=5,
)
OPTIONS = sorted({name.partition(".")[0] for name in config.option_names()})
KEYS = st.sampled_from(OPTIONS) | STRINGS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_value_of_any_option_is_read_or_refused(table: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "servelint.toml"
    path.write_text("".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items()), "utf-8")
    tomllib.loads(path.read_text("utf-8"))
    refused = ""
    try:
        config.load(path)
    except config.ConfigError as error:
        refused = str(error)
    assert not refused or refused.startswith(str(path))


PATTERNS = (
    "exclude",
    "extend-exclude",
    "blocking-calls",
    "offloads",
    "loop-bound",
    "startup",
    "per-file-ignores",
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns=st.lists(STRINGS | st.text("a.*?[]!/\\ {}()+^$|-", max_size=12), max_size=2))
def test_any_pattern_is_used_or_refused(patterns: list[str], project: Project, servelint: Servelint) -> None:
    values = dict.fromkeys(PATTERNS[:-1], patterns) | {
        "per-file-ignores": {pattern: ["SRV202"] for pattern in patterns}
    }
    lines = (f"{name} = {toml(value)}\n" for name, value in values.items())
    project.write({"app.py": ENDPOINT, "servelint.toml": "".join(lines)})
    result = servelint("check", "--no-cache")
    assert "crashed" not in result.err
    assert result.status in (0, 1) or result.err.startswith(f"servelint: {project.root / 'servelint.toml'}")


HOOKS = {
    "deep": b"repos: " + b"[" * 5000,
    "not_utf8": b"repos:\n- repo: caf\xe9\n",
    "tag": b"repos: !!int ''\n",
    "date": b"a: 2024-99-99\nrepos: x\n",
    "version": b"%YAML " + b"1" * 5000 + b".1\n---\nrepos: []\n",
    "bomb": b"a: &a {b: 1}\n" + b"".join(b"x%d: {<<: [*a, *a, *a]}\n" % n for n in range(50)) + b"repos: 1\n",
    "character": b'repos: "\\UFFFFFFFF"\n',
}


@pytest.mark.parametrize("name", HOOKS)
def test_init_with_a_hostile_list_of_hooks(name: str, project: Project, servelint: Servelint) -> None:
    project.write({".pre-commit-config.yaml": HOOKS[name]})
    result = servelint("init", "--yes", "--no-configuration", "--no-workflow")
    assert "crashed" not in result.err
    assert result.err
    assert (project.root / ".pre-commit-config.yaml").read_bytes() == HOOKS[name]


def test_init_where_folders_and_files_are_swapped(project: Project, servelint: Servelint) -> None:
    project.write({".github/workflows": "", ".pre-commit-config.yaml/x": ""})
    assert servelint("init", "--yes", "--no-workflow", "--no-configuration").status == 2
    result = servelint("init", "--yes", "--no-hook", "--no-configuration")
    assert (result.status, "crashed" in result.err) == (2, False)


@pytest.mark.parametrize("line", ["9" * 5000, "0", "²", "-1"])
def test_a_line_that_is_none_is_not_explained(line: str, project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    result = servelint("check", "--explain", f"app.py:{line}")
    assert result.status == 2
    assert "--explain needs an existing file and a line" in result.err


def test_versions_that_nothing_has(project: Project, servelint: Servelint) -> None:
    asked = f"fastmcp<{'9' * 5000}\nfastmcp<3.{'9' * 5000}\n"
    tool = "import joblib\nfrom fastmcp import FastMCP\n\nm = joblib.load('m')\n\n\n@FastMCP('m').tool\ndef tool(x):\n"
    project.write({"app.py": f"{tool}    return m.predict(x)\n", "requirements.txt": asked})
    result = servelint("check", "--no-cache", "--output-format", "json")
    assert not json.loads(result.out)["errors"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("version", "links"), [("9" * 5000, False), ("²", False), ("4999", False), ("7600", True)]
)
def test_a_terminal_may_say_any_version(version: str, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"VTE_VERSION": version, "FORCE_COLOR": "1"})
    assert terminal.style_for(_Terminal()).links is links
