"""YAML documents with positions.

libyaml's composer gives nodes with marks and never constructs anything, so custom tags, duplicate keys and
untrusted input are harmless. The nodes here add what rules need: where every scalar stands, character by
character, whichever way it is quoted or folded, and look-up through merge keys and aliases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import yaml

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located, Place, Run

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|\r\n|.)", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_JOIN = re.compile(r"\\\r?\n[ \t]*")
MERGE = "<<"
# What a reader of nodes may rely on: it can recurse, and follow aliases as if what they stand for was there.
_MAX_NESTING = 100
_MAX_REPEATED = 200_000


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


def parse(text: Located, beyond: Callable[[LimitError], object] | None = None) -> list[Node]:
    """The documents of a text; raises `YamlError`.

    A document that goes past a limit raises `LimitError`; with `beyond`, the first of each document is told,
    and what goes past it counts as null.
    """
    documents: list[Node] = []
    try:
        for node in yaml.compose_all(text.text, Loader=_LOADER):
            builder = _Builder(text, lenient=beyond is not None)
            documents.append(builder.document(node))
            if beyond is not None and builder.fault is not None:
                beyond(builder.fault)
    except yaml.reader.ReaderError as error:
        # It has no mark, but says where, in bytes.
        before = text.text.encode("utf-8", "surrogatepass")[: error.position].decode("utf-8", "ignore")
        raise YamlError("a character that YAML does not allow", _line(before)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or "cannot be read as YAML"
        # Not the line of the mark: YAML has ends of lines that no editor shows.
        raise YamlError(str(message), _line(text.text[: mark.index]) if mark else 1) from None
    except RecursionError:  # PyYAML without libyaml, which counts
        raise YamlError("nested too deeply", 1) from None
    return documents


def _line(before: str) -> int:
    """The line that follows a text."""
    return len(_LINE_END.findall(before)) + 1


class _Extent(NamedTuple):
    """How much a node holds, what aliases stand for included."""

    levels: int
    nodes: int


_NOTHING = _Extent(0, 1)


class _Builder:
    """Turns the PyYAML nodes of one document into ours, each once, so that aliases stay shared.

    Children come before what holds them, so that the extent of a node is known without following an alias
    again: a few hundred characters of aliases can stand for more than any memory holds.
    """

    def __init__(self, text: Located, *, lenient: bool) -> None:
        self.text = text
        self.lenient = lenient
        self.fault: LimitError | None = None
        self.known: dict[int, Node] = {}
        self.extents: dict[int, _Extent] = {}

    def document(self, root: yaml.Node) -> Node:
        waiting: list[tuple[yaml.Node, bool]] = [(root, False)]
        while waiting:
            node, entered = waiting.pop()
            if entered:
                self.close(node)
            elif id(node) in self.known:
                self.known[id(node)].anchored = True
            else:
                self.open(node)
                if not isinstance(node, yaml.ScalarNode):
                    waiting.append((node, True))
                    waiting.extend((child, False) for child in reversed(_children(node)))
        return self.known[id(root)]

    def open(self, node: yaml.Node) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, yaml.ScalarNode):
            style = node.style or ""
            self.known[id(node)] = Scalar(node.value, node.tag, not style, start, end, self.text, style)
            self.extents[id(node)] = _Extent(0, 1)
        elif isinstance(node, yaml.SequenceNode):
            self.known[id(node)] = YamlSequence([], start, end, self.text, _flow(node))
        else:
            self.known[id(node)] = YamlMapping([], start, end, self.text, _flow(node))

    def close(self, node: yaml.Node) -> None:
        """Give a node what it holds, all of which is known by now."""
        levels = nodes = 0
        for child in _children(node):
            if id(child) not in self.extents:
                self.beyond(child, "a value that contains itself through an alias")
            extent = self.extents.get(id(child), _NOTHING)
            levels, nodes = max(levels, extent.levels), nodes + extent.nodes
        built = self.known[id(node)]
        if isinstance(built, YamlSequence):
            built.items.extend(self.finished(item) for item in node.value)
        elif isinstance(built, YamlMapping):
            for key, value in node.value:
                name = self.finished(key)
                if isinstance(name, Scalar):
                    built.entries.append((name, self.finished(value)))
        self.extents[id(node)] = _Extent(levels + 1, nodes + 1)
        if levels >= _MAX_NESTING:
            self.drop(node, f"more than {_MAX_NESTING} levels of nesting, aliases included")
        elif nodes - len(self.known) > _MAX_REPEATED:
            self.drop(node, f"aliases that repeat more than {_MAX_REPEATED:,} values")

    def finished(self, node: yaml.Node) -> Node:
        """The node; null for one that is not finished, because it holds what asks for it."""
        return self.known[id(node)] if id(node) in self.extents else self.null(node)

    def null(self, node: yaml.Node) -> Scalar:
        start, end = node.start_mark.index, node.end_mark.index
        return Scalar("", "tag:yaml.org,2002:null", True, start, end, self.text, anchored=True)

    def drop(self, node: yaml.Node, limit: str) -> None:
        """Take null for a node that goes past a limit."""
        self.beyond(node, limit)
        self.known[id(node)] = self.null(node)
        self.extents[id(node)] = _NOTHING

    def beyond(self, node: yaml.Node, limit: str) -> None:
        """Note a limit that is passed, or raise it."""
        if self.fault is None:
            place = self.text.place_of(node.start_mark.index, node.end_mark.index)
            self.fault = LimitError(limit, place.span.line, place.source.path)
        if not self.lenient:
            raise self.fault


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)


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
