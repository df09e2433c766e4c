"""Which statements have to move together: a block around a call that cannot be awaited by itself."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from servelint.code.facts.nodes import annotation
from servelint.code.fixes.blocks.block import Block, UnmovableError, Variables
from servelint.code.fixes.blocks.devices import Devices
from servelint.code.fixes.blocks.readings import Readings
from servelint.code.fixes.pools.forms import computes
from servelint.code.fixes.text import placement, variables
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.loop.bound import LoopBound

# So many other statements may stand between two blocking calls that are moved together, simple ones.
MAXIMUM_BETWEEN = 2
# So many are moved together that could as well be awaited one by one: each carries the text of the block.
MAXIMUM_TOGETHER = 30
# Each of its calls carries the text of a block: so many characters of fixes may come of one.
MAXIMUM_TEXT = 20_000_000
_SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)


@dataclass(frozen=True, eq=False)
class Region:
    """A block with so many blocking calls, and whether they could as well be awaited one by one (`optional`).

    All of them are given the same one: what is found out about the block is found out once.
    """

    block: Block
    calls: int
    optional: bool

    @cached_property
    def variables(self) -> Variables | str:
        """What the nested function needs; why the block cannot be moved where that is so."""
        try:
            found = self.block.variables()
        except UnmovableError as error:
            return str(error)
        if self.calls * (self.block.end - self.block.start) > MAXIMUM_TEXT:
            return f"it is too long to be moved for each of its {self.calls:,} calls"
        return found


@dataclass(frozen=True, slots=True)
class _Seed:
    """The statements that have to move for one call; `single` where the call alone would do.

    `read` says that its statement reads the result from the device, and should move with it.
    """

    call: BlockingCall
    suite: Sequence[ast.stmt]
    first: int
    last: int
    single: bool
    read: bool = False


class Regions:
    """Finds the blocks of one project's functions."""

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        may_await: Callable[[LoopBound], bool],
        waits_first: Callable[[BlockingCall], bool],
    ) -> None:
        """`may_await` tells whether a function is a coroutine, or can be made one.

        `waits_first` tells whether what gives the object of a call has to move with it.
        """
        self.analysis = analysis
        self.files = files
        self.readings = Readings(files, Devices(analysis.catalogue.libraries))
        self._may_await = may_await
        self._waits_first = waits_first
        self._found: dict[LoopBound, dict[int, Region]] = {}
        self._readers: dict[LoopBound, dict[str, list[ast.expr]]] = {}

    def of(self, call: BlockingCall) -> Region | None:
        """The block that the call moves with; None where the call is best awaited by itself."""
        if call.caller not in self._found:
            self._found[call.caller] = {id(seed): region for seed, region in self._work_out(call.caller)}
        return self._found[call.caller].get(id(call))

    def _work_out(self, caller: LoopBound) -> Iterator[tuple[BlockingCall, Region]]:
        syntax = self.files.syntax(caller.module)
        function = placement.function_at(syntax, caller.facts.position)
        if function is None or not self._may_await(caller):
            return
        calls = self.analysis.blocking_calls_of(caller)
        seeds = [seed for call in calls if (seed := self._seed(call, syntax, function))]
        for group in _grouped(seeds, syntax, function):
            block = _block(group, syntax, function)
            optional = all(seed.single for seed in group) and not _is_chain(group, syntax)
            if not optional or len(block.statements) > 1 or any(seed.read for seed in group):
                region = Region(block, len(group), optional)
                yield from ((seed.call, region) for seed in group)

    def _seed(self, call: BlockingCall, syntax: Syntax, function: Function) -> _Seed | None:
        node = syntax.at(call.position, ast.expr)
        if node is None:
            return None
        held = self.held(call, syntax, node, function)
        statement = held or syntax.statement(node)
        place = syntax.place(statement) if statement is not None else None
        if statement is None or place is None or not _is_in(syntax, statement, function):
            return None
        suite, number = place
        if held is not None:
            last = self._with_reading(call, syntax, function, suite, number, number)
            return _Seed(call, suite, number, last, single=False)
        reason = placement.obstacle(self.analysis, call, may_await=self._may_await(call.caller))
        if not reason and isinstance(node, ast.Call):
            reason = placement.awaitable_at(syntax, node, function)
        if not reason:
            single = not (isinstance(statement, _SIMPLE) and self._waits_first(call))
            read = self.readings.is_read_at_once(call, syntax, function)
            last = self._with_reading(call, syntax, function, suite, number, number)
            return _Seed(call, suite, number, last, single, read)
        if isinstance(statement, ast.For) and syntax.statement(node) is statement:
            return _Seed(call, suite, number, number, single=False)
        if not isinstance(statement, _SIMPLE):
            return None
        last = self._last_reading(call, syntax, suite, number)
        return _Seed(call, suite, number, last, single=False)

    def _with_reading(
        self,
        call: BlockingCall,
        syntax: Syntax,
        function: Function,
        suite: Sequence[ast.stmt],
        first: int,
        last: int,
    ) -> int:
        """The last statement that reads the result from the device, if all up to it can move; else `last`."""
        found = self.readings.last(call, syntax, function, suite, last)
        block = Block(syntax, function, tuple(suite[first : found + 1]))
        if found == last or block.obstacle() or _is_narrowed(block, syntax, function):
            return last
        return found

    def held(self, call: BlockingCall, syntax: Syntax, node: ast.expr, function: Function) -> ast.With | None:
        """The outermost `with` around the call that belongs to the thread."""
        found: ast.With | None = None
        for outer, child in syntax.ancestors(node):
            if outer is function:
                break
            if isinstance(outer, ast.With) and isinstance(child, ast.stmt):
                contexts = [annotation(item.context_expr) for item in outer.items]
                if any(c is not None and placement.is_held(self.analysis, call, c) for c in contexts):
                    found = outer
        return found

    def _last_reading(
        self, call: BlockingCall, syntax: Syntax, suite: Sequence[ast.stmt], number: int
    ) -> int:
        """The last statement that runs inference by reading what the statement assigns."""
        if call.caller not in self._readers:
            self._readers[call.caller] = self._reading(call.caller, syntax)
        readers = self._readers[call.caller]
        nodes = [node for name in variables.writes([suite[number]]) for node in readers.get(name, ())]
        around = (outer for node in nodes for outer in (node, *(o for o, _ in syntax.ancestors(node))))
        places = (syntax.place(outer) for outer in around if isinstance(outer, ast.stmt))
        return max((number, *(p.number for p in places if p is not None and p.suite is suite)))

    def _reading(self, caller: LoopBound, syntax: Syntax) -> dict[str, list[ast.expr]]:
        """The blocking calls of the function by the variables that they read."""
        found: dict[str, list[ast.expr]] = {}
        for call in self.analysis.blocking_calls_of(caller):
            node = syntax.at(call.position, ast.expr)
            if node is not None:
                for name in variables.reads([node]):
                    found.setdefault(name, []).append(node)
        return found


def _is_in(syntax: Syntax, statement: ast.stmt, function: Function) -> bool:
    """Whether the statement is the function's own, not that of a function nested in it."""
    for outer, _ in syntax.ancestors(statement):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            return outer is function
    return False


def _is_chain(group: Sequence[_Seed], syntax: Syntax) -> bool:
    """Whether one of the calls is of what another gives: `get_model().predict(row)` is one piece of work.

    So is a call that is given what another one of its kind gives: `net.load_state_dict(torch.load(path))`.
    """
    calls = [
        (seed.call, node) for seed in group if (node := syntax.at(seed.call.position, ast.Call)) is not None
    ]
    return any(
        syntax.is_below(other, node if computes(call) is computes(inner) else node.func)
        for call, node in calls
        for inner, other in calls
        if other is not node
    )


def _block(group: Sequence[_Seed], syntax: Syntax, function: Function) -> Block:
    suite, last = group[0].suite, max(seed.last for seed in group)
    return Block(syntax, function, tuple(suite[group[0].first : last + 1]))


def _grouped(seeds: Sequence[_Seed], syntax: Syntax, function: Function) -> Iterator[list[_Seed]]:
    """The seeds, those together that overlap, or that stand close to each other and can be moved as one."""
    group: list[_Seed] = []
    for seed in sorted(seeds, key=lambda seed: (seed.suite[0].lineno, seed.first, seed.last)):
        if group and not _joins(group, seed, syntax, function):
            yield group
            group = []
        group.append(seed)
    if group:
        yield group


def _joins(group: Sequence[_Seed], seed: _Seed, syntax: Syntax, function: Function) -> bool:
    end = max(other.last for other in group)
    if seed.suite is not group[0].suite or seed.first - end - 1 > MAXIMUM_BETWEEN:
        return False
    if seed.first <= end:
        return True
    if len(group) >= MAXIMUM_TOGETHER or computes(seed.call) is not computes(group[-1].call):
        return False
    alone = [one.suite[one.first] for one in (*group, seed) if one.single]
    if not all(isinstance(statement, _SIMPLE) for statement in (*alone, *seed.suite[end + 1 : seed.first])):
        return False
    block = _block([*group, seed], syntax, function)
    return not block.obstacle() and not (alone and _is_narrowed(block, syntax, function))


def _is_narrowed(block: Block, syntax: Syntax, function: Function) -> bool:
    """Whether the function asks what an attribute is before the block uses it, and is one with types.

    In a nested function a type checker knows of that no longer: `self.model` may be None again.
    """
    if not syntax.is_typed and function.returns is None:
        return False
    tests = [n.test for n in syntax.own_nodes(function) if isinstance(n, ast.If | ast.Assert)]
    asked = {syntax.text(n) for test in tests for n in ast.walk(test) if isinstance(n, ast.Attribute)}
    return any(isinstance(n, ast.Attribute) and syntax.text(n) in asked for n in block.nodes())
