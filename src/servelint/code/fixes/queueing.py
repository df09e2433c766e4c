"""Whether calls that ran at the same time may as well run one after the other, in a pool of few threads.

That is so where two at once were wrong, or gained nothing, and where no call waits: for another call that
would stand behind it in the queue, or for the network while others could compute.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Expression,
    FunctionFacts,
    Name,
    Position,
    Site,
    dotted,
)
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.objects import Objects
from servelint.code.fixes.pools.bounds import words
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.judge.analysis import COMPUTED, Analysis, BlockingCall
from servelint.code.judge.outcomes import Blocking
from servelint.code.loop.offloads import Handoff
from servelint.code.values.values import External, ExternalObject, Frame, plain
from servelint.knowledge.types import Role, Verdict

UNKNOWN_MODEL = (
    "nothing says that all requests have one and the same model: "
    "what several have of their own would queue in a pool of one thread"
)
QUEUED = "calls that ran at the same time wait for each other where the pool has one thread"
_HOLDS = "holds"
_COMPUTING = COMPUTED - {Role.TRAINING}


class Queueing:
    """Judges the offloads of one project."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached, sharing: Sharing) -> None:
        self.analysis = analysis
        self.files = files
        self.reached = reached
        self.objects = Objects(analysis, files, sharing)
        self.policy = policy.load()
        self._models: dict[tuple[Frame, Position], frozenset[str]] = {}

    def doubt(self, call: BlockingCall, found: Handoff, beside: Iterable[BlockingCall]) -> str:
        """Why the offloaded call should not have to queue; empty where it may.

        `call` is the call that offloads, `beside` are those that would stand in the same queue.
        """
        if not self._gains_nothing(call) or self._has_a_limit(call.caller.module.path):
            return QUEUED
        if _hands_on(call.caller.facts, found.callable):
            return QUEUED
        inner = found.inner
        values = list(plain(self.analysis.evaluator.calls.callees(call.frame, inner)))
        if not values:
            return QUEUED
        evaluator = self.analysis.evaluator
        frames = [evaluator.frame(evaluator.module(path), index) for path, index in call.blocking.functions]
        frames += self.reached.called(call.frame, inner)
        return QUEUED if self._waits(frames) else self._is_none_or_several(call, beside)

    def _is_none_or_several(self, call: BlockingCall, beside: Iterable[BlockingCall]) -> str:
        """Why it is not one object, which all requests have, that all in the queue infer with."""
        models = self.models(call)
        for other in beside:
            models |= self.models(other)
        if not models or "" in models:
            return UNKNOWN_MODEL
        if len(models) == 1:
            return ""
        one, two = sorted(models)[:2]
        return f"`{_short(one)}` and `{_short(two)}` would wait for each other where the pool has one thread"

    def models(self, call: BlockingCall) -> frozenset[str]:
        """The objects that the call infers with, an empty one where requests may have others."""
        key = (call.frame, call.position)
        if key not in self._models:
            self._models[key] = frozenset(self._inferring(call))
        return self._models[key]

    def _inferring(self, call: BlockingCall) -> Iterator[str]:
        if call.site is None:
            yield ""
            return
        found = self.analysis.handoffs.of(call.frame, call.site.call)
        inner = call.site.call if found is None else found.inner
        if len(call.blocking.hops) == 1:
            node = self.files.syntax(call.caller.module).at(call.position, ast.Call)
            function = _handed_over(node, found) if node is not None else None
            yield self.objects.of(call.frame, function, call.blocking.sink) if function is not None else ""
        below = self.reached.functions(self.reached.called(call.frame, inner))
        if len(below) > MAXIMUM_FUNCTIONS:
            yield ""
        for frame, site, blocking in self._inferences(below):
            node = self.files.syntax(self.analysis.evaluator.module(frame.module)).at(
                site.call.position, ast.Call
            )
            yield self.objects.of(frame, node.func, blocking.sink) if node is not None else ""

    def _inferences(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Site, Blocking]]:
        """The calls in the functions that are inference themselves."""
        for frame in frames:
            for site in self.analysis.evaluator.facts(frame).sites:
                blocking = self.analysis.judge.site(frame, site)
                if blocking is not None and blocking.role is Role.INFERENCE and len(blocking.hops) == 1:
                    yield frame, site, blocking

    def locked(self, call: BlockingCall, found: Handoff) -> str:
        """The lock that lets in one at a time below the call already, as it is written; empty for none."""
        below = self.reached.functions(self.reached.called(call.frame, found.inner))[:MAXIMUM_FUNCTIONS]
        for frame, site, _ in self._inferences(below):
            for context in site.contexts:
                if self._is_lock(frame, context):
                    return dotted(context)
        return ""

    def _is_lock(self, frame: Frame, context: Expression) -> bool:
        values = [value for value, _ in plain(self.analysis.evaluator.evaluate(frame, context))]
        names = [value.name for value in values if isinstance(value, External | ExternalObject)]
        if not values:
            return bool(words(dotted(context).rpartition(".")[2]) & self.policy.lock_words)
        return bool(names) and all(self.policy.locks.find(name) for name in names)

    def is_long(self, call: BlockingCall, found: Handoff) -> str:
        """The function on the way that works for minutes, by its name; empty for none."""
        evaluator = self.analysis.evaluator
        names = [evaluator.module(path).function(index).name for path, index in call.blocking.functions]
        for name in (dotted(found.callable).rpartition(".")[2], *names):
            parts = words(name)
            if parts & self.policy.long_work or (
                parts & self.policy.long_work_verbs and parts & self.policy.long_work_objects
            ):
                return name
        return ""

    def held_up(self, frame: Frame, sites: Iterable[Site], inner: Iterable[Frame]) -> str:
        """Why these calls should not queue: one of them, or of those below them, asks somebody else."""
        asking = [(frame, site) for site in sites]
        for below in self.reached.functions(inner)[:MAXIMUM_FUNCTIONS]:
            asking += ((below, site) for site in self.analysis.evaluator.facts(below).sites)
        for here, site in asking:
            if self._is_remote(here, site):
                name, called = self.analysis.evaluator.facts(here).qualname, dotted(site.call.function)
                return f"`{called}()` in `{name}` waits for an answer, and predictions would wait for that"
        return ""

    def _is_remote(self, frame: Frame, site: Site) -> bool:
        """Whether the call itself asks somebody else."""
        callees = plain(self.analysis.evaluator.calls.callees(frame, site.call))
        if any(
            isinstance(value, External | ExternalObject) and self.policy.remote.find(value.name)
            for value, _ in callees
        ):
            return True
        blocking = self.analysis.judge.site(frame, site)
        return blocking is not None and blocking.role is Role.REMOTE and len(blocking.hops) == 1

    def _gains_nothing(self, call: BlockingCall) -> bool:
        """Whether the library says that two calls at once are wrong, or take no less time."""
        if call.blocking.role not in _COMPUTING:
            return False
        library = self.analysis.catalogue.libraries.get(call.blocking.library)
        if library is None:
            return False
        return library.thread_safe.verdict == Verdict.NO or library.gil.verdict == _HOLDS

    def _has_a_limit(self, path: str) -> bool:
        """Whether the service gives up on something after a time: what queues may take longer than that."""
        beside = self.analysis.reach.beside(path)
        calls = self.analysis.project.calls
        limits = (module.path for name in self.policy.time_limits for module, _, _ in calls(name))
        timed = (module.path for module, _, site in calls("wait") if "timeout" in dict(site.call.keywords))
        return any(found in beside for found in (*limits, *timed))

    def _waits(self, frames: Iterable[Frame]) -> bool:
        """Whether the functions, or those that they call, wait for anything but the processor."""
        for number, frame in enumerate(self.reached.functions(frames)):
            if number >= MAXIMUM_FUNCTIONS:
                return True
            facts = self.analysis.evaluator.facts(frame)
            if any(self._is_wait(frame, site) for site in facts.sites):
                return True
        return False

    def _is_wait(self, frame: Frame, site: Site) -> bool:
        if self.analysis.waits.of(frame, site) is not None:
            return True
        blocking = self.analysis.judge.site(frame, site)
        if blocking is not None and blocking.role not in _COMPUTING:
            return True
        values = [value for value, _ in plain(self.analysis.evaluator.calls.callees(frame, site.call))]
        if any(
            isinstance(value, External | ExternalObject) and self.policy.waits.find(value.name)
            for value in values
        ):
            return True
        return not values and self._is_named_so(site.call)

    def _is_named_so(self, call: Call) -> bool:
        """Whether the method of an object that nobody knows is called like one that waits.

        With positional arguments `get` is that of a dictionary and `join` that of a text.
        """
        if not isinstance(call.function, Attribute):
            return False
        name = call.function.name
        return name in self.policy.waiting_methods or (
            name in self.policy.waiting_alone and not call.arguments
        )


def _handed_over(node: ast.Call, found: Handoff | None) -> ast.expr | None:
    """What the call runs: its own function, or the one that it hands over."""
    if found is None:
        return node.func
    given = (*node.args, *(keyword.value for keyword in node.keywords))
    number = found.offload.position
    named = next((value for value in given if annotation(value) == found.callable), None)
    if named is None and not found.dispatched and number is not None and number < len(node.args):
        return node.args[number]
    return named


def _short(name: str) -> str:
    """An object as people call it."""
    return name.rpartition(":")[2]


def _hands_on(facts: FunctionFacts, given: Expression) -> bool:
    """Whether the callable is, or holds, one that the function is given: it may be any function then."""
    names = {parameter.name for parameter in facts.parameters}
    waiting, seen = [given], set()
    while waiting:
        match waiting.pop():
            case Name(name) if name in names:
                return True
            case Name(name) if name not in seen:
                seen.add(name)
                waiting += (b.value for b in facts.bindings if b.target == Name(name) and b.value is not None)
            case Call(_, arguments) if arguments:
                waiting.append(arguments[0])
    return False
