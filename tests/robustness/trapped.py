"""A project in which everything that can name a program names one that leaves a mark.

Each trap has a name of its own, so that a test that finds a mark says which one sprang.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HOOKS = (
    "post-index-change",
    "fsmonitor-watchman",
    "query-watchman",
    "reference-transaction",
    "post-checkout",
    "pre-commit",
    "post-commit",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
)
SHADOWING = (
    *("click", "yaml", "libcst", "tree_sitter", "tree_sitter_bash", "pygls", "lsprotocol", "rich", "ruff"),
    *("typing", "dataclasses", "json", "tomllib", "subprocess", "tempfile", "difflib", "pickle", "hashlib"),
    *("sitecustomize", "usercustomize", "conftest", "setup", "noxfile", "tasks", "hatch_build", "__init__"),
)
MODEL = "import joblib\n\nmodel = joblib.load('m')\n\n\n"
ENDPOINT = f"{MODEL}async def predict(row):\n    return model.predict(row)\n"


class Traps:
    """A folder with traps in `root`, and their marks beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.marks = root.parent / "marks"
        self.marks.mkdir()
        self.bin = root / "bin"

    def sprung(self) -> list[str]:
        """The traps that sprang."""
        return sorted(mark.name for mark in self.marks.iterdir())

    def program(self, name: str) -> str:
        """The path of a program that leaves a mark."""
        path = self.root / "traps" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch '{self.marks / name}'\ncat\n")
        path.chmod(0o755)
        return str(path)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git with nothing but what the tests mean."""
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        done = subprocess.run(command, cwd=cwd or self.root, check=True, capture_output=True, text=True)
        return done.stdout

    def lay(self) -> None:
        """Make the project: two commits, then the traps, in what is tracked, in `.git` and below."""
        self._write_service()
        self.git("init", "-q", "-b", "main")
        self._commit("first")
        self.write("svc/app.py", ENDPOINT + "\n\nasync def again(row):\n    return model.predict(row)\n")
        self._write_modules()
        self._write_bare_repository()
        self._commit("second")
        self._write_submodule()
        self._arm(self.root / ".git", "top")
        self._lose_an_object()
        # Newer than the index, so that git wants to compare the content.
        self.write("svc/app.py", (self.root / "svc" / "app.py").read_text() + "\n\nlater = 1\n")

    def _commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", message)

    def _write_service(self) -> None:
        self.write("svc/app.py", ENDPOINT)
        self.write("svc/servelint.toml", "")
        self.write("lost.py", "x = 'an object that is lost'\n")
        self.write(
            "Dockerfile", f"FROM python\nRUN touch {self.marks}/docker-run\nCMD uvicorn a:b --workers 4\n"
        )
        self.write("start.sh", f"#!/bin/sh\ntouch {self.marks}/script\n`touch {self.marks}/substituted`\n")
        (self.root / "start.sh").chmod(0o755)
        self.write("Makefile", f"all:\n\ttouch {self.marks}/make\n")
        self.write(".envrc", f"touch {self.marks}/envrc\n")
        self.write(".gitattributes", "* filter=trap diff=trap merge=trap text=auto eol=crlf ident\n")
        self.write("chart/Chart.yaml", "name: c\nversion: 1.0.0\n")
        self.write(
            "chart/values.yaml", f"a: !!python/object/apply:os.system ['touch {self.marks}/yaml-tag']\n"
        )
        self.write(
            "chart/templates/d.yaml",
            f'kind: Deployment\nmetadata: {{name: "{{{{ exec "touch {self.marks}/helm" }}}}"}}\n',
        )

    def _write_modules(self) -> None:
        for name in SHADOWING:
            marks = f"import pathlib\npathlib.Path({str(self.marks / f'module-{name}')!r}).touch()\n"
            for folder in ("", "svc/"):
                self.write(f"{folder}{name}.py", marks)
        command = f"import pathlib; pathlib.Path({str(self.marks / 'pth')!r}).touch()\n"
        self.write("trap.pth", command)
        self.write("trap-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: trap\nVersion: 1\n")
        groups = ("servelint", "servelint.plugins", "pygls", "click", "pytest11", "console_scripts")
        points = "".join(f"[{group}]\nservelint = conftest:main\n" for group in groups)
        self.write("trap-1.dist-info/entry_points.txt", points)
        backend = '[build-system]\nrequires = []\nbuild-backend = "setup"\nbackend-path = ["."]\n'
        self.write("pyproject.toml", f"{backend}[tool.ruff]\nline-length = 100\n")
        for name in ("git", "ruff", "python", "python3", "black", "less", "sh"):
            for folder in ("", "svc/"):
                target = self.root / folder / name
                target.write_text(f"#!/bin/sh\n/bin/touch '{self.marks}/command-{name}'\n")
                target.chmod(0o755)

    def _write_bare_repository(self) -> None:
        """What a plain clone can bring: a folder that git takes for a repository."""
        self._configure(self.root / "svc" / "config", "bare", worktree=".")
        self.write("svc/HEAD", "ref: refs/heads/main\n")
        self.write("svc/objects/.keep", "")
        self.write("svc/refs/.keep", "")

    def _write_submodule(self) -> None:
        """A repository of its own below, armed as well, and a submodule that is not initialised."""
        inner = self.root / "inner"
        inner.mkdir()
        self.git("init", "-q", cwd=inner)
        self.write("inner/api.py", ENDPOINT)
        self.git("add", "api.py", cwd=inner)
        self._arm(inner / ".git", "inner")
        commit = self.git("rev-parse", "HEAD").strip()
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendored")
        (self.root / "vendored").mkdir()

    def _arm(self, folder: Path, prefix: str) -> None:
        for hook in HOOKS:
            target = folder / "hooks" / hook
            target.parent.mkdir(exist_ok=True)
            target.write_text(f"#!/bin/sh\ntouch '{self.marks / f'{prefix}-{hook}'}'\n")
            target.chmod(0o755)
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info" / "attributes").write_text("* filter=trap diff=trap\n")
        self._configure(folder / "more", f"{prefix}-included")
        self._configure(folder / "config", prefix)
        with (folder / "config").open("a") as file:
            file.write(f"[include]\npath = {folder / 'more'}\n")

    def _configure(self, path: Path, prefix: str, worktree: str = "") -> None:
        def program(name: str) -> str:
            return self.program(f"{prefix}-{name}")

        bare = f"worktree = {worktree}\n" if worktree else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"""\
[core]
    repositoryformatversion = 1
    bare = false
    {bare}
    fsmonitor = {program("fsmonitor")}
    hooksPath = {Path(program("hook")).parent}
    sshCommand = {program("ssh")}
    gitProxy = {program("proxy")}
    askPass = {program("askpass")}
    editor = {program("editor")}
    pager = {program("pager")}
    alternateRefsCommand = {program("alternates")}
[extensions]
    partialClone = origin
[remote "origin"]
    url = ext::{program("remote")} %S
    promisor = true
    partialclonefilter = blob:none
    uploadpack = {program("uploadpack")}
    vcs = trap
[protocol]
    allow = always
[protocol "ext"]
    allow = always
[filter "trap"]
    clean = {program("clean")}
    smudge = {program("smudge")}
    process = {program("process")}
    required = true
[diff]
    external = {program("external-diff")}
    trustExitCode = true
[diff "trap"]
    textconv = {program("textconv")}
    command = {program("diff")}
    cachetextconv = true
[merge "trap"]
    driver = {program("merge")}
[pager]
    diff = {program("pager-diff")}
    ls-files = {program("pager-ls-files")}
[alias]
    ls-files = !{program("alias")}
    rev-parse = !{program("alias")}
    cat-file = !{program("alias")}
    diff = !{program("alias")}
[credential]
    helper = !{program("credential")}
[gpg]
    program = {program("gpg")}
[uploadpack]
    packObjectsHook = {program("packobjects")}
[interactive]
    diffFilter = {program("difffilter")}
[trailer "trap"]
    command = {program("trailer")}
[log]
    showSignature = true
""")

    def _lose_an_object(self) -> None:
        """An object that a partial clone would fetch."""
        name = self.git("rev-parse", "HEAD:lost.py").strip()
        (self.root / ".git" / "objects" / name[:2] / name[2:]).unlink()

    def environment(self) -> dict[str, str]:
        """Variables that tell git and others what to run, and a search path that begins here."""
        known = dict(os.environ)
        known["PATH"] = os.pathsep.join(["", ".", known["PATH"]])
        names = ("GIT_EXTERNAL_DIFF", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR")
        names += ("GIT_PAGER", "GIT_ASKPASS", "GIT_PROXY_COMMAND", "PAGER", "EDITOR", "VISUAL", "SSH_ASKPASS")
        known |= {name: self.program(f"variable-{name}") for name in names}
        return known | {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.fsmonitor",
            "GIT_CONFIG_VALUE_0": self.program("variable-fsmonitor"),
            "GIT_DIR": str(self.root / "svc"),
            "GIT_WORK_TREE": str(self.root),
        }
