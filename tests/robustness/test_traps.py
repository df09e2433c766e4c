"""servelint executes nothing that it reads: a project full of traps, and none of them springs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_server import Client
from trapped import ENDPOINT, Traps

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the traps are shell scripts")

COMMAND = Path(sys.executable).with_name("servelint")
COMMANDS = [
    "check",
    "check svc/app.py",
    "check inner",
    "check --no-cache --isolated",
    "check --output-format sarif",
    "check --since HEAD~1",
    "check --since main@{0}",
    "fix --diff",
    "fix --diff --unsafe-fixes svc",
    "fix",
    "baseline",
    "init --yes",
    "suppress --reason known",
    "config",
    "rule",
    "clean",
]


@pytest.fixture
def traps(tmp_path: Path) -> Traps:
    root = tmp_path / "project"
    root.mkdir()
    laid = Traps(root)
    laid.lay()
    assert laid.sprung() == [], "laid without stepping into them"
    return laid


def run(traps: Traps, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=cwd or traps.root,
        env=traps.environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    assert "crashed" not in done.stderr
    return done


def test_the_traps_are_armed(traps: Traps) -> None:
    """What git itself does there: else that nothing springs would say nothing."""
    subprocess.run(["git", "status"], cwd=traps.root, capture_output=True)
    subprocess.run(["git", "diff"], cwd=traps.root, capture_output=True)
    subprocess.run(["git", "ls-files", "-o"], cwd=traps.root / "svc", capture_output=True)
    sprung = set(traps.sprung())
    assert {"top-included-fsmonitor", "bare-fsmonitor"} <= sprung
    assert sprung & {"top-included-process", "top-included-external-diff", "top-included-diff"}


@pytest.mark.parametrize("folder", ["", "svc", "inner"])
@pytest.mark.parametrize("arguments", COMMANDS)
def test_nothing_springs(arguments: str, folder: str, traps: Traps) -> None:
    words = arguments.split()
    if folder and any(word.startswith(("svc", "inner")) for word in words):
        words = words[:1]
    done = run(traps, str(COMMAND), *words, cwd=traps.root / folder)
    assert traps.sprung() == []
    assert done.returncode in (0, 1) or "--since" in arguments, done.stderr


@pytest.mark.parametrize("safely", [True, False])
def test_as_a_module(traps: Traps, safely: bool) -> None:
    """What Python itself imports before `-m` is only kept from the folder by `-P`."""
    loaded_by_python = ("typing", "dataclasses", "__init__")
    for name in loaded_by_python if not safely else ():
        (traps.root / f"{name}.py").unlink()
    if safely:
        traps.write("servelint.py", (traps.root / "click.py").read_text())
    command = [sys.executable, *(["-P"] if safely else []), "-m", "servelint", "check"]
    assert run(traps, *command).returncode == 1
    assert traps.sprung() == []


def test_the_language_server(traps: Traps, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in traps.environment().items():
        monkeypatch.setenv(name, value)
    client = Client(traps.root, str(COMMAND))
    try:
        client.request("initialize", {"processId": None, "rootUri": traps.root.as_uri(), "capabilities": {}})
        client.notify("initialized", {})
        for name in ("svc/app.py", "inner/api.py", "click.py"):
            uri = (traps.root / name).as_uri()
            client.open(uri, ENDPOINT, 1)
            assert [item["code"] for item in client.published(uri, 1)] == ["SRV101"]
    finally:
        client.process.kill()
        client.process.wait()
    assert traps.sprung() == []


def test_what_git_is_still_asked_is_answered(tmp_path: Path) -> None:
    """With every trap laid except the lost object, `--since` does its work."""
    root = tmp_path / "project"
    root.mkdir()
    traps = Traps(root)
    traps._lose_an_object = lambda: None  # type: ignore[method-assign]
    traps.lay()
    done = run(traps, str(COMMAND), "check", "--since", "HEAD~1", "--output-format", "concise", "svc")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["svc/app.py:11:12"], done.stderr
    assert traps.sprung() == []
