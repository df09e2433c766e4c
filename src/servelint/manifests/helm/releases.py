"""Values that releases lay on a chart: Argo CD, Flux, Helmfile, Skaffold and Kustomize's `helmCharts`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlError,
    YamlMapping,
    YamlSequence,
    parse,
    scalars,
)
from servelint.manifests.forms.sources import normal
from servelint.manifests.helm.charts import Chart, Overlay
from servelint.manifests.helm.values import Value, from_node, merged, nested

# Words of which a file that describes a release holds one.
WORDS = (b"HelmRelease", b"argoproj.io", b"helmCharts", b"releases:")


Kept = Callable[[str, str], "Scalar | Path | None"]


class Fields(Protocol):
    """What has values by name: a mapping, or a block of Terraform."""

    def get(self, name: str, /) -> Node | None:
        """The value of that name."""

    def text(self, name: str, /) -> str:
        """The same where it is a text, else an empty one."""


class Release(NamedTuple):
    """A chart as a path or a name, and what is laid on its values: files first, then the rest."""

    chart: str
    files: tuple[str, ...]
    values: Value


def attach(charts: Sequence[Chart], release: Release, path: Path, root: Path) -> bool:
    """Tell the chart of the project that a release in a file is about of its values; whether there is one."""
    chart = _chart(charts, release.chart, path, root)
    if chart is None:
        return False
    for name in release.files:
        for folder in (path.parent, chart.folder, root):
            file = normal(folder / name)
            if file in chart.sources.known_paths:
                if file not in chart.extra_values:
                    chart.extra_values.append(file)
                break
    if release.values:
        chart.overlays.append(Overlay(path, release.values))
    return True


def described(documents: Sequence[Node], kept: Kept) -> Iterator[Release]:
    """The releases that a file describes; `kept` finds what a ConfigMap holds under a key."""
    found = [item for document in documents for item in _listed_in(document)]
    own = {item.text("metadata", "name"): item for item in found if item.text("kind") == "ConfigMap"}

    def inside(name: str, key: str) -> Scalar | Path | None:
        return own[name].scalar("data", key) if name in own else kept(name, key)

    for document in found:
        yield from _releases(document, inside)


def _listed_in(document: Node) -> Iterator[YamlMapping]:
    """A document, or those in a `kind: List`."""
    if isinstance(document, YamlMapping):
        items = document.mappings("items") if document.text("kind").endswith("List") else ()
        yield from items or (document,)


def _releases(document: YamlMapping, kept: Kept) -> Iterator[Release]:
    kind = document.text("kind")
    if kind in ("Application", "ApplicationSet"):
        spec = document.mapping("spec", "template", "spec") or document.mapping("spec")
        if spec is not None:
            sources = [spec.mapping("source"), *spec.mappings("sources")]
            yield from (_argo(source) for source in sources if source is not None)
    elif kind == "HelmRelease":
        chart = document.text("spec", "chart", "spec", "chart") or document.text("spec", "chart", "path")
        values: Value = {}
        paths: list[str] = []
        for item in document.mappings("spec", "valuesFrom"):
            is_plain = item.text("kind") == "ConfigMap"
            held = kept(item.text("name"), item.text("valuesKey") or "values.yaml") if is_plain else None
            if isinstance(held, Path):
                paths.append(str(held))
            else:
                values = merged(values, from_node(_parsed(held)) or {})
        values = merged(values, from_node(document.mapping("spec", "values")) or {})
        yield Release(chart, tuple(paths), values)
    yield from (_listed(item) for item in document.mappings("releases"))
    for skaffold in (document, *document.mappings("profiles")):
        for part in ("deploy", "manifests"):
            yield from (_listed(item) for item in skaffold.mappings(part, "helm", "releases"))
    for item in document.mappings("helmCharts"):
        files = (item.text("valuesFile"), *_texts(item.items("additionalValuesFiles")))
        yield Release(item.text("name"), tuple(filter(None, files)), from_node(item.mapping("valuesInline")))


def _argo(source: YamlMapping) -> Release:
    helm = source.mapping("helm")
    reference = source.text("path") or source.text("chart")
    if helm is None:
        return Release(reference, (), None)
    values = merged(
        from_node(_parsed(helm.scalar("values"))) or {}, from_node(helm.mapping("valuesObject")) or {}
    )
    values = merged(values, named(helm.mappings("parameters")))
    return Release(reference, _texts(helm.items("valueFiles")), values)


def _listed(item: YamlMapping) -> Release:
    """An entry of Helmfile or Skaffold."""
    values: Value = {}
    for node in item.items("values"):
        values = merged(values, from_node(node) if isinstance(node, YamlMapping) else {})
    values = merged(values, from_node(item.mapping("overrides")) or {})
    values = merged(values, named(item.mappings("set")))
    flat = item.mapping("setValues")
    for key, node in flat.index().values() if flat is not None else ():
        values = merged(values, nested(key.value.split("."), from_node(node)))
    files = (*_texts(item.items("values")), *_texts(item.items("valuesFiles")))
    return Release(item.text("chart") or item.text("chartPath") or item.text("remoteChart"), files, values)


def named(items: Iterable[Fields]) -> Value:
    """`[{name: server.workers, value: 4}]` as the mapping it means."""
    values: Value = {}
    for item in items:
        node = item.get("value")
        if node is not None and item.text("name"):
            values = merged(values, nested(item.text("name").split("."), from_node(node)))
    return values


def _parsed(text: Scalar | None) -> Node | None:
    """The YAML that stands in a text."""
    try:
        documents = parse(text.text) if text is not None and text.text.runs else []
    except YamlError:
        # A template of the tool's own, most often: what it becomes is not known.
        return None
    return documents[0] if documents and not isinstance(documents[0], YamlSequence) else None


def _texts(nodes: Sequence[Node]) -> tuple[str, ...]:
    return tuple(item.value for item in scalars(list(nodes)))


def _chart(charts: Sequence[Chart], reference: str, path: Path, root: Path) -> Chart | None:
    """The chart of the project that a release names: by its path, else by its name where that is unique."""
    if not reference or "://" in reference:
        return None
    for folder in (path.parent, root):
        wanted = normal(folder / reference)
        found = next((chart for chart in charts if chart.folder == wanted), None)
        if found is not None:
            return found
    parts = tuple(part for part in reference.split("/") if part not in ("", ".", ".."))
    ends = [chart for chart in charts if chart.folder.parts[-len(parts) :] == parts]
    named = ends or [chart for chart in charts if parts and chart.name == parts[-1]]
    return named[0] if len(named) == 1 else None
