"""Python that is newer than the interpreter, told in words that the interpreter understands.

libcst's parser knows later versions of the language. What this Python does not is written otherwise, byte
for byte in the same place, so that all positions of the tree are those of the file:

    type Pair[T] = ...      type;Pair[0] = ...     the name alone is dropped from the tree again
    def first[T](items):    def first(   items):
    f"{d["key"]!r} of {n}"  _[ d["key"]   , n ]    an index, made an f-string again: also t-strings
    except A, B:            except A| B:           made a tuple again
    lazy import torch       lazy;import torch
"""

from __future__ import annotations

import ast
import io
import re
import threading
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from servelint.project.text.source import SourceError, decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    import libcst
    from libcst.metadata import CodeSpan

# libcst's parser calls itself for whatever stands in something else, on the machine's own stack: what is
# deeper than this is not given to it, and this deep it goes on a stack of this size on any machine.
MAXIMUM_DEPTH = 1000
# It tries the forms that a pattern may have one by one, again for each pattern inside.
MAXIMUM_PATTERN = 6
STACK = 64 * 1024 * 1024  # bytes
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_NESTING = frozenset({"lambda", "for"})  # these nest across commas
_TEMPLATE = frozenset({"t", "rt", "tr"})
_WITHOUT_DEPTH = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
_BLANK = bytes(byte if byte in b"\r\n" else 0x20 for byte in range(256))
_FORMATTED_LINE = re.compile(r"[^\r\n]*[fFtT][rR]?[\"'][^\r\n]*")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BETWEEN = re.compile(rb"[ \t\f\r\n\\]*+")
_CONTINUED = re.compile(rb"[\r\n\\]*+[ \t\f]")
_BODIES = ("body", "orelse", "finalbody")


@dataclass(slots=True)
class Older:
    """A file told in older words, and what has to be made good in the tree; offsets are those of bytes."""

    original: bytes
    written: bytearray
    strings: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    words: set[int] = field(default_factory=set)
    handlers: dict[int, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What the interpreter can parse."""
        return self.written.decode()

    def tree(self) -> ast.Module:
        """The syntax tree, as if the interpreter had known; raises as `ast.parse`."""
        return _Mended(self).mended(ast.parse(self.text))


@lru_cache(maxsize=4)
def older(data: bytes | str) -> Older | None:
    """A file that the interpreter cannot parse in words that it may; None where libcst cannot either."""
    if (b"\0" if isinstance(data, bytes) else "\0") in data:  # type: ignore[operator]
        return None  # no version of Python reads it, UTF-16 among that
    try:
        text = data if isinstance(data, str) else decode(Path("file.py"), data).text
        original = text.encode()
    except (SourceError, UnicodeEncodeError):
        return None
    if _depth(text) > MAXIMUM_DEPTH:
        return None
    from concurrent.futures import ThreadPoolExecutor

    earlier = threading.stack_size(STACK)
    try:
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(_told, text, original).result()
    finally:
        threading.stack_size(earlier)


def _told(text: str, original: bytes) -> Older | None:
    import libcst
    from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

    try:
        module = libcst.parse_module(text)
        if module.code != text:
            return None
        spans = MetadataWrapper(module, unsafe_skip_copy=True).resolve(ByteSpanPositionProvider)
    except (libcst.ParserSyntaxError, libcst.CSTLogicError, libcst.CSTValidationError, RecursionError):
        return None
    told = Older(original, bytearray(original))
    _Writer(module, spans, told).write()
    return told


def _depth(text: str) -> int:
    """How deep something in the file may stand in something else, by its tokens: never less than it does."""
    deepest = branches = nesting = 0
    levels, first, before = [0], "", ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            if token.type in _WITHOUT_DEPTH:
                continue
            if token.type == tokenize.NEWLINE:
                levels, first, nesting = [0], "", 0
                continue
            if token.string == ",":
                levels[-1] = 0
            else:
                levels[-1] += 1 + (_inside(before, token.string) if token.type == tokenize.STRING else 0)
                nesting += token.string in _NESTING
                branches += token.string == "elif"
                if token.string in _OPENING:
                    levels.append(0)
                elif token.string in _CLOSING and len(levels) > 1:
                    levels.pop()
            before = token.string
            first = first or token.string
            deepest = max(deepest, sum(levels) + nesting)
            if deepest > MAXIMUM_DEPTH or (first == "case" and len(levels) - 1 > MAXIMUM_PATTERN):
                return MAXIMUM_DEPTH + 1
    except (tokenize.TokenError, SyntaxError):
        # An older tokenizer takes `#` in a string in an f-string for a comment, and misses what that closes.
        clear = _FORMATTED_LINE.sub(lambda line: line[0].replace("#", " "), text)
        return _depth(clear) if clear != text else MAXIMUM_DEPTH + 1
    return max(deepest, branches)


def _inside(before: str, string: str) -> int:
    """How long the longest replacement field of a string is; `before` may be a prefix unknown to tokenize."""
    quote = min(string.find(mark) for mark in "\"'" if mark in string)
    if "f" not in string[:quote].lower() and before.lower() not in _TEMPLATE:
        return 0
    longest = depth = length = 0
    for character in string.replace("{{", "").replace("}}", ""):
        depth += (character == "{") - (character == "}")
        length = length + 1 if depth > 0 else 0
        longest = max(longest, length)
    return longest


class _Writer:
    """Writes what the interpreter does not know otherwise."""

    def __init__(self, module: libcst.Module, spans: Mapping[libcst.CSTNode, CodeSpan], told: Older) -> None:
        self.module = module
        self.spans = spans
        self.told = told
        self.out = told.written

    def write(self) -> None:
        """Write the whole file."""
        import libcst as cst

        inner: set[libcst.CSTNode] = set()  # parts of a row of strings, which is written as a whole
        for node in reversed(list(self.spans)):  # what is inside comes first in there
            match node:
                case cst.FunctionDef(type_parameters=cst.TypeParameters() as parameters):
                    self.parameters(parameters)
                case cst.ClassDef(type_parameters=cst.TypeParameters() as parameters):
                    self.parameters(parameters)
                case cst.TypeAlias():
                    self.alias(node)
                case cst.LazyImport() | cst.LazyImportFrom():
                    self.word(self.start(node), len(b"lazy"))
                case cst.ExceptHandler(type=cst.Tuple(lpar=[]) as types):
                    self.handler(types)
                case cst.ExceptStarHandler(type=cst.Tuple(lpar=[]) as types):
                    self.handler(types)
                case cst.ConcatenatedString():
                    if node not in inner:
                        self.strings(node)
                    inner.update((node.left, node.right))
                case cst.FormattedString() | cst.TemplatedString() if node not in inner:
                    self.strings(node)

    def start(self, node: libcst.CSTNode) -> int:
        """Where a node starts, its own parentheses left out."""
        return self.spans[node].start

    def end(self, node: libcst.CSTNode) -> int:
        """Where a node ends."""
        return self.spans[node].start + self.spans[node].length

    def length(self, *nodes: libcst.CSTNode) -> int:
        """How many bytes the nodes have, with their parentheses."""
        return sum(len(self.module.code_for_node(node).encode()) for node in nodes)

    def blank(self, start: int, end: int) -> None:
        """Leave nothing but the ends of lines."""
        self.out[start:end] = self.out[start:end].translate(_BLANK)

    def word(self, start: int, length: int) -> None:
        """Make a statement of its own of the word that a statement begins with."""
        space = _CONTINUED.match(self.out, start + length)
        if space is not None:  # else there is no room, and the interpreter will say so
            self.out[space.end() - 1 : space.end()] = b";"
            self.told.words.add(start)

    def parameters(self, parameters: libcst.TypeParameters) -> None:
        """Let the parameters in brackets go up in the parentheses that follow, or be these."""
        start, end = self.start(parameters), self.end(parameters)
        self.blank(start, end)
        self.out[start : start + 1] = b"("
        between = _BETWEEN.match(self.out, end)
        following = between.end() if between is not None else end
        if self.out[following : following + 1] == b"(":
            self.out[following : following + 1] = b" "
        else:
            self.out[end - 1 : end] = b")"

    def alias(self, node: libcst.TypeAlias) -> None:
        self.word(self.start(node), len(b"type"))
        if node.type_parameters is not None:
            start, end = self.start(node.type_parameters), self.end(node.type_parameters)
            self.blank(start + 1, end - 1)
            inside = next(place for place in range(start + 1, end) if self.out[place] not in b"\r\n")
            self.out[inside : inside + 1] = b"0"

    def handler(self, types: libcst.Tuple) -> None:
        """Join the exceptions by a sign that needs no parentheses; a comma after the last is blank."""
        import libcst as cst

        self.told.handlers[self.start(types)] = len(types.elements)
        for number, element in enumerate(types.elements, 1):
            if isinstance(element.comma, cst.Comma):
                place = self.start(element.comma)
                self.out[place : place + 1] = b"|" if number < len(types.elements) else b" "

    def strings(self, node: libcst.BaseString) -> None:
        """Make of an f-string, or of a row of strings with one in it, an index by its fields."""
        fields = list(self.fields(node))
        if not fields:
            return
        start, end = self.start(node), self.end(node)
        self.told.strings[start] = fields
        place = start
        for first, last in (*fields, (end, end)):
            self.blank(place, first)
            if place > start and first < end:
                self.out[place : place + 1] = b","
            place = last
        self.out[start : start + 2] = b"_["
        self.out[end - 1 : end] = b"]"

    def fields(self, node: libcst.BaseString) -> Iterator[tuple[int, int]]:
        """Where the expressions of a string are, those of format specifications among them."""
        import libcst as cst

        match node:
            case cst.ConcatenatedString():
                yield from self.fields(node.left)
                yield from self.fields(node.right)
            case cst.FormattedString() | cst.TemplatedString():
                yield from self.replaced(node.parts)

    def replaced(self, parts: Sequence[libcst.CSTNode]) -> Iterator[tuple[int, int]]:
        import libcst as cst

        for part in parts:
            if isinstance(part, cst.FormattedStringExpression | cst.TemplatedStringExpression):
                first = self.start(part) + 1
                written = (part.whitespace_before_expression, part.expression)
                yield first, first + self.length(*written)
                yield from self.replaced(part.format_spec or ())


class _Mended(ast.NodeTransformer):
    """Makes of the older words what they stand for."""

    def __init__(self, told: Older) -> None:
        self.told = told
        self.starts = (0, *(found.end() for found in _LINE_END.finditer(told.original)))

    def offset(self, line: int, column: int) -> int:
        """Where in the file a position is."""
        return self.starts[line - 1] + column

    def place(self, node: ast.expr | ast.stmt) -> int:
        """Where in the file a node starts."""
        return self.offset(node.lineno, node.col_offset)

    def mended(self, tree: ast.Module) -> ast.Module:
        """The tree of the file as it is written."""
        for node in ast.walk(tree):
            for name in _BODIES:
                body = getattr(node, name, None)
                if isinstance(body, list):
                    setattr(node, name, list(self.statements(body)))
        self.visit(tree)
        return tree

    def statements(self, body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements without the words that are none: each is the beginning of the next."""
        word: ast.stmt | None = None
        for statement in body:
            if isinstance(statement, ast.Expr) and self.place(statement) in self.told.words:
                word = statement
                continue
            if word is not None:
                statement.lineno, statement.col_offset = word.lineno, word.col_offset
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
                    statement.targets = [statement.targets[0].value]
                word = None
            yield statement

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """An f-string again, where the index was written for one.

        What stands between its fields is in the tree as text, so that trees differ where it does.
        """
        self.generic_visit(node)
        fields = self.told.strings.get(self.place(node))
        if fields is None or not isinstance(node.value, ast.Name):
            return node
        left = list(reversed(node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]))
        values: list[ast.expr] = []
        place = self.place(node)
        for first, last in fields:
            values.append(ast.copy_location(ast.Constant(self.text(place, first)), node))
            inside: list[ast.expr] = []
            while left and self.place(left[-1]) < last:
                inside.append(left.pop())
            several = len(inside) > 1 or isinstance(inside[0], ast.Starred)
            value = ast.copy_location(ast.Tuple(inside, ast.Load()), node) if several else inside[0]
            values.append(ast.copy_location(ast.FormattedValue(value, -1), value))
            place = last
        end = self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
        values.append(ast.copy_location(ast.Constant(self.text(place, end)), node))
        return ast.copy_location(ast.JoinedStr(values), node)

    def text(self, start: int, end: int) -> str:
        """What is written between two places of the file."""
        return self.told.original[start:end].decode(errors="replace")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        """Several exceptions again, where their alternative was written for them."""
        self.generic_visit(node)
        count = self.told.handlers.get(self.place(node.type), 0) if node.type is not None else 0
        if node.type is not None and count:
            found: list[ast.expr] = []
            left = node.type
            while len(found) + 1 < count and isinstance(left, ast.BinOp):
                found.append(left.right)
                left = left.left
            exceptions = ast.Tuple([left, *reversed(found)], ast.Load())
            node.type = ast.copy_location(exceptions, node.type)
        return node
