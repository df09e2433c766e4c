"""Shell code as a tree with positions, by the tree-sitter grammar for bash.

The grammar is loaded on first use: most projects have no script that starts a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from servelint.manifests.text import Located

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
    _characters: list[int] | None

    def start(self, node: Node) -> int:
        """The position of the node's first character."""
        return node.start_byte if self._characters is None else self._characters[node.start_byte]

    def end(self, node: Node) -> int:
        """The position after the node's last character."""
        return node.end_byte if self._characters is None else self._characters[node.end_byte]

    def text(self, node: Node) -> Located:
        """What the node stands for."""
        return self.code.slice(self.start(node), self.end(node))

    def raw(self, node: Node) -> str:
        """The node's characters."""
        return self.code.text[self.start(node) : self.end(node)]


def parse(code: Located) -> Syntax:
    """The syntax tree of a script; never fails, what is no shell becomes error nodes."""
    data = code.text.encode("utf-8", "surrogatepass")
    characters: list[int] | None = None
    if len(data) != len(code.text):
        characters = []
        for position, character in enumerate(code.text):
            characters.extend([position] * len(character.encode("utf-8", "surrogatepass")))
        characters.append(len(code.text))
    return Syntax(_parser().parse(data).root_node, code, characters)


def descendants(node: Node) -> Iterator[Node]:
    """The node and everything below it, in order."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(here.children))
