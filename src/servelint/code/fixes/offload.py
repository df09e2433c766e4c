"""The fix for a blocking call: await it in a thread.

    await asyncio.get_running_loop().run_in_executor(app.state.inference_executor, predictor.predict, payload)

The rewrite is a few text edits at exact positions; everything else in the file stays as it is. It is safe
where `safety` finds no reason against it, unsafe where it does, and left to a person where `placement`
says that there can be no `await`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from servelint.code.analysis import Analysis, BlockingCall
from servelint.code.fixes import placement, policy, style
from servelint.code.fixes.files import Files
from servelint.code.fixes.forms import Form, Forms
from servelint.code.fixes.imports import Imports, NameTakenError
from servelint.code.fixes.new_pool import Pool
from servelint.code.fixes.pool import Pools
from servelint.code.fixes.safety import Safety
from servelint.code.fixes.style import Wrapping
from servelint.code.fixes.syntax import Function, Syntax
from servelint.code.project import Module
from servelint.finding import Applicability, Edit, Fix


@dataclass(slots=True)
class _Needed:
    """The imports that one fix needs, by file."""

    files: Files
    found: dict[str, Imports] = field(default_factory=dict)

    def of(self, module: Module) -> Imports:
        if module.path not in self.found:
            self.found[module.path] = self.files.imports(module)
        return self.found[module.path]

    def edits(self) -> list[Edit]:
        return [edit for imports in self.found.values() for edit in imports.edits()]


class OffloadPlanner:
    """Plans the fixes of one project."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.files = Files(analysis)
        self.forms = Forms(analysis)
        self.pools = Pools(analysis, self.files, self._takes_pool)
        self.safety = Safety(analysis, self.files)

    def plan(self, call: BlockingCall) -> tuple[Fix | None, str]:
        """The fix for the call, or None and why there is none."""
        reason = placement.obstacle(self.analysis, call) or self.safety.obstacle(call)
        if reason:
            return None, reason
        syntax = self.files.syntax(call.caller.module)
        function = placement.function_at(syntax, call.caller.facts.position)
        node = syntax.at(call.position, ast.Call)
        if function is None or node is None:
            return None, "the call could not be found in the file"
        reason = placement.awaitable_at(syntax, node, function)
        if reason:
            return None, reason
        try:
            return self._fix(call, syntax, node, function), ""
        except NameTakenError as taken:
            return None, f"the file uses the name `{taken.name}` for something else"

    def _takes_pool(self, call: BlockingCall) -> bool:
        form = self.forms.of(call.caller.module)
        return form is Form.RUN_IN_EXECUTOR and not placement.obstacle(self.analysis, call)

    def _fix(self, call: BlockingCall, syntax: Syntax, node: ast.Call, function: Function) -> Fix:
        needed = _Needed(self.files)
        form = self.forms.of(call.caller.module)
        pool = self.pools.choose(call, function, needed.of) if form is Form.RUN_IN_EXECUTOR else None
        keeps = form is not Form.RUN_IN_EXECUTOR or not self._reads_context(call)
        writer = _Writer(syntax, node, function, needed.of(call.caller.module), form, self.forms.project_name)
        edits = writer.edits(pool, copies_context=not keeps)
        workers = pool.workers if pool is not None else None
        doubt = self.safety.doubt(call, node, function, workers) or self._copied(call, pool)
        where = f"in `{pool.text}`" if pool is not None else f"with {form.value}"
        return Fix(
            Applicability.UNSAFE if doubt else Applicability.SAFE,
            f"Await `{call.text}` {where}",
            merged((*needed.edits(), *(pool.edits if pool is not None else ()), *edits)),
            doubt,
        )

    def _copied(self, call: BlockingCall, pool: Pool | None) -> str:
        """Why a new global pool is in the way of the framework; empty if it is not."""
        imported = self.analysis.reach.libraries(call.caller.module) & policy.load().copied_to_workers
        if pool is None or not pool.is_new_global or not imported:
            return ""
        return f"{min(imported)} copies the code to its workers, which a pool in a global may prevent"

    def _reads_context(self, call: BlockingCall) -> bool:
        """Whether code that the call may reach reads context variables: trace ids, request ids."""
        modules = {call.caller.module.path, *(hop.path for hop in call.blocking.hops)}
        wanted = policy.load().context_modules
        for path in sorted(modules):
            module = self.analysis.project.module(path)
            for inner in self.analysis.reach.closure(module) if module is not None else ():
                other = self.analysis.project.module(inner)
                if other is not None and self.analysis.reach.libraries(other) & wanted:
                    return True
        return False


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one call anew."""

    syntax: Syntax
    node: ast.Call
    function: Function
    imports: Imports
    form: Form
    project_name: str

    def edits(self, pool: Pool | None, *, copies_context: bool) -> tuple[Edit, ...]:
        """The edits at the call itself."""
        wrapping = self._pooled(pool, copies_context=copies_context) if pool is not None else self._other()
        wrapping = replace(wrapping, head=f"await {wrapping.head}")
        parenthesised = placement.needs_parentheses(self.syntax, self.node)
        return style.rewritten(self.syntax, self.node, wrapping, parenthesised=parenthesised)

    def _pooled(self, pool: Pool, *, copies_context: bool) -> Wrapping:
        head = f"{self._member('asyncio', 'get_running_loop')}().run_in_executor"
        if not copies_context:
            return self._positional(head, (pool.text,))
        # Type checkers cannot follow the arguments through two calls that pass them on, hence `partial`.
        run = f"{self._member('contextvars', 'copy_context')}().run"
        return self._positional(head, (pool.text, run), partial=bool(self.node.args))

    def _other(self) -> Wrapping:
        callee = (self.syntax.text(self.node.func),)
        match self.form:
            case Form.TO_THREAD:
                return Wrapping(self._member("asyncio", "to_thread"), callee)
            case Form.RUN_IN_THREADPOOL:
                return Wrapping(
                    self._member("starlette.concurrency", "run_in_threadpool", named=True), callee
                )
            case Form.PROJECT:
                module, _, name = self.project_name.rpartition(".")
                return Wrapping(self._member(module, name, named=True), callee)
        return self._positional(f"{self._member('anyio', 'to_thread')}.run_sync", ())

    def _positional(self, head: str, before: tuple[str, ...], *, partial: bool = False) -> Wrapping:
        """A call of what takes no keyword arguments for the callee."""
        callee = self.syntax.text(self.node.func)
        if partial or self.node.keywords:
            return Wrapping(head, before, Wrapping(self._member("functools", "partial"), (callee,)))
        return Wrapping(head, (*before, callee))

    def _member(self, module: str, name: str, *, named: bool = False) -> str:
        return self.imports.member(module, name, self.function, prefer_from=named)


def merged(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits with those that insert at the same place made one, in the order given."""
    found: list[Edit] = []
    for edit in edits:
        same = next((n for n, other in enumerate(found) if other.span == edit.span and _inserts(edit)), None)
        if same is None:
            found.append(edit)
        else:
            found[same] = Edit(edit.span, found[same].content + edit.content)
    return tuple(sorted(found, key=lambda edit: edit.span))


def _inserts(edit: Edit) -> bool:
    return (edit.span.line, edit.span.column) == (edit.span.end_line, edit.span.end_column)
