"""The applications that manifests start, as the code knows them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.finding import Finding, Span
from servelint.knowledge.types import Role


@dataclass(frozen=True)
class CodeApplication:
    """An application object: its file, and what the files that it imports hold."""

    analysis: Analysis
    path: Path
    closure: frozenset[str]
    findings: tuple[Finding, ...]

    @cached_property
    def libraries(self) -> frozenset[str]:
        """Top-level modules outside the project that the application's files import."""
        found: set[str] = set()
        for path in self.closure:
            found |= self.analysis.reach.libraries(path)
        return frozenset(found)

    @cached_property
    def model_files(self) -> tuple[Path, ...]:
        """Those of the application's files that import a library that runs models."""
        reach = self.analysis.reach
        return tuple(Path(path) for path in self.closure if reach.libraries(path) & reach.model_modules)

    @property
    def serves_model(self) -> bool:
        """Whether one of the application's files imports a library that runs models."""
        return bool(self.model_files)

    @cached_property
    def limits_threads(self) -> bool:
        """Whether the application bounds the native thread pools itself."""
        names = self.analysis.frameworks.limits_threads
        return any(self._calls(path, name) for path in self.closure for name in names)

    def is_blocked(self, repaired: Collection[Span] = ()) -> bool:
        """Whether inference or a load blocks the loop at another place than those that are `repaired`."""
        calls = (call for path in self.closure for call in self.analysis.blocking_calls_in(path))
        return any(
            call.blocking.role is not Role.REMOTE
            and self.analysis.span(call.caller.module.path, call.position) not in repaired
            for call in calls
        )

    @cached_property
    def runs_model(self) -> bool:
        """Whether a call in one of the application's files is inference or a load, wherever it runs."""
        if self.is_blocked() or any(self._runs_model(path) for path in self.closure):
            return True
        offloads = (one for one in self.analysis.offloads if one[0].frame.module in self.closure)
        return any(self.analysis.computed(place, offload) is not None for place, offload in offloads)

    def mentions(self, names: Collection[str]) -> bool:
        """Whether one of the names stands in the application's files."""
        return any(module.path in self.closure for module in self.analysis.project.mentioning(names))

    def _runs_model(self, path: str) -> bool:
        analysis = self.analysis
        module = analysis.project.module(path)
        if module is None:  # it cannot be read
            return False
        judged = (
            analysis.judge.site(analysis.evaluator.frame(module, index), site)
            for index, facts in enumerate(module.facts.functions)
            for site in facts.sites
        )
        return any(blocking is not None and blocking.role is not Role.REMOTE for blocking in judged)

    def _calls(self, path: str, name: str) -> bool:
        module = self.analysis.project.module(path) if name in self.analysis.reach.calls(path) else None
        return module is not None and bool(module.calls(name))


class CodeApplications:
    """Finds the applications of one project."""

    def __init__(self, analysis: Analysis, findings: Sequence[Finding]) -> None:
        self.analysis = analysis
        self.findings = tuple(findings)
        self._known: dict[str, CodeApplication] = {}

    def find(self, reference: str, folders: Sequence[Path]) -> CodeApplication | None:
        """The application that `reference` (`app.main:app`, `app.main`, `src/main.py`) names."""
        target = reference.partition(":")[0]
        relative = target if target.endswith(".py") else target.replace(".", os.sep)
        for folder in folders:
            base = os.path.normpath(folder / relative)
            for path in (base, f"{base}.py", os.path.join(base, "__init__.py")):
                module = self.analysis.project.module(path) if path.endswith(".py") else None
                if module is not None:
                    return self._application(module)
        return None

    def _application(self, module: Module) -> CodeApplication:
        """The application of a file; one object, for what it is asked is worked out once."""
        if module.path not in self._known:
            closure = self.analysis.reach.closure(module.path)
            inside = tuple(f for f in self.findings if str(f.span.path) in closure)
            self._known[module.path] = CodeApplication(self.analysis, Path(module.path), closure, inside)
        return self._known[module.path]
