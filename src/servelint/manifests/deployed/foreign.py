"""Releases of charts that are not in the project: where their values stand, and what those say.

A release says which: Argo CD, Flux, Helmfile and the like, Terraform's `helm_release`, a `helm upgrade` in a
script or a workflow. A file that is called values and belongs to no chart of the project is for another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from servelint.manifests.deployed.reading import Reader
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, scalars
from servelint.manifests.forms import hcl, kustomize, terraform
from servelint.manifests.forms.resources import Resources
from servelint.manifests.forms.sources import Sources, normal
from servelint.manifests.helm import foreign, releases
from servelint.manifests.helm.charts import Chart, owner_of
from servelint.manifests.helm.releases import Fields, Release
from servelint.manifests.helm.values import Leaf, Value, below, from_node, merged, nested
from servelint.manifests.shell.commandline import split

_NAME = re.compile(r"(?:.*[._-])?(?:helm)?values(?:[._-].*)?\.ya?ml(?:\.\w+)?", re.IGNORECASE)
_SCALING = re.compile(rb"(?i)autoscal|hpa|keda")
_MEMORY = re.compile(rb"(?i)mem")
_SERVING = re.compile(rb"(?i)worker|uvicorn|gunicorn")
_NOT_DEPLOYED = re.compile(r"(?:^|/)(?:ci|tests?|unittests?|testing|testdata|fixtures|examples?|samples?)/")
_RELEASING = (b"helm upgrade", b"helm install", b"helm template")
_HELM = re.compile(rf"\b(?:{'|'.join(word.decode() for word in _RELEASING)})\b")
# Options of `helm upgrade` without a value.
_FLAGS = frozenset(
    (
        *("-i", "--install", "--create-namespace", "--wait", "--atomic", "--debug", "--dry-run", "--force"),
        *("--cleanup-on-fail", "--reuse-values", "--reset-values", "--dependency-update", "--devel", "-g"),
        *("--skip-crds", "--generate-name", "--wait-for-jobs", "--reset-then-reuse-values"),
    )
)
_FILE = re.compile(r'"([^"\n]{1,300}\.ya?ml(?:\.\w{1,10})?)"')
_VARIABLE = re.compile(r"^\$\{[\w.]+\}/")
_SET = re.compile(r"([\w.-]+)=((?:[^,\\]|\\.)*)")
_YAML = (".yaml", ".yml", ".gotmpl")
_COMMANDS = (".sh", ".bash", ".yaml", ".yml", "")


class Releases:
    """Finds the releases of a project and lays them on its charts; keeps what is for charts elsewhere."""

    def __init__(self, sources: Sources, reader: Reader, charts: Sequence[Chart]) -> None:
        self.sources = sources
        self.reader = reader
        self.charts = charts
        self.named: dict[Path, str] = {}  # values files by the chart that a release names
        self.given: list[tuple[Path, Release]] = []

    def read(self, path: Path) -> None:
        """Read the releases in a file: those of charts of the project are told to them."""
        for release in self.found(path):
            if releases.attach(self.charts, release, path, self.root):
                continue
            for name in release.files:
                file = self.file(name, path)
                if file is not None:
                    self.named.setdefault(file, release.chart.rpartition("/")[2])
            if release.values:
                self.given.append((path, release))

    def found(self, path: Path) -> Iterator[Release]:
        """The releases that a file describes."""
        if path.suffix in terraform.SUFFIXES:
            if b"helm_release" in self.sources.data(path):
                yield from self.terraform(path)
            return
        if path.suffix not in (*_YAML, *_COMMANDS):
            return
        data = self.sources.data(path)
        if path.suffix in _COMMANDS and any(word in data for word in _RELEASING):
            yield from self.commands(path)
        names_release = path.suffix in _YAML and any(word in data for word in releases.WORDS)
        if names_release and (self.charts or b"alue" in data):
            yield from releases.described(self.reader.documents(path), self.kept)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.sources.tree.root

    def resources(self, documents: Sequence[Path]) -> Iterator[tuple[Path, Resources]]:
        """What is said to charts elsewhere; `documents` are the files of the project that may be values."""
        for path, release in self.given:
            yield path, foreign.resources(release.values, path, release.chart.rpartition("/")[2])
        laid = {path for chart in self.charts for path in chart.extra_values}
        folders: dict[Path, list[Path]] = {chart.folder: [] for chart in self.charts}
        lone = [path for path in documents if _NAME.fullmatch(path.name) and path not in self.named]
        for path in (*self.named, *lone):
            is_manifest = b"kind" in self.sources.top_keys(path)
            if (
                path not in laid
                and not is_manifest
                and self.is_deployed(path)
                and not owner_of(path, folders)
            ):
                yield path, foreign.resources(self.values(path), path, self.named.get(path, ""))
        known = {chart.folder.name for chart in self.charts}
        for chart in self.charts:
            for name in chart.missing(known):
                for path in filter(None, (chart.values_path, *chart.extra_values)):
                    yield path, foreign.resources(below(self.values(path), (name,)), path, name)

    def values(self, path: Path) -> Value:
        """The values in a file; none where they say nothing that matters."""
        if not _says_something(self.sources.data(path)):
            return {}
        return from_node(next(iter(self.reader.documents(path)), None))

    def is_deployed(self, path: Path) -> bool:
        """Whether a file is no test and no example."""
        relative = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else ""
        return _NOT_DEPLOYED.search(relative) is None

    def kept(self, name: str, key: str) -> Scalar | Path | None:
        """What a ConfigMap of the project holds under a key: a text, or the file that it is made of."""
        word = name.encode(errors="replace")
        for path in self.sources.tree.manifests if name else ():
            data = self.sources.data(path) if path.suffix in (".yaml", ".yml") else b""
            made = path.name in kustomize.NAMES and b"configMapGenerator" in data
            if word not in data or not (made or b"ConfigMap" in data):
                continue
            for document in self.reader.documents(path):
                found = _held(document, name, key, path.parent) if isinstance(document, YamlMapping) else None
                if found is not None:
                    return found
        return None

    def file(self, name: str, path: Path) -> Path | None:
        """The project's file that a release in another one names; what a variable stands for is left open."""
        known = self.sources.known_paths
        rest = name[name.rfind("$") :].partition("/")[2] if "$" in name else name
        for folder in (path.parent, *path.parents):
            found = normal(folder / rest)
            if found in known:
                return found
            if folder == self.root:
                break
        parts = tuple(part for part in PurePosixPath(rest).parts if part not in ("..", "."))
        ends = [other for other in known if parts and other.parts[-len(parts) :] == parts]
        return ends[0] if len(ends) == 1 else None

    def terraform(self, path: Path) -> Iterator[Release]:
        """The releases of Terraform's provider for Helm.

        https://registry.terraform.io/providers/hashicorp/helm/latest/docs/resources/release
        """
        source = self.sources.source(path)
        if source is None:
            return
        for block in hcl.parse(Located.of(source), self.reader.written).blocks:
            if block.name.value != "resource" or block.labels[:1] != ("helm_release",):
                continue
            body = block.body
            values: Value = {}
            listed = body.get("values")
            for node in listed.items if isinstance(listed, YamlSequence) else ():
                values = merged(values, from_node(self.mapping(node)) or {})
            values = merged(values, releases.named(_settings(body)))
            files = tuple(_FILE.findall(body.place.text[body.start : body.end]))
            yield Release(_VARIABLE.sub("", body.text("chart")), files, values)

    def mapping(self, node: Node) -> Node | None:
        """Values that are written as a mapping, or as YAML in a text."""
        if isinstance(node, Scalar) and "\n" in node.value:
            return next(iter(self.reader.written(node.text)), None)
        return node if isinstance(node, YamlMapping) else None

    def commands(self, path: Path) -> Iterator[Release]:
        """The releases that commands make."""
        source = self.sources.source(path)
        text = source.text if source is not None else ""
        for found in _HELM.finditer(text):
            told = "#" in text[text.rfind("\n", 0, found.start()) + 1 : found.start()]  # in a comment
            if source is not None and not told:
                yield _release(Located.of(source, found.end(), _end_of_command(text, found.end())))


def _held(document: YamlMapping, name: str, key: str, folder: Path) -> Scalar | Path | None:
    """What a document says of a key of a ConfigMap: its text, or the file that Kustomize makes it of.

    https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/configmapgenerator/
    """
    if document.text("kind") == "ConfigMap" and document.text("metadata", "name") == name:
        return document.scalar("data", key)
    for generator in document.mappings("configMapGenerator"):
        for item in scalars(generator.items("files")) if generator.text("name") == name else ():
            own, equals, file = item.value.partition("=")
            file = file if equals else own
            if key == (own if equals else PurePosixPath(file).name):
                return normal(folder / file)
    return None


def _settings(body: hcl.Body) -> Iterator[Fields]:
    """The blocks `set { name, value }`, and the list of the same that newer versions take."""
    yield from body.below("set")
    listed = body.get("set")
    if isinstance(listed, YamlSequence):
        yield from (item for item in listed.items if isinstance(item, YamlMapping))


def _end_of_command(text: str, position: int) -> int:
    """Where the line ends that a command stands on, with those that go on after a backslash."""
    while True:
        end = text.find("\n", position)
        if end < 0:
            return len(text)
        if not text[position:end].rstrip("\r").endswith("\\"):
            return end
        position = end + 1


def _release(command: Located) -> Release:
    """The release that `helm upgrade` or `helm install` makes, its name and what follows given.

    https://helm.sh/docs/helm/helm_upgrade/
    """
    operands: list[str] = []
    files: list[str] = []
    values: Value = {}
    words = iter(split(command))
    for word in words:
        option, equals, _ = word.text.partition("=")
        if not option.startswith("-"):
            operands.append(word.text)
        elif option not in _FLAGS:
            value = word.slice(len(option) + 1, len(word)) if equals else next(words, None)
            if value is not None and option in ("-f", "--values"):
                files += value.text.split(",")
            elif value is not None and option in ("--set", "--set-string"):
                values = merged(values, _set(value))
    return Release(operands[1] if len(operands) > 1 else "", tuple(files), values)


def _set(text: Located) -> Value:
    """`a.b=1,c=2` as the mapping that it means."""
    values: Value = {}
    for found in _SET.finditer(text.text):
        leaf = Leaf(found[2], text.slice(*found.span(2)))
        values = merged(values, nested(found[1].split("."), leaf))
    return values


def _says_something(data: bytes) -> bool:
    """Whether values may speak of memory and autoscaling, or of how a server is started."""
    return _SERVING.search(data) is not None or (
        _MEMORY.search(data) is not None and _SCALING.search(data) is not None
    )
