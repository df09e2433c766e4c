"""Routers that no application of the project includes: nothing in their files is served.

router = APIRouter()            # in a file that no file imports, beside an application that includes others

Whoever repairs their handlers repairs what nobody runs. A router that may be found by name (`importlib`, a
list of texts) is taken to be included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from servelint.code.facts.facts import Call
from servelint.code.fixes.text import policy
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import External, ExternalObject, plain

# How modules are imported by a name that is worked out; what is written out is an import as others are.
_DYNAMIC = re.compile(
    rb"\b(?:import_module|__import__)\b(?!\s*\(\s*(?:\"[^\"\n]*\"|'[^'\n]*')\s*[,)])"
    rb"|\b(?:pkgutil|run_path|run_module|find_modules|spec_from_file_location|entry_points)\b"
)
# What may be the last part of a module's name in a text: "shop.routers.orders", "orders:router".
_IN_TEXTS = re.compile(rb"['\"./](\w+)(?=['\":])")


class Routers:
    """Finds them in one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.policy = policy.load()
        self._found: dict[str, bool] = {}

    def doubt(self, path: str) -> str:
        """Why a safe fix should not change the file: only a router that is not included; empty for others."""
        if path not in self._found:
            self._found[path] = self._is_left_out(path)
        return "no application of the project includes the router of this file" if self._found[path] else ""

    def _is_left_out(self, path: str) -> bool:
        module = self.analysis.project.module(path)
        if module is None or not self._only_routes(module):
            return False
        stem = Path(path).stem
        return (
            stem not in ("__init__", "__main__")
            and not self._calls(path, self.policy.includes)
            and bool(self._including)
            and not any(self._imports(other, path) for other in self._including)
            and not self._is_dynamic
            and stem not in self._named
            and not any(self._imports(other, path) for other in self._files)
        )

    def _only_routes(self, module: Module) -> bool:
        """Whether the file binds a router at its top level, and makes no application."""
        evaluator = self.analysis.evaluator
        frame = evaluator.frame(module, 0)
        routes = False
        for binding in module.facts.body.bindings:
            made = binding.value
            if not isinstance(made, Call):
                continue
            for value, _ in plain(evaluator.calls.callees(frame, made)):
                name = value.name if isinstance(value, External | ExternalObject) else ""
                if self.policy.state_applications.find(name):
                    return False
                routes = routes or bool(self.policy.routers.find(name))
        return routes

    def _calls(self, path: str, names: Iterable[str]) -> bool:
        return not self.analysis.reach.calls(path).isdisjoint(names)

    @cached_property
    def _files(self) -> tuple[str, ...]:
        """All Python files of the project."""
        return tuple(sorted(self.analysis.reach.graph.resolver.files))

    @cached_property
    def _including(self) -> tuple[str, ...]:
        """The files of the project that include routers, but for tests."""
        graph = self.analysis.reach.graph
        files = (path for path in self._files if not graph.is_test(path))
        return tuple(path for path in files if self._calls(path, self.policy.includes))

    def _imports(self, path: str, other: str) -> bool:
        return path != other and other in self.analysis.reach.graph.targets(path)

    @cached_property
    def _is_dynamic(self) -> bool:
        """Whether any file may import others by names that are worked out."""
        read = self.analysis.reach.graph.read
        return any(_DYNAMIC.search(read(path)) is not None for path in self._files)

    @cached_property
    def _named(self) -> frozenset[str]:
        """The last names of all modules that an import which leads to no file, or a text, may mean."""
        graph, found = self.analysis.reach.graph, set[str]()
        for path in self._files:
            for module, level, names in graph.statements(path):
                target = graph.resolver.resolve(path, module, level)
                if target is None:
                    found.update(names, (module.rpartition(".")[2],))
                elif not target.endswith(".py") or Path(target).stem == "__init__":
                    found.update(name for name in names if graph.resolver.submodule(target, name) is None)
            found.update(name.decode("utf-8", "replace") for name in _IN_TEXTS.findall(graph.read(path)))
        return frozenset(found)
