"""How the project offloads: the form in which a call is rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import cached_property

from servelint.code.facts.facts import Call, Constant, Site, last_name
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.calls import argument
from servelint.code.values.values import External, Frame, plain
from servelint.knowledge.types import Role
from servelint.project.config import AUTO, DISPATCHER, PLAIN_DEF, PROJECT_OFFLOAD


class Form(Enum):
    """The value is how it is spelled for people."""

    RUN_IN_EXECUTOR = "run_in_executor"
    TO_THREAD = "asyncio.to_thread"
    RUN_IN_THREADPOOL = "run_in_threadpool"
    ANYIO = "anyio.to_thread.run_sync"
    PROJECT = "the project's own offload"


_CONFIGURED = {
    "run-in-executor": Form.RUN_IN_EXECUTOR,
    "to-thread": Form.TO_THREAD,
    "run-in-threadpool": Form.RUN_IN_THREADPOOL,
    "anyio": Form.ANYIO,
    DISPATCHER: Form.RUN_IN_EXECUTOR,
    PLAIN_DEF: Form.RUN_IN_EXECUTOR,  # where `async` cannot be dropped
}
THREADPOOL = ("starlette.concurrency", "run_in_threadpool")
# The rule against inference on the loop's default executor, which `asyncio.to_thread` uses.
DEFAULT_EXECUTOR = "SRV109"
_SPELLED = {
    "run_in_executor": Form.RUN_IN_EXECUTOR,
    "to_thread": Form.TO_THREAD,
    "run_in_threadpool": Form.RUN_IN_THREADPOOL,
    "run_sync": Form.ANYIO,
}


# Their place is where they do not hold up predictions: as many of them as requests are under way.
_UNPOOLED = frozenset({Role.LOAD, Role.REMOTE})
# The routes of liveness, readiness and health, and how they are asked.
_PROBING = frozenset({"get", "head"})
_PROBE = re.compile(r"/(?:.*/)?(?:health|live|ready|liveness|readiness)(?:z|[-_]?check)?/?")


def is_pooled(call: BlockingCall) -> bool:
    """Whether the call belongs in the pool for inference: loads and remote calls do not."""
    return call.blocking.role not in _UNPOOLED


def _is_probe(call: BlockingCall) -> bool:
    """Whether the call is in the handler of a probe, and may run beside predictions.

    A probe that waits behind them fails where the service is only busy.
    """
    if call.blocking.role is Role.INFERENCE and not call.blocking.thread_safe:
        return False
    return any(
        isinstance(decorator, Call)
        and last_name(decorator.function) in _PROBING
        and isinstance(path := argument(decorator, 0, "path"), Constant)
        and isinstance(path.value, str)
        and _PROBE.fullmatch(path.value) is not None
        for decorator in call.caller.facts.decorators
    )


class Forms:
    """Chooses the form for each file of one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        configured = analysis.config.fix.offload
        own = configured.startswith(PROJECT_OFFLOAD)
        self.project_name = configured.removeprefix(PROJECT_OFFLOAD) if own else ""
        self.is_dispatcher_wanted = configured == DISPATCHER
        self.dispatches = configured in (AUTO, PLAIN_DEF, DISPATCHER)
        self._fixed = Form.PROJECT if own else _CONFIGURED.get(configured)
        self._used: dict[str, Form] | None = None

    def of(self, call: BlockingCall, *, pooled: bool) -> Form:
        """The form for the call, or for the block around it, which is `pooled` if it has inference in it."""
        module = call.caller.module
        form = self._of_inference(module)
        if self._fixed is None and _is_probe(call):
            pooled = False
        if pooled or form is not Form.RUN_IN_EXECUTOR:
            return form
        # The threads of `run_in_threadpool` do not resolve host names too.
        remote = call.blocking.role is Role.REMOTE
        packages = {name.partition(".")[0] for name in self.threadpool_modules}
        known = remote and packages & self.analysis.reach.libraries(module.path)
        return Form.RUN_IN_THREADPOOL if known else Form.TO_THREAD

    def _of_inference(self, module: Module) -> Form:
        """The configured form; else what the file, then the service does with inference already."""
        if self._fixed is not None:
            return self._fixed
        if self._used is None:
            self._used = dict(self._uses())
        if module.path in self._used:
            return self._used[module.path]
        for path, form in self._used.items():
            if path in self.analysis.reach.beside(module.path):
                return form
        return Form.RUN_IN_EXECUTOR

    @cached_property
    def threadpool_modules(self) -> tuple[str, ...]:
        """The modules that have `run_in_threadpool`, under that name or another package's."""
        names = (offload.name.rpartition(".") for offload in self.analysis.frameworks.offloads)
        return tuple(module for module, _, name in names if name == THREADPOOL[1])

    def _uses(self) -> Iterator[tuple[str, Form]]:
        """The files that offload inference, and how; of several forms in one file the last counts."""
        for name, form in reversed(_SPELLED.items()):
            if form is Form.TO_THREAD and self.analysis.config.selects(DEFAULT_EXECUTOR):
                continue  # would only be the next finding
            for module, index, site in self.analysis.project.calls(name):
                if index and self._offloads_inference(self.analysis.evaluator.frame(module, index), site):
                    yield module.path, form

    def _offloads_inference(self, frame: Frame, site: Site) -> bool:
        """Whether the call runs an inference elsewhere: that is what is imitated, not other offloads."""
        evaluator, judge = self.analysis.evaluator, self.analysis.judge
        last = last_name(site.call.function)
        names = [
            v.name for v, _ in plain(evaluator.calls.callees(frame, site.call)) if isinstance(v, External)
        ]
        offload = self.analysis.frameworks.offload.find(names[0] if names else "", last)
        given = argument(site.call, offload.position, offload.keyword) if offload is not None else None
        if given is None:
            return False
        inner = Call(given, (), (), site.call.position)
        for value, _ in plain(evaluator.evaluate(frame, given)):
            blocking = judge.outcome(value, frame, inner).blocking
            if blocking is not None and blocking.role is Role.INFERENCE:
                return True
        return False
