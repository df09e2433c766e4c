"""What the bytes of a Python file show without a syntax tree.

A syntax tree costs a hundred times as much as a search through the bytes. What is found here may be too
much (a word in a comment, an import in a docstring) and leads to a file that is then parsed in vain; it is
never too little for code as people write it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from functools import cache
from itertools import chain
from sys import intern
from typing import NamedTuple

# Most begin with a literal, which `re` looks for at the speed of memchr.
_IMPORT = re.compile(rb"import(?=[ \t(_\\])(?:[ \t]*(\([^)]*\)?)|((?:[^\n\\;]|\\\r?\n?)*))")
_DYNAMIC = re.compile(rb"(?:_module|__)\(\s*(?:name\s*=\s*)?[\"']([\w.]+)[\"']")
_CLASS = re.compile(rb"class[ \t]+([\w\x80-\xff]+)[ \t]*\(([^:]*)")
_DECORATOR = re.compile(rb"@[ \t]*(?:\w+[ \t]*\.[ \t]*)*(\w+)")
_DEFINED = re.compile(rb"def[ \t]+(\w+)")
_DEFINITION_LINE = re.compile(rb"^([ \t]*+)(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_DEFINITION = re.compile(rb"(?:def|class)[ \t]+(\w+)")
# How far the body of a class is indented, what begins a line as the targets of an assignment or the name of a
# field, and what puts a part of the body further in.
_CLASS_BODY = re.compile(rb"class[ \t]+\w+[^:]*:[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*([ \t]+)")
_TARGETS = re.compile(rb"\n([ \t]++)((?:[\w \t,*()\[\]]++=(?!=))++|\w++[ \t]*+:)")
_ATTRIBUTE = re.compile(rb"\.(\w++)[ \t]*+(?=[,:=)\]\r\n]|in\b|\Z)")
_BRANCH = re.compile(rb"\n([ \t]++)(?:if|try)\b")
_COROUTINE = re.compile(rb"async[ \t]+def\b")
# What has been matched is not given back: six times as fast, for words are long and most are not called.
_CALLED = re.compile(rb"\b(\w++)[\s\\]*+\(")
_WORD = re.compile(rb"\w+")
_ANY_WORD = re.compile(rb"[\w\x80-\xff]+")
_LOCAL_NAME = re.compile(r"(\w+)(?:\s+as\s+\w+)?")


class Statement(NamedTuple):
    """An import. `names` are what `from` takes from the module (`*` for all of it), else empty."""

    module: str
    level: int
    names: tuple[str, ...]


def statements(data: bytes) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """The imports of a file as plain tuples, to be kept."""
    return tuple((item.module, item.level, item.names) for item in imports(data))


def imports(data: bytes) -> Iterator[Statement]:
    """The imports of a file, those of modules named in `import_module("...")` among them."""
    for match in _IMPORT.finditer(data):
        start = match.start()
        line = data[data.rfind(b"\n", 0, start) + 1 : start]
        yield from _statements(line, match[1] or match[2])


@cache
def _statements(before: bytes, after: bytes) -> tuple[Statement, ...]:
    """What stands before and after the word `import`, as statements."""
    dynamic = _DYNAMIC.match(after)
    if dynamic is not None:
        return (Statement(dynamic[1].decode(), 0, ()),)
    if after[:1] not in b" \t(\\":
        return ()
    text = after.partition(b"#")[0] if after[:1] != b"(" else re.sub(rb"#[^\n]*", b"", after)
    names = text.decode("utf-8", "replace").replace("\\", " ").strip("() \t\r\n").partition(";")[0]
    head = before.decode("utf-8", "replace").rpartition(";")[2].split()
    if len(head) >= 2 and head[-2].rpartition(":")[2] == "from":
        module = head[-1].lstrip(".")
        return (Statement(module, len(head[-1]) - len(module), tuple(_names(names))),)
    if not head or head[-1].endswith(":"):
        return tuple(Statement(part.split()[0], 0, ()) for part in names.split(",") if part.split())
    if head[0] == "from":  # from . . import x
        dots = "".join(head[1:])
        return (Statement(dots.lstrip("."), len(dots) - len(dots.lstrip(".")), tuple(_names(names))),)
    return ()


def _names(text: str) -> Iterator[str]:
    if text.startswith("*"):
        yield "*"
        return
    for part in text.split(","):
        found = _LOCAL_NAME.match(part.strip())
        if found is not None:
            yield found[1]


def has_coroutines(data: bytes) -> bool:
    """Whether the file may define a function that runs on an event loop by itself."""
    return _COROUTINE.search(data) is not None


def called(data: bytes) -> frozenset[str]:
    """The last names of what the file calls."""
    return _texts(_CALLED.findall(data))


def functions_calling(data: bytes, names: Container[str]) -> Iterator[str]:
    """The names of the functions in whose text one of the names is called."""
    definitions = [(match.start(), len(match[1]), match[2]) for match in _DEFINITION_LINE.finditer(data)]
    for match in _CALLED.finditer(data):
        if match[1].decode("ascii") not in names:
            continue
        indent = match.start() - data.rfind(b"\n", 0, match.start()) - 1
        for start, depth, name in reversed(definitions):
            if start < match.start() and depth < indent:
                yield name.decode("ascii")
                indent = depth


def defined(data: bytes) -> frozenset[str]:
    """The names of the functions that the file defines."""
    return _texts(_DEFINED.findall(data))


def classes(data: bytes) -> tuple[tuple[str, frozenset[str]], ...]:
    """The classes of the file that have bases: the name, and the words in the list of its bases."""
    found = _CLASS.finditer(data)
    return tuple((_text(match[1]), frozenset(map(_text, _ANY_WORD.findall(match[2])))) for match in found)


def members(data: bytes) -> frozenset[str]:
    """The names that the file may bind in the body of a class."""
    indents = frozenset(_CLASS_BODY.findall(data))
    anywhere = any(indent in indents for indent in _BRANCH.findall(data))
    targets = b" ".join(
        targets for indent, targets in _TARGETS.findall(data) if anywhere or indent in indents
    )
    return _texts(chain(_WORD.findall(targets), _DEFINITION.findall(data)))


def attributes(data: bytes) -> frozenset[str]:
    """The names of attributes that the file may bind, and of others that stand where they might be bound."""
    return _texts(_ATTRIBUTE.findall(data))


def decorators(data: bytes) -> frozenset[str]:
    """The last names of the file's decorators."""
    return _texts(_DECORATOR.findall(data))


def properties(data: bytes) -> frozenset[str]:
    """The names of the properties that the file defines, cached ones included."""
    return _texts(_PROPERTY.findall(data))


def item_keys(data: bytes) -> frozenset[str]:
    """The keys of what the file may bind as `<anything>["key"]`."""
    found = {match[1] for match, before, after in _around(data, _ITEM) if _is_target(before, after)}
    return frozenset(map(_text, found))


def _texts(words: Iterable[bytes]) -> frozenset[str]:
    return frozenset(map(_text, set(words)))


def _text(word: bytes) -> str:
    """The word, one object for all places where it stands: most are in many files."""
    return intern(word.decode("utf-8", "replace"))


def assigns_attribute(data: bytes, name: str) -> bool:
    """Whether the file may bind `<anything>.name`: by itself, in a tuple, as a loop or `with` variable."""
    word = f".{name}".encode()
    found = _around(data, _whole(word)) if word in data else ()
    return any(_is_target(before, after) for _, before, after in found)


@cache
def _whole(word: bytes) -> re.Pattern[bytes]:
    return re.compile(re.escape(word) + rb"\b")


def mentions(data: bytes, words: Iterable[bytes]) -> bool:
    """Whether one of the words stands in the file, as a word or a part of one."""
    return any(word in data for word in words)


def _around(data: bytes, pattern: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], bytes, bytes]]:
    """Each match, and what stands before and after it on its line."""
    for match in pattern.finditer(data):
        start, end = data.rfind(b"\n", 0, match.start()) + 1, data.find(b"\n", match.end())
        yield match, data[start : match.start()], data[match.end() : end if end >= 0 else len(data)]


def _is_target(before: bytes, after: bytes) -> bool:
    """Whether something is bound between what stands before and after it on the line."""
    if _BOUND.match(after) or _VARIABLE.search(before):
        return True
    if b"=" in before or _IN_CALL.search(before):
        return False
    return _BOUND_TOGETHER.match(after) is not None


_PROPERTY = re.compile(rb"@[\w.]*property\b[^\n]*\n(?:[ \t]*[@#][^\n]*\n)*[ \t]*def[ \t]+(\w+)")
_ITEM = re.compile(rb"\[\s*[rbuRBU]?[\"']([^\"'\n]*)[\"']\s*\]")
_BOUND = re.compile(rb"\s*(?::[^=\n]*)?=(?!=)")
_VARIABLE = re.compile(rb"\b(?:for|as)\b[^=]*$")
_IN_CALL = re.compile(rb"[\w\])]\s*\([^)]*$")
# `a.x, b.y = ...`, or one of several targets that stand on lines of their own.
_BOUND_TOGETHER = re.compile(rb"\s*[,)\]]?[\w.\s,\[\]'\"*()]*(?:=(?!=)|(?:#.*)?$)")
