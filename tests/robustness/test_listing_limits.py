"""What is no file is never opened, what is too large is told, and no pattern takes long."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Project, Servelint
from hypothesis import given, settings
from hypothesis import strategies as st
from trapped import ENDPOINT

from servelint.project import disk
from servelint.project.config import MAX_FILE_SIZE, Config, ConfigError, find, load
from servelint.project.globs import LONGEST, MOST, PatternLimitError, compile_patterns
from servelint.project.listing import listing
from servelint.project.listing.files import collect

posix = pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX")
SPECIAL_NAMES = [
    *("pipe.py", "values.yaml", "Dockerfile", ".env", "compose.yaml", "start.sh", "start", "sub/.gitignore"),
    *(".gitignore", "ruff.toml", "servelint.toml", "pyproject.toml", ".servelint-baseline.json"),
    *(".pre-commit-config.yaml", ".github/workflows/ci.yaml", "chart/Chart.yaml", "chart/templates/a.yaml"),
    *(".git", ".git/index", ".git/HEAD", ".git/commondir", ".git/info/exclude", ".git/config"),
    *(".git/packed-refs", ".git/refs/heads/x", ".git/shallow", ".git/ORIG_HEAD"),
]
COMMANDS = ["check", "check --since HEAD", "fix --diff", "fix", "baseline", "init --yes", "config"]


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Nothing here takes long, and what waits for a writer would wait for ever."""
    import signal

    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("this waits"))
    signal.alarm(60)
    yield
    signal.alarm(0)


@posix
@pytest.mark.parametrize("name", SPECIAL_NAMES)
def test_a_named_pipe_is_never_opened(
    name: str, project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"app.py": ENDPOINT, "chart/values.yaml": "a: 1\n"})
    if name.startswith(".git/"):
        project.commit()
    place = project.root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    opened: list[object] = []
    real = os.open

    def watched(path: object, *arguments: Any, **named: Any) -> int:
        opened.append(path)
        return real(path, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "open", watched)
    for command in COMMANDS:
        result = servelint(*command.split())
        assert "crashed" not in result.err
        assert result.status in (0, 1) or result.err.startswith("servelint: "), command
    assert str(place) not in map(str, opened)


@posix
def test_what_is_no_file_is_left_out_and_told(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"app.py": ENDPOINT})
    os.mkfifo(project.root / "pipe.py")
    (project.root / "zero.py").symlink_to("/dev/zero")
    (project.root / "to_pipe.yaml").symlink_to("pipe.py")
    (project.root / "folder.py").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(project.root)
        server.bind("api.sock.yaml")
        result = servelint("check", "-v", "--output-format", "concise")
    assert result.status == 1
    assert [line.partition(":")[0] for line in result.out.splitlines()] == ["app.py"]
    skipped = collect([], Config(project.root)).skipped
    assert {(item.path.name, item.reason) for item in skipped} == {
        ("pipe.py", "not a regular file"),
        ("api.sock.yaml", "not a regular file"),
    }


@posix
def test_a_file_that_is_replaced_by_a_pipe(project: Project) -> None:
    project.write({"a.py": ""})
    tree = collect([], Config(project.root))
    (project.root / "a.py").unlink()
    os.mkfifo(project.root / "a.py")
    with pytest.raises(OSError, match="it is not a regular file"):
        tree.read(project.root / "a.py")


@posix
def test_a_file_without_end(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        disk.read("/dev/zero")
    if Path("/proc/self/status").exists():  # which says that it is empty
        assert disk.read("/proc/self/status").startswith(b"Name:")
        with pytest.raises(OSError, match="more than the limit allows"):
            disk.read("/proc/self/status", 10)


@pytest.mark.parametrize("name", ["big.py", "big.yaml", "Dockerfile", "big.sh", ".env", "big"])
def test_a_file_that_is_too_large_is_a_finding(name: str, project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT, name: "#!/bin/sh\n"})
    place = project.root / name
    place.chmod(0o755)
    os.truncate(place, MAX_FILE_SIZE + 1)
    for _ in range(2):  # the second time from the cache
        result = servelint("check", "--output-format", "json")
        assert result.status == 1
        told = json.loads(result.out)
        assert {(item["code"], item["path"]) for item in told["findings"]} == {
            ("SRV000", name),
            ("SRV101", "app.py"),
        }
        assert [item["path"] for item in told["errors"]] == [name]
        assert told["errors"][0]["message"] == (
            "not read: 2,097,153 bytes are more than `max-file-size` allows (2,097,152); "
            "exclude the file, or raise the limit in the configuration"
        )
    assert servelint("check", name).status == 1
    assert [item for item in servelint("check", "app.py").out.splitlines() if "SRV000" in item] == [], (
        "it is not what was asked about"
    )
    assert servelint("check", "--extend-exclude", name, "--ignore", "SRV101").status == 0
    for form in ("text", "sarif", "github", "junit", "gitlab", "concise"):
        assert "SRV000" in servelint("check", "--output-format", form).out
    project.write({"servelint.toml": f"max-file-size = {MAX_FILE_SIZE + 1}\n"})
    os.truncate(place, 20)
    assert "SRV000" not in servelint("check", "--no-cache").out


def test_the_limit_is_configured(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT, "servelint.toml": f"max-file-size = {len(ENDPOINT) - 1}\n"})
    assert "SRV000" in servelint("check").out
    assert "SRV000" in servelint("check", "-", "--stdin-filename", "new.py", stdin=ENDPOINT).out
    assert "SRV000" in servelint("check", "-", "--stdin-filename", "app.py", stdin=ENDPOINT).out
    assert servelint("check", "-", "--stdin-filename", "app.py", stdin="x = 1\n").status == 0
    assert servelint("fix").status == 1
    assert project.read("app.py") == ENDPOINT
    project.write({"servelint.toml": f"max-file-size = {len(ENDPOINT)}\n"})
    assert "SRV101" in servelint("check").out
    for wrong in ("0", "-1", "true", "'2 MiB'", "1.5"):
        project.write({"servelint.toml": f"max-file-size = {wrong}\n"})
        assert servelint("check").status == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# \n" * 400_000, "cannot be read: 1,200,000 bytes are more than the limit allows (1,048,576)"),
        ("select = " + "[" * 2000, "is nested too deeply"),
        ("exclude = ['" + "a*" * 3000 + "']", "`exclude` cannot be used: a pattern has more than 4,096 char"),
        ("extend-exclude = [" + "'*a*',\n" * (MOST + 1) + "]", "there are more than 5,000 patterns"),
        ("[per-file-ignores]\n'" + "?" * 5000 + "' = []", "`per-file-ignores` cannot be used: a pattern"),
    ],
)
def test_a_configuration_past_its_limits(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "servelint.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert message in str(refused.value)


@pytest.mark.parametrize("line", ["a." * 200_000, "[" + " " * 200_000, "[" + "a " * 100_000, " " * 300_000])
def test_positions_in_a_configuration_are_found_in_linear_time(line: str, tmp_path: Path) -> None:
    path = tmp_path / "servelint.toml"
    path.write_text(f'baseline = """\n{line}\n"""\nfail-on = "error"\n')
    start = time.process_time()
    config = load(path)
    assert config.provenance["fail-on"] == f"{path}:4"
    assert time.process_time() - start < 2
    assert find(tmp_path) == path


HOSTILE = [
    "*a" * 30 + "b",
    "**/a/" * 20 + "b",
    "a**" * 30 + "b",
    "**/*a*" * 12 + "/b",
    "?*" * 60 + "b",
    "[" + "\\a" * 40,
    "[" + "[:" * 1000,
    "[a-" * 1000,
    "[!" * 1000,
    "\\" * 999,
    "x" + " " * 4000 + "x",
    "*" * 4000,
    "/**" * 1300,
    "!" * 4000,
    "*/" * 40 + "b",
]
PATHS = [
    "a" * 250,
    "/".join("a" * 2000),
    "/".join(["a" * 200] * 20),
    "/".join(["ab"] * 1000),
    "a/" * 60 + "x.py",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_pattern_takes_long(pattern: str) -> None:
    start = time.process_time()
    patterns = compile_patterns([pattern, f"/{pattern}", f"{pattern}/", f"!{pattern}/**"])
    for path in PATHS:
        for folder in (True, False):
            patterns.decide(path, folder=folder)
    assert time.process_time() - start < 2


@settings(deadline=2000)
@given(
    st.text("ab*?[]!/\\-: ^", min_size=1, max_size=12).map(lambda piece: piece * (300 // len(piece))),
    st.text("ab/", min_size=1, max_size=6).map(lambda piece: piece * (600 // len(piece))),
)
def test_any_pattern_is_matched_soon(pattern: str, path: str) -> None:
    compile_patterns([pattern]).decide(path, folder=False)


@pytest.mark.parametrize("name", [".gitignore", "sub/.gitignore"])
@pytest.mark.parametrize(
    "content", ["x\n" * 600_000, "*a*b*\n" * (MOST + 1), "*" * (LONGEST + 1)], ids=["size", "count", "length"]
)
def test_an_ignore_file_past_its_limits(
    content: str, name: str, project: Project, servelint: Servelint
) -> None:
    project.write({"app.py": ENDPOINT, name: content})
    result = servelint("check", "--output-format", "concise")
    assert [line.split(":")[0] for line in result.out.splitlines()] == sorted([name, "app.py"])
    assert ": SRV000 " in result.out


def test_patterns_that_take_too_long_are_given_up(
    project: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PATIENCE", 0.0)
    project.write({"app.py": ENDPOINT, ".gitignore": "app.py\n", "b.py": ENDPOINT, "c/d.py": ENDPOINT})
    result = servelint("check", "--output-format", "concise")
    assert result.status == 1
    assert result.out.count("the patterns of .gitignore files take more than 0 seconds") == 1
    assert "c/d.py:8:" in result.out or "c/d.py:7:" in result.out


def test_many_patterns_of_one_list() -> None:
    with pytest.raises(PatternLimitError):
        compile_patterns(["*a?"] * (MOST + 1))
    compile_patterns([f"name{number}" for number in range(100_000)])


def test_a_folder_nested_as_deep_as_paths_go(project: Project) -> None:
    deep = project.root
    while len(str(deep)) < 3900:
        deep /= "d" * 10
    deep.mkdir(parents=True)
    (deep / "a.py").write_text("")
    for number in range(40):  # repositories in repositories
        (project.root / Path(*["r"] * number) / ".git" / "objects").mkdir(parents=True)
        (project.root / Path(*["r"] * number) / ".git" / "HEAD").write_text("")
    tree = collect([], Config(project.root))
    assert [path.name for path in tree.python] == ["a.py"]


def test_links_that_lead_outside(project: Project, servelint: Servelint, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "lib.py").write_text(ENDPOINT)
    project.write({"app.py": "x = 1\n"})
    (project.root / "linked").symlink_to(outside)
    (project.root / "loop").symlink_to(project.root)
    (project.root / ".github").symlink_to(outside)
    assert collect([], Config(project.root)).python == (project.root / "app.py",)
    result = servelint("init", "--yes")
    assert result.status == 2
    assert "leads out of the project" in result.err
    assert [path.name for path in outside.iterdir()] == ["lib.py"]


def test_an_excluded_pattern_only_covers_what_it_says(project: Project) -> None:
    project.write({"a/b.py": "", "a/c/b.py": "", "b.py": ""})
    config = replace(Config(project.root), extend_exclude=("/a/**/b.py",))
    assert collect([], config).python == (project.root / "b.py",)
