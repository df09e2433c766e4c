"""Kustomize: what overlays make of their bases.

Patches are applied to nodes, not to text, so what a patch brings keeps its place in the patch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servelint.boundary import LimitError
from servelint.manifests.documents.linear_regex import search
from servelint.manifests.documents.text import Located
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

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
# Lists whose items a strategic merge tells apart by name; any other list is replaced whole.
_NAMED = frozenset(("containers", "initContainers", "env", "volumes", "volumeMounts", "imagePullSecrets"))
_STRING = "tag:yaml.org,2002:str"
_DEPTH = 12
_MAX_RESOURCES = 10_000
_MAX_COMPONENTS = 1_000
_INDEX = re.compile(r"[0-9]{1,6}")
_LITERAL = re.compile(r"([^=]+)=(.*)", re.DOTALL)


@dataclass(slots=True)
class Builder:
    """Builds kustomizations; `documents` reads a file, `variables` an environment file."""

    files: frozenset[Path]
    documents: Callable[[Path], list[Node]]
    variables: Callable[[Path], Mapping[str, Located | None] | None]
    _built: dict[Path, list[YamlMapping]] = field(default_factory=dict)
    _applying: list[Path] = field(default_factory=list)
    _applied: int = 0

    def involved(self, path: Path) -> Iterator[Path]:
        """A kustomization and every file that it reads, each once."""
        seen: set[Path] = set()
        waiting = [path]
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            yield here
            kustomization = self._load(here) if here.name in NAMES else None
            for name in self._names(kustomization) if kustomization is not None else ():
                target = normal(here.parent / name)
                nested = self._nested(target)
                if nested is not None or target in self.files:
                    waiting.append(nested or target)

    def patches(self, path: Path) -> bool:
        """Whether a kustomization changes what it reads, by itself or by a component.

        A component by itself changes nothing: it is for the kustomizations that name it.
        """
        kustomization = self._load(path)
        if kustomization is None or _is_component(kustomization):
            return False
        return _changes(kustomization) or any(
            _changes(other)
            for here in self.involved(path)
            if here.name in NAMES and (other := self._load(here)) is not None and _is_component(other)
        )

    def build(self, path: Path, depth: int = 0) -> list[YamlMapping]:
        """The resources of a kustomization, its patches applied."""
        if path in self._built or depth > _DEPTH:
            return self._built.get(path, [])
        self._built[path] = []
        kustomization = self._load(path)
        if kustomization is None:
            return []
        if not depth:
            self._applied = 0
        self._built[path] = self._accumulated(kustomization, path, [], depth)
        return self._built[path]

    def _accumulated(
        self, kustomization: YamlMapping, path: Path, found: list[YamlMapping], depth: int
    ) -> list[YamlMapping]:
        """What was found before and what a kustomization adds, its components and patches applied to all."""
        found = [*found, *self._resources(kustomization, path, depth)]
        for target in self._targets(kustomization, path, "components"):
            nested = self._nested(target)
            component = self._load(nested) if nested is not None else None
            if nested is None or component is None or nested in self._applying or depth > _DEPTH:
                continue
            self._applied += 1
            if self._applied > _MAX_COMPONENTS:
                raise LimitError(f"more than {_MAX_COMPONENTS:,} components", 0, path)
            self._applying.append(nested)
            try:
                found = self._accumulated(component, nested, found, depth + 1)
            finally:
                self._applying.pop()
        found.extend(self._generated(kustomization, path.parent))
        for patch, target_of in self._patches(kustomization, path.parent):
            found = [result for node in found if (result := _patched(node, patch, target_of)) is not None]
        return found

    def _generated(self, kustomization: YamlMapping, folder: Path) -> Iterator[YamlMapping]:
        """The ConfigMaps that a kustomization generates from environment files and literals."""
        for entry in kustomization.mappings("configMapGenerator"):
            data: list[tuple[Scalar, Node]] = []
            files = [file.value for file in scalars(entry.items("envs"))]
            for file in (*files, *filter(None, [entry.text("env")])):
                for name, value in (self.variables(normal(folder / file)) or {}).items():
                    if value is not None:
                        node = Scalar(value.text, _STRING, False, 0, len(value), value)
                        data.append((_text(entry, name), node))
            for literal in scalars(entry.items("literals")):
                found = _LITERAL.match(literal.value)
                if found:
                    data.append((_part(literal, found.span(1)), _part(literal, found.span(2))))
            named = entry.scalar("name")
            if named is not None and data:
                yield _mapping(
                    entry,
                    kind=_text(entry, "ConfigMap"),
                    metadata=_mapping(entry, name=named),
                    data=_over(entry, data),
                )

    def _resources(self, kustomization: YamlMapping, path: Path, depth: int) -> list[YamlMapping]:
        found: list[YamlMapping] = []
        for target, line in self._targets(kustomization, path, "resources", "bases").items():
            nested = self._nested(target)
            if len(found) > _MAX_RESOURCES:
                raise LimitError(f"more than {_MAX_RESOURCES:,} resources", line, path)
            if nested is not None:
                found.extend(self.build(nested, depth + 1))
            elif target in self.files:
                found.extend(node for node in self.documents(target) if isinstance(node, YamlMapping))
        return found

    def _targets(self, kustomization: YamlMapping, path: Path, *keys: str) -> dict[Path, int]:
        """What a kustomization names under some keys, each with its line."""
        found: dict[Path, int] = {}
        for item in scalars([node for key in keys for node in kustomization.items(key)]):
            found.setdefault(normal(path.parent / item.value), item.place.span.line)
        return found

    def _load(self, path: Path) -> YamlMapping | None:
        documents = self.documents(path)
        return documents[0] if documents and isinstance(documents[0], YamlMapping) else None

    def _nested(self, folder: Path) -> Path | None:
        return next((folder / name for name in NAMES if folder / name in self.files), None)

    def _names(self, kustomization: YamlMapping) -> Iterator[str]:
        for key in ("resources", "bases", "components", "patchesStrategicMerge"):
            yield from (item.value for item in scalars(kustomization.items(key)) if "\n" not in item.value)
        for key in ("patches", "patchesJson6902"):
            yield from (item.text("path") for item in kustomization.mappings(key) if item.text("path"))

    def _patches(self, kustomization: YamlMapping, folder: Path) -> Iterator[tuple[Node, YamlMapping | None]]:
        """Each patch with the selector of what it applies to, if it has one."""
        for item in scalars(kustomization.items("patchesStrategicMerge")):
            yield from ((node, None) for node in self._patch(item, folder))
        for key in ("patches", "patchesJson6902"):
            for entry in kustomization.mappings(key):
                written = entry.scalar("patch") or entry.scalar("path")
                if written is not None:
                    yield from ((node, entry.mapping("target")) for node in self._patch(written, folder))

    def _patch(self, written: Scalar, folder: Path) -> list[Node]:
        """The documents of a patch, given in place or as a path."""
        path = normal(folder / written.value) if "\n" not in written.value else None
        if path is not None and path in self.files:
            return self.documents(path)
        try:
            return parse(written.text) if ":" in written.value else []
        except YamlError:  # a patch that cannot be read patches nothing
            return []


def _is_component(kustomization: YamlMapping) -> bool:
    return kustomization.text("kind") == "Component"


def _changes(kustomization: YamlMapping) -> bool:
    keys = ("patches", "patchesStrategicMerge", "patchesJson6902", "configMapGenerator")
    return any(kustomization.items(key) for key in keys)


def _part(scalar: Scalar, span: tuple[int, int]) -> Scalar:
    text = scalar.text.slice(*span)
    return Scalar(text.text, scalar.tag, False, 0, len(text), text)


def _text(near: YamlMapping, value: str) -> Scalar:
    place = near.place
    return Scalar(value, _STRING, True, 0, len(value), Located.computed(value, place))


def _over(near: YamlMapping, entries: list[tuple[Scalar, Node]]) -> YamlMapping:
    return YamlMapping(entries, near.start, near.end, near.within)


def _mapping(near: YamlMapping, **entries: Node) -> YamlMapping:
    return _over(near, [(_text(near, key), value) for key, value in entries.items()])


def _patched(node: YamlMapping, patch: Node, target: YamlMapping | None) -> YamlMapping | None:
    """The resource after a patch; itself where the patch is for another one, None where it is deleted."""
    if isinstance(patch, YamlSequence):
        if target is None or not _selected(node, target):
            return node
        result: Node = node
        for operation in patch.items:
            if isinstance(operation, YamlMapping):
                result = _operated(result, operation)
        return result if isinstance(result, YamlMapping) else node
    if not isinstance(patch, YamlMapping):
        return node
    applies = _selected(node, target) if target is not None else _same(node, patch)
    if not applies:
        return node
    if patch.text("$patch") == "delete":
        return None
    merged = _merged(node, patch, "")
    return merged if isinstance(merged, YamlMapping) else node


def _same(node: YamlMapping, patch: YamlMapping) -> bool:
    return all(node.text(*keys) == patch.text(*keys) for keys in (("kind",), ("metadata", "name")))


def _selected(node: YamlMapping, target: YamlMapping) -> bool:
    pairs = ((target.text("kind"), node.text("kind")), (target.text("name"), node.text("metadata", "name")))
    return all(not wanted or _matches(wanted, actual) for wanted, actual in pairs)


def _matches(pattern: str, text: str) -> bool:
    try:
        return search(rf"^(?:{pattern})$", text) is not None
    except ValueError:
        return pattern == text


def _merged(base: Node, patch: Node, key: str) -> Node | None:
    """A strategic merge; None deletes."""
    if isinstance(base, YamlMapping) and isinstance(patch, YamlMapping):
        directive = patch.text("$patch")
        if directive:
            return None if directive == "delete" else patch
        entries = dict(base.index())
        for name, (written, value) in patch.index().items():
            below = entries.get(name)
            merged = _merged(below[1], value, name) if below else value
            if merged is None or (isinstance(merged, Scalar) and merged.is_null):
                entries.pop(name, None)
            else:
                entries[name] = (written, merged)
        return _over(patch, list(entries.values()))
    if isinstance(base, YamlSequence) and isinstance(patch, YamlSequence) and key in _NAMED:
        return _merged_list(base, patch, key)
    return patch


def _merged_list(base: YamlSequence, patch: YamlSequence, key: str) -> YamlSequence:
    items: dict[str, Node] = {_name(item, index): item for index, item in enumerate(base.items)}
    for index, item in enumerate(patch.items):
        name = _name(item, index)
        merged = _merged(items[name], item, key) if name in items else item
        if merged is None:
            items.pop(name, None)
        else:
            items[name] = merged
    return YamlSequence(list(items.values()), patch.start, patch.end, patch.within)


def _name(item: Node, index: int) -> str:
    return (item.text("name") if isinstance(item, YamlMapping) else "") or f"#{index}"


def _operated(node: Node, operation: YamlMapping) -> Node:
    """The node after one operation of a JSON patch; unchanged where the path leads nowhere."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in operation.text("path").split("/")[1:]]
    value = operation.get("value")
    kind = operation.text("op")
    if not path or (value is None and kind != "remove"):
        return node
    return _put(node, path, None if kind == "remove" else value, insert=kind == "add")


def _put(node: Node, path: Sequence[str], value: Node | None, *, insert: bool) -> Node:
    head, rest = path[0], path[1:]
    if isinstance(node, YamlMapping):
        entries = dict(node.index())
        if rest:
            if head in entries:
                entries[head] = (entries[head][0], _put(entries[head][1], rest, value, insert=insert))
        elif value is None:
            entries.pop(head, None)
        else:
            entries[head] = (entries[head][0] if head in entries else _text(node, head), value)
        return _over(node, list(entries.values()))
    if isinstance(node, YamlSequence):
        items = list(node.items)
        position = len(items) if head == "-" else int(head) if _INDEX.fullmatch(head) else -1
        if rest and 0 <= position < len(items):
            items[position] = _put(items[position], rest, value, insert=insert)
        elif not rest and value is not None and insert and 0 <= position <= len(items):
            items.insert(position, value)
        elif not rest and 0 <= position < len(items):
            items[position : position + 1] = [] if value is None else [value]
        return YamlSequence(items, node.start, node.end, node.within, node.flow)
    return node
