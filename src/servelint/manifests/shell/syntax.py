"""Shell code as a tree with positions, by the tree-sitter grammar for bash.

The grammar is loaded on first use: most projects have no script that starts a server.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from servelint.manifests.documents.text import Located

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


@dataclass(frozen=True, slots=True)
class Syntax:
    """A parsed script: the root node, and the text each node stands for."""

    root: Node
    code: Located
    # Where the second and later bytes of characters are: the grammar counts bytes.
    _within: list[int]

    def start(self, node: Node) -> int:
        """The position of the node's first character."""
        return self._character(node.start_byte)

    def end(self, node: Node) -> int:
        """The position after the node's last character."""
        return self._character(node.end_byte)

    def _character(self, position: int) -> int:
        return position - bisect_left(self._within, position)

    def text(self, node: Node) -> Located:
        """What the node stands for."""
        return self.code.slice(self.start(node), self.end(node))

    def raw(self, node: Node) -> str:
        """The node's characters."""
        return self.code.text[self.start(node) : self.end(node)]


def parse(code: Located) -> Syntax:
    """The syntax tree of a script; never fails, what is no shell becomes error nodes."""
    return syntax(code, _parser())


def syntax(code: Located, parser: Parser) -> Syntax:
    """What a grammar makes of a text."""
    data = code.text.encode("utf-8", "surrogatepass")
    within = [] if code.text.isascii() else [at for at, byte in enumerate(data) if byte & 0xC0 == 0x80]
    return Syntax(parser.parse(data).root_node, code, within)


def descendants(node: Node) -> Iterator[Node]:
    """The node and everything below it, in order."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(here.children))
