"""Which files are read, and which of them are reported."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Project

from servelint.project.config import Config
from servelint.project.listing.files import collect
from servelint.project.listing.kinds import Kind, kind_of

KINDS = {
    "main.py": Kind.PYTHON,
    "stubs.pyi": None,
    "deployment.yaml": Kind.MANIFEST,
    "values.YML": Kind.MANIFEST,
    "_helpers.tpl": Kind.MANIFEST,
    "deployment.yaml.j2": Kind.MANIFEST,
    "index.html.j2": None,
    "Dockerfile": Kind.MANIFEST,
    "Dockerfile.gpu": Kind.MANIFEST,
    "gpu.Dockerfile": Kind.MANIFEST,
    "Dockerfile.md": None,
    "Dockerfiles": None,
    "Containerfile": Kind.MANIFEST,
    "Procfile": Kind.MANIFEST,
    "Procfile.dev": Kind.MANIFEST,
    "entrypoint.sh": Kind.MANIFEST,
    "supervisord.conf": Kind.MANIFEST,
    "nginx.conf": None,
    "api.service": Kind.MANIFEST,
    ".env": Kind.MANIFEST,
    ".env.production": Kind.MANIFEST,
    "prod.env": Kind.MANIFEST,
    "pyproject.toml": Kind.MANIFEST,
    "hypercorn.toml": Kind.MANIFEST,
    "poetry.toml": None,
    "README.md": None,
    "package.json": None,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_kind_is_told_by_the_name(name: str, kind: Kind | None) -> None:
    assert kind_of(name) is kind


def names(project: Project, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(project.root).as_posix() for path in paths]


FILES: dict[str, str | bytes] = {
    "app/main.py": "",
    "app/generated/x.py": "",
    "build/lib/main.py": "",
    "nested/.venv/x.py": "",
    "node_modules/x/setup.py": "",
    "secret/keys.py": "",
    "keep/secret/keys.py": "",
    "start": "#!/usr/bin/env bash\nuvicorn app.main:app\n",
    "tool": "#!/usr/bin/env python\n",
    "k8s/hpa.yaml": "",
    "v0.7.0/old.py": "",
    ".gitignore": "/secret\ngenerated/\n",
}
EXPECTED_PYTHON = ["app/main.py", "keep/secret/keys.py", "v0.7.0/old.py"]


def test_a_build_folder_that_git_tracks_holds_sources(project: Project) -> None:
    project.write({"build/Dockerfile": "", "dist/pack.py": ""})
    assert collect([], Config(project.root)).checked() == 0
    project.git("init", "-q")
    project.git("add", "build/Dockerfile")
    tree = collect([], Config(project.root))
    assert names(project, (*tree.python, *tree.manifests)) == ["build/Dockerfile"]
    excluding = replace(Config(project.root), extend_exclude=("build",))
    assert collect([], excluding).checked() == 0


@pytest.mark.parametrize("with_git", [True, False])
def test_git_and_the_walk_find_the_same(project: Project, with_git: bool) -> None:
    project.write(FILES)
    for name in ("start", "tool"):
        (project.root / name).chmod(0o755)
    if with_git:
        project.git("init", "-q")
        project.git("add", "app", "k8s")
    tree = collect([], Config(project.root))
    assert names(project, tree.python) == EXPECTED_PYTHON
    assert names(project, tree.manifests) == ["k8s/hpa.yaml", "start"]
    assert tree.reported is None
    assert tree.checked() == 5


def test_git_knows_deleted_and_untracked_files(project: Project) -> None:
    project.write({"a.py": "", "b.py": ""})
    project.commit()
    (project.root / "a.py").unlink()
    project.write({"c.py": ""})
    assert names(project, collect([], Config(project.root)).python) == ["b.py", "c.py"]


def test_a_repository_in_the_repository_belongs_to_it(project: Project) -> None:
    project.write({"a.py": "", "inner/b.py": "", "inner/.gitignore": "c.py\n", "inner/c.py": ""})
    Project(project.root / "inner").git("init", "-q")
    project.git("init", "-q")
    assert names(project, collect([], Config(project.root)).python) == ["a.py", "inner/b.py"]


def test_named_files_are_reported_and_the_rest_is_context(project: Project) -> None:
    project.write({"a.py": "", "pkg/b.py": "", "pkg/c.py": ""})
    config = Config(project.root)
    tree = collect([project.root / "a.py"], config)
    assert names(project, tree.python) == ["a.py", "pkg/b.py", "pkg/c.py"]
    assert tree.reported == {project.root / "a.py"}
    assert collect([project.root / "pkg"], config).checked() == 2


def test_what_is_named_is_read_although_it_is_ignored(project: Project) -> None:
    project.write(FILES)
    project.git("init", "-q")
    config = Config(project.root)
    named = [project.root / "secret", project.root / "build" / "lib", project.root / "app/generated/x.py"]
    tree = collect(named, config)
    assert names(project, tuple(sorted(tree.reported or ()))) == [
        "app/generated/x.py",
        "build/lib/main.py",
        "secret/keys.py",
    ]


def test_what_the_configuration_excludes_is_never_read(project: Project) -> None:
    project.write({"a.py": "", "gen/b.py": ""})
    config = replace(Config(project.root), extend_exclude=("gen/",))
    tree = collect([project.root / "gen" / "b.py", project.root / "a.py"], config)
    assert names(project, tree.python) == ["a.py"]
    assert [(item.path.name, item.reason) for item in tree.skipped] == [
        ("gen", "excluded"),
        ("b.py", "excluded by the configuration"),
    ]


def test_links_are_safe(project: Project) -> None:
    outside = project.root.parent / "outside.py"
    outside.write_text("")
    project.write({"pkg/a.py": ""})
    (project.root / "pkg" / "loop").symlink_to(project.root)
    (project.root / "twin.py").symlink_to(project.root / "pkg" / "a.py")
    (project.root / "dangling.py").symlink_to("nowhere.py")
    (project.root / "self.py").symlink_to("self.py")
    (project.root / "far.py").symlink_to(outside)
    assert names(project, collect([], Config(project.root)).python) == ["far.py", "pkg/a.py"]


def test_an_unreadable_folder_is_a_problem(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"a.py": "", "locked/b.py": ""})
    real = os.scandir

    def scandir(folder: Path) -> object:  # the tests may run as a user whom no mode keeps out
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    tree = collect([], Config(project.root))
    assert names(project, tree.python) == ["a.py"]
    assert [(problem.path.name, problem.message) for problem in tree.problems] == [
        ("locked", "the folder cannot be read: Permission denied")
    ]


def test_a_file_that_cannot_be_looked_at_is_a_problem(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lstat(path: str) -> os.stat_result:
        if "locked" in path:
            raise PermissionError(13, "Permission denied")
        return Path(path).stat()

    project.write({"a.py": "", "locked.py": ""})
    monkeypatch.setattr(os, "lstat", lstat)
    tree = collect([], Config(project.root))
    assert names(project, tree.python) == ["a.py"]
    assert [(problem.path.name, problem.message) for problem in tree.problems] == [
        ("locked.py", "the file cannot be read: Permission denied"),
    ]


def test_an_overlay_replaces_and_adds(project: Project) -> None:
    project.write({"a.py": "old"})
    path, new = project.root / "a.py", project.root / "b.py"
    tree = collect([], Config(project.root))
    assert tree.read(path) == b"old"
    laid = tree.with_overlay({path: b"new", new: b"more"})
    assert (laid.read(path), laid.read(new)) == (b"new", b"more")
    assert names(project, laid.python) == ["a.py", "b.py"]
    assert tree.read(path) == b"old"


def test_content_is_read_once(project: Project) -> None:
    project.write({"a.py": "old"})
    tree = collect([], Config(project.root))
    assert tree.read(project.root / "a.py") == b"old"
    project.write({"a.py": "new"})
    assert tree.read(project.root / "a.py") == b"old"
