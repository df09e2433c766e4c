"""Why moving a call to a thread might change behaviour. No reason found means that the fix is safe.

A load at the first use is no reason where it can be given a lock, which the fix then has to add.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from servelint.code.facts.facts import (
    Attribute,
    Call,
    Expression,
    FunctionFacts,
    Name,
    Site,
    Spread,
    dotted,
    last_name,
)
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.blocks.block import Block
from servelint.code.fixes.blocks.lines import Lines
from servelint.code.fixes.doubts import paths
from servelint.code.fixes.doubts.guards import Guards
from servelint.code.fixes.doubts.locking import Locking
from servelint.code.fixes.doubts.meanwhile import Meanwhile
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached, Together, is_made_here
from servelint.code.fixes.doubts.shared import Change, Shared, is_container
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.doubts.suspended import Suspended
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import context_names, function_at
from servelint.code.fixes.text.stopping import stopping_call
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.code.graph.project import Bound, Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import (
    External,
    ExternalObject,
    Frame,
    LibraryObject,
    Pending,
    Value,
    plain,
)
from servelint.knowledge.types import Role


class Doubt(NamedTuple):
    """The first reason why behaviour might change; empty where there is none if these locks are added."""

    reason: str
    locks: tuple[Locking, ...] = ()

    @property
    def without_locks(self) -> str:
        """The reason where no lock is added."""
        return self.reason or next((f"`{lock.load.function.name}` {lock.reason}" for lock in self.locks), "")


class Safety:
    """Judges moved calls of one project."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()
        self.guards = Guards(analysis, files)
        self.reached = Reached(analysis)
        self.sharing = Sharing(analysis, files, self.reached)
        self.suspended = Suspended(analysis, files, self.reached, self.sharing)
        self.meanwhile = Meanwhile(analysis, files, self.reached, self.sharing, self.guards)
        self._frames: dict[tuple[Frame, frozenset[str]], Doubt] = {}
        self._doubts: dict[tuple[Frame, Block], tuple[str, Doubt]] = {}
        self._in_threads: dict[tuple[Frame, Block, int | None], Doubt | None] = {}
        self._made_bound: dict[tuple[str, int | None, str], bool] = {}
        self._obstacles: dict[tuple[Frame, Block], str] = {}
        self._written: dict[tuple[Function, Range], str] = {}
        self.together = Together(analysis, files, self.reached)
        self.lines = Lines()

    def doubt(
        self,
        call: BlockingCall,
        node: ast.Call,
        function: Function,
        workers: int | None,
        getting: Iterable[Frame] = (),
    ) -> Doubt:
        """Whether running the call in a thread, with what gives its object, might change behaviour."""
        assert call.site is not None
        moved = Range.of(self.files.syntax(call.caller.module), [node])
        reason = (
            self._contexts(call)
            or self._arguments(call, call.site.call)
            or self._around(call, node, function)
            or self._threads(call, workers)
            or paths.doubt(self.files.syntax(call.caller.module), function, [node])
            or self.sharing.handed(call.frame, self._shared(call, function), [call.site])
            or self.suspended.doubt(call.frame, moved)
            or self.suspended.kept_time(call.frame, moved, workers)
        )
        if reason:
            return Doubt(reason)
        inner = [*self.reached.called(call.frame, call.site.call), *getting]
        reason = self.together.doubt(call.frame, [call.site], inner, workers)
        below = Doubt(reason) if reason else self._below(call.frame, inner)
        return below if below.reason else self._meanwhile(call.frame, moved, inner, below, block=False)

    def doubt_of_block(
        self, call: BlockingCall, block: Block, workers: int | None, calls: Iterable[BlockingCall] = ()
    ) -> Doubt:
        """Whether running the block in a thread might change behaviour; `calls` are in it."""
        key = (call.frame, block)
        if key not in self._doubts:
            self._doubts[key] = self._doubts_of_block(call, block)
        first, below = self._doubts[key]
        reason = first or self._threads(call, workers)
        if not reason and not block.direct:
            reason = self.suspended.kept_time(call.frame, block.range, workers)
        if reason:
            return Doubt(reason)
        return self._threads_in_block(call.frame, block, workers, calls) or below

    def _threads_in_block(
        self, frame: Frame, block: Block, workers: int | None, calls: Iterable[BlockingCall]
    ) -> Doubt | None:
        """Why only one thread should run the block, asked once for all the calls in it."""
        key = (frame, block, workers)
        if key not in self._in_threads:
            reason = next((r for one in calls if (r := self._threads(one, workers))), "")
            written = paths.written_in(block.syntax, block.function, block.range) if workers != 1 else ""
            if not reason and written:
                reason = f"what is moved writes `{written}`, and two threads may both do that"
            if not reason:
                sites = self.sites(self.analysis.evaluator.facts(frame), block)
                reason = self.together.doubt(frame, sites, self.run_by(frame, block), workers)
            self._in_threads[key] = Doubt(reason) if reason else None
        return self._in_threads[key]

    def _doubts_of_block(self, call: BlockingCall, block: Block) -> tuple[str, Doubt]:
        """What is the same for all calls of the block: reasons in its function, and below that."""
        facts = call.caller.facts
        sites = self.sites(facts, block)
        first = (
            self._contexts_around(call, block)
            or next((r for site in sites if (r := self._arguments(call, site.call))), "")
            or next((r for site in sites if (r := self._touches(call.frame, facts, site.call))), "")
            or self._writes_shared(call, block)
            or paths.doubt(block.syntax, block.function, block.statements)
            or self.sharing.handed(call.frame, self._shared(call, block.function), sites)
            or ("" if block.direct else self.suspended.doubt(call.frame, block.range))  # awaited as it is
        )
        if first:
            return first, Doubt("")
        below = self._below(call.frame, self.run_by(call.frame, block))
        if below.reason:
            return first, below
        inner = [*self.run_by(call.frame, block)]
        return first, self._meanwhile(call.frame, block.range, inner, below, block=True)

    def _meanwhile(
        self, frame: Frame, moved: Range, inner: Sequence[Frame], below: Doubt, *, block: bool
    ) -> Doubt:
        """The locks, or why they are not enough: what the thread reads is written on the loop."""
        reason = self.meanwhile.doubt(frame, moved, inner, block=block)
        return Doubt(reason) if reason else below

    def _contexts_around(self, call: BlockingCall, block: Block) -> str:
        """Why the `with` blocks that stay around the block might matter to it."""
        for outer, _ in block.syntax.ancestors(block.statements[0]):
            if outer is block.function:
                break
            for item in outer.items if isinstance(outer, ast.With) else ():
                context = annotation(item.context_expr)
                reason = self._of_context(call, context) if context is not None else ""
                if reason:
                    return reason
        return ""

    def _shared(self, call: BlockingCall, function: Function) -> Shared:
        """What of the variables of the function with the call outlives it."""
        kept = self.sharing.kept((call.frame.module, call.frame.function))
        return self.sharing.of(call.caller.module, function, kept)

    def _writes_shared(self, call: BlockingCall, block: Block) -> str:
        key = (block.function, block.range)
        if key not in self._written:
            self._written[key] = self._find_shared(self._shared(call, block.function), block)
        return self._written[key]

    def _find_shared(self, shared: Shared, block: Block) -> str:
        """What requests share and the block writes, or reads while the function writes it."""
        for place in shared.changed(block.nodes()):
            return f"the block writes `{place}`, which requests share"
        place = shared.read_and_changed(*block.range)
        if place:
            return f"`{place}` is used before and after the call: another request may come between"
        return _belonging(shared, *block.range)

    def doubt_of_body(self, call: BlockingCall) -> str:
        """Why running the whole function around the call in one of many threads might change behaviour."""
        return (
            self._threads(call, None)
            or self.together.of_one_thread([call.frame])
            or self._below(call.frame, [call.frame]).without_locks
        )

    def _contexts(self, call: BlockingCall) -> str:
        contexts = call.site.contexts if call.site is not None else ()
        return next((r for context in contexts if (r := self._of_context(call, context))), "")

    def _of_context(self, call: BlockingCall, context: Expression) -> str:
        names = context_names(self.analysis, call, context)
        if names and all(self.policy.neutral_contexts.find(name) for name in names):
            return ""
        return f"`with {dotted(context)}` around the call may belong to the thread"

    def _arguments(self, call: BlockingCall, made: Call) -> str:
        for argument in (*made.arguments, *(value for _, value in made.keywords)):
            given = argument.value if isinstance(argument, Spread) else argument
            name = self._bound_to_thread(call.frame, given)
            if name:
                return f"`{name}` belongs to the task that handles the request"
        return ""

    def _bound_to_thread(self, frame: Frame, expression: Expression) -> str:
        """The text of an expression whose object belongs to one thread or task; empty if it does not."""
        values = list(plain(self.analysis.evaluator.evaluate(frame, expression)))
        for value, _ in values:
            if isinstance(value, External | ExternalObject) and self.policy.thread_bound.find(value.name):
                return dotted(expression)
        if values:
            return ""
        named = isinstance(expression, Name) and expression.id in self.policy.thread_bound_names
        return dotted(expression) if named or self._is_made_bound(frame, expression) else ""

    def _is_made_bound(self, frame: Frame, expression: Expression) -> bool:
        """Whether the variable or attribute is set to what a function makes for one thread or task."""
        module = self.analysis.evaluator.module(frame.module)
        key: tuple[str, int | None, str]
        match expression:
            case Name(name):
                scope = frame.function if module.bound(frame.function, name) else 0
                key = (module.path, scope, name)
            case Attribute(_, name):
                key = (module.path, None, name)
            case _:
                return False
        if key not in self._made_bound:
            found = module.attributes(name) if key[1] is None else module.bound(key[1], name)
            self._made_bound[key] = any(self._makes_bound(module, bound) for bound in found)
        return self._made_bound[key]

    def _makes_bound(self, module: Module, bound: Bound) -> bool:
        made = bound.binding.value
        if not isinstance(made, Call):
            return False
        callees = self.analysis.evaluator.calls.callees(
            self.analysis.evaluator.frame(module, bound.function), made
        )
        return any(
            isinstance(value, External) and self.policy.thread_bound.find(value.name)
            for value, _ in plain(callees)
        )

    def _threads(self, call: BlockingCall, workers: int | None) -> str:
        if call.blocking.role is Role.LOAD and workers != 1:
            return self._unknown_object(call)
        if workers == 1 or call.blocking.thread_safe:
            return ""
        library = call.blocking.library or "the model"
        if call.blocking.thread_safe is False:
            return f"{library} must not be called by two threads at once, and the pool may have several"
        return f"nothing says that two threads may call {library} at once, and the pool may have several"

    def _unknown_object(self, call: BlockingCall) -> str:
        """Why several threads should not make a call that loads: not all that it may call is known.

        What is loaded is new; an object that may be called in its place is not.
        """
        made = call.site.call if call.site is not None else None
        callees = plain(self.analysis.evaluator.calls.callees(call.frame, made)) if made is not None else ()
        for value, _ in callees:
            if made is not None and isinstance(value, ExternalObject):
                package = value.name.partition(".")[0]
                return (
                    f"`{dotted(made.function)}` may be an object of {package}, "
                    "and nothing says that two threads may call it at once"
                )
        return ""

    def _around(self, call: BlockingCall, node: ast.Call, function: Function) -> str:
        """Shared state that the function looks at before the call and writes after it, or the reverse."""
        syntax = self.files.syntax(call.caller.module)
        shared = self._shared(call, function)
        place = shared.torn(node)
        if place:
            return f"`{place}` is used before and after the call: another request may come between"
        return _belonging(shared, syntax.number(node), syntax.end_number(node))

    # -- below the call --------------------------------------------------------------------------

    def obstacle(self, call: BlockingCall) -> str:
        """Why the call, with the code below it, must not run in a thread at all; empty where it may."""
        if call.site is None:
            return ""
        return self._obstacle(call.frame, [call.site], self.reached.called(call.frame, call.site.call))

    def obstacle_of_block(self, call: BlockingCall, block: Block) -> str:
        """The same for all calls of the block."""
        key = (call.frame, block)
        if key not in self._obstacles:
            sites = self.sites(call.caller.facts, block)
            self._obstacles[key] = self._obstacle(call.frame, sites, self.run_by(call.frame, block))
        return self._obstacles[key]

    def sites(self, facts: FunctionFacts, block: Block) -> list[Site]:
        """The calls that come into the thread with the block, in the order in which they are made."""
        found = self.lines.sites(facts, block.first_line, block.last_line)
        return [site for site in found if block.holds(site.call.position)]

    def run_by(self, frame: Frame, block: Block) -> Iterator[Frame]:
        """The functions of the project that a block of the frame's function runs."""
        facts = self.analysis.evaluator.facts(frame)
        found = self.lines.subjects(facts, block.first_line, block.last_line)
        subjects = [subject for subject in found if block.holds(subject.position)]
        return self.reached.run(frame, self.sites(facts, block), subjects)

    def _obstacle(self, frame: Frame, sites: Sequence[Site], inner: Iterable[Frame]) -> str:
        made = [v for site in sites for v, _ in plain(self.analysis.evaluator.evaluate(frame, site.call))]
        if any(self._belongs_to_the_loop(value) for value in made):
            return "what it makes works on the event loop and may need it from the start: make it at start-up"
        if any(isinstance(value, Pending) for value in made):
            return "what is called may be a coroutine function, of which a thread only makes a coroutine"
        return self._stopping(inner)

    def _belongs_to_the_loop(self, value: Value) -> bool:
        """Whether the value is an engine whose inference is asynchronous throughout."""
        if not isinstance(value, LibraryObject):
            return False
        known = self.analysis.catalogue.lineage(value.type)
        roles = {method.role for each in known for method in each.methods.values()}
        return Role.COROUTINE in roles and Role.INFERENCE not in roles

    def _stopping(self, frames: Iterable[Frame]) -> str:
        for frame in self.reached.functions(frames):
            facts = self.analysis.evaluator.facts(frame)
            syntax = self.files.syntax(self.analysis.evaluator.module(frame.module))
            function = None if facts.is_generator else function_at(syntax, facts.position)
            stopping = stopping_call(syntax, function.body) if function is not None else ""
            if stopping:
                return (
                    f"`{stopping}` in `{facts.qualname}` may raise StopIteration, which cannot leave a thread"
                )
        return ""

    def _below(self, caller: Frame, frames: Iterable[Frame]) -> Doubt:
        """The first reason against a thread in these functions and those that they call, else their locks."""
        locks: list[Locking] = []
        reached = self.reached.functions(frames)
        if len(reached) > MAXIMUM_FUNCTIONS:
            return Doubt("the call goes through too many functions to be sure")
        run = {(frame.module, frame.function) for frame in (caller, *reached)}
        for frame in reached:
            kept = self.sharing.kept((frame.module, frame.function), run)
            if (frame, kept) not in self._frames:
                self._frames[frame, kept] = self._read(frame, kept)
            found = self._frames[frame, kept]
            if found.reason:
                return found
            locks += found.locks
        return Doubt("", tuple(locks))

    def _read(self, frame: Frame, kept: frozenset[str]) -> Doubt:
        module, facts = self.analysis.evaluator.module(frame.module), self.analysis.evaluator.facts(frame)
        if any(last_name(decorator) in self.policy.kept_properties for decorator in facts.decorators):
            return Doubt(f"`{facts.qualname}` is worked out at its first use, which two threads may both do")
        for site in facts.sites:
            reason = self._touches(frame, facts, site.call)
            if reason:
                return Doubt(reason)
        reason = self._reaches_for(frame, facts)
        if reason:
            return Doubt(reason)
        syntax = self.files.syntax(module)
        function = function_at(syntax, facts.position)
        if function is None:
            return Doubt("")
        constructs = facts.name in ("__init__", "__post_init__")
        own = facts.parameters[0].name if constructs and facts.parameters else ""
        shared = self.sharing.of(module, function, kept)
        changes = list(shared.changes(syntax.own_nodes(function), own))
        if not changes or self.guards.guard(frame, syntax, function, changes):
            return Doubt(self.sharing.handed(frame, shared, facts.sites, own))
        lock = self._lock(frame, syntax, function, changes)
        if lock is not None:
            return Doubt(self.sharing.handed(frame, shared, facts.sites, own), (lock,))
        return Doubt(f"`{facts.qualname}` writes `{changes[0].text}`, which requests share")

    def _lock(
        self, frame: Frame, syntax: Syntax, function: Function, changes: Sequence[Change]
    ) -> Locking | None:
        """The lock that makes the function's changes safe; None where there is no such."""
        found = self.guards.locking(frame, syntax, function, changes)
        if found is None or self.analysis.reach.libraries(frame.module) & self.policy.copied_to_workers:
            return None
        block = Block(syntax, function, found.load.statements)
        sites = self.sites(self.analysis.evaluator.facts(frame), block)
        # Code of the project may come back, or wait for whoever waits for the lock; so may what it computes.
        if any(True for _ in self.run_by(frame, block)) or any(
            isinstance(node, ast.Attribute) and node.attr in self.analysis.project.properties
            for statement in found.load.statements
            for node in syntax.below(statement)
        ):
            return None
        infers = any(self._infers(frame, site) for site in sites)
        # What infers for one key would keep requests with another one waiting.
        return None if infers and any(is_container(change.node) for change in changes) else found

    def _infers(self, frame: Frame, site: Site) -> bool:
        blocking = self.analysis.judge.site(frame, site)
        return blocking is not None and blocking.role is not Role.LOAD

    def _touches(self, frame: Frame, facts: FunctionFacts, made: Call) -> str:
        """What the call does that belongs to the loop, to one thread, or to all of them."""
        evaluator = self.analysis.evaluator
        for value, _ in plain(evaluator.calls.callees(frame, made)):
            name = value.name if isinstance(value, External) else ""
            if self.policy.needs_loop.find(name) and not self.policy.runs_own_loop.find(name):
                return f"`{facts.qualname}` calls `{name}`, which needs the event loop"
            if self.policy.sets_for_process.find(name):
                return f"`{facts.qualname}` calls `{name}`, which is for the whole process"
            if self.policy.tells_threads.find(name):
                return f"`{facts.qualname}` calls `{name}`, which tells one thread from another"
            if self.policy.sets_for_context.find(name):
                return f"`{facts.qualname}` calls `{name}`, which its caller does not see from a thread"
        if isinstance(made.function, Attribute):
            name = self._bound_to_thread(frame, made.function.value)
            if name and not is_made_here(self.analysis.evaluator, frame, made.function.value):
                return f"`{facts.qualname}` uses `{name}`, which belongs to one thread or task"
        return ""

    def _reaches_for(self, frame: Frame, facts: FunctionFacts) -> str:
        """What belongs to one thread and has attributes read or set, is handed on or given back."""
        held = [read.attribute.value for read in facts.reads]
        held += [b.target.value for b in facts.bindings if isinstance(b.target, Attribute)]
        held += [given for site in facts.sites for given in site.call.arguments]
        held += facts.returns
        for expression in dict.fromkeys(e for e in held if isinstance(e, Name | Attribute)):
            name = self._bound_to_thread(frame, expression)
            if name and not is_made_here(self.analysis.evaluator, frame, expression):
                return f"`{facts.qualname}` uses `{name}`, which belongs to one thread or task"
        return ""


def _belonging(shared: Shared, first: int, end: int) -> str:
    """What stays outside of the nodes of these numbers and must be one with them."""
    held = shared.acquired(first, end)
    if held:
        return f"`{held}()` may be held around the call, and keep the event loop from who gives it back"
    called = shared.prepared(first, end)
    if called:
        return f"`{called}()` belongs to the call: another request may come between"
    place = shared.set_before(first)
    return f"`{place}` is set for the call: another request may set it in between" if place else ""
