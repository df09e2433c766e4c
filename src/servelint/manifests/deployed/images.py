"""Which Dockerfile builds the image that a container runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from servelint.manifests.deployed import base_images
from servelint.manifests.deployed.start import Start
from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.resources import Container, Setting, Workload

_NAME = re.compile(r"(?:.*/)?([^/:@]+?)(?:[:@].*)?\Z")
_WORD = re.compile(r"[a-z0-9]+")
_PART = re.compile(r"[A-Z]?[a-z0-9]+")  # of `fraudScorer`
_COMMON = frozenset(
    (
        "docker",
        "dockerfile",
        "containerfile",
        "prod",
        "production",
        "latest",
        "image",
        "app",
        "deploy",
        "build",
    )
)


@dataclass(slots=True)
class ImageIndex:
    """The images that the project builds. `starts` are the servers each one starts by itself."""

    root: Path
    images: list[Image] = field(default_factory=list)
    starts: dict[int, list[Start]] = field(default_factory=dict)
    named: dict[str, Image] = field(default_factory=dict)
    _started: set[int] = field(default_factory=set)  # images whose own command a workload runs
    _overridden: set[int] = field(default_factory=set)  # images that run in the cluster with another one
    _said: set[int] = field(default_factory=set)  # images whose number of workers a workload says
    _run: dict[int, list[Container]] = field(default_factory=dict)  # by image, what runs its own command
    _by_word: dict[str, list[Image]] = field(default_factory=dict)
    _serving: list[Image] = field(default_factory=list)
    _copied: set[str] = field(default_factory=set)

    def add(self, images: Iterable[Image], starts: Mapping[int, list[Start]]) -> None:
        """Add the stages of a Dockerfile and what they start."""
        self.starts.update({key: value for key, value in starts.items() if value})
        for image in images:
            self.images.append(image)
            self._copied.update(
                PurePosixPath(source).name for copy in image.stage.copies for source in copy.sources
            )
            if image.last:
                own = self.starts.get(id(image), ())
                self._serving += [image] if any(not start.wsgi for start in own) else []
                for word in self._words(image):
                    self._by_word.setdefault(word, []).append(image)

    def name(self, image: str, built: Image) -> None:
        """Remember that a compose file gives an image a name."""
        self.named[_bare(image)] = built

    def run_by(self, workload: Workload, container: Container, image: Image) -> None:
        """Remember whether a workload runs an image's own command.

        A compose file that starts something else is most often for development, so it does not count.
        """
        if base_images.says_number(image.stage, container.environment):
            self._said.add(id(image))
        if container.command is None and container.arguments is None and container.script is None:
            self._started.add(id(image))
            self._run.setdefault(id(image), []).append(container)
        elif workload.setting is Setting.KUBERNETES and self._is_sure(container, image):
            self._overridden.add(id(image))

    def _is_sure(self, container: Container, image: Image) -> bool:
        """Whether the container surely runs this image: a guess hides no finding."""
        name = _bare(container.image.text) if container.image is not None else ""
        only = sum(other.last for other in self.images) == 1
        return only or name in self.named or name == image.path.parent.name

    def unreplaced(self) -> Iterator[list[Start]]:
        """What images start by themselves, without what a workload or a later stage replaces."""
        last = {image.path: image for image in self.images if image.last}
        for image in self.images:
            starts = self.starts.get(id(image))
            if starts is None or id(image) in self._overridden - self._started:
                continue
            final = last[image.path]
            settled = final.stage.own_entrypoint or id(final) in self.starts
            if id(image) in self._started or not (settled and final.stage.replaces_start_of(image.stage)):
                yield [
                    start
                    for start in starts
                    if not (start.unsaid and id(image) in self._said) and not self._replaced(image, start)
                ]

    def _replaced(self, image: Image, start: Start) -> bool:
        """Whether the number is a default that every workload which runs the image replaces by a variable."""
        unless = start.workers.unless if start.workers is not None else ()
        run = self._run.get(id(image), ())
        return bool(unless and run) and all(
            any(not container.environment.unset(name) for name in unless) for container in run
        )

    def runs_own(self, image: Image) -> bool:
        """Whether a workload runs the command that an image has."""
        return id(image) in self._started and bool(image.stage.command or image.stage.entrypoint)

    def names(self, file_name: str) -> bool:
        """Whether an image copies a file of this name."""
        return file_name in self._copied

    def at(self, path: Path, target: str = "") -> Image | None:
        """The image that a Dockerfile builds: its last stage, or the one named `target`."""
        stages = [image for image in self.images if image.path == path]
        if target:
            return next((image for image in stages if image.stage.name == target), None)
        return next((image for image in stages if image.last), None)

    def find(self, container: Container) -> Image | None:
        """The image that a container runs, told by its name: compose's, the Dockerfile's folder or suffix."""
        if container.image is None:
            return None
        name = _bare(container.image.text)
        if name in self.named:
            return self.named[name]
        shared = [image for word in set(_WORD.findall(name.lower())) for image in self._by_word.get(word, ())]
        scores = Counter(map(id, shared))
        best = max(scores.values(), default=0)
        found = {id(image): image for image in shared if scores[id(image)] == best}
        if len(found) == 1:
            return next(iter(found.values()))
        return self._only(container)

    def _words(self, image: Image) -> set[str]:
        relative = image.path.relative_to(self.root) if image.path.is_relative_to(self.root) else image.path
        parts = (*relative.parts[-3:], *((self.root.name,) if len(relative.parts) == 1 else ()))
        whole = {word for part in parts for word in _WORD.findall(part.lower())}
        return (whole | {word.lower() for part in parts for word in _PART.findall(part)}) - _COMMON

    def _only(self, container: Container) -> Image | None:
        """The one image that starts a server, for a container that listens or starts what the image does."""
        serving = self._serving
        if len(serving) != 1:
            return None
        applications = {start.server.application for start in self.starts[id(serving[0])]} - {""}
        words = (*(container.command or ()), *(container.arguments or ()))
        if any(word.text in applications for word in words):
            return serving[0]
        if container.command is not None:
            return None
        exposed = {port.partition("/")[0] for port in serving[0].stage.ports}
        return serving[0] if exposed & set(container.ports) else None


def _bare(image: str) -> str:
    found = _NAME.match(image)
    return found.group(1) if found else image
