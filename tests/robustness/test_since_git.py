"""What git is asked about the past: every way to name a commit, states of a repository, and limits."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import Project, Servelint
from trapped import ENDPOINT

from servelint.project.listing import git

posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in for git is a shell script")
NEW = ENDPOINT + "\n\nasync def again(row):\n    return model.predict(row)\n"


def found(servelint: Servelint, revision: str, *arguments: str) -> list[str]:
    result = servelint("check", "--since", revision, "--output-format", "concise", *arguments)
    assert result.status in (0, 1), result.err
    return [line.split(": ")[0] for line in result.out.splitlines()]


@pytest.fixture
def history(project: Project) -> Project:
    """Three commits: the endpoint is there from the first, the second adds one more, the third nothing."""
    project.write({"app.py": ENDPOINT, ".gitignore": "ignored/\n"})
    project.commit()
    project.git("tag", "-a", "-m", "first", "v1")
    project.git("tag", "light/v1")
    project.write({"app.py": NEW})
    project.commit()
    project.git("branch", "side")
    project.write({"notes.md": "x\n"})
    project.commit()
    return project


BEFORE = [
    "v1",
    "light/v1",
    "refs/tags/v1",
    "HEAD~2",
    "HEAD^^",
    "main~2",
    "main@{2}",
    "@{2}",
    "side~1",
    ":/change~2",
]
AFTER = ["HEAD", "main", "side", "HEAD~1", "heads/side", "@", "main@{0}", "main@{1}", "v1..", "HEAD:app.py"]


@pytest.mark.parametrize("packed", [False, True])
def test_names_of_commits(packed: bool, history: Project, servelint: Servelint) -> None:
    if packed:
        history.git("pack-refs", "--all")
        history.git("gc", "-q")
    hash_of_first = history.git("rev-parse", "v1^{commit}").strip()
    for revision in (*BEFORE[:-1], hash_of_first, hash_of_first[:8]):
        assert found(servelint, revision) == ["app.py:11:12"], revision
    for revision in AFTER[:-2]:
        assert found(servelint, revision) == [], revision
    for revision in (
        *AFTER[-2:],
        "none",
        "",
        " ",
        "..",
        "-q",
        "--all",
        "HEAD\0",
        "HEAD\n",
        "@{u}",
        "no/such@{1}",
    ):
        result = servelint("check", "--since", revision)
        assert result.status == (1 if revision == "" else 2), revision
        assert "crashed" not in result.err


def test_what_a_branch_follows(history: Project, servelint: Servelint, tmp_path: Path) -> None:
    other = tmp_path / "clone"
    history.git("switch", "-q", "-c", "old", "v1")
    history.git("clone", "-q", str(history.root), str(other))
    clone = Project(other)
    clone.write({"app.py": NEW})
    clone.commit()
    os.chdir(other)
    for revision in (
        "@{u}",
        "@{upstream}",
        "old@{upstream}",
        "origin/old",
        "origin",
        "origin/HEAD",
        "FETCH_HEAD",
    ):
        if revision == "FETCH_HEAD":
            clone.git("fetch", "-q")
        assert found(servelint, revision) == ["app.py:11:12"], revision


def test_a_second_work_tree_and_sha256(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    project.git("init", "-q", "-b", "main", "--object-format=sha256")
    project.commit()
    other = Project(project.root.parent / "other")
    project.git("worktree", "add", "-q", "-b", "side", str(other.root))
    other.write({"app.py": NEW})
    os.chdir(other.root)
    assert found(servelint, "HEAD") == ["app.py:11:12"]
    other.commit()
    assert found(servelint, "HEAD") == []
    assert found(servelint, "main") == ["app.py:11:12"]
    assert found(servelint, "HEAD@{1}") == ["app.py:11:12"]


def test_a_shallow_clone(history: Project, servelint: Servelint, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    history.git("clone", "-q", "--depth", "2", history.root.as_uri(), str(clone))
    os.chdir(clone)
    assert found(servelint, "HEAD~1") == []
    result = servelint("check", "--since", "HEAD~2")
    assert (result.status, result.err) == (2, "servelint: --since HEAD~2: there is no revision `HEAD~2`\n")


def test_a_partial_clone_says_how_to_go_on(history: Project, servelint: Servelint, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    history.git("config", "uploadpack.allowFilter", "true")
    allowed = ("-c", "protocol.file.allow=always")
    history.git(*allowed, "clone", "-q", "--filter=blob:none", history.root.as_uri(), str(clone))
    os.chdir(clone)
    result = servelint("check", "--since", "v1")
    assert result.status == 2
    assert "is not here, as in a partial clone; `git fetch --refetch --no-filter` brings" in result.err


@pytest.mark.parametrize("attributes", ["", "* text=auto eol=crlf\n", "*.py -text\n"])
def test_line_endings_are_no_change(attributes: str, project: Project, servelint: Servelint) -> None:
    project.write({"app.py": NEW, ".gitattributes": attributes})
    project.commit()
    project.write({"app.py": NEW.replace("\n", "\r\n").encode()})
    assert found(servelint, "HEAD") == []
    project.write({"app.py": NEW.replace("(row)\n", "(row )\n").replace("\n", "\r\n").encode()})
    assert found(servelint, "HEAD") == ["app.py:7:12", "app.py:11:12"]


def test_lines_that_look_like_a_patch(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT, "b/1.py": ENDPOINT})
    project.commit()
    text = '"""\n+++ b/1\n@@ -1 +1 @@\n--- a/0\n"""\n'
    project.write({"app.py": ENDPOINT.replace("(row)\n", "(row  )\n") + text, "b/1.py": ENDPOINT + text})
    assert found(servelint, "HEAD") == ["app.py:7:12"]


def test_files_that_are_new_renamed_ignored_or_scripts(project: Project, servelint: Servelint) -> None:
    script = "#!/bin/sh\nuvicorn service:api --workers 4\n"
    service = "import joblib\nfrom fastapi import FastAPI\n\napi = FastAPI()\nmodel = joblib.load('m')\n"
    service += "\n\n@api.get('/')\nasync def predict(row):\n    return model.predict(row)\n"
    project.write({"Dockerfile": 'FROM python\nCOPY . .\nCMD ["./start"]\n', "service.py": service})
    project.write({"old.py": ENDPOINT, "start": script, ".gitignore": "ignored/\n"})
    (project.root / "start").chmod(0o755)
    project.commit()
    assert found(servelint, "HEAD") == []
    project.write({"new.py": ENDPOINT, "ignored/x.py": ENDPOINT, "start": f"{script}\n# x\n"})
    project.git("mv", "old.py", "moved.py")
    assert found(servelint, "HEAD") == ["moved.py:7:12", "new.py:7:12"]
    project.write({"start": script.replace("4", "8")})
    assert "start:2:31" in found(servelint, "HEAD")
    assert "ignored/x.py:7:12" in found(servelint, "HEAD", "ignored")


def test_a_repository_that_has_no_commit(project: Project, servelint: Servelint) -> None:
    project.write({"app.py": ENDPOINT})
    project.git("init", "-q")
    result = servelint("check", "--since", "HEAD")
    assert (result.status, result.err) == (2, "servelint: --since HEAD: there is no revision `HEAD`\n")


def test_a_folder_that_is_new(history: Project, servelint: Servelint) -> None:
    history.write({"sub/servelint.toml": "", "sub/app.py": ENDPOINT})
    os.chdir(history.root / "sub")
    assert found(servelint, "HEAD") == ["app.py:7:12"]


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program in the place of git."""
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@posix
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exec sleep 60", "git took more than 1 seconds; without `--since` it is not asked"),
        ("exec yes", "git says more than 1,000 bytes; without `--since` it is not asked"),
        ("exit 3", "there is no revision `HEAD`"),
        ("kill -9 $$", "there is no revision `HEAD`"),
    ],
)
def test_a_git_that_does_not_do_its_work(
    script: str,
    message: str,
    history: Project,
    servelint: Servelint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(tmp_path / "bin", script, monkeypatch)
    monkeypatch.setattr(git, "TIME_LIMIT", 1.0)
    monkeypatch.setattr(git, "OUTPUT_LIMIT", 1000)
    result = servelint("check", "--since", "HEAD")
    assert (result.status, result.err) == (2, f"servelint: --since HEAD: {message}\n")
    assert servelint("check").status == 1, "git is not needed for anything else"


@posix
def test_git_is_told_nothing_and_may_do_nothing(
    history: Project, servelint: Servelint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    real = subprocess.run(["which", "git"], capture_output=True, text=True).stdout.strip()
    stand_in(tmp_path / "bin", f'(pwd; env; echo "$*") >> {log}; exec {real} "$@"', monkeypatch)
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=true'")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert found(servelint, "v1") == ["app.py:11:12"]
    told = log.read_text()
    assert str(history.root) not in told.replace(f"GIT_OBJECT_DIRECTORY={history.root}", "").replace(
        f"PWD={history.root}", ""
    )
    assert "GIT_CONFIG_PARAMETERS" not in told
    for power in (
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_NO_LAZY_FETCH=1",
        "protocol.allow=never",
        "safe.bareRepository=",
    ):
        assert power in told
    assert list(temporary.iterdir()) == []


@posix
def test_a_git_in_the_working_directory_is_not_run(
    history: Project, servelint: Servelint, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.write({"git": "#!/bin/sh\ntouch sprung\n", "bin/git": "#!/bin/sh\ntouch sprung\n"})
    for name in ("git", "bin/git"):
        (history.root / name).chmod(0o755)
    for path in ("", ".", "bin", ":", f".{os.pathsep}bin"):
        monkeypatch.setenv("PATH", path)
        result = servelint("check", "--since", "HEAD")
        assert (result.status, result.err) == (
            2,
            "servelint: --since HEAD: git cannot be run: it is not installed\n",
        )
    assert not (history.root / "sprung").exists()
