"""The call that runs a callable elsewhere, in the form that the project uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from servelint.code.fixes.pools.forms import THREADPOOL, Form
from servelint.code.fixes.pools.new_pool import Pool
from servelint.code.fixes.text.imports import Imports
from servelint.code.fixes.text.style import Wrapping
from servelint.code.fixes.text.syntax import Function

# The Python 3 that came with them.
TO_THREAD_SINCE = 9
_RUNNING_LOOP_SINCE = 7
_CONTEXTVARS_SINCE = 7


@dataclass(frozen=True, slots=True)
class Offloading:
    """How one call is offloaded: the form, with its pool if it takes one, in one function of one file."""

    form: Form
    pool: Pool | None
    copies_context: bool
    project_name: str
    imports: Imports
    function: Function
    line: int
    # The Python that the service may run on, by the second number of its version.
    python: int
    # Other modules from which `run_in_threadpool` is the same function.
    also: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """How people are told: "in `pool`", "with asyncio.to_thread"."""
        if self.pool is not None and self.pool.dispatcher:
            return f"with `{self.pool.dispatcher}`"
        if self.form is Form.TO_THREAD and self.python < TO_THREAD_SINCE:
            return "in the default executor"
        return f"in `{self.pool.text}`" if self.pool is not None else f"with {self.form.value}"

    def of(
        self, callee: str, *, arguments: bool = False, keywords: bool = False, awaited: bool = True
    ) -> Wrapping:
        """The call that runs `callee`, up to its arguments; without its `await` if that is there already.

        `arguments` says that it has some, `keywords` that some have names.
        """
        wrapping = self._of(callee, arguments=arguments, keywords=keywords)
        return replace(wrapping, head=f"await {wrapping.head}") if awaited else wrapping

    def _of(self, callee: str, *, arguments: bool, keywords: bool) -> Wrapping:
        match self.form:
            case Form.TO_THREAD if self.python >= TO_THREAD_SINCE:
                return Wrapping(self._member("asyncio", "to_thread"), (callee,))
            case Form.RUN_IN_THREADPOOL:
                name = self._member(*THREADPOOL, named=True, also=self.also)
                return Wrapping(name, (callee,))
            case Form.PROJECT:
                module, _, name = self.project_name.rpartition(".")
                return Wrapping(self._member(module, name, named=True), (callee,))
            case Form.ANYIO:
                return self._positional(
                    f"{self._member('anyio', 'to_thread')}.run_sync", (), callee, partial=keywords
                )
        if self.pool is not None and self.pool.dispatcher:
            return Wrapping(self.pool.dispatcher, (callee,))
        # In a coroutine both give the loop that runs it.
        loop = "get_running_loop" if self.python >= _RUNNING_LOOP_SINCE else "get_event_loop"
        head, pool = f"{self._member('asyncio', loop)}().run_in_executor", str(self.pool and self.pool.text)
        if not self.copies_context or self.python < _CONTEXTVARS_SINCE:
            return self._positional(head, (pool,), callee, partial=keywords)
        # Type checkers cannot follow the arguments through two calls that pass them on, hence `partial`.
        run = f"{self._member('contextvars', 'copy_context')}().run"
        return self._positional(head, (pool, run), callee, partial=arguments or keywords)

    def _positional(self, head: str, before: tuple[str, ...], callee: str, *, partial: bool) -> Wrapping:
        """A call of what takes no keyword arguments for the callee."""
        if partial:
            inner = Wrapping(self._member("functools", "partial"), (callee,))
            return Wrapping(head, before, inner)
        return Wrapping(head, (*before, callee))

    def _member(self, module: str, name: str, *, named: bool = False, also: Sequence[str] = ()) -> str:
        return self.imports.member(module, name, self.function, line=self.line, prefer_from=named, also=also)
