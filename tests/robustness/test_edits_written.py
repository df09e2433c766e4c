"""What `fix` writes: with all its permissions, into the project only, and nothing is left of a killed run."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import Project

from servelint import edits
from servelint.edits import WriteError
from servelint.lint import check
from servelint.project.config import Config
from servelint.project.text.writing import remove_leftovers, replace_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes, links and locks of POSIX")

BEFORE = "async def a(m):\n    m.predict(1)\n"


@pytest.mark.parametrize("mode", [0o644, 0o4755, 0o2755, 0o6750, 0o1644, 0o7777], ids=oct)
def test_all_bits_of_the_mode_are_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "app.py"
    path.write_text("old")
    os.chown(path, os.getuid(), os.getgid())
    path.chmod(mode)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_what_acts_as_somebody_does_not_become_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.py"
    path.write_text("old")
    path.chmod(0o4755)
    real, mine = Path.stat, path.stat()

    def theirs(self: Path, **_: object) -> os.stat_result:
        if self != path:
            return real(self)
        changed = list(mine)
        changed[4] = mine.st_uid + 1
        return os.stat_result(changed)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "stat", theirs)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(PermissionError, match="its owner cannot be kept"):
        replace_file(path, b"new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["app.py"]


@pytest.mark.usefixtures("toy_engine")
@pytest.mark.parametrize("folder", [False, True])
def test_nothing_is_written_through_a_link_that_leads_out(project: Project, *, folder: bool) -> None:
    outside = project.root.parent / "elsewhere"
    outside.mkdir()
    (outside / "app.py").write_text(BEFORE)
    link = project.root / ("inner" if folder else "app.py")
    link.symlink_to(outside if folder else outside / "app.py")
    project.write({"own.py": BEFORE})
    path = project.root / "inner" / "app.py" if folder else project.root / "app.py"
    report = check([path, project.root / "own.py"], Config(project.root))
    offered = {item.span.path.name: item.fix is not None for item in report.findings}
    assert offered == {"app.py": False, "own.py": True}
    assert "leads out of the project" in next(item.unfixable for item in report.findings if not item.fix)
    list(edits.write(edits.apply(report, unsafe=True)))
    assert (outside / "app.py").read_text() == BEFORE
    assert "apredict" in project.read("own.py")


@pytest.mark.usefixtures("toy_engine")
def test_a_link_that_is_turned_meanwhile_is_noticed(project: Project) -> None:
    project.write({"app.py": BEFORE})
    outcome = edits.apply(check([], Config(project.root)), unsafe=False)
    outside = project.root.parent / "elsewhere.py"
    outside.write_text(BEFORE)
    (project.root / "app.py").unlink()
    (project.root / "app.py").symlink_to(outside)
    with pytest.raises(WriteError, match="leads out of the project"):
        list(edits.write(outcome))
    assert outside.read_text() == BEFORE


@pytest.mark.usefixtures("toy_engine")
def test_two_names_of_one_file_are_written_once(project: Project) -> None:
    project.write({"app.py": BEFORE})
    (project.root / "same.py").symlink_to("app.py")
    paths = [project.root / "app.py", project.root / "same.py"]
    list(edits.write(edits.apply(check(paths, Config(project.root)), unsafe=False)))
    assert project.read("app.py").count("apredict") == 1
    assert (project.root / "same.py").is_symlink()


KILLED = """
import os, signal, sys, time
from pathlib import Path
from servelint.project.text import writing

def last(descriptor):
    print("writing", flush=True)
    time.sleep(60)

os.fsync = last
writing.replace_file(Path(sys.argv[1]), b"new")
"""


@pytest.mark.usefixtures("toy_engine")
def test_what_a_killed_run_left_is_removed_by_the_next(project: Project) -> None:
    project.write({"app.py": "old", "deep/other.py": BEFORE})
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(project.root / "app.py")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        before = set(project.root.iterdir())
        remove_leftovers(project.root)
        assert set(project.root.iterdir()) == before, "what is being written is left alone"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(before) == 3
    list(edits.write(edits.apply(check([], Config(project.root)), unsafe=False)))
    assert sorted(item.name for item in project.root.iterdir()) == ["app.py", "deep"]
    assert project.read("app.py") == "old"


@pytest.mark.parametrize("name", ["n" * 252 + ".py", "\N{SNOWMAN}" * 84 + ".py"])
def test_a_name_that_leaves_no_room_for_more(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_that_name_that_are_none_of_ours_stay(tmp_path: Path) -> None:
    (tmp_path / ".folder.servelint-tmp").mkdir()
    (tmp_path / "kept.servelint-tmp").write_text("")
    (tmp_path / ".link.servelint-tmp").symlink_to(tmp_path / "kept.servelint-tmp")
    before = sorted(tmp_path.iterdir())
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert sorted(tmp_path.iterdir()) == before
