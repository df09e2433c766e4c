"""What a service sets for the thread that calls it, which the threads of a pool do not know.

    torch.set_grad_enabled(False)

At the top of a file that holds for the event loop's thread, and for what runs there.
"""

from __future__ import annotations

from collections.abc import Iterator

from servelint.code.facts.facts import dotted
from servelint.code.fixes.text import policy
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import External, plain
from servelint.knowledge.types import Role


class ThreadSettings:
    """Finds the settings in one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.policy = policy.load()
        self._found: dict[str, str] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Why the call may do something else in another thread; empty where nothing is set for one."""
        if call.blocking.role is Role.REMOTE:
            return ""
        path = call.caller.module.path
        if path not in self._found:
            self._found[path] = next(self._settings(path), "")
        return self._found[path]

    def _settings(self, path: str) -> Iterator[str]:
        evaluator, beside = self.analysis.evaluator, self.analysis.reach.beside(path)
        for name in sorted(self.policy.thread_settings.last_names()):
            for module, index, site in self.analysis.project.calls(name):
                if module.path not in beside or site.use == "enter":
                    continue
                values = plain(evaluator.calls.callees(evaluator.frame(module, index), site.call))
                if any(
                    isinstance(v, External) and self.policy.thread_settings.find(v.name) for v, _ in values
                ):
                    yield f"`{dotted(site.call.function)}()` holds for the thread that called it alone"
