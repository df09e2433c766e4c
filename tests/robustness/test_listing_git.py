"""Files are listed as git lists them, in every state that a repository can be in, and without git."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelint.project.config import Config
from servelint.project.listing import index, repository
from servelint.project.listing.files import collect

FILES = {
    "a.py": "",
    "app/b.py": "",
    "app/generated/c.py": "",
    "app/kept.py": "",
    "deploy/d.yaml": "",
    "tools/run": "#!/usr/bin/env perl\n",
    "new/e.py": "",
    ".gitignore": "generated/\n/new/f.py\nkept.py\n",
    "new/f.py": "",
    "new/.gitignore": "*.yaml\n!g.yaml\n",
    "new/g.yaml": "",
    "new/h.yaml": "",
}
LISTED = ["a.py", "app/b.py", "app/kept.py", "deploy/d.yaml", "new/e.py", "new/g.yaml"]


def listed(root: Path, config: Config | None = None) -> list[str]:
    tree = collect([], config or Config(root))
    return sorted(path.relative_to(root).as_posix() for path in (*tree.python, *tree.manifests))


def made(project: Project, *options: str) -> Project:
    project.write(FILES)
    project.git("init", "-q", "-b", "main", *options)
    project.git("add", "a.py", "app/b.py", "deploy", "tools")
    project.git("add", "-f", "app/kept.py")
    return project


def test_nothing_is_executed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made(project)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a program is started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert listed(project.root) == LISTED


@pytest.mark.parametrize("version", [2, 3, 4])
def test_versions_of_the_index(version: int, project: Project) -> None:
    made(project)
    project.git("update-index", "--index-version", str(version))
    project.git("add", "--intent-to-add", "new/e.py")  # needs the longer entries of version 3
    assert listed(project.root) == LISTED


def test_an_index_in_two_files(project: Project) -> None:
    made(project)
    project.git("update-index", "--split-index")
    project.git("add", "-f", "new/f.py")
    assert listed(project.root) == sorted([*LISTED, "new/f.py"])


def test_names_of_objects_with_sha256(project: Project) -> None:
    assert listed(made(project, "--object-format=sha256").root) == LISTED


def test_a_sparse_index(project: Project) -> None:
    made(project).commit()
    project.git("sparse-checkout", "set", "--cone", "--sparse-index", "app")
    assert listed(project.root) == ["a.py", "app/b.py", "app/kept.py"]


def test_a_second_work_tree(project: Project) -> None:
    made(project).commit()
    other = project.root.parent / "other"
    project.git("worktree", "add", "-q", str(other))
    (other / "app" / "generated").mkdir()
    (other / "app" / "generated" / "x.py").write_text("")
    assert listed(other) == LISTED


def test_a_merge_that_is_not_finished(project: Project) -> None:
    made(project).commit()
    project.git("switch", "-q", "-c", "side")
    project.write({"a.py": "x = 1\n"})
    project.commit()
    project.git("switch", "-q", "main")
    project.write({"a.py": "x = 2\n"})
    project.commit()
    with pytest.raises(subprocess.CalledProcessError):
        project.git("merge", "-q", "side")
    assert listed(project.root) == LISTED


@pytest.mark.parametrize("initialised", [True, False])
def test_a_submodule(initialised: bool, project: Project, tmp_path: Path) -> None:
    library = Project(tmp_path / "library")
    library.root.mkdir()
    library.write({"lib.py": "", "skip.py": "", ".gitignore": "skip.py\nextra.py\n"})
    library.commit()
    made(project)
    allowed = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    project.git(*allowed, "add", str(library.root), "vendor/lib")
    project.commit()
    if not initialised:  # as a clone without --recurse-submodules leaves it
        project.git("submodule", "--quiet", "deinit", "-f", "vendor/lib")
        assert list((project.root / "vendor" / "lib").iterdir()) == []
    else:
        project.write({"vendor/lib/extra.py": "", "vendor/lib/more.py": ""})
    inside = ["vendor/lib/lib.py", "vendor/lib/more.py"] if initialised else []
    assert listed(project.root) == [*LISTED, *inside]
    assert collect([project.root / "vendor"], Config(project.root)).checked() == len(inside)


def test_a_submodule_in_a_folder_that_is_ignored(project: Project) -> None:
    inner = Project(project.root / "generated" / "inner")
    inner.root.mkdir(parents=True)
    inner.write({"x.py": ""})
    inner.commit()
    made(project)
    assert "generated/inner/x.py" not in listed(project.root)
    commit = inner.git("rev-parse", "HEAD").strip()
    project.git("update-index", "--add", "--cacheinfo", f"160000,{commit},generated/inner")
    assert "generated/inner/x.py" in listed(project.root)


def test_what_looks_like_a_repository_is_a_folder(project: Project) -> None:
    made(project)
    project.write(
        {"app/HEAD": "ref: refs/heads/x\n", "app/config": "", "app/objects/o": "", "app/refs/r": ""}
    )
    assert listed(project.root) == LISTED
    assert (tree := repository.work_tree(project.root / "app")) is not None
    assert tree.root == str(project.root)
    project.write({"app/.git/notes": ""})  # nor is a folder of that name
    assert listed(project.root) == LISTED


def test_a_part_of_a_repository_obeys_the_rest(project: Project) -> None:
    made(project)
    assert listed(project.root / "app") == ["b.py", "kept.py"]
    assert listed(project.root / "app" / "generated") == ["c.py"], (
        "what is named is read though it is ignored"
    )


def test_ignore_files_of_the_user_and_the_repository(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(project)
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("e.py\n")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    assert listed(project.root) == [name for name in LISTED if name != "new/e.py"]
    (home / ".gitconfig").write_text('[core]\n\texcludesFile = "~/mine" # and not the usual one\n')
    assert listed(project.root) == LISTED
    (home / "mine").write_text("/new/\n")
    assert listed(project.root) == LISTED[:4]
    (home / "mine").write_text("*.yaml\n")
    assert listed(project.root) == LISTED, "a pattern of the folder wins"
    (project.root / ".git" / "info" / "exclude").write_text("/new\n")
    assert listed(project.root) == LISTED[:4]


NAMES = st.sampled_from(["a.py", "b.py", "c.yaml", "d", "e", "build", "run.sh", "é.py", "x y.py"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.sampled_from(
    ["a.py", "/d", "d/", "*.py", "!a.py", "e/*", "!e/b.py", "**/c.yaml", "d/**", "/e/", "!/e", "build", "x*"]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paths=st.sets(PATHS, min_size=1, max_size=9),
    tracked=st.sets(PATHS, max_size=4),
    patterns=st.dictionaries(st.sampled_from(["", "d/", "e/"]), st.lists(PATTERNS, max_size=4), max_size=2),
)
def test_any_repository_is_listed_as_git_lists_it(
    paths: set[str],
    tracked: set[str],
    patterns: dict[str, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = Project(tmp_path_factory.mktemp("any"))
    every = {
        path
        for path in paths | tracked
        if path.endswith((".py", ".yaml", ".sh"))
        and not any(path in other for other in folders(paths | tracked))
    }
    every = {path for path in every if not any(above in every for above in folders([path]))}
    if not every:
        return
    project.write(dict.fromkeys(every, ""))
    for folder, lines in patterns.items():
        if f"{folder}".rstrip("/") not in every:
            project.write({f"{folder}.gitignore": "\n".join(lines)})
    project.git("init", "-q")
    for path in tracked & every:
        project.git("add", "-f", path)
    config = replace(Config(project.root), exclude=(".git",))
    out = project.git("ls-files", "-coz", "--exclude-standard")
    expected = {name for name in out.split("\0") if name.endswith((".py", ".yaml", ".sh"))}
    assert listed(project.root, config) == sorted(expected)


def folders(paths: object) -> set[str]:
    assert isinstance(paths, (set, list))
    return {above.as_posix() for path in paths for above in Path(path).parents if above.name}


@settings(max_examples=300)
@given(st.binary(max_size=400), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_an_index_of_any_bytes_is_read_or_refused(body: bytes, version: int, count: int) -> None:
    folder = Path(os.environ["SERVELINT_CACHE_DIR"])
    for head in (b"", b"DIRC" + version.to_bytes(4) + count.to_bytes(4), b"DIRC" + version.to_bytes(4)):
        (folder / "index").write_bytes(head + body)
        try:
            names = index.read(str(folder))
        except (index.IndexFormatError, FileNotFoundError):
            continue
        assert all(isinstance(name, str) for name in names.files)


def test_an_index_that_cannot_be_read_is_told(project: Project) -> None:
    made(project)
    place = project.root / ".git" / "index"
    place.write_bytes(place.read_bytes()[:100])
    tree = collect([], Config(project.root))
    assert "app/kept.py" not in listed(project.root)
    assert [item.reason for item in tree.skipped if item.path == place] == [
        "cannot be read, so nothing counts as tracked: it is cut short"
    ]


def test_names_that_lead_out_are_not_followed(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("")
    made(project)
    (project.root / "link").symlink_to(tmp_path)
    place = project.root / ".git" / "index"
    data = place.read_bytes()
    for name in (b"../secret.py", b"link/secret.py", bytes(tmp_path / "secret.py")):
        entry = bytearray(data[12:])
        fixed = bytes(entry[:60]) + len(name).to_bytes(2) + name
        forged = fixed + b"\0" * (8 - len(fixed) % 8)
        place.write_bytes(b"DIRC" + (2).to_bytes(4) + (1).to_bytes(4) + forged + b"\0" * 20)
        assert index.read(str(project.root / ".git")).files == {name.decode()}
        assert listed(project.root) == [name for name in LISTED if name != "app/kept.py"]
