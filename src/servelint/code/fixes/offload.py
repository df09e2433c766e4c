"""The fix for a blocking call: await it in a thread.

    await asyncio.get_running_loop().run_in_executor(app.state.inference_executor, predictor.predict, payload)

The rewrite is a few text edits at exact positions; everything else in the file stays as it is. It is safe
where `safety` finds no reason against it, and unsafe where it does. Where there can be no `await` at the
call, or something around it belongs to the thread, a whole block is moved (`regions`); what cannot be moved
is left to a person.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from servelint.code.facts.facts import Position, Site
from servelint.code.fixes.add_async import AddAsync
from servelint.code.fixes.beside.kept import Kept
from servelint.code.fixes.blocks import moving
from servelint.code.fixes.blocks.block import Block
from servelint.code.fixes.blocks.regions import Region, Regions
from servelint.code.fixes.blocks.wrappings import TO_THREAD_SINCE, Offloading
from servelint.code.fixes.contexts import Contexts
from servelint.code.fixes.doubts.getters import Getters
from servelint.code.fixes.doubts.safety import Doubt, Safety
from servelint.code.fixes.drop_async import DropAsync
from servelint.code.fixes.elsewhere import Elsewhere
from servelint.code.fixes.handoffs import HandoffFixes
from servelint.code.fixes.pools.forms import Form, Forms, is_pooled
from servelint.code.fixes.pools.new_pool import Pool
from servelint.code.fixes.pools.pool import Pools
from servelint.code.fixes.pools.services import Services
from servelint.code.fixes.pools.start_up import StartUp
from servelint.code.fixes.surroundings import Plans, Surroundings
from servelint.code.fixes.text import placement, policy, style
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.imports import NameTakenError
from servelint.code.fixes.text.needed import Needed
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.twins import Twins
from servelint.code.judge.analysis import COMPUTED, Analysis, BlockingCall
from servelint.code.loop.bound import LoopBound
from servelint.code.values.values import Frame
from servelint.finding import Applicability, Edit, Fix
from servelint.knowledge.types import Role
from servelint.project.config import PLAIN_DEF

# So many calls of a service that would each be long get one coroutine that does it for all of them.
SEVERAL = 3
# The Python 3 that takes what it is written with (`Callable[..., T]` of `collections.abc`).
DISPATCHER_SINCE = 9


@dataclass(frozen=True, slots=True)
class Moved:
    """What moves together: the blocking calls in it, all of its calls, and where it stands.

    `leading` is the call for which it has to be where inference runs, if there is one, rather one that
    threads may not share. `keywords` says that it is one call with keyword arguments.
    """

    calls: tuple[BlockingCall, ...]
    sites: tuple[Site, ...]
    function: Function
    line: int
    leading: BlockingCall | None
    keywords: bool = False


class OffloadPlanner:
    """Plans the fixes of one project."""

    def __init__(self, analysis: Analysis, beside: OffloadPlanner | None = None) -> None:
        """With `beside`, which knows the project already and makes dispatchers, one that makes none."""
        self.analysis = analysis
        self.files: Files = beside.files if beside is not None else Files(analysis)
        self._makes_dispatchers = beside is None
        services = Services(analysis)
        self.forms: Forms = beside.forms if beside is not None else Forms(analysis, self._has_pool)
        self.add_async = AddAsync(analysis, self.files)
        self.names = moving.Names(self.files)
        # Fixes that are applied alone do not make room for those that are not.
        takes_pool = self._takes_pool if beside is None else partial(self._takes_with, beside)
        self.pools = Pools(analysis, self.files, services, takes_pool)
        self.start_up = StartUp(analysis, self.files, self.pools.lifespans)
        self.safety: Safety = beside.safety if beside is not None else Safety(analysis, self.files)
        self.getters = Getters(analysis, self.files, self.safety.reached, self.safety.lines)
        self.regions = Regions(analysis, self.files, self.add_async.may_await, self._waits_first)
        self.contexts = Contexts(analysis, self.safety.reached)
        self.handoffs = HandoffFixes(analysis, self)
        self.drop_async = DropAsync(analysis, self.files, self.safety)
        self.twins = Twins(analysis, self.files)
        self.kept: Kept = beside.kept if beside is not None else Kept(analysis)
        self.elsewhere: Elsewhere = (
            beside.elsewhere if beside is not None else Elsewhere(analysis, self.safety.reached)
        )
        self.surroundings: Surroundings = beside.surroundings if beside is not None else self._around()
        self._planned: dict[tuple[Frame, Position, bool], tuple[Fix | None, str]] = {}
        self._in_blocks: dict[tuple[Frame, Block], Moved] = {}
        self._by_line: dict[LoopBound, dict[int, list[BlockingCall]]] = {}
        self._held: dict[tuple[Frame, Block], str] = {}
        self._moves_block: dict[tuple[Frame, Position], bool] = {}
        self._dispatching: dict[str, bool] = {}
        self._few_safe: dict[str, bool] = {}
        self._safe_alone: dict[str, bool] = {}
        self._blocks: dict[tuple[Block, str, Form, Pool | None, bool, bool], tuple[Edit, ...]] = {}

    def _around(self) -> Surroundings:
        """What judges the fixes by what is beside their calls."""
        plans = Plans(
            self._region,
            self.regions.of,
            self._moved_with,
            self._runs,
            self._has_no_safe_fix,
            self._becomes_plain,
        )
        return Surroundings(self.analysis, self.files, self.safety, plans)

    def plan(self, call: BlockingCall) -> tuple[Fix | None, str]:
        """The fix for the call, or None and why there is none."""
        fix, reason = self._alone(call)
        if fix is not None and fix.applicability is Applicability.SAFE:
            doubt = self.surroundings.doubt(call)
            if doubt:
                fix = fix._replace(applicability=Applicability.UNSAFE, reason=doubt)
            fix = self.by_themselves(call, fix, lambda planner: planner.plan(call)[0])
        better = self.twins.plan(call)
        if better is None:
            return fix, reason
        if fix is None or fix.applicability is Applicability.UNSAFE:
            return better, ""
        return fix._replace(better=better), ""

    def by_themselves(
        self, call: BlockingCall, fix: Fix, plan: Callable[[OffloadPlanner], Fix | None]
    ) -> Fix:
        """The safe fix; without what would be for one or two calls, or for one file, where others have none.

        That is a new dispatcher, or a module for the pool. With unsafe fixes there are more calls: the better
        fix has it. `plan` plans the fix of the call anew.
        """
        if fix.applicability is not Applicability.SAFE:
            return fix
        if not self._has_few_safe(call) and not self._is_safe_alone(call):
            return fix
        plain = plan(self.plain)
        if plain is None or plain.applicability is not Applicability.SAFE or plain.edits == fix.edits:
            return fix
        return plain._replace(better=fix)

    @cached_property
    def plain(self) -> OffloadPlanner:
        """The planner of the same fixes for those that are safe alone, without dispatchers."""
        return OffloadPlanner(self.analysis, self)

    def _is_safe_alone(self, call: BlockingCall) -> bool:
        """Whether other files of the service want a pool as well, and none of them has a safe fix."""
        path = call.caller.module.path
        if path not in self._safe_alone:
            others = [other for other in self.pools.companions(call) if other.caller.module.path != path]
            self._safe_alone[path] = bool(others) and not any(map(self._is_safe, others))
        return self._safe_alone[path]

    def _has_few_safe(self, call: BlockingCall) -> bool:
        """Whether the service gets a dispatcher although few of the calls for it have a safe fix."""
        path = call.caller.module.path
        if self.forms.is_dispatcher_wanted or not self._dispatching.get(path):
            return False
        if path not in self._few_safe:
            safe = (place for other, place in self._long(call) if self._is_safe(other))
            self._few_safe[path] = not _are_several(safe)
        return self._few_safe[path]

    def _is_safe(self, call: BlockingCall) -> bool:
        fix, _ = self._alone(call)
        return (
            fix is not None and fix.applicability is Applicability.SAFE and not self.surroundings.doubt(call)
        )

    def _alone(self, call: BlockingCall) -> tuple[Fix | None, str]:
        """The fix for the call, whatever becomes of others; or None and why there is none."""
        key = (call.frame, call.position, call.site is None)
        if key not in self._planned:
            fix, reason = self._in_thread(call)
            if fix is not None:
                fix = self.elsewhere.judged(call, self.kept.judged(fix))
            self._planned[key] = fix, reason
        return self._planned[key]

    def _has_no_safe_fix(self, call: BlockingCall) -> bool:
        """Whether there is something against each fix of the call, whatever else its function does."""
        fix, _ = self._alone(call)
        return fix is None or fix.applicability is Applicability.UNSAFE

    def _becomes_plain(self, call: BlockingCall) -> bool:
        """Whether the fix of the call makes a plain function of its coroutine."""
        if self.analysis.config.fix.offload != PLAIN_DEF:
            return False
        syntax = self.files.syntax(call.caller.module)
        function = placement.function_at(syntax, call.caller.facts.position)
        return function is not None and self.drop_async.plan(call, function) is not None

    def _region(self, call: BlockingCall) -> Region | None:
        """The block that the fix of the call moves; None where that is the call by itself."""
        region = self.regions.of(call)
        if region is None:
            return None
        key = (call.frame, call.position)
        if key not in self._moves_block:
            moved, _ = self._moved(call, region)
            self._moves_block[key] = _is_taken(moved, region)
        return region if self._moves_block[key] else None

    def _moved_with(self, call: BlockingCall) -> tuple[BlockingCall, ...]:
        region = self._region(call)
        return self._in_block(call, region.block).calls if region is not None else (call,)

    def _in_thread(self, call: BlockingCall) -> tuple[Fix | None, str]:
        syntax = self.files.syntax(call.caller.module)
        function = placement.function_at(syntax, call.caller.facts.position)
        if function is not None and self.analysis.config.fix.offload == PLAIN_DEF:
            fix = self.drop_async.plan(call, function)
            if fix is not None:
                return fix, ""
        fix = self.start_up.plan(call) if call.blocking.role is Role.LOAD else None
        if fix is not None:
            return fix, ""
        try:
            return self._plan(call, syntax, function)
        except NameTakenError as taken:
            return None, f"the file uses the name `{taken.name}` for something else"

    def _plan(self, call: BlockingCall, syntax: Syntax, function: Function | None) -> tuple[Fix | None, str]:
        region = self.regions.of(call)
        moved, why = self._moved(call, region) if region is not None else (None, "")
        if region is not None and _is_taken(moved, region):
            return moved, ""
        reason = self._obstacle(call) or self.safety.obstacle(call)
        node = syntax.at(call.position, ast.Call)
        if not reason and (function is None or node is None):
            return None, "the call could not be found in the file"
        if not reason and function is not None and node is not None:
            reason = placement.awaitable_at(syntax, node, function)
            if not reason:
                return self._awaited(call, syntax, node, function), ""
        return None, f"{reason} (not done here: {why})" if why else reason

    def _awaited(self, call: BlockingCall, syntax: Syntax, node: ast.Call, function: Function) -> Fix:
        """The fix that awaits the call itself."""
        needed = Needed(self.files)
        offloading = self._offloading(call, self._by_itself(call, function, node), needed)
        getting = self.getters.waiting(call)
        if getting:
            edits = _with_getter(syntax, node, offloading)
        else:
            wrapping = offloading.of(
                syntax.text(node.func), arguments=bool(node.args), keywords=bool(node.keywords)
            )
            parenthesised = placement.needs_parentheses(syntax, node)
            edits = style.rewritten(syntax, node, wrapping, parenthesised=parenthesised)
        doubt = self.safety.doubt(call, node, function, _workers(offloading.pool), getting)
        every = _all_edits(offloading, needed, edits, doubt)
        reason = doubt.reason or placement.awaited_again(syntax, node)
        if not reason and offloading.pool is not None and call.site is not None:
            inner = self.safety.reached.called(call.frame, call.site.call)
            reason = self.handoffs.queueing.held_up(call.frame, [call.site], inner)
        return self._made(call, offloading, every, reason, f"Await `{call.text}` {offloading.where}")

    def _moved(self, call: BlockingCall, region: Region) -> tuple[Fix | None, str]:
        """The fix that runs the block as one, or None and why it cannot be moved."""
        block, found = region.block, region.variables
        if isinstance(found, str):
            return None, found
        reason = self.safety.obstacle_of_block(call, block)
        if reason:
            return None, reason
        needed = Needed(self.files)
        calls = self._in_block(call, block).calls
        offloading = self._offloading(call, self._in_block(call, block), needed)
        name = self.names.of(call, block, {one.blocking.role for one in calls})
        doubt = self.safety.doubt_of_block(call, block, _workers(offloading.pool), calls)
        key = (block, name, offloading.form, offloading.pool, offloading.copies_context, bool(doubt.locks))
        if key not in self._blocks:  # the text of a block is one object for all the calls in it
            edit = moving.moved(block, found, name, offloading, calls)
            self._blocks[key] = _all_edits(offloading, needed, (edit,), doubt)
        title = f"Run the block with `{call.text}` {offloading.where}"
        reason = doubt.reason
        if not reason and offloading.pool is not None:
            reason = self._held_up(call, block)
        return self._made(call, offloading, self._blocks[key], reason, title), ""

    def _held_up(self, call: BlockingCall, block: Block) -> str:
        key = (call.frame, block)
        if key not in self._held:
            inner = self.safety.run_by(call.frame, block)
            self._held[key] = self.handoffs.queueing.held_up(
                call.frame, self._in_block(call, block).sites, inner
            )
        return self._held[key]

    def _in_block(self, call: BlockingCall, block: Block) -> Moved:
        key = (call.frame, block)
        if key not in self._in_blocks:  # one object for all the calls in it
            calls = tuple(self._calls_in(call.caller, block))
            sites = tuple(self.safety.sites(call.caller.facts, block))
            leading = self._leading(calls)
            self._in_blocks[key] = Moved(calls, sites, block.function, block.first_line, leading)
        return self._in_blocks[key]

    def _leading(self, calls: Sequence[BlockingCall]) -> BlockingCall | None:
        pooled = [call for call in calls if is_pooled(self.analysis, call)]
        return min(pooled, key=lambda call: bool(call.blocking.thread_safe), default=None)

    def _by_itself(self, call: BlockingCall, function: Function, node: ast.Call) -> Moved:
        """The call that moves by itself."""
        sites = (call.site,) if call.site is not None else ()
        leading = self._leading([call])
        return Moved((call,), sites, function, node.lineno, leading, keywords=bool(node.keywords))

    def _calls_in(self, caller: LoopBound, block: Block) -> Iterator[BlockingCall]:
        by_line = self._by_line.get(caller)
        if by_line is None:
            by_line = self._by_line[caller] = {}
            for call in self.analysis.blocking_calls_of(caller):
                by_line.setdefault(call.position.line, []).append(call)
        for line in range(block.first_line, block.last_line + 1):
            yield from (call for call in by_line.get(line, ()) if block.holds(call.position))

    def in_pool(
        self, call: BlockingCall, function: Function, line: int, pool: Pool, needed: Needed
    ) -> Offloading:
        """How a call is written that runs in the pool, whatever form the project uses."""
        imports, copies = needed.of(call.caller.module), self.contexts.may_read([call], ())
        python = self.analysis.pythons.of(call.caller.module.path)
        return Offloading(Form.RUN_IN_EXECUTOR, pool, copies, "", imports, function, line, python)

    def _offloading(self, call: BlockingCall, moved: Moved, needed: Needed) -> Offloading:
        form = self.forms.of(moved.leading or call, pooled=moved.leading is not None)
        imports, function = needed.of(call.caller.module), moved.function
        pool, copies = None, False
        python = self.analysis.pythons.of(call.caller.module.path)
        if form is Form.TO_THREAD and python < TO_THREAD_SINCE:
            copies = self.contexts.may_read(moved.calls, moved.sites)
        if form is Form.RUN_IN_EXECUTOR:
            copies = self.contexts.may_read(moved.calls, moved.sites)
            pool = self._pool(call, moved, needed, context=copies)
        also = self.forms.threadpool_modules if form is Form.RUN_IN_THREADPOOL else ()
        name = self.forms.project_name
        return Offloading(form, pool, copies, name, imports, function, moved.line, python, also)

    def _pool(self, call: BlockingCall, moved: Moved, needed: Needed, *, context: bool) -> Pool:
        """The pool, with the dispatcher where calls are written with one."""
        imports, function = needed.of(call.caller.module), moved.function
        if self.forms.dispatches:
            found = self.pools.dispatched(call, function, imports, keywords=moved.keywords, context=context)
            if found is not None:
                return found
        dispatch = self.forms.dispatches and self.makes_dispatcher(call)
        return self.pools.choose(call, function, needed.of, dispatch=dispatch)

    def makes_dispatcher(self, call: BlockingCall) -> bool:
        """Whether the calls of the service get a dispatcher: where several would be long without."""
        path = call.caller.module.path
        if path not in self._dispatching:
            wanted = self.forms.is_dispatcher_wanted or self._has_several(call)
            self._dispatching[path] = wanted and self.analysis.pythons.of(path) >= DISPATCHER_SINCE
        return self._dispatching[path]

    def _has_several(self, call: BlockingCall) -> bool:
        return self._makes_dispatchers and _are_several(place for _, place in self._long(call))

    def _long(self, call: BlockingCall) -> Iterator[tuple[BlockingCall, tuple[str, int]]]:
        """The calls of the service that would be long without a dispatcher, and where each is written."""
        for other in self.pools.companions(call):
            moved = self._moving(other)
            if moved is not None and (moved.keywords or self.contexts.may_read(moved.calls, moved.sites)):
                yield other, (other.caller.module.path, moved.line)

    def _moving(self, call: BlockingCall) -> Moved | None:
        """What moves with a call; None where it is not found in its file."""
        region = self.regions.of(call)
        if region is not None:
            return self._in_block(call, region.block)
        syntax = self.files.syntax(call.caller.module)
        function = placement.function_at(syntax, call.caller.facts.position)
        node = syntax.at(call.position, ast.Call)
        return None if function is None or node is None else self._by_itself(call, function, node)

    def _made(
        self,
        call: BlockingCall,
        offloading: Offloading,
        edits: tuple[Edit, ...],
        doubt: str,
        title: str,
    ) -> Fix:
        pool = offloading.pool
        change = self.add_async.plan(call.caller, offloading.function)
        at_once = self.surroundings.at_once(call) if _workers(pool) != 1 else ""
        reason = doubt or self._loaded_at_once(call) or change.doubt or self.copied(call, pool) or at_once
        applicability = Applicability.UNSAFE if reason else Applicability.SAFE
        every = tuple(dict.fromkeys((*edits, *change.edits)))
        return Fix(applicability, title, every, reason)

    def _waits_first(self, call: BlockingCall) -> bool:
        return bool(self.getters.waiting(call))

    def _has_pool(self, call: BlockingCall) -> bool:
        return self.pools.has(call)

    def _loaded_at_once(self, call: BlockingCall) -> str:
        """Why loads should not run beside each other: requests keep what they load until they infer."""
        blocking, small = call.blocking, policy.load().small_models
        if blocking.role is not Role.LOAD or not blocking.makes or blocking.library in small:
            return ""
        beside = self.analysis.blocking_calls_of(call.caller)
        if not any(other.blocking.role in COMPUTED for other in beside):
            return ""
        if self.analysis.is_kept(call.frame, blocking):
            return ""
        return (
            f"each request would have what `{call.text}` loads in memory while it waits for its turn to infer"
        )

    def _runs(self, call: BlockingCall) -> tuple[Iterable[Site], Iterable[Frame]]:
        """The calls that move with one, and the functions that they run."""
        region = self.regions.of(call)
        if region is not None:
            return self._in_block(call, region.block).sites, self.safety.run_by(call.frame, region.block)
        if call.site is None:
            return (), ()
        return (call.site,), self.safety.reached.called(call.frame, call.site.call)

    def _takes_pool(self, call: BlockingCall) -> bool:
        if self.forms.of(call, pooled=is_pooled(self.analysis, call)) is not Form.RUN_IN_EXECUTOR:
            return False
        region = self.regions.of(call)
        movable = region is not None and not isinstance(region.variables, str)
        return movable or not self._obstacle(call)

    def _takes_with(self, beside: OffloadPlanner, call: BlockingCall) -> bool:
        """Whether a safe fix moves the call to a pool; `beside` plans the fixes of all calls."""
        return beside._is_safe(call) and self._takes_pool(call)

    def _obstacle(self, call: BlockingCall) -> str:
        return placement.obstacle(self.analysis, call, may_await=self.add_async.may_await(call.caller))

    def copied(self, call: BlockingCall, pool: Pool | None) -> str:
        """Why a new global pool is in the way of the framework; empty if it is not."""
        imported = self.analysis.reach.libraries(call.caller.module.path) & policy.load().copied_to_workers
        if pool is None or not pool.is_new_global or not imported:
            return ""
        return f"{min(imported)} copies the code to its workers, which a pool in a global may prevent"


def _are_several(places: Iterable[tuple[str, int]]) -> bool:
    """Whether enough of the places differ; no more of them are looked at."""
    found: set[tuple[str, int]] = set()
    for place in places:
        found.add(place)
        if len(found) == SEVERAL:
            return True
    return False


def _with_getter(syntax: Syntax, node: ast.Call, offloading: Offloading) -> tuple[Edit, ...]:
    """The edits that run the call, with what gives its object, as a `lambda`."""
    wrapping = offloading.of(f"lambda: {syntax.text(node)}")
    parenthesised = placement.needs_parentheses(syntax, node)
    return (style.substituted(syntax, node, wrapping, parenthesised=parenthesised),)


def _all_edits(
    offloading: Offloading, needed: Needed, edits: tuple[Edit, ...], doubt: Doubt
) -> tuple[Edit, ...]:
    """The edits with those that make the pool and the locks, and import what they use."""
    pool = offloading.pool
    locks = [edit for lock in dict.fromkeys(doubt.locks) for edit in lock.edits(needed)]
    return needed.with_edits(pool.edits if pool is not None else (), locks, edits)


def _workers(pool: Pool | None) -> int | None:
    return pool.workers if pool is not None else None


def _is_taken(moved: Fix | None, region: Region) -> bool:
    """Whether the fix that moves the block is preferred to that of the call by itself."""
    return moved is not None and (not region.optional or moved.applicability is Applicability.SAFE)
