"""Which charts a project has, which values files go with them, and what they render to."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from servelint.boundary import Boundary, LimitError, problem
from servelint.knowledge.servers import servers
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, YamlError, YamlMapping, parse
from servelint.manifests.forms.sources import Sources
from servelint.manifests.helm import syntax
from servelint.manifests.helm.outline import choices, guards, switched_off
from servelint.manifests.helm.render import Engine, Patience, RenderError
from servelint.manifests.helm.values import (
    UNKNOWN_VALUE,
    Value,
    bare,
    below,
    from_node,
    merged,
    nested,
    text_of,
)
from servelint.manifests.helm.versions import KUBERNETES
from servelint.manifests.shell.commandline import UNKNOWN

_YAML = (".yaml", ".yml")
_AUTOSCALER = (b"HorizontalPodAutoscaler", b"ScaledObject", b"scaleMetric", b"/metric:")
_WORKLOAD = (b"containers", b"ConfigMap", b"predictor")
_NOT_VALUES = frozenset(("templates", "crds", "charts", "ci", "tests", "unittests", "test", "node_modules"))
_ENVIRONMENTS = frozenset(("environments", "environment", "envs", "env", "clusters", "values"))
_RETIRED = re.compile(
    r"extensions/v1beta1|policy/v1beta1|autoscaling/v2beta|networking\.k8s\.io/v1beta1|batch/v1beta1"
)
_WRAPPER_SIZE = 500
_LONE = re.compile(rf"^[ \t]*+{UNKNOWN}++[ \t]*+$", re.MULTILINE)
_NAME = re.compile(rb"(?m)^name:[ \t]*+[\"']?([\w.-]++)")
# Each values file is laid on the chart anew, and each time all its templates are rendered.
_MOST_RENDERINGS = 10_000
_MOST_CHOICES = 4  # of switches in one template, each of which is turned


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """One template of one chart with one set of values, as documents."""

    template: Path
    documents: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A chart rendered with one set of values. `readers` counts the templates that read a value.

    `switches` are the values that decide whether something is printed.
    """

    chart: Chart
    values: Path | None
    rendered: tuple[Rendered, ...]
    readers: dict[tuple[str, int], set[str]]
    switches: dict[tuple[str, int], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """Values that are laid on a chart's defaults, and the file they stand in."""

    path: Path
    values: Value


@dataclass(eq=False)
class Chart:
    """One chart: a folder with a `Chart.yaml`."""

    folder: Path
    sources: Sources
    templates: tuple[Path, ...]
    libraries: list[Chart] = field(default_factory=list)
    extra_values: list[Path] = field(default_factory=list)
    overlays: list[Overlay] = field(default_factory=list)
    parent: Chart | None = None
    patience: Patience = field(default_factory=Patience)
    _parsed: dict[Path, syntax.Template | None] = field(default_factory=dict)
    _given_up: set[Path] = field(default_factory=set)

    @property
    def values_path(self) -> Path | None:
        """Its default values."""
        found = (self.folder / f"values{suffix}" for suffix in _YAML)
        return next((path for path in found if path in self.sources.known_paths), None)

    @cached_property
    def about(self) -> YamlMapping | None:
        """What `Chart.yaml` says."""
        document = _document(self.sources, self.folder / "Chart.yaml")
        return document if isinstance(document, YamlMapping) else None

    @cached_property
    def name(self) -> str:
        """The chart's name."""
        found = _NAME.search(self.sources.data(self.folder / "Chart.yaml"))
        return found[1].decode("utf-8", "replace") if found is not None else self.folder.name

    @cached_property
    def default_values(self) -> Value:
        """The default values, with what the chart it is part of sets for it."""
        path = self.values_path
        own = from_node(_document(self.sources, path)) if path is not None else {}
        if self.parent is None:
            return own
        above = self.parent.default_values or {}
        shared = {"global": above["global"]} if above.get("global") else {}
        return merged(merged(own or {}, shared), above.get(self.name) or {})

    @property
    def disabled(self) -> bool:
        """Whether the chart it is part of leaves it out by default."""
        about = self.parent.about if self.parent is not None else None
        if self.parent is None or about is None:
            return False
        for dependency in about.mappings("dependencies"):
            if dependency.text("name") == self.name and dependency.text("condition"):
                value = below(
                    self.parent.default_values, dependency.text("condition").split(",")[0].split(".")
                )
                return value is not None and not bare(value)
        return False

    def missing(self, known: Container[str]) -> Iterator[str]:
        """The keys of its values that are for charts that it depends on and that are not `known`."""
        if all(name in known for name in _dependencies(self.sources.data(self.folder / "Chart.yaml"))):
            return
        for dependency in self.about.mappings("dependencies") if self.about is not None else ():
            if dependency.text("name") not in known:
                yield dependency.text("alias") or dependency.text("name")

    def parsed(self, path: Path) -> syntax.Template | None:
        """A template's tree, or None where it is none."""
        if path not in self._parsed:
            self._parsed[path] = None
            source = self.sources.source(path)
            with Boundary(path, "reading the template", self.sources.note):
                try:
                    self._parsed[path] = syntax.parse(Located.of(source)) if source is not None else None
                except syntax.TemplateError:  # none that we read: it is left alone
                    self._parsed[path] = None
        return self._parsed[path]

    @cached_property
    def defines(self) -> dict[str, Sequence[syntax.Piece]]:
        """The named templates within reach: its own, and those of the charts it depends on."""
        found: dict[str, Sequence[syntax.Piece]] = {}
        for chart in reversed(self._reachable()):
            for path in chart.templates:
                if b"define" in self.sources.data(path):
                    template = chart.parsed(path)
                    if template is not None:
                        found.update(template.defines)
        return found

    def _reachable(self) -> list[Chart]:
        """The chart and all it depends on, each once: charts may depend on each other in a circle."""
        found: list[Chart] = [self]
        for chart in found:
            found.extend(library for library in reversed(chart.libraries) if library not in found)
        return found

    def variants(self, *, servers: bool) -> Iterator[Variant]:
        """The chart with its default values, then with each further values file laid on them."""
        if self.disabled:
            return
        yield self.render(None, servers=servers)
        room = max(_MOST_RENDERINGS // max(len(self.templates), 1), 1)
        if room < len(self.extra_values) + len(self.overlays):
            limit = f"more than {_MOST_RENDERINGS:,} renderings of templates: the last values are left out"
            about = self.folder / "Chart.yaml"
            self.sources.note(problem(LimitError(limit), about, "rendering the chart"))
        for path in self.extra_values[:room]:
            yield self.render(Overlay(path, from_node(_document(self.sources, path))), servers=servers)
        for overlay in self.overlays[: max(room - len(self.extra_values), 0)]:
            yield self.render(overlay, servers=servers)

    def render(self, extra: Overlay | None, *, servers: bool) -> Variant:
        """The chart's documents; `servers` says that workloads are wanted whatever scales them."""
        overlay = extra.values if extra is not None else {}
        values = merged(_copied(self.default_values or {}), overlay or {})
        above = self.parent.values_path if self.parent is not None else None
        laid = extra.path if extra is not None else None
        paths = {str(path) for path in (self.values_path, laid, above) if path is not None}
        engine = Engine(self._named(), self._root(values), frozenset(paths))
        rendered = [
            self._rendered(engine, path) for path in self.templates if self._wanted(path, servers=servers)
        ]
        if not servers and any(item.documents for item in rendered):
            done = {item.template for item in rendered}
            rendered += [self._rendered(engine, path) for path in self.templates if path not in done]
        if servers:
            rendered += [
                *self._switched_on([item.template for item in rendered if not item.documents], engine),
                *self._chosen([item.template for item in rendered if item.documents], engine),
            ]
        return Variant(self, laid, tuple(rendered), engine.readers, engine.switches)

    def _switched_on(self, silent: Sequence[Path], engine: Engine) -> Iterator[Rendered]:
        """What templates print that values turn off: how a component starts matters to who turns it on."""
        again = [path for path in silent if not any(word in self.sources.data(path) for word in _AUTOSCALER)]
        values = before = _copied(engine.root["Values"])
        for path in again:
            template = self.parsed(path) if b"containers" in self.sources.data(path) else None
            for keys in guards(template) if template is not None else ():
                if bare(below(values, keys)) is False:
                    values = merged(values, nested(keys, True))
        other = replace(engine, root={**engine.root, "Values": values})
        yield from (self._rendered(other, path) for path in again if values is not before)

    def _chosen(self, printed: Sequence[Path], engine: Engine) -> Iterator[Rendered]:
        """What templates print where a switch is turned that decides how many workers a server is given."""
        options = {option for server in servers().servers for option in server.workers.options}
        words = [option for option in options if option.startswith("--")]
        values = engine.root["Values"]
        for path in printed:
            data = self.sources.data(path)
            template = self.parsed(path) if any(word.encode() in data for word in words) else None
            found = choices(template, words) if template is not None else ()
            for keys, state in islice(found, _MOST_CHOICES):
                if bare(below(values, keys)) is (not state):
                    other = merged(_copied(values), nested(keys, state))
                    yield self._rendered(replace(engine, root={**engine.root, "Values": other}), path)

    def _wanted(self, path: Path, *, servers: bool) -> bool:
        if path.suffix not in _YAML or path.name.startswith("_"):
            return False
        data = self.sources.data(path)
        if any(word in data for word in _AUTOSCALER) or (b"include" in data and len(data) < _WRAPPER_SIZE):
            return True
        return servers and any(word in data for word in _WORKLOAD)

    def _root(self, values: Value) -> dict[str, Value]:
        about = self.about
        chart = {
            "Name": self.name,
            "Version": (about.text("version") if about else "") or "0.1.0",
            "AppVersion": about.text("appVersion") if about else "",
            "Type": "application",
        }
        return {
            "Values": values,
            "Chart": chart,
            "Release": {
                "Name": "release",
                "Namespace": "default",
                "Service": "Helm",
                "Revision": 1,
                "IsInstall": True,
                "IsUpgrade": False,
            },
            "Capabilities": {
                "KubeVersion": {"Version": KUBERNETES, "GitVersion": KUBERNETES, "Major": "1", "Minor": "31"},
                "APIVersions": {"Has": lambda name: not _RETIRED.match(text_of(name))},
                "HelmVersion": {"Version": "v3.16.0"},
            },
            "Template": {"Name": self.name, "BasePath": f"{self.name}/templates"},
            "Files": {
                "Get": lambda _: "",
                "Glob": lambda _: {},
                "Lines": lambda _: [],
                "AsConfig": "",
                "AsSecrets": "",
            },
            "Subcharts": UNKNOWN_VALUE,
        }

    def _rendered(self, engine: Engine, path: Path) -> Rendered:
        if path.suffix not in _YAML or path.name.startswith("_") or path in self._given_up:
            return Rendered(path, ())
        template = self.parsed(path)
        if template is None:
            return Rendered(path, ())
        documents: list[Node] = []
        with Boundary(path, "rendering the template", self.sources.note) as boundary:
            try:
                text = engine.render(template, path, self.patience)
                documents = _parsed(text) if text.text.strip() else []
            except (RenderError, YamlError):
                # What is rendered without the cluster's answers need not be whole: it is left alone.
                documents = []
        if boundary.failed:
            self._given_up.add(path)
        return Rendered(path, tuple(documents))

    def _named(self) -> dict[str, Sequence[syntax.Piece]]:
        """What `include` may name; a template file prints nothing that is asked for."""
        folder = self.folder / "templates"
        files = (other.relative_to(folder).as_posix() for other in self.templates)
        return {**{f"{self.name}/templates/{file}": () for file in files}, **self.defines}


def _parsed(text: Located) -> list[Node]:
    """The documents of what a template renders to.

    What a library prints that is elsewhere may be entries of a mapping: a line of its own goes, if it must.
    """
    try:
        return parse(text)
    except YamlError:
        cut = _LONE.sub(lambda found: " " * len(found[0]), text.text)
        if cut == text.text:
            raise
    return parse(Located(cut, text.runs))


def _copied(value: Value) -> Value:
    """Mappings and lists copied, so that a template's `set` changes no other rendering."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _document(sources: Sources, path: Path) -> Node | None:
    source = sources.source(path) if path in sources.known_paths else None
    if source is None:
        return None
    try:
        documents = parse(
            Located.of(source), lambda error: sources.note(problem(error, path, "reading YAML"))
        )
    except YamlError as error:
        sources.problem(path, f"not valid YAML: {error}", error.line)
        return None
    return documents[0] if documents else None


def charts(sources: Sources) -> list[Chart]:
    """The charts of the project, each with its templates, the charts it depends on and its values files."""
    paths = sources.tree.manifests
    folders = sorted(path.parent for path in paths if path.name == "Chart.yaml")
    templates: dict[str, list[Path]] = {str(folder): [] for folder in folders}
    for path in paths:
        if path.suffix in (*_YAML, ".tpl"):
            folder = _chart_of(str(path), templates)
            if folder is not None:
                templates[folder].append(path)
    patience = Patience()
    found = [Chart(folder, sources, tuple(templates[str(folder)]), patience=patience) for folder in folders]
    _attach_libraries(found)
    return found


def _chart_of(path: str, folders: Container[str]) -> str | None:
    """The innermost chart that a file is a template of."""
    end = path.rfind("/templates/")
    while end >= 0 and path[:end] not in folders:
        end = path.rfind("/templates/", 0, end)
    return path[:end] if end >= 0 else None


def owner_of(path: Path, folders: dict[Path, list[Path]]) -> Path | None:
    """The innermost chart that a file is in."""
    return next((parent for parent in path.parents if parent in folders), None)


def _attach_libraries(found: Sequence[Chart]) -> None:
    """Tell charts what they are part of, and whose named templates they may use."""
    by_folder = {chart.folder: chart for chart in found}
    by_name: dict[str, Chart] = {}
    for chart in found:
        by_name.setdefault(chart.folder.name, chart)
        if chart.folder.parent.name == "charts":
            chart.parent = by_folder.get(chart.folder.parent.parent)
    for chart in found:
        data = chart.sources.data(chart.folder / "Chart.yaml")
        named = [by_name[name] for name in _dependencies(data) if name in by_name]
        chart.libraries = [other for other in named if other is not chart and chart not in other.libraries]
    for chart in found:
        if chart.parent is not None and chart not in chart.parent.libraries:
            chart.parent.libraries.append(chart)
            if chart.parent in chart.libraries:
                chart.libraries.remove(chart.parent)


def _dependencies(data: bytes) -> list[str]:
    _, _, rest = data.partition(b"dependencies:")
    return [
        name.decode("utf-8", "replace")
        for name in re.findall(rb"(?m)^[ \t]*+(?:-[ \t]*+)?name:[ \t]*+[\"']?([\w.-]++)", rest)
    ]


def by_owner(found: Sequence[Chart], paths: Sequence[Path]) -> dict[Path | None, list[Path]]:
    """Files by the innermost chart's folder they are in; of those in none what is called values."""
    folders: dict[Path, list[Path]] = {chart.folder: [] for chart in found}
    outside: dict[Path, Path | None] = {}
    result: dict[Path | None, list[Path]] = {}
    for path in paths if folders else ():
        if path.parent not in outside:
            outside[path.parent] = owner_of(path, folders)
        owner = outside[path.parent]
        if owner is not None or "values" in path.name or _is_for_environment(path, found):
            result.setdefault(owner, []).append(path)
    return result


def _is_for_environment(path: Path, found: Sequence[Chart]) -> bool:
    """Whether a file may hold a chart's values for one environment: by its folder and the chart's name."""
    around = set(path.parts[-4:-1])
    if not _ENVIRONMENTS & around:
        return False
    return len(found) == 1 or any({chart.name, chart.folder.name} & {path.stem, *around} for chart in found)


def attach_values(chart: Chart, candidates: Sequence[Path]) -> None:
    """Find the further values files of a chart: by place, name, and the keys they share with its defaults."""
    own = chart.sources.top_keys(chart.values_path) if chart.values_path is not None else frozenset()
    for path in candidates:
        if path == chart.values_path or path.name == "Chart.yaml" or not own:
            continue
        inside = path.is_relative_to(chart.folder)
        if inside and _NOT_VALUES & set(path.relative_to(chart.folder).parts[:-1]):
            continue
        keys = chart.sources.top_keys(path)
        if keys and len(keys & own) * 2 >= len(keys) and b"kind" not in keys:
            chart.extra_values.append(path)


def autoscaler_templates(chart: Chart) -> list[Path]:
    """The templates that may scale on memory or CPU with the default values or one of the others.

    Most charts carry an autoscaler that is off by default; that is told from the text of the values.
    """
    texts = [
        chart.sources.data(path) for path in (chart.values_path, *chart.extra_values) if path is not None
    ]
    found: list[Path] = []
    for path in chart.templates:
        data = chart.sources.data(path)
        if not any(word in data for word in _AUTOSCALER):
            continue
        template = chart.parsed(path)
        if path.suffix == ".tpl" or template is None or not switched_off(template, texts):
            found.append(path)
    return found
