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

from servelint.code.facts.facts import Position, Site, dotted
from servelint.code.fixes.beside.long_calls import Long, LongCalls, loops_around
from servelint.code.fixes.beside.ways import is_handling, runs_with, within
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import Frame, FunctionReference, plain
from servelint.knowledge.types import Role

# So much of it is looked at for each call: what is long is mostly so for all of them.
MAXIMUM_WORK = 20
# So many functions below one another, or coroutines that await one another, are looked into.
MAXIMUM_DEPTH = 3


class Work(NamedTuple):
    """Something that takes long, where it stands and how it is written.

    With `together` it does so only in a loop in which nothing is awaited.
    """

    node: ast.AST
    position: Position
    text: str
    together: bool = False


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
        self.long = LongCalls(analysis, files)
        self._region = region
        self._has_no_fix = stays
        self._work: dict[Frame, tuple[Work, ...]] = {}
        self._inside: dict[tuple[Frame, int], bool] = {}
        self._awaited: dict[tuple[Frame, int], str] = {}

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
            if not moves and node is not None and _stays_beside(syntax, one, node):
                here = call.caller.facts.name
                return f"line {one.position.line} of `{here}` stays on the event loop (`{one.text}`)"
        return ""

    def _of(self, call: BlockingCall) -> tuple[Work, ...]:
        if call.frame not in self._work:
            found: list[Work] = []
            syntax = self.files.syntax(call.caller.module)
            for position, text, together in self._places(call.frame):
                node = syntax.at(position, ast.expr)
                if node is not None and not is_handling(syntax, node):
                    found.append(Work(node, position, text, together))
                if len(found) == MAXIMUM_WORK:
                    break
            self._work[call.frame] = tuple(found)
        return self._work[call.frame]

    def _places(self, frame: Frame) -> Iterator[tuple[Position, str, bool]]:
        """Where the function waits, or works, for long, and is no finding for that already."""
        facts = self.analysis.evaluator.facts(frame)
        for site in facts.sites:
            how = self._is_long(frame, site) if self._stays(frame, site) else None
            if how is not None:
                yield site.call.position, f"{dotted(site.call.function)}()", how is Long.TOGETHER
            elif site.use == "await":
                inside = self._awaits(frame, site, MAXIMUM_DEPTH)
                if inside:
                    yield site.call.position, inside, False
        for iteration in facts.iterations:
            if self.analysis.waits.iteration(frame, iteration) is not None:
                yield iteration.position, dotted(iteration.iterable), False

    def _stays(self, frame: Frame, site: Site) -> bool:
        """Whether the call runs where the function does."""
        return (
            site.use not in ("await", "async")
            and not site.is_off_loop
            and self.analysis.evaluator.branches.may_run(frame, site)
        )

    def _is_long(self, frame: Frame, site: Site) -> Long | None:
        if self.analysis.judge.site(frame, site) is not None:
            return None
        wait = self.analysis.waits.of(frame, site)
        if wait is not None:
            return None if wait.excuse else Long.ALONE
        return self.long.of(frame, site) or (Long.ALONE if self._calls_known(frame, site) else None)

    def _calls_known(self, frame: Frame, site: Site, depth: int = 1) -> bool:
        """Whether a plain function of the project that is called makes a long call, whatever it is given."""
        evaluator = self.analysis.evaluator
        for value, certain in plain(evaluator.calls.callees(frame, site.call)):
            if not certain or not isinstance(value, FunctionReference):
                continue
            facts = evaluator.facts(value)
            if facts.is_async or facts.is_generator:
                continue
            # What is given is known for the first of them only: below it each function is looked at once.
            inner = evaluator.calls.enter(value, frame, site.call)
            if depth > 1:
                inner = evaluator.frame(evaluator.module(inner.module), inner.function)
            if (inner, depth) not in self._inside:
                self._inside[inner, depth] = self._is_long_inside(inner, depth)
            if self._inside[inner, depth]:
                return True
        return False

    def _is_long_inside(self, frame: Frame, depth: int) -> bool:
        """Whether the function makes such a call on its usual way."""
        syntax = self.files.syntax(self.analysis.evaluator.module(frame.module))
        for site in self.analysis.evaluator.facts(frame).sites:
            if not self._stays(frame, site):
                continue
            node = syntax.at(site.call.position, ast.Call)
            if node is None or is_handling(syntax, node) or _is_optional(syntax, node):
                continue
            if self.long.of(frame, site) is not None:
                return True
            if depth < MAXIMUM_DEPTH and self._calls_known(frame, site, depth + 1):
                return True
        return False

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
        for call in self.files.told(frame.module).get(frame.function, ()):
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


def _is_optional(syntax: Syntax, node: ast.AST) -> bool:
    return any(isinstance(outer, ast.If | ast.IfExp | ast.match_case) for outer, _ in within(syntax, node))


def _stays_beside(syntax: Syntax, work: Work, node: ast.expr) -> bool:
    """Whether the work runs in one go with the call, and is long although the call is awaited then."""
    if work.together and any(syntax.is_below(node, loop) for loop in loops_around(syntax, work.node)):
        return False
    return runs_with(syntax, work.node, node)


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
    function = syntax.function_around(branch)
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
