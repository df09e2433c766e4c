"""The imports between the files of a project, read from their bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from servelint.code.facts import scan
from servelint.code.facts.contents import Contents
from servelint.code.facts.scan import Statement
from servelint.code.graph.imports import INIT, Resolver

TEST_FOLDERS = re.compile(r"(?:^|/)(?:tests?|testing|tests_\w+)/")
TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_tests?)\.py$")
TEST_FUNCTION = re.compile(rb"\bdef[ \t]+test")
TEST_LIBRARIES = frozenset({"pytest", "unittest"})


class ImportGraph:
    """Which file imports which, and which libraries."""

    def __init__(self, resolver: Resolver, contents: Contents) -> None:
        self.resolver = resolver
        self.contents = contents
        self.read = contents.plain
        self._libraries: dict[str, frozenset[str]] = {}
        self._statements: dict[str, tuple[Statement, ...]] = {}
        self._targets: dict[str, tuple[str, ...]] = {}

    def statements(self, path: str) -> tuple[Statement, ...]:
        """The imports of a file."""
        found = self._statements.get(path)
        if found is None:
            written = self.contents.scanned(path, scan.statements)
            found = self._statements[path] = tuple(map(Statement._make, written))
        return found

    def targets(self, path: str) -> tuple[str, ...]:
        """The files of the project that the file imports."""
        found = self._targets.get(path)
        if found is None:
            found = self._targets[path] = tuple(dict.fromkeys(self._resolved(path)))
        return found

    def libraries(self, path: str) -> frozenset[str]:
        """The top-level modules that the file imports."""
        if path not in self._libraries:
            imported = (item.module for item in self.statements(path) if not item.level)
            self._libraries[path] = frozenset(module.partition(".")[0] for module in imported)
        return self._libraries[path]

    def closure(self, path: str) -> frozenset[str]:
        """The file and all files that it imports, directly or not."""
        return frozenset(reached([path], self.targets))

    def is_test(self, path: str) -> bool:
        """Whether the file is a test: by its folder, or by its name and what is in it."""
        relative = os.path.relpath(path, self.resolver.root).replace(os.sep, "/")
        if TEST_FOLDERS.search(relative) or relative.endswith("conftest.py"):
            return True
        if not TEST_FILE.search(relative):
            return False
        return bool(TEST_FUNCTION.search(self.read(path)) or self.libraries(path) & TEST_LIBRARIES)

    def _resolved(self, path: str) -> list[str]:
        found: list[str] = []
        resolver = self.resolver
        for module, level, names in self.statements(path):
            target = resolver.resolve(path, module, level)
            if target is None:
                continue
            is_file = target.endswith(".py")
            if is_file:
                found.append(target)
            if names and (not is_file or target.endswith(INIT)):
                inner = (resolver.submodule(target, name) for name in names)
                found += [inside for inside in inner if inside is not None and inside.endswith(".py")]
                found += resolver.submodules(target) if scan.ANY_MODULE in names else ()
            elif not names and "." in module:  # `import a.b` binds `a`
                top = resolver.resolve(path, module.partition(".")[0], 0)
                found += [top] if top is not None and top.endswith(".py") else []
        return found


def reached(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """The starts and all that is reached from them."""
    seen = set(starts)
    waiting = list(seen)
    while waiting:
        for path in following(waiting.pop()):
            if path not in seen:
                seen.add(path)
                waiting.append(path)
    return seen


def components(nodes: Iterable[str], following: Callable[[str], Iterable[str]]) -> dict[str, str]:
    """One of them for all nodes that lead to each other, by node (Tarjan's strongly connected components)."""
    found: dict[str, str] = {}
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    for start in nodes:
        way = [start] if start not in order else []
        ahead: dict[str, Iterator[str]] = {}
        while way:
            node = way[-1]
            if node not in order:
                order[node] = lowest[node] = len(order)
                open_.append(node)
                ahead[node] = iter(following(node))
            for other in ahead[node]:
                if other not in order:
                    way.append(other)
                    break
                if other not in found:
                    lowest[node] = min(lowest[node], order[other])
            else:
                way.pop()
                if way:
                    lowest[way[-1]] = min(lowest[way[-1]], lowest[node])
                if lowest[node] == order[node]:
                    while node not in found:
                        found[open_.pop()] = node
    return found


def reverse(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The same edges, each from its end to its start."""
    found: dict[str, list[str]] = {}
    for start, ends in edges.items():
        for end in ends:
            found.setdefault(end, []).append(start)
    return found
