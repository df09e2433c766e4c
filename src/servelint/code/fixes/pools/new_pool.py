"""The pool that a fix makes: one for a service, wherever all of its calls can reach it.

That is the application's state, filled in the lifespan; else a global of the only file that needs it, or of a
module of its own that several files import.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from servelint.code.facts.facts import Call, last_name
from servelint.code.fixes.pools import dispatchers
from servelint.code.fixes.pools.lifespan import Lifespans
from servelint.code.fixes.pools.services import Services
from servelint.code.fixes.pools.sizing import Size, Sizes
from servelint.code.fixes.pools.unstarted import Unstarted
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.header import above_definitions, below_imports
from servelint.code.fixes.text.imports import Imports, NameTakenError, Wanted
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.style import fitted, length_in, line_length
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import External, plain
from servelint.finding import Edit, Span

if TYPE_CHECKING:
    from servelint.code.fixes.text.files import Files

ImportsOf: TypeAlias = Callable[[Module], Imports]

# The attribute of the state, the module of its own and the global in it.
NAME = "inference_executor"
PRIVATE_NAME = f"_{NAME}"
# What a file's pool is called where it uses that name for something else.
OTHER_NAME = "_inference_threads"
_AROUND_FUNCTIONS = 2  # empty lines
MODULE, CLASS = "concurrent.futures", "ThreadPoolExecutor"


@dataclass(frozen=True, slots=True)
class Pool:
    """How the call spells the pool, its size (None where that is not known), and the edits that make it.

    `is_new_global` says that the edits make a global. `dispatcher` is the coroutine that runs a function in
    the pool, empty where each call does so itself.
    """

    text: str
    workers: int | None
    edits: tuple[Edit, ...] = ()
    is_new_global: bool = False
    dispatcher: str = ""


class NewPools:
    """Makes pools for one project."""

    def __init__(self, analysis: Analysis, files: Files, lifespans: Lifespans, services: Services) -> None:
        self.analysis = analysis
        self.files = files
        self.lifespans = lifespans
        self.services = services
        self.sizes = Sizes(analysis)
        self.unstarted = Unstarted(analysis, files)
        self.policy = policy.load()
        self._services: dict[str, tuple[bool, frozenset[str]]] = {}

    def make(
        self,
        call: BlockingCall,
        function: Function,
        companions: Sequence[BlockingCall],
        imports: ImportsOf,
        *,
        dispatch: bool,
    ) -> Pool:
        """The pool for the call and its companions in the service. Raises `NameTakenError`.

        With `dispatch` there is a dispatcher beside it, if there is a place that all of them reach.
        """
        pool = self._in_constructor(call, imports)
        if pool is not None:
            return pool
        reached, others = self._of_service(call.caller.module.path, companions)
        everyone = {call.caller.module.path, *others}
        users = self._together(everyone, call.caller.module.path)
        several = len(users) < len(everyone)
        dispatch = dispatch and not (several and reached)
        lifespan = self.lifespans.reaching(call.caller.module) if reached else None
        alone = lifespan is not None and users == [lifespan.module.path] and bool(lifespan.application)
        if reached and self._finds(call) and (alone or not dispatch):
            pool = self._in_lifespan(call, imports, dispatch=dispatch)
            if pool is not None:
                return pool
        if len(users) > 1:
            pool = self._in_module_of_its_own(call, function, users, imports, dispatch=dispatch)
            if pool is not None:
                return replace(pool, workers=None) if several else pool
        if dispatch and len(users) > 1:
            return self.make(call, function, companions, imports, dispatch=False)
        pool = self._in_file(call, imports, dispatch=dispatch)
        return replace(pool, workers=None) if several else pool  # the pools together run several at once

    def _together(self, paths: set[str], path: str) -> list[str]:
        """The files that share a pool with the file: it alone where no one form of import always works."""
        modules = {one: self.analysis.evaluator.module(one) for one in paths}
        if self.services.is_imported_both_ways(modules[path]):
            return [path]
        return sorted(
            one for one, m in modules.items() if one == path or not self.services.is_imported_both_ways(m)
        )

    def _of_service(self, path: str, companions: Sequence[BlockingCall]) -> tuple[bool, frozenset[str]]:
        """Whether all companions of a file's calls find a pool on the application's state; their files."""
        if path not in self._services:
            reached = all(self._finds(other) for other in companions)
            self._services[path] = reached, frozenset(other.caller.module.path for other in companions)
        return self._services[path]

    def _finds(self, call: BlockingCall) -> bool:
        """Whether the function reaches the application's state, and nobody calls it before that is filled."""
        module = call.caller.module
        lifespan = self.lifespans.reaching(module) if self.lifespans.state(call) else None
        return lifespan is not None and not self.unstarted.runs(module, lifespan.module)

    def _in_lifespan(self, call: BlockingCall, imports: ImportsOf, *, dispatch: bool) -> Pool | None:
        lifespan = self.lifespans.reaching(call.caller.module)
        if lifespan is None:
            return None
        home = lifespan.module
        size = self.sizes.of([home])
        made = self.lifespans.start_and_stop(
            lifespan, NAME, lambda function: _construction(size, imports(home), function), size.comment
        )
        if made is None:
            return None
        text = f"{self.lifespans.state(call)}.{NAME}"
        syntax = self.files.syntax(home)
        if not dispatch or not _is_free(syntax):
            return Pool(text, size.workers, made)
        above, function = dispatchers.written(
            f"{lifespan.application}.state.{NAME}",
            imports(home).member,
            syntax,
            line_length(syntax),
            typed=syntax.is_typed,
        )
        definition = function_at(syntax, home.function(lifespan.index).position)
        last = syntax.last_line(definition) if definition is not None else None
        text_above = f"\n\n{above}\n\n" if above else "\n\n"
        beside = _below(syntax, last or 1, text_above + function, _AROUND_FUNCTIONS)
        return Pool(text, size.workers, (*made, beside), dispatcher=dispatchers.NAME)

    def _in_constructor(self, call: BlockingCall, imports: ImportsOf) -> Pool | None:
        """An attribute of the object, where a framework makes the object in the process that serves.

        Such a framework copies the code to that process, and a pool in a global cannot be copied.
        """
        module, facts = call.caller.module, call.caller.facts
        if facts.owner is None or not facts.parameters or not self._is_made_in_worker(module, facts.owner):
            return None
        if {last_name(decorator) for decorator in facts.decorators} & {"staticmethod", "classmethod"}:
            return None
        made = module.facts.classes[facts.owner].methods.get("__init__")
        syntax = self.files.syntax(module)
        constructor = function_at(syntax, module.function(made).position) if made is not None else None
        if constructor is None or not constructor.args.args or PRIVATE_NAME in syntax.attributes:
            return None
        first, last = constructor.body[0], syntax.last_line(constructor)
        if any(isinstance(node, ast.Return) for node in syntax.own_nodes(constructor)):
            return None
        if syntax.source.line(first.lineno)[: first.col_offset].strip():
            return None  # it stands on the line of the `def`
        size = self.sizes.of([module])
        indent = syntax.indent(first.lineno)
        receiver = constructor.args.args[0].arg
        text = f"{indent}{receiver}.{PRIVATE_NAME} = {_construction(size, imports(module), constructor)}"
        comment = f"{indent}{size.comment}\n" if size.comment else ""
        place = syntax.line_start(last + 1)
        edit = syntax.edit(place, place, f"{comment}{fitted(text, line_length(syntax))}\n")
        return Pool(f"{facts.parameters[0].name}.{PRIVATE_NAME}", size.workers, (edit,))

    def _is_made_in_worker(self, module: Module, owner: int) -> bool:
        frame = self.analysis.evaluator.frame(module, 0)
        for decorator in module.facts.classes[owner].decorators:
            named = decorator.function if isinstance(decorator, Call) else decorator
            for value, _ in plain(self.analysis.evaluator.evaluate(frame, named)):
                if isinstance(value, External) and self.policy.made_in_workers.find(value.name):
                    return True
        return False

    def _in_module_of_its_own(
        self,
        call: BlockingCall,
        function: Function,
        users: Sequence[str],
        imports: ImportsOf,
        *,
        dispatch: bool,
    ) -> Pool | None:
        """A global of a new file that imports nothing of the project, so that all can import it.

        None where one of them could not, or where the file's name is taken.
        """
        modules = [self.analysis.evaluator.module(path) for path in users]
        home = self.services.folder(modules) / f"{NAME}.py"
        spelled = {m.path: self.services.spelled(m, str(home)) for m in modules}
        if not all(spelled.values()) or self.analysis.project.has_module(str(home.with_suffix(""))):
            return None
        syntaxes = [self.files.syntax(module) for module in modules]
        dispatch = dispatch and all(map(_is_free, syntaxes))
        size = self.sizes.of(modules)
        needed, name = imports(call.caller.module), spelled[call.caller.module.path]
        needed.new_module(name)
        wanted = dispatchers.NAME if dispatch else NAME
        text = needed.member(name, wanted, function, prefer_from=True)
        typed = any(syntax.is_typed for syntax in syntaxes)
        content = _new_file(size, length_in(home.parent), dispatch=dispatch, typed=typed)
        made = (Edit(Span(home, 1, 1, 1, 1), content),)
        if dispatch:
            return Pool(NAME, size.workers, made, is_new_global=True, dispatcher=text)
        return Pool(text, size.workers, made, is_new_global=True)

    def _in_file(self, call: BlockingCall, imports: ImportsOf, *, dispatch: bool) -> Pool:
        """A global of the call's file."""
        module = call.caller.module
        syntax = self.files.syntax(module)
        name = next((name for name in (PRIVATE_NAME, OTHER_NAME) if name not in syntax.names), None)
        if name is None:
            raise NameTakenError(PRIVATE_NAME)
        size = self.sizes.of([module])
        made = f"{name} = {_construction(size, imports(module), None)}"
        comment = f"{size.comment}\n" if size.comment else ""
        content = f"{comment}{fitted(made, line_length(syntax))}\n"
        if not dispatch or not _is_free(syntax):
            edit = _after_imports(syntax, content)
            return Pool(name, size.workers, (edit,), is_new_global=True)
        typed = syntax.is_typed
        above, function = dispatchers.written(
            name, imports(module).member, syntax, line_length(syntax), typed=typed
        )
        edit = _above_definitions(syntax, f"{content}{above}\n\n{function}")
        return Pool(name, size.workers, (edit,), is_new_global=True, dispatcher=dispatchers.NAME)


def _is_free(syntax: Syntax) -> bool:
    """Whether the file has no other use for the name of the dispatcher."""
    return dispatchers.NAME not in syntax.names and dispatchers.NAME not in syntax.binders


def _new_file(size: Size, limit: int, *, dispatch: bool, typed: bool) -> str:
    """The module for the pool, with the dispatcher if there is to be one."""
    wanted = [(MODULE, CLASS)]

    def member(module: str, name: str, *, prefer_from: bool = False) -> str:
        wanted.append((module, name if prefer_from else ""))
        return name if prefer_from else f"{module}.{name}"

    above, function = dispatchers.written(NAME, member, None, limit, typed=typed) if dispatch else ("", "")
    lines = sorted({Wanted(module, name) for module, name in wanted}, key=lambda w: (bool(w.name), w))
    comment = f"{size.comment}\n" if size.comment else ""
    return (
        '"""The thread pool in which the service runs its models."""\n\n'
        + "".join(line.line for line in lines)
        + f"\n{comment}{NAME} = {_made(CLASS, size)}\n{above}"
        + (f"\n\n{function}" if function else "")
    )


def _construction(size: Size, imports: Imports, function: Function | None) -> str:
    return _made(imports.member(MODULE, CLASS, function, prefer_from=True), size)


def _made(cls: str, size: Size) -> str:
    return f'{cls}(max_workers={size.workers}, thread_name_prefix="inference")'


def _after_imports(syntax: Syntax, content: str, blank: int = 1) -> Edit:
    """The edit that puts the lines below the file's imports, with `blank` empty lines after them."""
    above = below_imports(syntax)
    if above is None:
        return _before_first(syntax, content, blank)
    return _below_statement(syntax, above, content, blank)


def _above_definitions(syntax: Syntax, content: str) -> Edit:
    """The edit that puts the lines, with a function in them, below all that stands above definitions."""
    above = above_definitions(syntax)
    if not above:
        return _before_first(syntax, content, _AROUND_FUNCTIONS)
    return _below_statement(syntax, above[-1], content, _AROUND_FUNCTIONS)


def _below_statement(syntax: Syntax, above: ast.stmt, content: str, blank: int) -> Edit:
    last = syntax.last_line(above)
    before = "\n" if syntax.source.text[syntax.line_start(last + 1) - 1] in "\r\n" else "\n\n"
    return _below(syntax, last, before + content, blank)


def _below(syntax: Syntax, line: int, content: str, blank: int) -> Edit:
    """The edit that puts the lines below the line, and `blank` empty lines between them and what follows."""
    place = syntax.line_start(line + 1)
    following = (number for number in range(blank) if syntax.source.line(line + 1 + number).strip())
    missing = blank - next(following, blank)
    return syntax.edit(place, place, content + "\n" * missing)


def _before_first(syntax: Syntax, content: str, blank: int) -> Edit:
    """The edit for a file that begins with neither text nor imports: above its first statement."""
    body = syntax.tree.body
    place = syntax.line_start(syntax.above_comments(syntax.first_line(body[0]))) if body else 0
    return syntax.edit(place, place, content + "\n" * blank)
