"""TOML documents with positions, as the nodes that YAML is read into.

`tomllib` says whether a text is TOML, and keeps no places; what is scanned here is known to be well formed.
"""

from __future__ import annotations

import re

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence
from servelint.project.text import toml

_PART = re.compile(r"\s*+([\w-]++|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*+')[ \t]*+")
_BASIC = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"")
_BARE = re.compile(r"[^,\]}#\r\n]*+")
_MAX_NESTING = 100
_STRING, _OTHER = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int"


def parse(text: Located) -> YamlMapping | None:
    """The document; None where it is not TOML. Raises `LimitError`."""
    return _Reader(text).document() if toml.table(text.text) is not None else None


class _Reader:
    """Reads a well-formed text from its beginning to its end."""

    def __init__(self, within: Located) -> None:
        self.within = within
        self.text = within.text
        self.position = 0
        self.nesting = 0
        self.tables: dict[int, dict[str, Node]] = {}  # what is in each by key, to find it again

    def document(self) -> YamlMapping:
        """All tables of the text."""
        root = table = self.table()
        while self.skip("\r\n"):
            if self.text[self.position] == "[":
                several = self.text.startswith("[[", self.position)
                self.position += 1 + several
                table = self.open(root, self.keys(), several=several)
                self.position += 1 + several
            else:
                self.entry(table)
        return root

    def skip(self, more: str = "") -> bool:
        """Pass over white space and comments; whether anything is left."""
        while self.position < len(self.text):
            if self.text[self.position] == "#":
                end = self.text.find("\n", self.position)
                self.position = len(self.text) if end < 0 else end
            elif self.text[self.position] in f" \t{more}":
                self.position += 1
            else:
                return True
        return False

    def keys(self) -> list[Scalar]:
        """A dotted key."""
        found: list[Scalar] = []
        while part := _PART.match(self.text, self.position):
            self.position = part.end()
            quoted = part[1][0] in "\"'"
            name = self.decoded(part[1]) if quoted else part[1]
            found.append(Scalar(name, _STRING, not quoted, *part.span(1), self.within))
            if not self.text.startswith(".", self.position):
                break
            self.position += 1
        return found

    def entry(self, table: YamlMapping) -> None:
        """A key and its value."""
        *path, last = self.keys()
        self.position += 1  # the sign between
        self.skip()
        value = self.value()
        self.open(table, path).entries.append((last, value))

    def open(self, table: YamlMapping, path: list[Scalar], *, several: bool = False) -> YamlMapping:
        """The table at a path below another one, made where there is none; of `several`, a new one."""
        for depth, key in enumerate(path, 1):
            known = self.tables.setdefault(id(table), {})
            node = known.get(key.value)
            is_list = several and depth == len(path)
            if node is None:
                node = YamlSequence([], key.start, key.end, self.within) if is_list else self.table()
                known[key.value] = node
                table.entries.append((key, node))
            if is_list and isinstance(node, YamlSequence):
                node.items.append(self.table())
            last = node.items[-1] if isinstance(node, YamlSequence) and node.items else node
            table = last if isinstance(last, YamlMapping) else self.table()
        return table

    def table(self) -> YamlMapping:
        """A table without entries."""
        return YamlMapping([], self.position, self.position, self.within)

    def value(self) -> Node:
        """The value that begins here; raises `LimitError`."""
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise LimitError(f"TOML nested more than {_MAX_NESTING} levels deep")
        found = self.read()
        self.nesting -= 1
        return found

    def read(self) -> Node:
        """What `value` reads, without the count of how deep it is."""
        start = self.position
        for quote in ('"""', "'''"):
            if self.text.startswith(quote, start):
                end = self.text.index(quote, start + 3) + 3
                while self.text.startswith(quote[0], end):
                    end += 1
                return self.string(start, end)
        match self.text[start]:
            case '"':
                found = _BASIC.match(self.text, start)
                assert found is not None
                return self.string(start, found.end())
            case "'":
                return self.string(start, self.text.index("'", start + 1) + 1)
            case "[":
                return self.array()
            case "{":
                return self.inline()
            case _:
                return self.bare()

    def string(self, start: int, end: int) -> Scalar:
        """A text between quotes, each character with its place where it is written as it is."""
        self.position = end
        raw = self.text[start:end]
        width = 3 if raw[:3] in ('"""', "'''") else 1
        value = self.decoded(raw)
        inner = self.within.slice(start + width, end - width)
        node = Scalar(value, _STRING, False, start, end, self.within, raw[0])
        if inner.runs:
            node._text = inner if inner.text == value else Located.computed(value, inner.place)
        return node

    def decoded(self, raw: str) -> str:
        """What a quoted text says."""
        import tomllib

        value: str = tomllib.loads(f"v = {raw}")["v"]
        return value

    def bare(self) -> Scalar:
        """A number, a truth value, a date."""
        found = _BARE.match(self.text, self.position)
        assert found is not None
        value = found[0].rstrip()
        start, self.position = self.position, found.end()
        return Scalar(value, _OTHER, True, start, start + len(value), self.within)

    def array(self) -> YamlSequence:
        """A list, which may go on over lines."""
        start = self.position
        self.position += 1
        items: list[Node] = []
        while self.skip("\r\n,") and self.text[self.position] != "]":
            items.append(self.value())
        self.position += 1
        return YamlSequence(items, start, self.position, self.within, True)

    def inline(self) -> YamlMapping:
        """A table in one line."""
        table = self.table()
        self.position += 1
        while self.skip("\r\n,") and self.text[self.position] != "}":
            self.entry(table)
        self.position += 1
        table.end = self.position
        return table
