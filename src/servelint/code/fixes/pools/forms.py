"""How the project offloads: the form in which a call is rewritten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from servelint.code.facts.facts import Call, Constant, Site, last_name
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.calls import argument
from servelint.code.values.values import External, Frame, FunctionReference, plain
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
_UNPOOLED: frozenset[Role | None] = frozenset({Role.LOAD, Role.REMOTE})
# They say nothing about where inference runs.
_BESIDE: frozenset[Role | None] = _UNPOOLED | {Role.PREPROCESSING}
# Who configures a pool gets all that computes into it.
_POOL_WANTED = frozenset({"run-in-executor", DISPATCHER})
# The library keeps the interpreter to itself while it works: several threads gain nothing.
_HOLDS = "holds"
# The routes of liveness, readiness and health, and how they are asked.
_PROBING = frozenset({"get", "head"})
_PROBE = re.compile(r"/(?:.*/)?(?:health|live|ready|liveness|readiness)(?:z|[-_]?check)?/?")


def computes(call: BlockingCall) -> bool:
    """Whether the call computes, and neither loads nor asks somebody else."""
    return call.blocking.role not in _UNPOOLED


def is_pooled(analysis: Analysis, call: BlockingCall) -> bool:
    """Whether the call belongs in the pool for inference: not what loads, asks others or only prepares."""
    if not computes(call):
        return False
    return analysis.config.fix.offload in _POOL_WANTED or not analysis.prepares(call)


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


class _Work(NamedTuple):
    """Work that is handed to a thread in some form, by its roles; none for what is not of the project."""

    form: Form
    roles: frozenset[Role | None]

    @property
    def infers(self) -> bool:
        """Whether it is inference."""
        return Role.INFERENCE in self.roles

    @property
    def is_beside(self) -> bool:
        """Whether it is of a kind that does not belong where inference runs."""
        return not self.roles or not self.roles.isdisjoint(_BESIDE)


class Forms:
    """Chooses the form for each file of one project."""

    def __init__(self, analysis: Analysis, has_pool: Callable[[BlockingCall], bool]) -> None:
        """`has_pool` tells whether the project has a thread pool for the call."""
        self.analysis = analysis
        self._has_pool = has_pool
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
        if pooled and form is Form.RUN_IN_EXECUTOR:
            return self._of_other_work(call) or form
        if pooled or form is not Form.RUN_IN_EXECUTOR:
            return form
        if computes(call):
            return self._of_preparation(module.path)
        # The threads of `run_in_threadpool` do not resolve host names too.
        remote = call.blocking.role is Role.REMOTE
        packages = {name.partition(".")[0] for name in self.threadpool_modules}
        known = remote and packages & self.analysis.reach.libraries(module.path)
        return Form.RUN_IN_THREADPOOL if known else Form.TO_THREAD

    def stays_on_default(self, call: BlockingCall) -> bool:
        """Whether the call may run on the loop's default executor, where the file has other work too."""
        path = call.caller.module.path
        works = (one for one in self._handed_over.get(path, ()) if not one.infers and not one.is_beside)
        other = any(one.form is Form.TO_THREAD for one in works)
        return other and self._of_other_work(call) is Form.TO_THREAD

    def _of_preparation(self, here: str) -> Form:
        """How the file, then the service hands other work than inference to threads, whichever they are."""
        own = [one for one in self._handed_over.get(here, ()) if not one.infers]
        beside = self.analysis.reach.beside(here)
        others = [one for path in beside for one in self._handed_over.get(path, ()) if not one.infers]
        for works in (own, others):
            forms = {one.form for one in works} - {Form.RUN_IN_EXECUTOR}
            found = next((form for form in _SPELLED.values() if form in forms), None)
            if found is not None:
                return found
        return Form.TO_THREAD

    def _of_other_work(self, call: BlockingCall) -> Form | None:
        """What the file does with other work of the project, or the service with other inference.

        Only for what several threads may call, and gain by it; None where there is a pool.
        """
        library = self.analysis.catalogue.libraries.get(call.blocking.library)
        if self._fixed is not None or not call.blocking.thread_safe or library is None:
            return None
        if library.gil.verdict == _HOLDS or self._has_pool(call):
            return None
        here = call.caller.module.path
        own = [one for one in self._handed_over.get(here, ()) if not one.is_beside]
        beside = self.analysis.reach.beside(here) if not own else ()
        others = [
            one
            for path in beside
            for one in self._handed_over.get(path, ())
            if one.infers and not one.is_beside
        ]
        forms = {one.form for one in own or others}
        return next((form for form in _SPELLED.values() if form in forms), None)

    @cached_property
    def _handed_over(self) -> dict[str, list[_Work]]:
        """The work that each file hands to threads, and how."""
        found: dict[str, list[_Work]] = {}
        for name, form in _SPELLED.items():
            for module, index, site in self.analysis.project.calls(name):
                frame = self.analysis.evaluator.frame(module, index)
                roles = self._roles(frame, site) if index else None
                if roles is not None:
                    known = Form.TO_THREAD if _is_without_pool(site.call, name) else form
                    found.setdefault(module.path, []).append(_Work(known, roles))
        return found

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
        """Whether the call runs an inference elsewhere."""
        return Role.INFERENCE in (self._roles(frame, site) or ())

    def _roles(self, frame: Frame, site: Site) -> frozenset[Role | None] | None:
        """The roles of what the call runs elsewhere, None for a function of the project that has none.

        None in their place where it runs nothing elsewhere.
        """
        evaluator, judge = self.analysis.evaluator, self.analysis.judge
        last = last_name(site.call.function)
        names = [
            v.name for v, _ in plain(evaluator.calls.callees(frame, site.call)) if isinstance(v, External)
        ]
        offload = self.analysis.frameworks.offload.find(names[0] if names else "", last)
        given = argument(site.call, offload.position, offload.keyword) if offload is not None else None
        if given is None:
            return None
        inner = Call(given, (), (), site.call.position)
        found: set[Role | None] = set()
        for value, _ in plain(evaluator.evaluate(frame, given)):
            blocking = judge.outcome(value, frame, inner).blocking
            if blocking is not None:
                found.add(blocking.role)
            elif isinstance(value, FunctionReference):
                found.add(None)
        return frozenset(found)


def _is_without_pool(made: Call, name: str) -> bool:
    """Whether it is `run_in_executor(None, ...)`, which is the executor of `to_thread`."""
    pool = argument(made, 0, "executor") if name == "run_in_executor" else None
    return isinstance(pool, Constant) and pool.value is None
