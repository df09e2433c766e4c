"""The pool that a fix makes: one for a service, wherever all of its calls can reach it.

That is the application's state, filled in the lifespan; else a global of the only file that needs it, or of a
module of its own that several files import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from servelint.code.fixes.pools.lifespan import Lifespans
from servelint.code.fixes.pools.services import Services
from servelint.code.fixes.pools.sizing import Size, Sizes
from servelint.code.fixes.text.header import header
from servelint.code.fixes.text.imports import Imports, NameTakenError
from servelint.code.fixes.text.style import fitted, line_length
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.finding import Edit, Span

if TYPE_CHECKING:
    from servelint.code.fixes.text.files import Files

ImportsOf: TypeAlias = Callable[[Module], Imports]

# The attribute of the state, the module of its own and the global in it.
NAME = "inference_executor"
PRIVATE_NAME = f"_{NAME}"
MODULE, CLASS = "concurrent.futures", "ThreadPoolExecutor"


@dataclass(frozen=True, slots=True)
class Pool:
    """How the call spells the pool, its size (None where that is not known), and the edits that make it.

    `is_new_global` says that the edits make a global.
    """

    text: str
    workers: int | None
    edits: tuple[Edit, ...] = ()
    is_new_global: bool = False


class NewPools:
    """Makes pools for one project."""

    def __init__(self, analysis: Analysis, files: Files, lifespans: Lifespans, services: Services) -> None:
        self.analysis = analysis
        self.files = files
        self.lifespans = lifespans
        self.services = services
        self.sizes = Sizes(analysis)
        self._services: dict[str, tuple[bool, frozenset[str]]] = {}

    def make(
        self, call: BlockingCall, function: Function, companions: Sequence[BlockingCall], imports: ImportsOf
    ) -> Pool:
        """The pool for the call and its companions in the service. Raises `NameTakenError`."""
        reached, others = self._of_service(call.caller.module.path, companions)
        if reached and self.lifespans.state(call):
            pool = self._in_lifespan(call, imports)
            if pool is not None:
                return pool
        users = sorted({call.caller.module.path, *others})
        pool = self._in_module_of_its_own(call, function, users, imports) if len(users) > 1 else None
        return pool or self._in_file(call, imports)

    def _of_service(self, path: str, companions: Sequence[BlockingCall]) -> tuple[bool, frozenset[str]]:
        """Whether all companions of a file's calls reach the application's state; the files they are in."""
        if path not in self._services:
            reached = all(self.lifespans.state(other) for other in companions)
            self._services[path] = reached, frozenset(other.caller.module.path for other in companions)
        return self._services[path]

    def _in_lifespan(self, call: BlockingCall, imports: ImportsOf) -> Pool | None:
        lifespan = self.lifespans.reaching(call.caller.module)
        if lifespan is None:
            return None
        home = lifespan.module
        size = self.sizes.of([home])
        made = self.lifespans.start_and_stop(
            lifespan, NAME, lambda function: _construction(size, imports(home), function), size.comment
        )
        return Pool(f"{self.lifespans.state(call)}.{NAME}", size.workers, made) if made is not None else None

    def _in_module_of_its_own(
        self, call: BlockingCall, function: Function, users: Sequence[str], imports: ImportsOf
    ) -> Pool | None:
        """A global of a new file that imports nothing of the project, so that all can import it.

        None where one of them could not, or where the file's name is taken.
        """
        modules = [self.analysis.evaluator.module(path) for path in users]
        home = self.services.folder(modules) / f"{NAME}.py"
        spelled = {m.path: self.services.spelled(m, str(home)) for m in modules}
        if not all(spelled.values()) or self.analysis.project.has_module(str(home.with_suffix(""))):
            return None
        size = self.sizes.of(modules)
        needed, name = imports(call.caller.module), spelled[call.caller.module.path]
        needed.new_module(name)
        text = needed.member(name, NAME, function, prefer_from=True)
        comment = f"{size.comment}\n" if size.comment else ""
        content = (
            '"""The thread pool in which the service runs its models."""\n\n'
            f"from {MODULE} import {CLASS}\n\n"
            f"{comment}{NAME} = {_made(CLASS, size)}\n"
        )
        return Pool(text, size.workers, (Edit(Span(home, 1, 1, 1, 1), content),), is_new_global=True)

    def _in_file(self, call: BlockingCall, imports: ImportsOf) -> Pool:
        """A global of the call's file."""
        module = call.caller.module
        syntax = self.files.syntax(module)
        if PRIVATE_NAME in syntax.names:
            raise NameTakenError(PRIVATE_NAME)
        size = self.sizes.of([module])
        made = f"{PRIVATE_NAME} = {_construction(size, imports(module), None)}"
        comment = f"{size.comment}\n" if size.comment else ""
        edit = _after_imports(syntax, f"{comment}{fitted(made, line_length(syntax))}\n")
        return Pool(PRIVATE_NAME, size.workers, (edit,), is_new_global=True)


def _construction(size: Size, imports: Imports, function: Function | None) -> str:
    return _made(imports.member(MODULE, CLASS, function, prefer_from=True), size)


def _made(cls: str, size: Size) -> str:
    return f'{cls}(max_workers={size.workers}, thread_name_prefix="inference")'


def _after_imports(syntax: Syntax, content: str) -> Edit:
    """The edit that puts the lines below the head of the file, an empty line between."""
    head = header(syntax)
    if not head:
        return _before_first(syntax, content)
    line = (head[-1].end_lineno or head[-1].lineno) + 1
    place = syntax.line_start(line)
    before = "\n" if syntax.source.text[place - 1] in "\r\n" else "\n\n"
    after = "\n" if syntax.source.line(line).strip() else ""
    return syntax.edit(place, place, before + content + after)


def _before_first(syntax: Syntax, content: str) -> Edit:
    """The edit for a file that begins with neither text nor imports: above its first statement."""
    body = syntax.tree.body
    place = syntax.line_start(syntax.first_line(body[0])) if body else 0
    return syntax.edit(place, place, f"{content}\n")
