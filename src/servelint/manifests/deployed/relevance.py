"""Which files matter, told from their bytes: a repository may hold thousands that do not."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from servelint.knowledge.servers import servers
from servelint.manifests.forms import platforms
from servelint.manifests.forms.sources import Sources

_AUTOSCALED = (
    *(b"HorizontalPodAutoscaler", b"ScaledObject", b"/metric:", b"scaleMetric", b"autoScaling"),
    *(b"hpaSpec", b"kedaSpec", platforms.ECS_MEMORY.encode()),
)


class Relevance:
    """What files name: servers, variables that set a worker count, autoscalers, programs of the project."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        stems = servers().stems
        variables = (name for name in servers().variables if not any(stem in name for stem in stems))
        names = (*variables, *stems, *(kind for server in servers().servers for kind in server.kinds))
        images = (name for image in servers().base_images for name in image.names)
        serving = (name for server in servers().servers for name in server.images)
        self.words = (*_AUTOSCALED, *(name.encode() for name in (*names, *images, *serving)))
        self.naming: dict[Path, bool] = {}
        self.packaged: dict[Path, bool] = {}

    def calls_server(self, path: Path) -> bool:
        """Whether a Python file may start a server with a number of workers that stands in it."""
        data = self.sources.data(path)
        return any(word in data for word in self.arguments) and self.names_package(path)

    def names_package(self, path: Path) -> bool:
        """Whether a file holds the name of a package that starts a server."""
        known = self.packaged.get(path)
        if known is None:
            data = self.sources.data(path)
            known = self.packaged[path] = any(package in data for package in self.packages)
        return known

    @functools.cached_property
    def arguments(self) -> frozenset[bytes]:
        """The names of the arguments that give a number of workers."""
        return frozenset(call.workers.encode() for _, call in servers().calls.values() if call.workers)

    def matters(self, path: Path) -> bool:
        """Whether a file names a server, a variable of one or an autoscaler."""
        data = self.sources.data(path)
        if _only_defines(data):
            return False
        return any(word in data for word in self.words) or self.names_server(path)

    def names_server(self, path: Path) -> bool:
        """Whether a file holds the name of a server."""
        known = self.naming.get(path)
        if known is None:
            data = self.sources.data(path)
            known = self.naming[path] = any(word in data for word in servers().words)
        return known

    def names_variable(self, path: Path) -> bool:
        """Whether a file holds a variable that sets the workers of one server."""
        data = self.sources.data(path)
        return any(name in data for name in self.variables)

    @functools.cached_property
    def variables(self) -> frozenset[bytes]:
        """The names, or parts of the names, of variables that set the workers of one server."""
        stems = servers().stems
        own = (name for name in servers().own_variables if not any(stem in name for stem in stems))
        return frozenset(name.encode() for name in (*own, *stems))

    @functools.cached_property
    def programs(self) -> tuple[bytes, ...]:
        """The names, as files and modules, of the Python files that start a server themselves."""
        words = [name.rpartition(".")[2].encode() for name in servers().calls]
        words += [
            name.rpartition(".")[2].encode() for server in servers().servers for name in server.applications
        ]
        found: set[bytes] = set()
        for path in self.sources.tree.python:
            data = self.sources.data(path)
            if self.names_package(path) and any(word in data for word in words):
                found.add(os.fsencode(path.name))
                found.add(os.fsencode(path.parent.name if path.name == "__main__.py" else path.stem))
        for name, module in self.sources.console_scripts.items():
            if module.rpartition(".")[2].encode() in found:
                found.add(name.encode())
        return tuple(sorted(found))

    @functools.cached_property
    def packages(self) -> frozenset[bytes]:
        """The packages with calls that start a server."""
        return frozenset(package.encode() for package in servers().packages)

    def may_run_program(self, path: Path) -> bool:
        """Whether a manifest may run one of those files: nothing else in it names a server."""
        if not self.programs:
            return False
        data = self.sources.data(path)
        return any(word in data for word in self.programs)


def _only_defines(data: bytes) -> bool:
    """Whether there are as many definitions of resources in a file as there are documents.

    No definition is read, and such files are long: to look for a dozen words in them takes longer.
    """
    defined = data.count(b"\nkind: CustomResourceDefinition")
    if not defined:
        return False
    head = data[: data.find(b"\n---") + 1]
    begun = any(line.strip() and not line.startswith((b"#", b"---")) for line in head.splitlines())
    return data.count(b"\n---") + begun <= defined
