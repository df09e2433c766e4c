"""The installed command where its streams, its home or its patience are taken away: a line, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Project

COMMAND = Path(sys.executable).with_name("servelint")
ENDPOINT = (
    "import joblib\n\nmodel = joblib.load('m')\n\n\nasync def predict(row):\n    return model.predict(row)\n"
)
posix = pytest.mark.skipif(os.name != "posix", reason="the shell's redirections are POSIX")


@pytest.fixture(autouse=True)
def blocking_service(project: Project) -> None:
    project.write({"app.py": ENDPOINT, "servelint.toml": ""})


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of `script`, in which `$S` is the command."""
    known = {**os.environ, "S": str(COMMAND), **environment}
    return subprocess.run(["bash", "-c", script], env=known, capture_output=True, text=True, timeout=60)


def told(script: str, status: int, message: str = "", **environment: str) -> str:
    """Standard output of a script that ends with `status` and tells one line, `message`, or nothing."""
    done = shell(script, **environment)
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stderr) == (status, f"servelint: {message}\n" if message else "")
    return done.stdout


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        "check",
        "check --output-format json",
        "fix --diff",
        "rule",
        "config",
        "completion bash",
        "fix - < app.py",
    ],
)
def test_standard_output_that_is_closed_or_full(arguments: str) -> None:
    told(f"$S {arguments} >&-", 2, "standard output cannot be written: Bad file descriptor")
    told(f"$S {arguments} >/dev/full", 2, "standard output cannot be written: No space left on device")


@posix
def test_help_on_a_full_disk() -> None:
    told("$S --help >/dev/full", 2, "[Errno 28] No space left on device")


@posix
@pytest.mark.parametrize("arguments", ["check", "rule SRV101", "--help", "config", "fix --diff"])
def test_a_reader_who_has_gone_is_told_nothing(arguments: str) -> None:
    # The reader is gone for certain before anything is written.
    told(f"{{ sleep 0.3; $S {arguments}; }} | true; exit ${{PIPESTATUS[0]}}", 2)
    told(f"{{ sleep 0.3; SERVELINT_DEBUG=1 $S {arguments}; }} | true; exit ${{PIPESTATUS[0]}}", 2)


@posix
def test_a_report_in_a_file_needs_no_standard_output(project: Project) -> None:
    told("$S check -q --output-format json=out.json >&-", 1)
    assert '"SRV101"' in project.read("out.json")
    told(
        "$S check -q --output-format json=/dev/full",
        2,
        "/dev/full: cannot be written: No space left on device",
    )


@posix
def test_no_standard_input() -> None:
    told("$S check - <&-", 2, "standard input cannot be read: Bad file descriptor")
    assert "SRV101" in told("$S check -q <&-", 1)
    assert shell("$S init <&-").returncode == 2


@posix
@pytest.mark.parametrize("nowhere", ["2>&-", "2>/dev/full"])
def test_no_standard_error(nowhere: str) -> None:
    assert "SRV101" in told(f"$S check {nowhere}", 1)
    for failing in (
        "check missing.py",
        "check --nonsense",
        "check >&-",
        "check --config app.py",
        "check <&- >&-",
    ):
        assert told(f"$S {failing} {nowhere}", 2) == ""


@posix
def test_a_closed_stream_is_no_place_for_another_file(project: Project) -> None:
    project.commit()
    told("$S check -q --output-format json=out.json <&- >&- 2>&-", 1)
    assert project.read("out.json").startswith("{")


@posix
def test_a_baseline_for_a_pipe_leaves_it_a_pipe(project: Project) -> None:
    os.mkfifo("pipe")
    out = told("cat pipe & $S baseline --output pipe; wait", 0)
    assert '{"version": 1,' in out
    assert (project.root / "pipe").is_fifo()


@posix
def test_no_home(tmp_path: Path) -> None:
    without = "env -u SERVELINT_CACHE_DIR -u XDG_CACHE_HOME"
    assert "SRV101" in told(f"{without} -u HOME $S check -q", 1)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for home in ("/dev/null", "/nonexistent", str(locked)):
        assert "SRV101" in told(f"{without} HOME={home} $S check -q", 1)


def test_a_user_without_a_name_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from servelint import store

    def nameless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SERVELINT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nameless)
    place = store.folder() / "x.facts"
    store.save(place, {b"key": b"value"})
    assert store.load(place) == {}
    assert store.clean() == 0


@posix
def test_a_cache_is_never_in_the_project(project: Project) -> None:
    told("env -u SERVELINT_CACHE_DIR XDG_CACHE_HOME=cache $S check -q >/dev/null", 1)
    told("env -u SERVELINT_CACHE_DIR -u XDG_CACHE_HOME HOME=. $S check -q >/dev/null", 1)
    assert sorted(path.name for path in project.root.iterdir()) == ["app.py", "servelint.toml"]


INTERRUPTED = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from servelint.cli import main
main(["check"])
"""


@pytest.mark.parametrize(
    "module",
    ["click", "servelint.cli.commands", "servelint.cli.terminal", "servelint.cli.check", "servelint.code"],
)
def test_an_interruption_while_modules_are_imported(module: str) -> None:
    script = INTERRUPTED.replace("NAME", repr(module))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", "servelint: interrupted")


def test_little_is_imported_before_an_interruption_can_be_answered() -> None:
    script = (
        "import os, sys; before = set(sys.modules); import servelint.cli; print(*set(sys.modules) - before)"
    )
    path = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-S", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **path})
    known = {"servelint", "servelint.version", "servelint.cli", "__future__", "gc"}
    assert "servelint.cli" in done.stdout.split()
    assert set(done.stdout.split()) <= known


@posix
def test_an_interruption_during_the_check() -> None:
    fifo = Path("standard-input")
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR)
    with fifo.open("rb") as waiting:
        process = subprocess.Popen(
            [COMMAND, "check", "-"], stdin=waiting, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(2)  # by now it reads, and waits for more
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    os.close(held)
    assert (process.returncode, out, err.strip()) == (2, "", "servelint: interrupted")
