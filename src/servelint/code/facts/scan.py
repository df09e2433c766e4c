"""What the bytes of a Python file show without a syntax tree.

A syntax tree costs a hundred times as much as a search through the bytes. What is found here may be too
much (a word in a comment, an import in a docstring) and leads to a file that is then parsed in vain; it is
never too little for code as people write it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from functools import cache
from itertools import chain
from sys import intern
from typing import NamedTuple

_NAME = rb"[\w\x80-\xff]"
# What may stand between two tokens inside of brackets.
# Groups are repeated without `+`: Python before 3.11.5 reads possessive ones wrongly (gh-106052).
_GAP = rb"\s*+(?:#[^\n]*+\s*+)*"
# Most begin with a literal, which `re` looks for at the speed of memchr. What an import names is only looked
# at, for `import` may be the end of the name of a module from which something is imported.
_IMPORT = re.compile(rb"import(?=[ \t(_*])(?=[ \t]*+(\((?:[^)#]|#[^\n]*+)*|[^\n;]*+))")
_FROM = re.compile(rb"(?:^|[\s;:])from(?!%(name)s)([^;:]*)$" % {b"name": _NAME})
_COMMENT = re.compile(rb"#[^\n]*")
_DOT = re.compile(r"\s*\.\s*")
# A module named by text: all of it, or what stands before the part that is filled in. The first group is
# the package of the file itself.
_DYNAMIC = re.compile(
    rb"(?:_module|__)\(\s*(?:name\s*=\s*)?"
    rb"(?:(\w?[\"']\{__(?:package|name)__\}|__(?:package|name)__\s*\+\s*\w?[\"'])|\w{0,2}[\"'])"
    rb"([\w.\x80-\xff]+)(?=(.?))"
)
_PACKAGE = re.compile(rb",\s*+(?:package\s*=\s*)?[\"']([\w.\x80-\xff]+)[\"']")
# Texts that may name a module of a package, or something in it, in a file that imports by name.
_BY_NAME = (b"import_module", b"__import__")
_DOTTED = re.compile(rb"[\"'](\.*+)([\w\x80-\xff]+(?:\.[\w\x80-\xff]+)*)(\.(?=[{%\"'])|(?::\w+)?[\"'])")
_CLASS = re.compile(rb"class[ \t]+(%(name)s+)[ \t]*+(?=[(\[:])" % {b"name": _NAME})
# What a list of bases is made of, and what begins a line that cannot be in one.
_IN_BASES = re.compile(
    rb"([(\[{])|([)\]}])|(%(name)s+)|#[^\n]*+|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
    rb"|(\n[ \t]*+(?:(?:class|def|return|import)(?!%(name)s)|@)|:)" % {b"name": _NAME}
)
# A decorator goes on to the line of the next, or of what it decorates.
_DECORATOR = re.compile(
    rb"^[ \t]*+@((?:[^\n]*+\n(?![ \t]*+(?:(?:def|class|async)(?!%(name)s)|@)))*[^\n]*+)" % {b"name": _NAME},
    re.MULTILINE,
)
_LAST_NAMES = re.compile(rb"(?:^(?:%(gap)s\(*+)*|\.)%(gap)s(%(name)s++)" % {b"gap": _GAP, b"name": _NAME})
_DEFINED = re.compile(rb"def[ \t]+(%(name)s+)" % {b"name": _NAME})
_PROPERTY = re.compile(rb"(?<!%(name)s)(%(name)s++)[ \t]*+=[ \t]*+property[ \t]*+\(" % {b"name": _NAME})
_DEFINITION_LINE = re.compile(
    rb"^([ \t]*+)(?:async[ \t]+)?def[ \t]+(%(name)s+)" % {b"name": _NAME}, re.MULTILINE
)
_DEFINITION = re.compile(rb"(?:def|class)[ \t]+(%(name)s+)" % {b"name": _NAME})
# How far the body of a class is indented, what begins a line as the targets of an assignment or the name of a
# field, and what puts a part of the body further in.
_BODY = re.compile(rb":[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*([ \t]+)")
_TARGETS = re.compile(rb"\n([ \t]++)((?:[\w\x80-\xff \t,*()\[\]]++=(?!=))+|[\w\x80-\xff]++[ \t]*+:)")
_ATTRIBUTE = re.compile(
    rb"\.%(gap)s(%(name)s++)[ \t]*+(?=[,:=)\]\n#]|in\b|\Z)" % {b"gap": _GAP, b"name": _NAME}
)
_BRANCH = re.compile(rb"\n([ \t]++)(?:if|try|with|for|while|match|async)\b")
_COROUTINE = re.compile(rb"async[ \t]+def\b")
# What has been matched is not given back: six times as fast, for words are long and most are not called.
_CALLED = re.compile(rb"(?<!%(name)s)(%(name)s++)[\s)]*+(?:\(|(?:#[^\n]*+[\s)]*+)+\()" % {b"name": _NAME})
_GENERIC = re.compile(rb"(%(name)s++)\[[^][()\n]{0,200}+\]\(" % {b"name": _NAME})
_WORD = re.compile(rb"%(name)s+" % {b"name": _NAME})
_MOST_AROUND = 64  # functions around a call; Python has 100 levels of indentation at most
_TRIPLE = re.compile(rb"\"{3}|'{3}")
_RENAMED = re.compile(rb"(?<!%(name)s)(%(name)s++)(?:\s|#[^\n]*+\n)+as(?!%(name)s)" % {b"name": _NAME})
_LAST_WORD = re.compile(rb"(%(name)s++)\Z" % {b"name": _NAME})
_FAR = 300  # bytes before `:=` that are looked at: the blanks, and the name


# Instead of a name: whichever module of the package a text means in the end.
ANY_MODULE = "**"


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
        yield from _statements(line, data[match.end() : match.end() + 1], match[1])
    if any(word in data for word in _BY_NAME):
        yield from chain.from_iterable(_named(match) for match in _DOTTED.finditer(data))


@cache
def _statements(before: bytes, following: bytes, after: bytes) -> tuple[Statement, ...]:
    """What stands before and after the word `import`, as statements."""
    if following == b"_":
        dynamic = _DYNAMIC.match(after)
        return () if dynamic is None else tuple(_chosen(dynamic, _PACKAGE.search(after, dynamic.end())))
    text = _COMMENT.sub(b"", after).decode("utf-8", "replace").strip("() \t\n")
    found = _FROM.search(before)
    if found is not None:
        module = "".join(found[1].decode("utf-8", "replace").split())
        name = module.lstrip(".")
        return (Statement(name, len(module) - len(name), tuple(_names(text))),) if module else ()
    if before.strip() and before.rstrip()[-1:] not in b";:" and before.split()[-1] != b"lazy":
        return ()  # a part of a name, or of a text
    return tuple(Statement(part.split()[0], 0, ()) for part in _DOT.sub(".", text).split(",") if part.split())


def _chosen(dynamic: re.Match[bytes], package: re.Match[bytes] | None) -> Iterator[Statement]:
    own, name, following = dynamic[1], _text(dynamic[2]), dynamic[3]
    module = name.strip(".")
    level = 1 if own else len(name) - len(name.lstrip("."))
    if level and package is not None:
        module, level = f"{_text(package[1])}.{module}".rstrip("."), 0
    if name[-1] == ".":
        yield Statement(module, level, (ANY_MODULE,))
    elif not own and "." not in module and following in b"\"'":
        yield Statement(module, level, ())


def _named(match: re.Match[bytes]) -> Iterator[Statement]:
    level, name, following = len(match[1]), _text(match[2]), match[3]
    package, _, last = name.rpartition(".")
    if following == b".":
        yield Statement(name, level, (ANY_MODULE,))
    elif level or package or len(following) > 1:
        yield Statement(name, level, ())
    if package and following != b".":
        yield Statement(package, level, (last,))


def _names(text: str) -> Iterator[str]:
    if text.startswith("*"):
        yield "*"
        return
    for part in text.split(","):
        yield from part.split()[:1]


def renamed(data: bytes) -> frozenset[str]:
    """What the file imports under another name: `from module import name as other`."""
    taken = (match[1] for match in _IMPORT.finditer(data) if b"as" in match[1])
    return _texts(chain.from_iterable(map(_RENAMED.findall, taken)))


def has_coroutines(data: bytes) -> bool:
    """Whether the file may define a function that runs on an event loop by itself."""
    return _COROUTINE.search(data) is not None


def called(data: bytes) -> frozenset[str]:
    """The last names of what the file calls, `Box` for `Box[int](1)`."""
    generic = _GENERIC.findall(data) if b"](" in data else ()
    return _texts(chain(_CALLED.findall(data), generic))


def functions_calling(data: bytes, names: Container[str]) -> Iterator[str]:
    """The names of the functions in whose text one of the names is called.

    Lines in brackets begin anywhere: a call belongs to the function above it, whatever its column, and to
    those around that one. A definition in a text of several lines ends no function.
    """
    definitions = [(match.start(), len(match[1]), match[2]) for match in _DEFINITION_LINE.finditer(data)]
    quotes = list(_ends_of_texts(data))
    around: list[tuple[int, bytes]] = []
    number = 0
    for match in _CALLED.finditer(data):
        while number < len(definitions) and definitions[number][0] < match.start():
            start, depth, name = definitions[number]
            if bisect_left(quotes, start) % 2 == 0:
                around = [outer for outer in around if outer[0] < depth]
            around = [*around[-_MOST_AROUND:], (depth, name)]
            number += 1
        if around and _text(match[1]) in names:
            yield from (_text(name) for _, name in around)


def _ends_of_texts(data: bytes) -> Iterator[int]:
    """Where texts in three quotes begin and end, by turns; the other quotes in one are text."""
    opened = b""
    for match in _TRIPLE.finditer(data):
        if not opened or match[0] == opened:
            opened = b"" if opened else match[0]
            yield match.start()


def defined(data: bytes) -> frozenset[str]:
    """The names of the functions that the file defines."""
    return _texts(_DEFINED.findall(data))


def classes(data: bytes) -> tuple[tuple[str, frozenset[str]], ...]:
    """The classes of the file that have bases: the name, and the words in the list of its bases."""
    return tuple((_text(name), _texts(bases)) for name, bases, _ in _headers(data) if bases)


def _headers(data: bytes) -> Iterator[tuple[bytes, list[bytes], int]]:
    """The name of each class, the words in the brackets after it, and where the colon is.

    A class begins a line, which ends the list of bases above it: what is named in one begins none.
    """
    end = 0
    for match in _CLASS.finditer(data):
        if match.start() < end:
            continue
        depth, end = 0, len(data)
        words: list[bytes] = []
        for token in _IN_BASES.finditer(data, match.end()):
            opened, closed, word, last = token.groups()
            depth += (opened is not None) - (closed is not None)
            if word is not None:
                words.append(word)
            elif last is not None and (last != b":" or not depth):
                end = token.start()
                break
        yield match[1], words, end


def members(data: bytes) -> frozenset[str]:
    """The names that the file may bind in the body of a class that has bases."""
    headers = list(_headers(data))
    start = next((place for _, bases, place in headers if bases), -1)
    if start < 0:
        return frozenset()
    bodies = (_BODY.match(data, place) for _, _, place in headers)
    indents = frozenset(body[1] for body in bodies if body is not None)
    anywhere = any(indent in indents for indent in _BRANCH.findall(data))
    targets = [targets for indent, targets in _TARGETS.findall(data) if anywhere or indent in indents]
    start = data.rfind(b"\n", 0, start) + 1
    for sign, pattern in _RARE_MEMBERS:
        targets += pattern.findall(data, start) if sign in data else ()
    targets += _walrus(data, start)
    return _texts(chain(_WORD.findall(b" ".join(targets)), _DEFINITION.findall(data)))


def _walrus(data: bytes, start: int) -> Iterator[bytes]:
    """The names in front of `:=`, which is looked for first: it is rare, and names are everywhere."""
    at = data.find(b":=", start)
    while at >= 0:
        end = len(data[max(at - _FAR, 0) : at].rstrip(b" \t")) + max(at - _FAR, 0)
        name = _LAST_WORD.search(data, max(end - _FAR, 0), end)
        if name is not None:
            yield name[1]
        at = data.find(b":=", at + 2)


def attributes(data: bytes) -> frozenset[str]:
    """The names of attributes that the file may bind, and of others that stand where they might be bound."""
    return _texts(_ATTRIBUTE.findall(data))


def decorators(data: bytes) -> frozenset[str]:
    """The last names of the file's decorators."""
    written = _DECORATOR.findall(data) if b"@" in data else ()
    return _texts(name for text in written for name in _LAST_NAMES.findall(text))


def properties(data: bytes) -> frozenset[str]:
    """The names of the properties that the file defines, cached ones included."""
    if b"property" not in data:
        return frozenset()
    definitions = list(_DEFINED.finditer(data))
    starts = [match.start() for match in definitions]
    written = (match.end() for match in _DECORATOR.finditer(data) if b"property" in match[1])
    following = {bisect_left(starts, end) for end in written}
    named = (definitions[number][1] for number in following if number < len(definitions))
    return _texts(chain(named, _PROPERTY.findall(data)))


def item_keys(data: bytes) -> frozenset[str]:
    """The keys of what the file may bind as `<anything>["key"]`; `ANY_KEY` where it is not plain text."""
    found = {match[2] for match, before, after in _around(data, _ITEM) if _is_target(before, after)}
    return _texts(found) | ({ANY_KEY} if _WRITTEN_ITEM.search(data) else frozenset())


def _texts(words: Iterable[bytes]) -> frozenset[str]:
    return frozenset(map(_text, set(words)))


def _text(word: bytes) -> str:
    """The word, one object for all places where it stands: most are in many files."""
    return intern(word.decode("utf-8", "replace"))


def encoded(name: str) -> bytes:
    """The name as files have it. Half of a surrogate pair, as in `getattr(x, "\\ud800")`, is in none."""
    return name.encode("utf-8", "surrogatepass")


def assigns_attribute(data: bytes, name: str) -> bool:
    """Whether the file may bind `<anything>.name`: by itself, in a tuple, as a loop or `with` variable."""
    word = encoded(name)
    found = _around(data, _whole(word)) if word in data else ()
    return any(_is_target(before, after) for _, before, after in found)


@cache
def _whole(word: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\." + _GAP + re.escape(word) + rb"(?!%(name)s)" % {b"name": _NAME})


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
    start = _BEGUN.match(before)
    before = before[start.end() :] if start is not None else before
    if not before.strip() and _CLOSED.match(after):
        return True
    if b"=" in before or _IN_CALL.search(before):
        return False
    return _BOUND_TOGETHER.match(after) is not None


# A key that is written with escapes or in several pieces may be any.
ANY_KEY = "\\"
_ITEM = re.compile(
    rb"\[%(gap)s\(*+%(gap)s[rbuRBU]*+([\"'])((?:(?!\1)[^\\\n])*)\1%(gap)s\)*%(gap)s\]" % {b"gap": _GAP}
)
_WRITTEN_ITEM = re.compile(
    rb"\[%(gap)s\(*+%(gap)s[rbuRBU]*+(?:\"\"\"|'''|([\"'])(?:(?!\1)[^\\\n]|\\.)*\1%(gap)s[rbuRBU]*+[\"']"
    rb"|([\"'])(?:(?!\2)[^\\\n])*\\(?:(?!\2)[^\\\n]|\\.)*\2%(gap)s\)*%(gap)s\])" % {b"gap": _GAP},
    re.DOTALL,
)
_BOUND = re.compile(rb"[\s)]*(?::[^=\n]*(?:=(?!=)|[\[(](?:[^\])#]|#.*)*$)|=(?!=))")
_AS = rb"(?<!%(name)s)as(?!%(name)s)" % {b"name": _NAME}
_IN = rb"(?<!%(name)s)in(?!%(name)s)" % {b"name": _NAME}
_VARIABLE = re.compile(rb"\bfor\b(?:(?!%(in)s).)*$|\bas\b[^:]*$" % {b"in": _IN})
# The beginning of the last statement on a line.
_BEGUN = re.compile(rb".*;|\s*(?:if|elif|else|for|while|with|try|except|finally|class|case|async)\b.*:")
_IN_CALL = re.compile(rb"[\w\])\x80-\xff]\s*\([^)]*$")
_CLOSED = re.compile(rb"\s*(?:[,)\]]|in\b)")
# `a.x, b.y = ...`, or one of several targets that stand on lines of their own.
_BOUND_TOGETHER = re.compile(
    rb"\s*(?:[,)\]][^\n]*=(?!=)|[,)\]]?[\w\x80-\xff.\s,\[\]'\"*()]*(?:=(?!=)|(?:#.*)?$))"
)
# Names that a class body binds in other ways: on the line of the class itself, in one of several statements
# on a line, after a target that is no name, in targets of several lines, and as the variables of statements.
# Each is looked for where what stands before it is in the file at all.
_TARGET = rb"[\w\x80-\xff \t,*\[\]).'\"]"
_RARE_MEMBERS = tuple(
    (sign, re.compile(pattern % {b"name": _NAME, b"target": _TARGET, b"in": _IN, b"as": _AS}, re.MULTILINE))
    for sign, pattern in (
        (b"class", rb"class\b[^\n]*:[ \t]*+[^\s#][^\n]*"),
        (b":", rb"[)\]][ \t]*+:[ \t]*+[^\s#][^\n]*"),
        (b";", rb"^[^\n#;]*;[^\n]*"),
        (
            b"=",
            rb"^[^\n=(]*(?:\([^\n=]*\)[.\[][^\n=(]*)?=(?!=)(?:(?:%(target)s++|(?<!%(name)s)\()+=(?!=))+",
        ),
        (
            b"=",
            rb"(?:^|[:;])[\w\x80-\xff \t,*]*+(?<!%(name)s)[(\[](?:%(target)s|[\n(]|#[^\n]*+){0,500}+=(?!=)",
        ),
        (b"=", rb"[:;](?:[\w\x80-\xff \t,*()\[\]]++=(?!=))+"),
        (
            b"as",
            rb"as\b[ \t]*+(?:[(\[](?:%(target)s|[\n(]|#[^\n]*+){0,500}+|(?:(?!%(as)s)[^:\n=])*)",
        ),
        (b"for", rb"for\b(?:(?!%(in)s)[^:])*"),
        (b"case", rb"^[ \t]++case\b[^\n]*"),
    )
)
