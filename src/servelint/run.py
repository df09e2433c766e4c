"""From paths as a user types them to what a check needs: the project, its configuration, its baseline."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from servelint import lint
from servelint.project import config, environment
from servelint.project.cache import Cache
from servelint.project.config import Config
from servelint.project.listing import files
from servelint.project.reported import baseline


class Run(NamedTuple):
    """A check that is ready to go; `paths` are absolute and exist, `missing` are those that do not."""

    paths: tuple[Path, ...]
    missing: tuple[Path, ...]
    config: Config
    overlay: Mapping[Path, bytes] | None = None
    known: tuple[baseline.Entry, ...] = ()
    cache: Cache | None = None

    @property
    def baseline_path(self) -> Path:
        """Where this project's baseline is, or would be; raises `baseline.BaselineError` for a place outside.

        Whoever wrote the configuration or a link must not choose what else of the user's is read or written.
        """
        root = self.config.root
        path = root / self.config.baseline
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
            origin = self.config.provenance.get("baseline", str(path))
            raise baseline.BaselineError(f"{origin}: the baseline must be inside the project, {root}")
        return path

    def with_cache(self) -> Run:
        """The run with what earlier runs have worked out."""
        return self._replace(cache=Cache(self.config.root))

    def with_baseline(self) -> Run:
        """The run with the project's baseline, if it has one; raises `baseline.BaselineError`."""
        path = self.baseline_path
        if path.exists() and not path.is_file():
            raise baseline.BaselineError(f"{path}: is not a file")
        return self._replace(known=baseline.load(path)) if path.exists() else self

    def check(
        self, *, since: str = "", fixes: bool = True, stage: Callable[[str], None] = lambda _: None
    ) -> lint.Report:
        """Do it; raises `git.GitError` for `since`."""
        return lint.check(
            self.paths,
            self.config,
            overlay=self.overlay,
            known=self.known,
            since=since,
            fixes=fixes,
            cache=self.cache,
            stage=stage,
        )


def prepare(
    paths: Sequence[str | os.PathLike[str]],
    *,
    settings: Config | None = None,
    config_file: Path | None = None,
    isolated: bool = False,
    overlay: Mapping[Path, bytes] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Find the project that `paths` are in and its configuration.

    `settings` or `config_file` is used instead of what is found; `isolated` uses the defaults. `variables`
    are those of a shell in which an environment may be active. Raises `config.ConfigError`.
    """
    absolute = [Path(os.path.normpath(Path.cwd() / path)) for path in paths]
    contents = overlay or {}
    present = tuple(path for path in absolute if path in contents or os.path.lexists(path))
    missing = tuple(path for path in absolute if path not in present)
    if settings is None:
        folders = [path if path.is_dir() else path.parent for path in present] or [Path.cwd()]
        settings = _settings(folders, config_file, isolated)
        if not isolated:
            settings = environment.discovered(settings, variables or {})
    return Run(present, missing, settings, overlay)


def _settings(folders: Sequence[Path], config_file: Path | None, isolated: bool) -> Config:
    common = Path(os.path.commonpath(folders))
    root, source = files.project_root(common, configured=not isolated)
    if not _is_project(root, source):
        found = [files.project_root(folder, configured=not isolated) for folder in folders]
        projects = {item[0] for item in found if _is_project(*item)}
        # Nothing joins the paths but a folder that may be anything, a whole disk even.
        if projects or common == Path(common.anchor):
            named = " and ".join(map(str, sorted(projects or set(folders))))
            raise config.ConfigError(
                f"the paths belong to different projects, {named}; check them one by one"
            )
    if config_file is not None:
        return replace(config.load(config_file.absolute()), root=root)
    return config.load(source) if source is not None else Config(root)


def _is_project(root: Path, source: Path | None) -> bool:
    """Whether a root was found by what is in it, and is not merely the folder that was given."""
    return source is not None or (root / ".git").exists()


def check(paths: Sequence[str | os.PathLike[str]], settings: Config | None) -> lint.Report:
    """What `servelint.check` does."""
    run = prepare(paths, settings=settings)
    if run.missing:
        raise FileNotFoundError(2, "No such file or directory", str(run.missing[0]))
    return run.with_baseline().check()
