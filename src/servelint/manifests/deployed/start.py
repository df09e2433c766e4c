"""A server that a container starts, and where its command runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from servelint.finding import Span
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Place
from servelint.manifests.documents.yaml_document import YamlMapping
from servelint.manifests.forms.dockerfile import Image
from servelint.manifests.forms.resources import Container, Setting, Workload
from servelint.manifests.forms.sources import normal
from servelint.manifests.shell.commandline import ServerStart, WorkerCount

# So many folders that an image copies are looked at: for each of its servers, of which there may be hundreds.
_MOST_COPIED = 100


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Where a command runs: `base` is the folder that its files are looked for in first."""

    setting: Setting
    base: Path
    workload: Workload | None = None
    container: Container | None = None
    image: Image | None = None
    folder: str = ""
    config_maps: Mapping[str, YamlMapping] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A server that a container starts."""

    server: ServerStart
    workers: WorkerCount | None
    command: Place
    environment: Environment
    context: Context
    assumed: bool = False  # nothing says that the server starts but a variable that is named after it
    unsaid: str = ""  # the variable that would say the number, where the image chooses it
    wsgi: bool = False  # the workers run no event loop: they serve one request a process or thread
    unknown: bool = False  # a number is said, and is not known
    unnamed: bool = False  # it is in a script that the image holds, and nothing says that it is started

    @property
    def place(self) -> Span:
        """Where the container stands that it runs in, or the command where none is known."""
        container = self.context.container
        return (container.place if container is not None else self.command).span

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the project that the command may have been started in, the likeliest first."""
        base = self.context.base
        found: list[Path] = []
        image = self.context.image
        container = self.context.container
        inside = self.server.application_folder or self.context.folder
        inside = inside or (container.folder if container is not None else "")
        inside = inside or (image.stage.folder if image is not None else "")
        if image is not None:
            found.extend(islice(_copied(image, inside), _MOST_COPIED))
        found = [*self._mounted(inside), *found]
        if self.server.application_folder and not self.server.application_folder.startswith("/"):
            found.insert(0, base / self.server.application_folder)
        found.extend((base, *base.parents[:3]))
        return tuple(dict.fromkeys(found))

    def _mounted(self, inside: str) -> Iterator[Path]:
        """What of the project stands where the folder `inside` the container is."""
        folder = PurePosixPath(inside or "/")
        for source, name in self.context.container.mounts if self.context.container is not None else ():
            target = PurePosixPath(name)
            if not inside:
                yield source
            elif folder.is_relative_to(target):
                yield source / folder.relative_to(target)
            elif target.parent == folder and target.name == source.name:
                yield source.parent


def _copied(image: Image, inside: str) -> Iterator[Path]:
    """What of the project is copied to the folder `inside` the image, or around it, or into it."""
    for copy in image.stage.copies:
        target = copy.target.rstrip("/")
        if inside.rstrip("/").startswith(target) or target.startswith(inside):
            yield from (normal(image.path.parent / source) for source in copy.sources)
