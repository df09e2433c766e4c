"""Terraform's language as bodies of attributes and blocks, by the tree-sitter grammar for HCL.

Only what is written out is known: a reference, a condition or a loop is a value that holds `UNKNOWN`. Values
are the nodes of YAML documents, so that what reads a manifest reads them too. The grammar is loaded on first
use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence
from servelint.manifests.shell.commandline import UNKNOWN
from servelint.manifests.shell.syntax import Syntax, syntax

if TYPE_CHECKING:
    from tree_sitter import Node as TreeNode
    from tree_sitter import Parser

_STRING = "tag:yaml.org,2002:str"
_MAX_NESTING = 100
_ESCAPE = re.compile(r'\\([nrt"\\])|([$%])\2\{')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
# What these functions make of a value means the same as the value.
_TRANSPARENT = frozenset(
    ("jsonencode", "yamlencode", "tolist", "toset", "tostring", "tonumber", "nonsensitive", "sensitive")
)
_NAMED = re.compile(r"\w+(?:\.\w+)+")
_TEMPLATE = re.compile(r"\$\{[ \t]*+(\w+(?:\.\w+)+)[ \t]*+\}")
_INDEX = re.compile(r'\["(\w+)"\]')
_MAX_REPEATED = 1000  # blocks of a file that `dynamic` makes


@dataclass(slots=True)
class Body:
    """What stands between the braces of a block; `place` is the file's text, of which the block is a part."""

    place: Located
    start: int
    end: int
    attributes: list[tuple[Scalar, Node]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def get(self, name: str) -> Node | None:
        """The value of an attribute."""
        return next((value for key, value in self.attributes if key.value == name), None)

    def text(self, name: str) -> str:
        """The value of an attribute that is a text; empty where there is none."""
        value = self.get(name)
        return value.value if isinstance(value, Scalar) else ""

    def below(self, *names: str) -> Iterator[Body]:
        """The bodies of the blocks under a path of names."""
        if not names:
            yield self
            return
        for block in self.blocks:
            if block.name.value == names[0]:
                yield from block.body.below(*names[1:])


@dataclass(frozen=True, slots=True)
class Block:
    """A block; one that `dynamic` repeats stands for what it repeats."""

    name: Scalar
    labels: tuple[str, ...]
    body: Body
    repeated: bool = False


@cache
def _parser() -> Parser:
    import tree_sitter_hcl
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_hcl.language()))


def parse(
    code: Located,
    documents: Callable[[Located], list[Node]],
    names: Mapping[str, Node] | None = None,
) -> Body:
    """The blocks of a file; `documents` reads YAML or JSON that stands in it as a text.

    `names` are the values of variables and locals that are written out: `var.workers`.
    """
    return _Reader(syntax(code, _parser()), documents, names or {}).file()


def named(body: Body) -> Iterator[tuple[str, Node]]:
    """The variables with a default and the locals of a file, by what refers to them."""
    for block in body.blocks:
        if block.name.value == "variable" and block.labels:
            value = block.body.get("default")
            if value is not None and _is_told(value):
                yield f"var.{block.labels[0]}", value
        elif block.name.value == "locals":
            for key, found in block.body.attributes:
                if _is_told(found):
                    yield f"local.{key.value}", found


def _is_told(value: Node) -> bool:
    """Whether a value is written out, or is an object, of which each part may be."""
    return isinstance(value, YamlMapping) or (isinstance(value, Scalar) and UNKNOWN not in value.value)


def well_formed(code: Located) -> bool:
    """Whether the grammar can read a text whole."""
    return not syntax(code, _parser()).root.has_error


@dataclass(slots=True)
class _Reader:
    syntax: Syntax
    documents: Callable[[Located], list[Node]]
    names: Mapping[str, Node]
    depth: int = 0
    repeated: list[int] = field(default_factory=list)  # how many blocks each `dynamic` has made

    def file(self) -> Body:
        root = self.syntax.root
        found = Body(self.syntax.code, 0, len(self.syntax.code))
        for child in root.named_children:
            if child.type == "body":
                self.fill(found, child)
        return found

    def fill(self, found: Body, node: TreeNode) -> None:
        self.depth += 1
        if self.depth > _MAX_NESTING:
            raise LimitError(
                f"blocks and values nested more than {_MAX_NESTING} levels deep",
                self.syntax.text(node).place.span.line,
            )
        for child in node.named_children:
            if child.type == "attribute" and child.named_child_count == 2:
                name, value = child.named_children
                found.attributes.append((self.plain(name), self.value(value)))
            elif child.type == "block":
                found.blocks.extend(self.blocks(child))
        self.depth -= 1

    def blocks(self, node: TreeNode) -> Iterator[Block]:
        """A block, or those that `dynamic` makes of it where it is written out for what."""
        found = self.block(node)
        each = self.each(node) if found.repeated else []
        if not each or sum(self.repeated) + len(each) > _MAX_REPEATED:
            yield found
            return
        self.repeated.append(len(each))
        content = self.content(node)
        for names in each:
            if content is not None:  # the rest says for what, and is the same for each
                found = replace(found, body=replace(self, names={**self.names, **names}).block(content).body)
            yield found

    def content(self, node: TreeNode) -> TreeNode | None:
        """What a `dynamic` repeats."""
        bodies = (child for child in node.named_children if child.type == "body")
        inside = (child for body in bodies for child in body.named_children if child.type == "block")
        return next(
            (child for child in inside if self.syntax.raw(child.named_children[0]) == "content"), None
        )

    def each(self, node: TreeNode) -> list[dict[str, Node]]:
        """What `env.key`, `env.value` and `env.value.name` are in turn, for a block that is called `env`."""
        inside = next((child for child in node.named_children if child.type == "body"), None)
        parts = (
            [child.named_children for child in inside.named_children if child.type == "attribute"]
            if inside
            else []
        )
        said = {self.syntax.raw(part[0]): part[1] for part in parts if len(part) == 2}
        label = next(child for child in node.named_children[1:] if child.type in ("string_lit", "identifier"))
        name = self.syntax.raw(said["iterator"]) if "iterator" in said else self.string(label).value
        over = self.value(said["for_each"]) if "for_each" in said else None
        found: list[dict[str, Node]] = []
        if isinstance(over, YamlMapping):
            found = [{f"{name}.key": key, f"{name}.value": value} for key, value in over.entries]
        elif isinstance(over, YamlSequence):
            found = [{f"{name}.value": item} for item in over.items]
        for names in found:
            value = names[f"{name}.value"]
            for key, part in value.entries if isinstance(value, YamlMapping) else ():
                names[f"{name}.value.{key.value}"] = part
        return found

    def block(self, node: TreeNode) -> Block:
        name, *rest = node.named_children
        labels = tuple(
            self.string(child).value if child.type == "string_lit" else self.syntax.raw(child)
            for child in rest
            if child.type in ("string_lit", "identifier")
        )
        body = Body(self.syntax.code, self.syntax.start(node), self.syntax.end(node))
        for child in rest:
            if child.type == "body":
                self.fill(body, child)
        if self.syntax.raw(name) == "dynamic" and labels:
            label = next(child for child in rest if child.type in ("string_lit", "identifier"))
            content = next(body.below("content"), body)
            return Block(self.string(label), (), content, repeated=True)
        return Block(self.plain(name), labels, body)

    def value(self, node: TreeNode) -> Node:
        self.depth += 1
        if self.depth > _MAX_NESTING:
            raise LimitError(
                f"blocks and values nested more than {_MAX_NESTING} levels deep",
                self.syntax.text(node).place.span.line,
            )
        found = self.known(node)
        self.depth -= 1
        return found if found is not None else self.unknown(node)

    def known(self, node: TreeNode) -> Node | None:
        children = node.named_children
        match node.type:
            case "expression" | "literal_value" | "template_expr" | "collection_value" if len(children) == 1:
                return self.known(children[0]) if node.type != "expression" else self.value(children[0])
            case "string_lit" | "quoted_template":
                whole = _TEMPLATE.fullmatch(self.syntax.raw(node)[1:-1]) if self.names else None
                return (self.names.get(whole[1]) if whole is not None else None) or self.string(node)
            case "numeric_lit" | "bool_lit" | "null_lit":
                return self.plain(node)
            case "heredoc_template":
                return self.heredoc(node)
            case "tuple":
                items = [self.value(child) for child in children if child.type == "expression"]
                return self.sequence(node, items)
            case "object":
                return self.object(node)
            case "function_call":
                return self.call(node)
        raw = _INDEX.sub(r".\1", self.syntax.raw(node)) if self.names else ""
        return self.names.get(raw) if _NAMED.fullmatch(raw) else None

    def unknown(self, node: TreeNode) -> Scalar:
        text = Located.computed(UNKNOWN, self.syntax.text(node).place)
        return Scalar(UNKNOWN, _STRING, False, 0, len(text), text)

    def plain(self, node: TreeNode) -> Scalar:
        start, end = self.syntax.start(node), self.syntax.end(node)
        return Scalar(self.syntax.raw(node), _STRING, True, start, end, self.syntax.code)

    def string(self, node: TreeNode) -> Scalar:
        """A text in quotes; what stands for something else in it is kept as it is written."""
        if node.type == "identifier":
            return self.plain(node)
        raw = self.syntax.raw(node)[1:-1]
        value = _ESCAPE.sub(_unescaped, raw)
        start, end = self.syntax.start(node), self.syntax.end(node)
        return Scalar(value, _STRING, False, start, end, self.syntax.code, '"')

    def heredoc(self, node: TreeNode) -> Scalar | None:
        raw, start = self.syntax.raw(node), self.syntax.start(node)
        first = raw.find("\n") + 1
        text = self.syntax.code.slice(start + first, start + max(first, raw.rfind("\n") + 1))
        return Scalar(text.text, _STRING, False, 0, len(text), text)

    def sequence(self, node: TreeNode, items: list[Node]) -> YamlSequence:
        start, end = self.syntax.start(node), self.syntax.end(node)
        return YamlSequence(items, start, end, self.syntax.code, flow=True)

    def object(self, node: TreeNode) -> YamlMapping:
        entries: list[tuple[Scalar, Node]] = []
        for child in node.named_children:
            if child.type != "object_elem" or child.named_child_count != 2:
                continue
            key, value = child.named_children
            name = self.key(key)
            if name is not None:
                entries.append((name, self.value(value)))
        start, end = self.syntax.start(node), self.syntax.end(node)
        return YamlMapping(entries, start, end, self.syntax.code, flow=True)

    def key(self, node: TreeNode) -> Scalar | None:
        """A key that is a word or a text; None for one that is worked out."""
        while node.named_child_count == 1 and node.type in ("expression", "literal_value", "variable_expr"):
            if self.syntax.raw(node).startswith("("):
                return None
            node = node.named_children[0]
        return self.string(node) if node.type in ("identifier", "string_lit") else None

    def call(self, node: TreeNode) -> Node | None:
        name, *rest = node.named_children
        arguments = [
            child
            for part in rest
            if part.type == "function_arguments"
            for child in part.named_children
            if child.type == "expression"
        ]
        function = self.syntax.raw(name)
        if function in _TRANSPARENT and len(arguments) == 1:
            return self.value(arguments[0])
        if function in ("yamldecode", "jsondecode") and len(arguments) == 1:
            written = self.value(arguments[0])
            found = self.documents(written.text) if isinstance(written, Scalar) else []
            return found[0] if found else None
        if function == "concat":
            parts = [self.value(argument) for argument in arguments]
            lists = [
                part.items if isinstance(part, YamlSequence) else [self.unknown(argument)]
                for part, argument in zip(parts, arguments, strict=True)
            ]
            return YamlSequence([item for items in lists for item in items], 0, 0, self.syntax.code)
        return None


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[1], found[1]) if found[1] else found[2] + "{"
