"""Bicep: the resources of Azure that a file declares, as those of the template that it becomes.

https://learn.microsoft.com/en-us/azure/azure-resource-manager/bicep/file

Only what is written out is known, and the names of variables and of parameters with a default. Everything
else is a value that holds `UNKNOWN`. With a position of its own instead of an anchor in each pattern: no text
is too odd, and none takes longer than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence
from servelint.manifests.shell.commandline import UNKNOWN

SUFFIX = ".bicep"
_STRING = "tag:yaml.org,2002:str"
_MAX_NESTING = 100
_DECLARED = re.compile(
    r"^(?:resource[ \t]++\w++[ \t]++'(?P<type>[^'@\n]++)(?:@[^'\n]*+)?'(?:[ \t]++existing)?"
    r"|module[ \t]++\w++[ \t]++'(?P<module>[^'\n]++)'|(?:param|var)[ \t]++(?P<name>\w++)[^\n=]*+)"
    r"[ \t]*+=[ \t]*+",
    re.MULTILINE,
)
_SPACE = re.compile(r"\s++")
_COMMENTS = (("//", "\n"), ("/*", "*/"))
_WORD = re.compile(r"\w++")
_KEY = re.compile(r"(\w++|'[^'\n]*+')[ \t]*+:[ \t]*+")
_TEXT = re.compile(r"'((?:[^'\\\n]|\\.)*)'")
_LONG = re.compile(r"'''\r?\n?([\s\S]*?)'''")
_END = re.compile(r"[\n,\]})]")
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(slots=True)
class _Reader:
    code: Located
    position: int = 0
    depth: int = 0
    names: dict[str, Node] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.code.text

    def skip(self, *, comma: bool = False) -> None:
        """Past white space and comments, and commas where they are wanted."""
        self.position = self.after_space(self.position)
        while comma and self.text.startswith(",", self.position):
            self.position = self.after_space(self.position + 1)

    def after_space(self, position: int) -> int:
        """Where white space and comments end that begin at a position; a comment without end has the rest."""
        while True:
            found = _SPACE.match(self.text, position)
            position = found.end() if found is not None else position
            end = ""
            for begin, closing in _COMMENTS:
                end = closing if self.text.startswith(begin, position) else end
            if not end:
                return position
            close = self.text.find(end, position + 2)
            position = close + len(end) if close >= 0 else len(self.text)

    def value(self) -> Node:
        """What stands at the position."""
        self.depth += 1
        if self.depth > _MAX_NESTING:
            line = self.code.place_of(self.position, self.position).span.line
            raise LimitError(f"values nested more than {_MAX_NESTING} levels deep", line)
        first = self.text[self.position : self.position + 1]
        found = {"{": self.object, "[": self.array, "'": self.string}.get(first, self.expression)()
        self.depth -= 1
        return found

    def object(self) -> Node:
        start = self.position
        self.position += 1
        entries: list[tuple[Scalar, Node]] = []
        while True:
            self.skip(comma=True)
            key = _KEY.match(self.text, self.position)
            if key is None:
                if self.text[self.position : self.position + 1] in ("}", ""):
                    break
                self.past()
                continue
            name = key[1].strip("'")
            span = key.span(1)
            self.position = key.end()
            entries.append((Scalar(name, _STRING, True, *span, self.code), self.value()))
            self.rest()
        self.position += 1
        return YamlMapping(entries, start, self.position, self.code, True)

    def array(self) -> Node:
        start = self.position
        self.position += 1
        items: list[Node] = []
        self.skip(comma=True)
        if _WORD.match(self.text, self.position) and self.text.startswith("for ", self.position):
            self.position = start
            return self.expression()
        while self.text[self.position : self.position + 1] not in ("]", ""):
            before = self.position
            items.append(self.value())
            self.rest()
            self.skip(comma=True)
            if self.position == before:
                self.position += 1
        self.position += 1
        return YamlSequence(items, start, self.position, self.code, True)

    def string(self) -> Node:
        long = _LONG.match(self.text, self.position)
        found = long or _TEXT.match(self.text, self.position)
        if found is None:
            return self.expression()
        start, self.position = self.position, found.end()
        if long is None and _END.match(self.text, self.position) is None:
            self.rest()
        if long is None and "${" in found[1]:
            return self.unknown(start, found.end())
        value = found[1] if long else found[1].replace("\\'", "'").replace("\\\\", "\\")
        text = self.code.slice(*found.span(1)) if value == found[1] else None
        return Scalar(value, _STRING, False, start, found.end(), self.code, "'", False, text)

    def expression(self) -> Node:
        """A number, a word that stands for a value, or what is worked out."""
        start = self.position
        self.beyond()
        written = self.text[start : self.position].rstrip()
        end = start + len(written)
        if written.isdecimal() or written in ("true", "false", "null"):
            return Scalar(written, _STRING, True, start, end, self.code)
        inner = re.fullmatch(r"(?:string|int|json)\((\w+|'[^']*')\)", written)
        if inner is not None and not inner[1].startswith("'"):
            written = inner[1]
        return self.names.get(written) or self.unknown(start, end)

    def rest(self) -> None:
        """Past what is written behind a value, to where the next may begin."""
        end = self.after_space(self.position)
        if "\n" in self.text[self.position : end] or _END.match(self.text, end):
            return
        self.position = end
        self.beyond()

    def past(self) -> None:
        """Past what is no entry, one character at least."""
        before = self.position
        self.beyond()
        self.position += self.position == before

    def beyond(self) -> None:
        """To the end of an expression: of the line, or where a bracket closes that it did not open."""
        depth = 0
        while self.position < len(self.text):
            here = self.text[self.position]
            if here == "'":
                found = _LONG.match(self.text, self.position) or _TEXT.match(self.text, self.position)
                end = found.end() if found else self.text.find("\n", self.position)
                self.position = end if end >= 0 else len(self.text)
                continue
            if not depth and here in "\n,]})":
                break
            depth += (here in _OPEN) - (here in _CLOSE)
            self.position += 1

    def unknown(self, start: int, end: int) -> Scalar:
        text = Located.computed(UNKNOWN, self.code.place_of(start, max(start + 1, end)))
        return Scalar(UNKNOWN, _STRING, False, 0, len(text), text)


def resources(code: Located) -> Iterator[YamlMapping]:
    """The resources of a file as a template has them: with a `type`; a module's parameters as properties."""
    reader = _Reader(code)
    declared = list(_DECLARED.finditer(code.text))
    for found in declared:
        # What begins inside another one is a part of a text.
        if found["name"] and found.start() >= reader.position:
            reader.position = found.end()
            reader.names.setdefault(found["name"], reader.value())
    reader.position = 0
    ends = (*(found.start() for found in declared[1:]), len(code.text))
    for found, end in zip(declared, ends, strict=False):
        begun = code.text.find("{", found.end(), end)
        if found["name"] or begun < 0 or found.start() < reader.position:
            continue
        reader.position = begun
        body = reader.value()
        if not isinstance(body, YamlMapping):
            continue
        place = code.place_of(*found.span())
        kind = found["type"] or "Microsoft.App/containerApps"
        entries: list[tuple[Scalar, Node]]
        if found["module"]:
            told = body.mapping("params")
            if told is None or not told.items("containers"):
                continue
            key = _word("template", place)
            properties = YamlMapping([(key, told)], told.start, told.end, code)
            entries = [(_word("properties", place), properties)]
            name = told.get("name") or body.get("name")
            entries += [(_word("name", place), name)] if name is not None else []
            body = YamlMapping(entries, body.start, body.end, code)
        entries = [(_word("type", place), _word(kind, place)), *body.entries]
        yield YamlMapping(entries, body.start, body.end, code)


def _word(text: str, place: Place) -> Scalar:
    return Scalar(text, _STRING, False, 0, len(text), Located.computed(text, place))
