"""How the rewritten call is laid out: on its line where it fits, else over several lines."""

from __future__ import annotations

import ast
import itertools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from servelint.code.fixes.syntax import Syntax
from servelint.finding import Edit

# What formatters take where nothing is configured, and what a file may show instead.
DEFAULT_LENGTH = 88
LONGEST = 120


@dataclass(frozen=True, slots=True)
class Wrapping:
    """`head(leading, <the original arguments>)`, or with another wrapping in their place."""

    head: str
    leading: tuple[str, ...]
    inner: Wrapping | None = None

    @property
    def depth(self) -> int:
        """How many parentheses are open where the original arguments stand."""
        return 1 + (self.inner.depth if self.inner is not None else 0)


def rewritten(syntax: Syntax, node: ast.Call, wrapping: Wrapping, *, parenthesised: bool) -> tuple[Edit, ...]:
    """The edits that put the wrapping in the place of `callee(`, and its end in the place of `)`.

    What stands between stays as it is where everything fits on the line; else the call is laid out over
    several lines.
    """
    text, start, end = syntax.source.text, syntax.start(node), syntax.end(node)
    inside = text[_opening(syntax, node) + 1 : end - 1]
    arguments = tuple(_arguments(syntax, node))
    several = any(character in text[start:end] for character in "\r\n")
    if several and not _keeps_all(inside, arguments):
        return _hugging(syntax, node, wrapping, inside, parenthesised=parenthesised)
    line, limit = syntax.source.line(node.lineno), line_length(syntax)
    brackets = 2 if parenthesised else 0
    if not several and len(line) - (end - start) + len(_inline(wrapping, arguments)) + brackets <= limit:
        return _hugging(syntax, node, wrapping, inside, parenthesised=parenthesised)
    indent = syntax.indent(node.lineno)
    layout = _Layout(limit, exploded=several and inside.rstrip().endswith(","))
    moved = _Rewritten(wrapping, arguments, layout, parenthesised)
    brackets_around = [] if several else list(_around(syntax, node))
    if brackets_around:
        outermost = brackets_around[-1]
        return (syntax.edit(outermost.start, outermost.end, moved.within(brackets_around, indent)),)
    return (syntax.edit(start, end, moved.write(indent)),)


def laid_out(syntax: Syntax, prefix: str, wrapping: Wrapping, indent: str) -> str:
    """The statement `prefix` and the call as lines of the file, the first one indented."""
    inline = f"{indent}{prefix}{_inline(wrapping, ())}"
    limit = line_length(syntax)
    if len(inline) <= limit and "\n" not in inline:
        return inline
    return f"{indent}{prefix}{_Layout(limit, exploded=False).write(wrapping, (), indent)}"


def _hugging(
    syntax: Syntax, node: ast.Call, wrapping: Wrapping, inside: str, *, parenthesised: bool
) -> tuple[Edit, ...]:
    """The edits that leave the arguments and the space around them alone."""
    before, after = ("(", ")") if parenthesised else ("", "")
    head = before + _before_arguments(wrapping) + (", " if inside.strip() else "")
    if inside.lstrip(" \t").startswith(("\n", "\r", "#")):
        head = head.rstrip()
    edits = [syntax.edit(syntax.start(node), _opening(syntax, node) + 1, head)]
    closing = ")" * (wrapping.depth - 1) + after
    if closing:
        edits.append(syntax.edit(syntax.end(node), syntax.end(node), closing))
    return tuple(edits)


def _before_arguments(wrapping: Wrapping) -> str:
    return _inline(wrapping, ())[: -wrapping.depth]


def _keeps_all(inside: str, arguments: tuple[str, ...]) -> bool:
    """Whether the arguments are all there is: no comments beside them, no text over several lines."""
    rest = inside
    for argument in arguments:
        rest = rest.replace(argument, "", 1)
    return "#" not in rest and not any('"""' in argument or "'''" in argument for argument in arguments)


def _opening(syntax: Syntax, node: ast.Call) -> int:
    """Where the parenthesis of the call opens; before it may stand those that close around the callee."""
    text, offset = syntax.source.text, syntax.end(node.func)
    while text[offset] != "(":
        offset = text.index("\n", offset) if text[offset] == "#" else offset + 1
    return offset


def _arguments(syntax: Syntax, node: ast.Call) -> Iterator[str]:
    """The text of each argument, parentheses around it included, as if its line were not indented."""
    text = syntax.source.text
    items: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    items.sort(key=lambda item: (item.lineno, item.col_offset))
    begin = _opening(syntax, node) + 1
    for item, following in itertools.zip_longest(items, items[1:]):
        end = syntax.end(item)
        stop = syntax.start(following) if following is not None else syntax.end(node) - 1
        comma = text.find(",", end, stop)
        comma = stop if comma < 0 else comma
        yield text[begin:comma].strip()
        begin = comma + 1


def _inline(wrapping: Wrapping, arguments: tuple[str, ...]) -> str:
    inner = arguments if wrapping.inner is None else (_inline(wrapping.inner, arguments),)
    return f"{wrapping.head}({', '.join((*wrapping.leading, *inner))})"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Writes a call over several lines as the formatters of the language do; `exploded` one item a line."""

    limit: int
    exploded: bool

    def write(self, wrapping: Wrapping, arguments: tuple[str, ...], indent: str) -> str:
        deeper = f"{indent}    "
        inner = arguments if wrapping.inner is None else (_inline(wrapping.inner, arguments),)
        items = [*wrapping.leading, *inner]
        inline = ", ".join(items)
        if not self.exploded and "\n" not in inline and len(deeper) + len(inline) <= self.limit:
            return f"{wrapping.head}(\n{deeper}{inline}\n{indent})"
        last = f"{deeper}{items[-1]},"
        if wrapping.inner is not None and (self.exploded or "\n" in last or len(last) > self.limit):
            items[-1] = self.write(wrapping.inner, arguments, deeper)
        elif wrapping.inner is None:
            items = [_indented(item, deeper) for item in items]
        return f"{wrapping.head}(\n" + "".join(f"{deeper}{item},\n" for item in items) + f"{indent})"


@dataclass(frozen=True, slots=True)
class _Bracket:
    """A call or display on one line around the rewritten call: the text to its bracket, its items.

    `number` is the item that the call stands in, between `before` and `after`.
    """

    start: int
    end: int
    opening: str
    closing: str
    items: tuple[str, ...]
    number: int
    before: str
    after: str

    def inline(self, inner: str) -> str:
        """All of it on one line, with `inner` in the place of the call."""
        return f"{self.opening}{', '.join(self.filled(inner))}{self.closing}"

    def filled(self, inner: str) -> list[str]:
        """The items, with `inner` in the place of the call."""
        item = f"{self.before}{inner}{self.after}"
        return [*self.items[: self.number], item, *self.items[self.number + 1 :]]


@dataclass(frozen=True, slots=True)
class _Rewritten:
    """The rewritten call, which does not fit on its line."""

    wrapping: Wrapping
    arguments: tuple[str, ...]
    layout: _Layout
    parenthesised: bool

    def inline(self) -> str:
        """All of it on one line."""
        text = _inline(self.wrapping, self.arguments)
        return f"({text})" if self.parenthesised else text

    def write(self, indent: str) -> str:
        """The call over several lines."""
        if not self.parenthesised:
            return self.layout.write(self.wrapping, self.arguments, indent)
        deeper = f"{indent}    "
        return f"(\n{deeper}{self.layout.write(self.wrapping, self.arguments, deeper)}\n{indent})"

    def within(self, brackets: Sequence[_Bracket], indent: str) -> str:
        """The outermost (last) of the brackets, those and the call over several lines as far as needed."""
        *inner, bracket = brackets
        deeper, limit = f"{indent}    ", self.layout.limit
        short = self.inline()
        for one in inner:
            short = one.inline(short)
        joined = ", ".join(bracket.filled(short))
        if len(deeper) + len(joined) <= limit:
            return f"{bracket.opening}\n{deeper}{joined}\n{indent}{bracket.closing}"
        room = limit - len(deeper) - len(bracket.before) - len(bracket.after) - 1
        if len(short) > room:
            short = self.within(inner, deeper) if inner else self.write(deeper)
        items = bracket.filled(short)
        comma = "," if len(items) > 1 else ""
        lines = "".join(f"{deeper}{item}{comma}\n" for item in items)
        return f"{bracket.opening}\n{lines}{indent}{bracket.closing}"


def _around(syntax: Syntax, node: ast.Call) -> Iterator[_Bracket]:
    """The calls and displays that the call is an argument or element of, the innermost first."""
    inner: ast.expr = node
    for outer, child in syntax.ancestors(node):
        if isinstance(outer, ast.stmt | ast.Lambda | ast.comprehension | ast.JoinedStr):
            return
        places = _items(syntax, outer, child) if isinstance(outer, ast.expr) else []
        if places and isinstance(outer, ast.expr):
            text, start, end = syntax.source.text, syntax.start(inner), syntax.end(inner)
            number = next(n for n, (first, last) in enumerate(places) if first <= start and end <= last)
            yield _Bracket(
                syntax.start(outer),
                syntax.end(outer),
                text[syntax.start(outer) : places[0][0]].rstrip(),
                text[syntax.end(outer) - 1],
                tuple(text[first:last] for first, last in places),
                number,
                text[places[number][0] : start],
                text[end : places[number][1]],
            )
            inner = outer


def _items(syntax: Syntax, outer: ast.expr, child: ast.AST) -> list[tuple[int, int]]:
    """Where the items of a call or display start and end; none for what is neither, or is a comprehension."""
    match outer:
        case ast.Call(func=func, args=args, keywords=keywords) if func is not child:
            every: list[ast.expr | ast.keyword] = sorted(
                [*args, *keywords], key=lambda item: (item.lineno, item.col_offset)
            )
            found = [(syntax.start(item), syntax.end(item)) for item in every]
        case ast.List(elts=items) | ast.Set(elts=items):
            found = [(syntax.start(item), syntax.end(item)) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            found = [
                (syntax.start(key), syntax.end(value))
                for key, value in zip(keys, values, strict=True)
                if key is not None
            ]
        case _:
            return []
    text, edges = syntax.source.text, [*found, (syntax.end(outer) - 1, 0)]
    between = [text[end:start].strip(", ") for (_, end), (start, _) in itertools.pairwise(edges)]
    # Parentheses around an item belong to no node: such a call is left as it is written.
    return [] if any(between) or "(" in text[syntax.start(outer) : found[0][0]].rstrip()[:-1] else found


def _indented(text: str, indent: str) -> str:
    """Text of several lines, its last line as far to the right as its first will be."""
    first, *rest = text.splitlines()
    if not rest:
        return text
    surplus = len(rest[-1]) - len(rest[-1].lstrip())
    moved = (indent + line[surplus:] if not line[:surplus].strip() else line for line in rest)
    return "\n".join((first, *moved))


def line_length(syntax: Syntax) -> int:
    """The longest line that the file may have: configured, else what its longest line shows."""
    configured = _configured_for(syntax.source.path.parent)
    if configured:
        return configured
    longest = max((len(syntax.source.line(n + 1)) for n in range(syntax.source.line_count)), default=0)
    return min(max(DEFAULT_LENGTH, longest), LONGEST)


@cache
def _configured_for(folder: Path) -> int:
    """The line length that the project's formatter is given; 0 where it is not."""
    for parent in (folder, *folder.parents):
        for name in ("ruff.toml", ".ruff.toml", "pyproject.toml"):
            found = _configured(parent / name)
            if found:
                return found
        if (parent / ".git").exists():
            break
    return 0


def _configured(path: Path) -> int:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such file, or none that the formatter could read either
        return 0
    tools = table.get("tool", {}) if path.name == "pyproject.toml" else {"ruff": table}
    lengths = [tools.get(name, {}).get("line-length", 0) for name in ("ruff", "black")]
    return next((length for length in lengths if isinstance(length, int) and length), 0)
