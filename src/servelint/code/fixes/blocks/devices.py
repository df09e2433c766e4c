"""What inference leaves on a GPU, and what reads it from there: a thread that does waits for the GPU."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from servelint.code.fixes.text import policy
from servelint.code.judge.outcomes import Blocking
from servelint.knowledge.types import Library, Role

_NESTED = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Functions that tell something of an object without reading what is on the device.
_TELLING = frozenset({"len", "hasattr", "isinstance", "type", "id"})


class OnDevice(NamedTuple):
    """How the result of one call is read: by methods of it, and by functions that are given it.

    `plain` are the attributes that are not on the device.
    """

    methods: frozenset[str]
    functions: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()

    def reading(self, node: ast.AST, derived: Collection[str]) -> str:
        """How the node brings what comes of these variables from the device; empty where it does not."""
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in self.methods:
                return f".{name}()" if self.uses(value, derived) else ""
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[given, *_]):
                return f"{name}()" if name in self.functions and self.uses(given, derived) else ""
        return ""

    def uses(self, tree: ast.AST, derived: Collection[str]) -> bool:
        """Whether what the tree gives may be on the device, because of these variables."""
        return any(isinstance(node, ast.Name) and node.id in derived for node in self._unread(tree))

    def _unread(self, tree: ast.AST) -> Iterator[ast.AST]:
        """The nodes that are evaluated there, but for what has been read, or was never on the device."""
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, _NESTED) and not self._is_plain(node):
                yield node
                waiting += ast.iter_child_nodes(node)

    def _is_plain(self, node: ast.AST) -> bool:
        match node:
            case ast.Attribute(attr=name):
                return name in self.plain
            case ast.Call(func=ast.Attribute(attr=name)) if name in self.methods:
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in self.functions or name in _TELLING
        return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


class Devices:
    """Knows the results of one project's calls."""

    def __init__(self, libraries: Mapping[str, Library]) -> None:
        self.libraries = libraries
        self.policy = policy.load()

    def result(self, blocking: Blocking, node: ast.Call | None) -> OnDevice | None:
        """What the call leaves on a device; None where it leaves nothing, or works on the CPU."""
        if blocking.role is not Role.INFERENCE or (node is not None and _is_on_cpu(node)):
            return None
        if blocking.library in self.policy.device_libraries:
            return OnDevice(self.policy.reads_device)
        library = self.libraries.get(blocking.library)
        known = library.on_device if library is not None else None
        if known is None or blocking.sink.rpartition(".")[2] not in known.calls:
            return None
        return OnDevice(
            self.policy.reads_device | known.methods, self.policy.reads_device_in, known.attributes
        )


def _is_on_cpu(node: ast.Call) -> bool:
    """Whether the call says itself that it works on the CPU."""
    return any(
        keyword.arg == "device" and isinstance(keyword.value, ast.Constant) and keyword.value.value == "cpu"
        for keyword in node.keywords
    )
