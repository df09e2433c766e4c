"""Long work that is no finding, and that a fix of the same function leaves on the event loop.

subprocess.run(["ffmpeg", "-i", path, wave])
text = await asyncio.to_thread(model.transcribe, wave)

The loop is blocked as before while the first line runs. So it is by what a coroutine of the project does
that the function awaits (`audio = await fetched(url)`): it runs on the loop as well.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from typing import NamedTuple

from servelint.code.facts.facts import Position, Site, dotted, last_name
from servelint.code.fixes.beside.ways import is_handling, runs_with, within
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import (
    External,
    ExternalObject,
    Frame,
    FunctionReference,
    LibraryMethod,
    plain,
)
from servelint.knowledge.types import Role

# So much of it is looked at for each call: what is long is mostly so for all of them.
MAXIMUM_WORK = 20
# So many coroutines deep it is looked for: one that awaits one that awaits one.
MAXIMUM_DEPTH = 3
_LOOPS = (ast.For, ast.While)


class Work(NamedTuple):
    """Something that takes long, where it stands and how it is written."""

    node: ast.AST
    position: Position
    text: str


class Staying:
    """Finds the long work in one project.

    `region` tells which block moves with a call, `stays` whether a call has no safe fix of its own.
    """

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        region: Callable[[BlockingCall], Region | None],
        stays: Callable[[BlockingCall], bool],
    ) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()
        self._region = region
        self._has_no_fix = stays
        self._work: dict[Frame, tuple[Work, ...]] = {}
        self._inside: dict[Frame, str] = {}
        self._awaited: dict[tuple[Frame, int], str] = {}
        self._told_in: dict[str, dict[int, list[BlockingCall]]] = {}

    def doubt(self, call: BlockingCall) -> str:
        """What the fix of the call leaves on the event loop; empty for nothing."""
        work = self._of(call)
        if not work:
            return ""
        syntax = self.files.syntax(call.caller.module)
        node = syntax.at(call.position, ast.expr)
        region = self._region(call)
        for one in work:
            moves = region is not None and region.block.holds(one.position)
            if not moves and node is not None and runs_with(syntax, one.node, node):
                here = call.caller.facts.name
                return f"line {one.position.line} of `{here}` stays on the event loop (`{one.text}`)"
        return ""

    def _of(self, call: BlockingCall) -> tuple[Work, ...]:
        if call.frame not in self._work:
            found: list[Work] = []
            syntax = self.files.syntax(call.caller.module)
            for position, text in self._places(call.frame):
                node = syntax.at(position, ast.expr)
                if node is not None and not is_handling(syntax, node):
                    found.append(Work(node, position, text))
                if len(found) == MAXIMUM_WORK:
                    break
            self._work[call.frame] = tuple(found)
        return self._work[call.frame]

    def _places(self, frame: Frame) -> Iterator[tuple[Position, str]]:
        """Where the function waits, or works, for long, and is no finding for that already."""
        facts = self.analysis.evaluator.facts(frame)
        for site in facts.sites:
            if self._stays(frame, site) and self._is_long(frame, site):
                yield site.call.position, f"{dotted(site.call.function)}()"
            elif site.use == "await":
                inside = self._awaits(frame, site, MAXIMUM_DEPTH)
                if inside:
                    yield site.call.position, inside
        for iteration in facts.iterations:
            if self.analysis.waits.iteration(frame, iteration) is not None:
                yield iteration.position, dotted(iteration.iterable)

    def _stays(self, frame: Frame, site: Site) -> bool:
        """Whether the call runs where the function does."""
        return (
            site.use not in ("await", "async")
            and not site.is_off_loop
            and self.analysis.evaluator.branches.may_run(frame, site)
        )

    def _is_long(self, frame: Frame, site: Site) -> bool:
        if self.analysis.judge.site(frame, site) is not None:
            return False
        wait = self.analysis.waits.of(frame, site)
        if wait is not None:
            return not wait.excuse
        return self._is_known(frame, site) or self._calls_known(frame, site)

    def _is_known(self, frame: Frame, site: Site) -> bool:
        """Whether it is a call of a library that takes long."""
        evaluator, function = self.analysis.evaluator, site.call.function
        names = self.policy.long_calls.last_names() | self.policy.long_in_loops.last_names()
        verb = last_name(function).partition("_")[0]
        if verb not in self.policy.long_of_clients and not evaluator.module(frame.module).may_call(
            function, names
        ):
            return False
        for value, _ in plain(evaluator.calls.callees(frame, site.call)):
            if isinstance(value, External | ExternalObject):
                if self.policy.long_calls.find(value.name):
                    return True
                if self.policy.long_in_loops.find(value.name) and self._is_in_loop(frame, site):
                    return True
            elif isinstance(value, LibraryMethod) and self._is_of_client(value, verb):
                return True
        return False

    def _is_of_client(self, method: LibraryMethod, verb: str) -> bool:
        """Whether the catalogue does not list the method, but only such as ask a service."""
        known = tuple(self.analysis.catalogue.lineage(method.type))
        if verb not in self.policy.long_of_clients or any(method.method in each.methods for each in known):
            return False
        roles = {listed.role for each in known for listed in each.methods.values()}
        return roles - {Role.CHEAP} == {Role.REMOTE}

    def _is_in_loop(self, frame: Frame, site: Site) -> bool:
        syntax = self.files.syntax(self.analysis.evaluator.module(frame.module))
        node = syntax.at(site.call.position, ast.Call)
        return node is not None and any(isinstance(outer, _LOOPS) for outer, _ in within(syntax, node))

    def _calls_known(self, frame: Frame, site: Site) -> bool:
        """Whether a plain function of the project that is called makes such a call, whatever it is given."""
        evaluator = self.analysis.evaluator
        for value, certain in plain(evaluator.calls.callees(frame, site.call)):
            if not certain or not isinstance(value, FunctionReference):
                continue
            facts = evaluator.facts(value)
            if not facts.is_async and not facts.is_generator:
                inner = evaluator.calls.enter(value, frame, site.call)
                if inner not in self._inside:
                    self._inside[inner] = self._first_inside(inner)
                if self._inside[inner]:
                    return True
        return False

    def _first_inside(self, frame: Frame) -> str:
        """The first such call that the function makes on its usual way; empty where it makes none."""
        syntax = self.files.syntax(self.analysis.evaluator.module(frame.module))
        for site in self.analysis.evaluator.facts(frame).sites:
            if self._stays(frame, site) and self._is_known(frame, site):
                node = syntax.at(site.call.position, ast.Call)
                if node is not None and not is_handling(syntax, node) and not _is_optional(syntax, node):
                    return dotted(site.call.function)
        return ""

    def _awaits(self, frame: Frame, site: Site, depth: int) -> str:
        """What a coroutine of the project that is awaited there keeps on the event loop, and which one."""
        evaluator = self.analysis.evaluator
        if not depth or site.is_off_loop or not evaluator.branches.may_run(frame, site):
            return ""
        for value, certain in plain(evaluator.calls.callees(frame, site.call)):
            if certain and isinstance(value, FunctionReference) and evaluator.facts(value).is_async:
                inner = evaluator.calls.enter(value, frame, site.call)
                key = (inner, depth)
                if key not in self._awaited:
                    self._awaited[key] = next(self._kept_by(inner, depth - 1), "")
                if self._awaited[key]:
                    return self._awaited[key]
        return ""

    def _kept_by(self, frame: Frame, depth: int) -> Iterator[str]:
        """What the coroutine keeps on the event loop as a rule: findings with no safe fix, and long work."""
        module = self.analysis.evaluator.module(frame.module)
        facts, syntax = self.analysis.evaluator.facts(frame), self.files.syntax(module)
        for call in self._told(frame.module).get(frame.function, ()):
            node = syntax.at(call.position, ast.expr)
            if node is not None and _is_usual(syntax, node) and self._keeps(call):
                yield f"{call.text}` in `{facts.qualname}"
        for site in facts.sites:
            long = self._stays(frame, site) and self._is_long(frame, site)
            inside = self._awaits(frame, site, depth) if site.use == "await" else ""
            node = syntax.at(site.call.position, ast.Call) if long or inside else None
            if node is not None and _is_usual(syntax, node):
                yield inside or f"{dotted(site.call.function)}()` in `{facts.qualname}"

    def _keeps(self, call: BlockingCall) -> bool:
        """Whether the call stays where it is, and is made each time."""
        is_first = call.blocking.role is Role.LOAD and self.analysis.is_kept(call.frame, call.blocking)
        return not is_first and self._has_no_fix(call)

    def _told(self, path: str) -> dict[int, list[BlockingCall]]:
        """The findings of the file by the numbers of their functions."""
        if path not in self._told_in:
            found = self._told_in[path] = {}
            for call in self.analysis.told_in(path):
                found.setdefault(call.caller.index, []).append(call)
        return self._told_in[path]


def _is_optional(syntax: Syntax, node: ast.AST) -> bool:
    return any(isinstance(outer, ast.If | ast.IfExp | ast.match_case) for outer, _ in within(syntax, node))


def _is_usual(syntax: Syntax, node: ast.AST) -> bool:
    """Whether it runs on the usual ways: not where something has failed, nor for what is missing so far.

    Which of several ways is taken may depend on what the function is given (`if url.startswith("http"):`).
    """
    for outer, child in within(syntax, node):
        if isinstance(outer, ast.ExceptHandler):
            return False
        if isinstance(outer, ast.If | ast.IfExp) and child is not outer.test and _asks_others(syntax, outer):
            return False
    return True


def _asks_others(syntax: Syntax, branch: ast.If | ast.IfExp) -> bool:
    """Whether the branch is taken for what others set, or where something is missing so far."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    function = next((outer for outer, _ in syntax.ancestors(branch) if isinstance(outer, kinds)), None)
    own = syntax.worked_out(_own_names, function) if function is not None else frozenset()
    for node in syntax.below(branch.test):
        match node:
            case ast.Compare(ops=[ast.NotIn() | ast.Is()]) | ast.UnaryOp(op=ast.Not()) | ast.Await():
                return True
            case ast.Name(id=name) if name not in own and not hasattr(builtins, name):
                return True
    return False


def _own_names(syntax: Syntax, function: Function) -> frozenset[str]:
    """What the function is given and what it makes, but for its object."""
    given = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    nodes = syntax.own_nodes(function)
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return frozenset(given | made) - {"self", "cls"}
