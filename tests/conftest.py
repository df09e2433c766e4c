"""What the tests of the shell share: a project in a folder of its own, and the command line in process."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import toy

from servelint import cli, lint
from servelint.knowledge import compiled

# How long an example takes says something of the machine. New ones are looked for where somebody can look at them; a
# build says the same of the same commit.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("build", deadline=None, derandomize=True)
hypothesis.settings.load_profile("build" if os.environ.get("CI") else "here")

# What is started in the background (`pytest &`) ignores interrupts, and so does all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


class Project:
    """A folder with files, the working directory of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout

    def commit(self, message: str = "change") -> None:
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", message)


@pytest.fixture(scope="session", autouse=True)
def ready_data(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The data of a checkout is made ready before the first test looks at what is in its folder for caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVELINT_CACHE_DIR", str(tmp_path_factory.mktemp("rules")))
        compiled.catalogue()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for caches, new for each test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SERVELINT_CACHE_DIR", str(folder))
    # What is found must not depend on the environment that whoever runs the tests has in their shell.
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_STEP_SUMMARY", "GIT_DIR", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Project(root)


@pytest.fixture
def toy_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint, "analyse", toy.analyse)


class Servelint:
    """The command line."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capture = capture
        self.monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        if stdin is not None:
            content = stdin if isinstance(stdin, bytes) else stdin.encode()
            self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        self.capture.readouterr()
        status = cli.run(arguments)
        out, err = self.capture.readouterr()
        return Result(status, out.decode(), err.decode())


@pytest.fixture
def servelint(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Servelint:
    return Servelint(capfdbinary, monkeypatch)
