"""The arguments of a call as they are written, each with its parentheses and its comments."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from servelint.code.fixes.text.quotes import breaks_quotes
from servelint.code.fixes.text.syntax import Placed, Syntax
from servelint.project.text.source import split_lines


class Argument(NamedTuple):
    """The text of one argument, the comments on lines of their own above it, and the one beside it.

    The text is empty where comments follow the last argument.
    """

    text: str
    above: tuple[str, ...] = ()
    beside: str = ""

    def on_lines(self, indent: str) -> Iterator[str]:
        """The argument on lines of its own, with a comma behind it."""
        for comment in self.above:
            yield f"{indent}{comment}\n"
        if self.text:
            yield f"{indent}{self.text},{'  ' if self.beside else ''}{self.beside}\n"


class _Gap(NamedTuple):
    """What stands between two arguments: parentheses around them, and comments."""

    closing: str
    opening: str
    beside: str
    above: tuple[str, ...]


def opening(syntax: Syntax, node: ast.Call) -> int:
    """Where the parenthesis of the call opens; before it may stand those that close around the callee."""
    text, offset = syntax.source.text, syntax.end(node.func)
    while text[offset] != "(":
        offset = text.index("\n", offset) if text[offset] == "#" else offset + 1
    return offset


def arguments(syntax: Syntax, node: ast.Call) -> tuple[Argument, ...] | None:
    """The arguments in their order; None where they cannot be moved without moving text inside quotes."""
    items: list[Placed] = [*node.args, *node.keywords]
    items.sort(key=lambda item: (item.lineno, item.col_offset))
    texts = [syntax.text(item) for item in items]
    if any("\n" in text or "\r" in text for text in texts) and any(
        breaks_quotes(split_lines(t)) for t in texts
    ):
        return None
    if len(items) == 1 and texts[0].endswith(")") and syntax.end(items[0]) == syntax.end(node):
        texts[0] = texts[0][1:-1].strip()  # a generator expression in the parentheses of the call
        return None if "#" in texts[0] else (Argument(texts[0]),)
    starts = [*(syntax.start(item) for item in items), syntax.end(node) - 1]
    ends = [opening(syntax, node) + 1, *(syntax.end(item) for item in items)]
    gaps = [_gap(syntax.source.text[end:start]) for end, start in zip(ends, starts, strict=True)]
    found = [
        Argument(f"{before.opening}{text}{after.closing}", before.above, after.beside)
        for text, (before, after) in zip(texts, itertools.pairwise(gaps), strict=True)
    ]
    if gaps[0].beside:
        first = found.pop(0) if found else Argument("")
        found.insert(0, first._replace(above=(gaps[0].beside, *first.above)))
    return (*found, Argument("", gaps[-1].above)) if items and gaps[-1].above else tuple(found)


def _gap(text: str) -> _Gap:
    closing, opened, beside = "", "", ""
    above: list[str] = []
    for number, line in enumerate(split_lines(text)):
        code, mark, comment = line.partition("#")
        closing += ")" * code.count(")")
        opened += "(" * code.count("(")
        if mark and number == 0:
            beside = f"#{comment}".rstrip()
        elif mark:
            above.append(f"#{comment}".rstrip())
    return _Gap(closing, opened, beside, tuple(above))
