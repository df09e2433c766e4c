"""Scripts that an image holds without naming them: which ones a container may well be started with.

Teams copy the whole folder into the image and give the command where the container is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.sources import Sources, normal
from servelint.manifests.shell.commandline import ServerStart, started
from servelint.manifests.shell.script import SimpleCommand
from servelint.project.globs import PatternLimitError, Patterns, compile_patterns

IGNORING = ".dockerignore"
# Folders of Dockerfiles alone: what they copy is most often relative to the folder above.
_DOCKER_FOLDER = re.compile(
    r"\.?(?:docker(?:files?)?|containers?|build|deploy(?:ment)?|images?)", re.IGNORECASE
)
# Scripts for people and for checks, by a word of their path.
_NOT_SERVING = re.compile(
    r"(?:^|[/_.-])(?:tests?|testing|dev|development|local|debug|demo|examples?|samples?|bench(?:mark)?s?"
    r"|load|ci|hooks|notebooks?|e2e|smoke|docs?|watch|reload)(?=[/_.-])",
    re.IGNORECASE,
)
_OUTSIDE = frozenset(("docker", "docker-compose", "podman", "kubectl", "helm", "kustomize", "terraform"))
_SUPERVISED = re.compile(r"(?:^|/)(?:services\.d|s6-rc\.d|s6-overlay|service|runit|sv)/(?:[^/]+/)*run$")


class Copied:
    """Which files lie in folders that images copy."""

    def __init__(self, sources: Sources, images: Sequence[Image], runs_own: Callable[[Image], bool]) -> None:
        self.sources = sources
        self.images = images
        self.runs_own = runs_own
        self._ignored: dict[Path, Patterns] = {}

    def script(self, path: Path) -> Image | None:
        """The image that may start a script in a folder that it copies: one meant to serve, by its name.

        Where a workload says that an image runs what it has for a command, it starts no other script.
        """
        relative = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
        if path.suffix not in (".sh", ".bash") or _NOT_SERVING.search(relative):
            return None
        return next((image for image in self.copying(path) if not self.runs_own(image)), None)

    def supervised(self, path: Path) -> Image | None:
        """The image whose supervisor (s6, runit) runs a file: it is `run` in a folder of services."""
        return self.image(path) if _SUPERVISED.search(path.as_posix()) else None

    def image(self, path: Path) -> Image | None:
        """The first image that copies a folder with a file in it and does not leave it out."""
        return next(self.copying(path), None)

    def copying(self, path: Path) -> Iterator[Image]:
        """The images that copy a folder with a file in it and do not leave it out."""
        for folder in path.parents:
            for context, image in self._folders.get(folder, ()):
                if not self._ignores(context, path):
                    yield image

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.sources.tree.root

    @cached_property
    def _folders(self) -> dict[Path, list[tuple[Path, Image]]]:
        """The copied folders, each with the folders it may have been built from."""
        found: dict[Path, list[tuple[Path, Image]]] = {}
        for image in self.images:
            for context in self._contexts(image):
                for copy in image.stage.copies:
                    for source in copy.sources:
                        folder = normal(context / source.partition("*")[0].lstrip("/"))
                        if folder.is_relative_to(context) and folder not in self.sources.known_paths:
                            entries = found.setdefault(folder, [])
                            if not entries or entries[-1] != (context, image):
                                entries.append((context, image))
        return found

    def _contexts(self, image: Image) -> Iterable[Path]:
        folder = image.path.parent
        yield folder
        if folder != self.root and _DOCKER_FOLDER.fullmatch(folder.name):
            yield folder.parent

    def _ignores(self, context: Path, path: Path) -> bool:
        patterns = self._ignored.get(context)
        if patterns is None:
            patterns = self._ignored[context] = self._patterns(context / IGNORING)
        return patterns.covers(path.relative_to(context).as_posix())

    def _patterns(self, path: Path) -> Patterns:
        """The patterns of a `.dockerignore`, which are told from the folder it is in and not from below."""
        source = self.sources.source(path) if path in self.sources.known_paths else None
        lines = [line.strip() for line in source.text.split("\n")] if source is not None else []
        try:
            return compile_patterns(_anchored(line) for line in lines if line and not line.startswith("#"))
        except PatternLimitError as error:
            self.sources.problem(path, str(error))
            return compile_patterns(())


def _anchored(line: str) -> str:
    negated = "!" if line.startswith("!") else ""
    return f"{negated}/{line.removeprefix('!').strip().removeprefix('./').lstrip('/')}"


def lasting(commands: Sequence[SimpleCommand]) -> list[SimpleCommand]:
    """The commands that a script ends with or hands over to: not those that it starts and goes on after.

    A script that builds or deploys images runs outside of them.
    """
    if any(command.words[0].text in _OUTSIDE for command in commands):
        return []
    found = [command for command in commands if command.words[0].text == "exec"]
    for command in reversed(commands):
        if not isinstance(started(command.words, command.environment), ServerStart):
            break
        if command not in found:
            found.append(command)
    return found
