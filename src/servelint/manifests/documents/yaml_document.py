"""YAML documents with positions.

libyaml's composer gives nodes with marks and never constructs anything, so custom tags, duplicate keys and
untrusted input are harmless. The nodes here add what rules need: where every scalar stands, character by
character, whichever way it is quoted or folded, and look-up through merge keys and aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from servelint.manifests.documents.text import Located, Place, Run

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|\r\n|.)", re.DOTALL)
_LINE_JOIN = re.compile(r"\\\r?\n[ \t]*")
MERGE = "<<"


class YamlError(ValueError):
    """A text is not YAML. `line` counts from 1 in the parsed text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True, eq=False)
class Scalar:
    """A leaf. `value` is the decoded text, `plain` says that it was written without quotes."""

    value: str
    tag: str
    plain: bool
    start: int
    end: int
    within: Located
    style: str = ""
    anchored: bool = False
    _text: Located | None = None

    @property
    def is_null(self) -> bool:
        """Whether YAML reads this as no value."""
        return self.plain and self.value in _NULL

    @property
    def text(self) -> Located:
        """The decoded value, each character with its place."""
        if self._text is None:
            self._text = _locate(self)
        return self._text

    @property
    def place(self) -> Place:
        """Where the scalar stands, quotes included."""
        return self.within.place_of(self.start, self.end)


@dataclass(slots=True, eq=False)
class YamlSequence:
    """A list."""

    items: list[Node]
    start: int
    end: int
    within: Located
    flow: bool = False
    anchored: bool = False

    @property
    def place(self) -> Place:
        """Where the list stands."""
        return self.within.place_of(self.start, self.end)


@dataclass(slots=True, eq=False)
class YamlMapping:
    """A mapping; entries are as written, merge keys among them."""

    entries: list[tuple[Scalar, Node]]
    start: int
    end: int
    within: Located
    flow: bool = False
    anchored: bool = False
    _index: dict[str, tuple[Scalar, Node]] | None = field(default=None, repr=False)

    @property
    def place(self) -> Place:
        """Where the mapping stands."""
        return self.within.place_of(self.start, self.end)

    def index(self) -> dict[str, tuple[Scalar, Node]]:
        """Entries by key; the last of duplicates wins, and own keys win over merged ones."""
        if self._index is None:
            self._index = {}
            own = {key.value: (key, value) for key, value in self.entries if key.value != MERGE}
            for key, value in self.entries:
                if key.value == MERGE and key.plain:
                    for base in value.items if isinstance(value, YamlSequence) else [value]:
                        if isinstance(base, YamlMapping) and base is not self:
                            for name, entry in base.index().items():
                                self._index.setdefault(name, entry)
            self._index.update(own)
        return self._index

    def get(self, *keys: str) -> Node | None:
        """The node under a path of keys, or None."""
        node: Node | None = self
        for key in keys:
            if not isinstance(node, YamlMapping):
                return None
            entry = node.index().get(key)
            node = entry[1] if entry else None
        return node

    def scalar(self, *keys: str) -> Scalar | None:
        """The non-null scalar under a path of keys, or None."""
        node = self.get(*keys)
        return node if isinstance(node, Scalar) and not node.is_null else None

    def text(self, *keys: str) -> str:
        """The text of the scalar under a path of keys, or an empty string."""
        node = self.scalar(*keys)
        return node.value if node else ""

    def mapping(self, *keys: str) -> YamlMapping | None:
        """The mapping under a path of keys, or None."""
        node = self.get(*keys)
        return node if isinstance(node, YamlMapping) else None

    def items(self, *keys: str) -> list[Node]:
        """The items of the list under a path of keys; empty where there is none."""
        node = self.get(*keys)
        return node.items if isinstance(node, YamlSequence) else []

    def mappings(self, *keys: str) -> list[YamlMapping]:
        """Those items of the list under a path of keys that are mappings."""
        return [item for item in self.items(*keys) if isinstance(item, YamlMapping)]


Node: TypeAlias = Scalar | YamlSequence | YamlMapping


def parse(text: Located) -> list[Node]:
    """The documents of a text; raises `YamlError`."""
    documents: list[Node] = []
    try:
        documents.extend(_Builder(text).build(node) for node in yaml.compose_all(text.text, Loader=_LOADER))
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or "cannot be read as YAML"
        raise YamlError(str(message), mark.line + 1 if mark else 1) from None
    return documents


class _Builder:
    """Turns PyYAML's nodes into ours, each once, so that aliases stay shared."""

    def __init__(self, text: Located) -> None:
        self.text = text
        self.known: dict[int, Node] = {}

    def build(self, node: yaml.Node) -> Node:
        known = self.known.get(id(node))
        if known is not None:
            known.anchored = True
            return known
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, yaml.ScalarNode):
            style = node.style or ""
            built: Node = Scalar(node.value, node.tag, not style, start, end, self.text, style)
            self.known[id(node)] = built
        elif isinstance(node, yaml.SequenceNode):
            built = YamlSequence([], start, end, self.text, _flow(node))
            self.known[id(node)] = built
            built.items.extend(self.build(item) for item in node.value)
        else:
            built = YamlMapping([], start, end, self.text, _flow(node))
            self.known[id(node)] = built
            for key, value in node.value:
                name = self.build(key)
                if isinstance(name, Scalar):
                    built.entries.append((name, self.build(value)))
        return built


def _flow(node: yaml.Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _locate(scalar: Scalar) -> Located:
    """The decoded value with the place of each character.

    Characters other than white space stand in the file in the same order as in the value, whichever the
    style; folding only changes the white space between them, and double quotes add escapes.
    """
    raw = scalar.within.text
    start, end = scalar.start, scalar.end
    if scalar.style in ("'", '"'):
        start, end = start + 1, end - 1
    if raw[start:end] == scalar.value:
        return scalar.within.slice(start, end)
    return _align(scalar, raw, _content_start(scalar, raw, start), end)


def _content_start(scalar: Scalar, raw: str, start: int) -> int:
    if scalar.style in ("|", ">"):
        return raw.find("\n", start) + 1 or start
    return start


# Where a run of equal characters has to stop: what comes may be an escape.
_STOP = {'"': "\\", "'": "'"}


def _align(scalar: Scalar, raw: str, position: int, end: int) -> Located:
    value, stop = scalar.value, _STOP.get(scalar.style, "")
    parts: list[Located] = []
    at = 0
    while at < len(value):
        position = _skip_line_join(scalar, raw, position)
        width = _escape_width(scalar, raw, position)
        if not value[at].isspace() and width == 1:
            while position < end and raw[position] != value[at] and raw[position].isspace():
                position += 1
        length = 1
        if width == 1 and position < end and raw[position] == value[at]:
            while (
                at + length < len(value)
                and position + length < end
                and raw[position + length] == value[at + length]
                and raw[position + length] != stop
            ):
                length += 1
        here = scalar.within.slice(min(position, end), min(position + max(width, length), end))
        wanted = value[at : at + length]
        parts.append(here if here.text == wanted else _standing_for(wanted, here, scalar))
        if not value[at].isspace() or raw[position : position + 1].isspace() or width > 1:
            position += max(width, length)
        at += length
    return Located.join(parts)


def _skip_line_join(scalar: Scalar, raw: str, position: int) -> int:
    """Past the backslashes with which double quotes continue a line without a break."""
    if scalar.style == '"':
        while found := _LINE_JOIN.match(raw, position):
            position = found.end()
    return position


def _escape_width(scalar: Scalar, raw: str, position: int) -> int:
    """How many characters of the file the next character of the value takes."""
    if scalar.style == '"':
        escape = _ESCAPE.match(raw, position)
        return escape.end() - position if escape else 1
    return 2 if scalar.style == "'" and raw.startswith("''", position) else 1


def _standing_for(text: str, here: Located, scalar: Scalar) -> Located:
    """A text that is written in another way at a place."""
    if here.runs:
        return Located.computed(text, here.place)
    end = scalar.place
    return Located(text, (Run(0, len(text), end.source, end.end, end.end, False),))


def walk(node: Node) -> Iterator[Node]:
    """The node and everything in it, each once."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        if isinstance(here, YamlSequence):
            waiting.extend(reversed(here.items))
        elif isinstance(here, YamlMapping):
            waiting.extend(value for _, value in reversed(here.entries))


def scalars(nodes: Sequence[Node]) -> list[Scalar]:
    """Those of the nodes that are scalars with a value."""
    return [node for node in nodes if isinstance(node, Scalar) and not node.is_null]
