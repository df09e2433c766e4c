"""Everything the manifests describe, joined: who runs which image and serves which application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servelint.knowledge.servers import servers
from servelint.manifests.deployed.start import Start
from servelint.manifests.documents.text import Place
from servelint.manifests.forms.resources import Autoscaler, Container, Resources, Setting, Workload
from servelint.manifests.forms.sources import copies_file
from servelint.serving import Application, Applications, Served


@dataclass(slots=True, eq=False)
class Deployment:
    """What rules read.

    A scope holds documents that know each other: one release of a chart, or all plain files. `starts` are of
    servers with an event loop, `wsgi` of the others; `run` are the Dockerfiles whose image a workload of the
    project runs. `readers` are the templates that read a value, by the file and the offset it stands at;
    `switches` are the values that decide what a template prints: true where a condition asks for one, false
    where each of several is printed.
    """

    root: Path
    scopes: list[Resources] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    wsgi: list[Start] = field(default_factory=list)
    run: set[Path] = field(default_factory=set)
    applications: Applications | None = None
    readers: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    switches: dict[tuple[str, int], bool] = field(default_factory=dict)
    read: list[tuple[str, Container]] = field(
        default_factory=list
    )  # workload and container, ConfigMaps joined
    _known: dict[int, Application | None] = field(default_factory=dict)
    _joined: _Index | None = None
    _readers: dict[tuple[Path, int], set[tuple[str, str]]] | None = None

    def add(self, starts: Iterable[Start]) -> None:
        """Add servers that are started."""
        for start in starts:
            (self.wsgi if start.wsgi else self.starts).append(start)

    def read_by(self, place: Place, own: Container | None = None) -> int:
        """How many containers read the text that stands at a place, as a variable or in their command.

        What runs without a container, `own`, reads it as well.
        """
        if self._readers is None:
            self._readers = {}
            for workload, container in self.read:
                for text in container.texts():
                    for run in text.runs:
                        start = (run.source.path, run.offset)
                        self._readers.setdefault(start, set()).add((workload, container.name))
        found = self._readers.get((place.source.path, place.start), ())
        return len(found) + (own is None)

    def says(self, names: Sequence[str]) -> bool:
        """Whether a container has a variable of one of these names."""
        return any(not container.environment.unset(name) for _, container in self.read for name in names)

    @property
    def index(self) -> _Index:
        """What belongs together; built when rules ask first, for nothing is added then."""
        if self._joined is None:
            self._joined = _Index(self.scopes, self.starts)
        return self._joined

    def application(self, start: Start) -> Application | None:
        """The application that a server start names, if the Python side knows it."""
        if self.applications is None or not start.server.application:
            return None
        if id(start) not in self._known:
            self._known[id(start)] = self.applications.find(start.server.application, start.folders)
        return self._known[id(start)]

    def holds_model(self, start: Start) -> bool:
        """Whether the application of a start imports a library that runs models, in files that are there.

        Several services of a project may share a package of which the image of one copies a part.
        """
        application = self.application(start)
        if application is None:
            return False
        image = start.context.image
        if image is None or not copies_file(image, application.path):
            return application.serves_model
        return any(copies_file(image, path) for path in application.model_files)

    def target(self, autoscaler: Autoscaler) -> Workload | None:
        """The workload that an autoscaler scales, if the project describes it."""
        return next(self.descriptions(autoscaler), None)

    def descriptions(self, autoscaler: Autoscaler) -> Iterator[Workload]:
        """Every document that describes the scaled workload: a base and the patches to it."""
        for scope in self.index.scopes.get(id(autoscaler), ()):
            for workload in self.index.workloads.get((id(scope), autoscaler.target_name), ()):
                if _scales(autoscaler, workload):
                    yield workload

    def autoscalers(self) -> Iterator[Autoscaler]:
        """Every autoscaler that the project describes."""
        return (autoscaler for scope in self.scopes for autoscaler in scope.autoscalers)

    def default_requests(self, autoscaler: Autoscaler) -> bool:
        """Whether a LimitRange gives containers a CPU request where the autoscaler is."""
        return any(scope.default_requests for scope in self.index.scopes.get(id(autoscaler), ()))

    def starts_of(self, workload: Workload) -> Iterator[tuple[Start, Container]]:
        """The servers that a workload's containers start."""
        for start in self.index.starts.get(id(workload), ()):
            if start.context.container is not None:
                yield start, start.context.container

    def serves_model(self, workload: Workload) -> bool:
        """Whether the workload is known to serve a model."""
        known = servers()
        if workload.kind in known.model_kinds:
            return True
        if any(
            box.image is not None and known.model_images.search(box.image.text) for box in workload.containers
        ):
            return True
        applications = (self.application(start) for start, _ in self.starts_of(workload))
        return any(application is not None and application.serves_model for application in applications)

    def served(self) -> Iterator[Served]:
        """The applications that workloads serve, and those of images that no workload is known to run."""
        scaled: dict[int, list[str]] = {}
        for autoscaler in self.autoscalers():
            for described in self.descriptions(autoscaler):
                scaled.setdefault(id(described), []).append(autoscaler.title)
        for start in self.starts:
            if not start.server.application:
                continue
            workers = start.workers.shown if start.workers is not None else ""
            reference, folders, place = start.server.application, start.folders, start.place
            workload, container, image = start.context.workload, start.context.container, start.context.image
            if workload is not None and container is not None:
                yield Served(
                    reference,
                    folders,
                    workload.title,
                    workload.setting is Setting.KUBERNETES,
                    container.liveness,
                    container.cpus,
                    container.name,
                    place,
                    workers,
                    tuple(dict.fromkeys(scaled.get(id(workload), ()))),
                )
            elif image is None or image.path not in self.run:
                yield Served(reference, folders, "", False, None, place=place, workers=workers)

    def relative(self, path: Path) -> str:
        """A path as the project names it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()


class _Index:
    """Scopes by autoscaler, workloads by scope and name, starts by workload; objects by their identity."""

    def __init__(self, scopes: list[Resources], starts: list[Start]) -> None:
        self.scopes: dict[int, list[Resources]] = {}
        self.workloads: dict[tuple[int, str], list[Workload]] = {}
        self.starts: dict[int, list[Start]] = {}
        for scope in scopes:
            for autoscaler in scope.autoscalers:
                self.scopes.setdefault(id(autoscaler), []).append(scope)
            for workload in scope.workloads:
                self.workloads.setdefault((id(scope), workload.name), []).append(workload)
        for start in starts:
            self.starts.setdefault(id(start.context.workload), []).append(start)


def _scales(autoscaler: Autoscaler, workload: Workload) -> bool:
    same_kind = not autoscaler.target_kind or workload.kind == autoscaler.target_kind
    # An overlay may set the namespace of one and not of the other.
    namespaces = {autoscaler.namespace, workload.namespace} - {""}
    return (
        same_kind and bool(workload.name) and workload.name == autoscaler.target_name and len(namespaces) < 2
    )
