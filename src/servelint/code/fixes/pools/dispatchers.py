"""Coroutines that run any function in a thread: those that a project has, and the one that a fix writes.

async def in_inference_pool(function, /, *args, **kwargs):
    return await asyncio.get_running_loop().run_in_executor(
        inference_executor,
        contextvars.copy_context().run,
        functools.partial(function, *args, **kwargs),
    )
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from servelint.code.facts.facts import Call, Constant, FunctionFacts, Name, Site, last_name
from servelint.code.fixes.pools.services import Services
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.calls import argument
from servelint.knowledge.types import Offload

NAME = "in_inference_pool"
_TYPES = ("T", "_T")


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """An `async def` of the project that runs its first argument, with the others, in a pool of its own.

    `pool` is how it names the pool.
    """

    module: Module
    name: str
    pool: str
    takes_keywords: bool
    copies_context: bool


class Dispatchers:
    """Finds the dispatchers of one project."""

    def __init__(self, analysis: Analysis, files: Files, services: Services) -> None:
        self.analysis = analysis
        self.files = files
        self.services = services
        self._found: tuple[Dispatcher, ...] | None = None

    def of(self, module: Module) -> tuple[Dispatcher, str] | None:
        """The dispatcher for the file and the module to import it from, empty where it is its own.

        That is one of the file; else the only one of the service that the file can import.
        """
        if self._found is None:
            self._found = tuple(self._find())
        own = [found for found in self._found if found.module is module]
        if own:
            return own[0], ""
        reach = self.analysis.reach
        others = [
            (found, spelled)
            for found in self._found
            if found.module.path in reach.beside(module.path)
            and module.path not in reach.closure(found.module.path)
            and (spelled := self.services.spelled(module, found.module.path))
        ]
        return others[0] if len(others) == 1 else None

    def _find(self) -> Iterator[Dispatcher]:
        methods = self.analysis.frameworks.offload.methods
        for module in self.analysis.project.mentioning(m for m, o in methods.items() if o.pool is not None):
            for facts in module.facts.functions:
                if facts.is_async and not facts.decorators and facts.owner is None and facts.parent == 0:
                    made = self._dispatcher(module, facts)
                    if made is not None:
                        yield made

    def _dispatcher(self, module: Module, facts: FunctionFacts) -> Dispatcher | None:
        kinds = [parameter.kind for parameter in facts.parameters]
        if kinds not in (["positional", "*"], ["positional", "*", "**"]) or not self._runs_it(module, facts):
            return None
        syntax = self.files.syntax(module)
        function = function_at(syntax, facts.position)
        pools = {pool for site in facts.sites for pool in self._pools(site)}
        if function is None or len(pools) != 1 or not _returns_what_it_awaits(syntax, function):
            return None
        copies = any(last_name(site.call.function) == "copy_context" for site in facts.sites)
        return Dispatcher(module, facts.name, pools.pop(), "**" in kinds, copies)

    def _runs_it(self, module: Module, facts: FunctionFacts) -> bool:
        """Whether the function hands its first parameter to a thread."""
        called = Call(Name(facts.name), (Name(facts.parameters[0].name),), (), facts.position)
        handed = self.analysis.handoffs.of(self.analysis.evaluator.frame(module, 0), called)
        return handed is not None and handed.dispatched and handed.offload.awaitable

    def _pools(self, site: Site) -> Iterator[str]:
        """The pool that the call of an offload names; empty for the loop's own."""
        known: Offload | None = self.analysis.frameworks.offload.methods.get(last_name(site.call.function))
        if known is None or known.pool is None:
            return
        match argument(site.call, known.pool, "executor"):
            case Name(name):
                yield name
            case Constant() | None:
                yield ""


def _returns_what_it_awaits(syntax: Syntax, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    returned = [n.value for n in syntax.own_nodes(function) if isinstance(n, ast.Return)]
    return bool(returned) and all(isinstance(value, ast.Await) for value in returned)


class Member(Protocol):
    """How a file spells a member of a module that it imports."""

    def __call__(self, module: str, name: str, *, prefer_from: bool = False) -> str:
        """`module.name`, or `name` alone where `from module import name` is preferred."""
        ...


def written(pool: str, member: Member, syntax: Syntax | None, limit: int, *, typed: bool) -> tuple[str, str]:
    """The dispatcher for the pool, and what has to stand above it; raises `NameTakenError`.

    `syntax` is the file that it is for, None for a new one; `limit` its longest line.
    """
    variable = _variable(syntax) if typed else ""
    above, head = "", f"async def {NAME}(function, /, *args, **kwargs):"
    if variable:
        above = f'{variable} = {member("typing", "TypeVar", prefer_from=True)}("{variable}")\n'
        function = f"{member('collections.abc', 'Callable', prefer_from=True)}[..., {variable}]"
        given = f"function: {function}, /, *args: object, **kwargs: object"
        head = f"async def {NAME}({given}) -> {variable}:"
        if len(head) > limit:
            head = f"async def {NAME}(\n    {given}\n) -> {variable}:"
    return above, (
        f"{head}\n"
        '    """Run the function in the inference pool, in the caller\'s context."""\n'
        f"    return await {member('asyncio', 'get_running_loop')}().run_in_executor(\n"
        f"        {pool},\n"
        f"        {member('contextvars', 'copy_context')}().run,\n"
        f"        {member('functools', 'partial')}(function, *args, **kwargs),\n"
        "    )\n"
    )


def _variable(syntax: Syntax | None) -> str:
    """A name for the type that the function returns; empty where the file has taken all of them."""
    taken = {*syntax.names, *syntax.binders} if syntax is not None else set()
    return next((name for name in _TYPES if name not in taken), "")
