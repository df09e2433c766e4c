"""Which code the project's tests run without the application's lifespan: a pool made there would be missing.

client = TestClient(app)
client.post("/predict", json=row)

Only entered (`with TestClient(app) as client:`) does that client run the lifespan, and the transport of httpx
never does (https://www.starlette.dev/lifespan/, https://www.python-httpx.org/advanced/transports/).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from servelint.code.fixes.text import policy
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis

if TYPE_CHECKING:
    from servelint.code.fixes.text.files import Files

_APPLICATION = "app"


class Unstarted:
    """Knows the tests of one project that call its applications in process."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()
        self._beside: dict[str, frozenset[str]] = {}

    def runs(self, module: Module, home: Module) -> bool:
        """Whether a test may run what the file serves while the lifespan in `home` has not begun.

        That is one that does not start the application, or one that puts the file's endpoints into another.
        """
        if home.path not in self._beside:
            others = (found for _, found in self._tests if home.path not in found)
            unstarted = (found for starts, found in self._tests if not starts and home.path in found)
            self._beside[home.path] = frozenset(path for one in (*others, *unstarted) for path in one)
        return module.path in self._beside[home.path]

    @cached_property
    def _tests(self) -> tuple[tuple[bool, frozenset[str]], ...]:
        """Whether each test with a client starts what it calls, and the files that it brings in."""
        reach, known = self.analysis.reach, self.policy
        words = (*known.test_clients, *known.test_transports)
        paths = self.analysis.project.paths_mentioning(words, tests=True)
        found: list[tuple[bool, frozenset[str]]] = []
        for module in self.analysis.project.modules(filter(reach.graph.is_test, paths)):
            syntax = self.files.syntax(module)
            clients = list(self._clients(syntax))
            if clients:
                starts = not known.lifespan_runners.isdisjoint(syntax.names | syntax.attributes)
                starts = starts or self._are_entered(syntax, clients)
                found.append((starts, reach.closure(module.path)))
        return tuple(found)

    def _clients(self, syntax: Syntax) -> Iterator[ast.Call]:
        """The calls that make a client, or a transport, for an application in the same process."""
        for node in syntax.nodes:
            if isinstance(node, ast.Call):
                name = _last(node.func)
                given = node.args or any(keyword.arg == _APPLICATION for keyword in node.keywords)
                if given and name in self.policy.test_clients | self.policy.test_transports:
                    yield node

    def _are_entered(self, syntax: Syntax, clients: list[ast.Call]) -> bool:
        """Whether a `with` enters each client where it is made, or under its name."""
        items = (node.context_expr for node in syntax.nodes if isinstance(node, ast.withitem))
        entered = {syntax.text(item) for item in items if isinstance(item, ast.Name | ast.Attribute)}
        return all(
            _last(client.func) in self.policy.test_clients and _is_entered(syntax, client, entered)
            for client in clients
        )


def _is_entered(syntax: Syntax, client: ast.Call, entered: set[str]) -> bool:
    match syntax.parent(client):
        case ast.withitem() | ast.Call(func=ast.Attribute(attr="enter_context" | "enter_async_context")):
            return True
        case ast.Assign(targets=[target]):
            return syntax.text(target) in entered
    return False


def _last(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
