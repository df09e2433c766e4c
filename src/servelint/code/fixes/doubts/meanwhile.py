"""What a thread reads in several steps, and others write on the event loop: nobody could come between before.

for voice in self.voices.values():      # in the thread
    ...

async def add(voice):                   # on the loop, meanwhile
    manager.voices[voice.name] = voice
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from servelint.code.facts.nodes import annotation
from servelint.code.fixes.doubts.guards import Guards
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.doubts.timed import SAYING, is_interrupted
from servelint.code.fixes.doubts.writers import MAXIMUM_FILES, Owner, Writer, Writers
from servelint.code.fixes.pools.bounds import locked_by
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import LEAVING, Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import Frame, FunctionReference, plain
from servelint.project.text.parsing import unparsed

_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})
_VIEWS = frozenset({"values", "items", "keys"})
# Functions that go through a container in one step.
_AT_ONCE = frozenset({"list", "tuple", "set", "frozenset", "dict", "sorted", "len", "copy"})
# What fails for want of an element.
_LACKING = frozenset({"KeyError", "IndexError", "LookupError"})
_PASSING = frozenset({"enumerate", "zip", "reversed", "iter", "map", "filter"})


class Read(NamedTuple):
    """Where a place is read; `number` is that of the node where the function that waits reads it itself."""

    module: Module
    syntax: Syntax
    function: Function
    node: ast.expr
    owner: Owner
    number: int | None = None

    @property
    def name(self) -> str:
        """The last name of the place."""
        return last_name(self.node)

    @property
    def home(self) -> Module | None:
        """The file of a global; None for an attribute."""
        return self.module if isinstance(self.node, ast.Name) else None


class Meanwhile:
    """Judges what threads of one project read."""

    def __init__(
        self, analysis: Analysis, files: Files, reached: Reached, sharing: Sharing, guards: Guards
    ) -> None:
        self.evaluator = analysis.evaluator
        self.files = files
        self.reached = reached
        self.sharing = sharing
        self.guards = guards
        self.writers = Writers(analysis, files, sharing, guards)
        self._reads: dict[tuple[str, int], tuple[Read, ...]] = {}

    def doubt(self, frame: Frame, moved: Range, inner: Iterable[Frame], *, block: bool) -> str:
        """Why the thread should not read what it reads; `block` where `moved` is read there as a whole."""
        below = self.reached.functions(inner)
        if len(below) > MAXIMUM_FUNCTIONS:
            return ""
        own = [read._replace(number=read.syntax.number(read.node)) for read in self.reads(frame)]
        reads = [read for one in below for read in self.reads(one)]
        if block:
            reads += [read for read in own if read.number is not None and moved.has(read.number)]
            own = [read for read in own if read.number is None or not moved.has(read.number)]
        run = {read.function for read in reads}
        owners: dict[tuple[str, Module | None], list[Owner]] = {}
        for read in reads:
            owners.setdefault((read.name, read.home), []).append(read.owner)
        for (name, home), owned in owners.items():
            writers = self.writers.of(name, home, owned)
            if writers is None:
                return (
                    f"the thread reads `{name}`, and more than {MAXIMUM_FILES} files may write it meanwhile"
                )
            for writer in writers:
                if writer.function in run:
                    continue
                reason = self._of_writer(moved, writer, name, reads, own)
                if reason:
                    return reason
                reason = self._of_emptier(frame, moved, writer, reads)
                if reason:
                    return reason
        return self._gone_after(frame, moved, own)

    def _of_writer(
        self,
        moved: Range,
        writer: Writer,
        name: str,
        reads: Sequence[Read],
        own: Sequence[Read],
    ) -> str:
        """Why the thread should not read several times, or go through, what the function writes."""
        found = [r for r in reads if r.name == name and self.writers.is_one(r.owner, writer.owner)]
        if not found:
            return ""
        told = f"and `{writer.function.name}` may"
        through = next((read for read in found if _is_gone_through(read)), None)
        if through is not None and writer.resizes and not self.is_locked(writer, [through]):
            text = unparsed(through.node)
            return f"the thread goes through `{text}`, {told} add to it or take from it meanwhile"
        if not writer.replaces:
            return ""
        if writer.goes_on and not self.is_locked(writer, found[:1]):
            text = unparsed(found[0].node)
            return f"the thread reads `{text}`, {told} have put something unfinished there meanwhile"
        every = [*reads, *(read for read in own if self._is_beside(moved, read))]
        together = [
            r
            for r in every
            if self._is_set(r, writer) and (writer.empties or not _only_asks(r.syntax, r.node))
        ]
        first = next((read for read in together if read in found), found[0])
        second = next((r for r in together if r.node is not first.node and not _are_apart(r, first)), None)
        if second is None or self.is_locked(writer, [first, second]):
            return ""
        one, two = unparsed(first.node), unparsed(second.node)
        what = f"`{one}` more than once" if first.name == second.name else f"`{one}` and `{two}`"
        where = "the thread reads" if second.number is None else "the call and what is around it read"
        return f"{where} {what}, {told} set it meanwhile"

    # -- what is not there any more --------------------------------------------------------------

    def _of_emptier(self, frame: Frame, moved: Range, writer: Writer, reads: Sequence[Read]) -> str:
        """Why the thread should not use what the function takes away: once is enough to fail."""
        for read in reads:
            gone = self._gone(read, writer)
            # a lock around the use alone does not bring back what is gone when the thread gets it
            is_kept = gone and self.is_locked(writer, [read]) and self._is_asked_first(read)
            if gone and not is_kept and not self.is_awaited(frame, moved, writer):
                text, name = unparsed(read.node), writer.function.name
                return f"the thread uses `{text}`, and `{name}` may {gone} meanwhile"
        return ""

    def _gone_after(self, frame: Frame, moved: Range, own: Sequence[Read]) -> str:
        """Why the function should not wait: what it uses after the call may be gone by then."""
        for read in own:
            writers = self.writers.of(read.name, read.home, [read.owner]) or ()
            emptying = [(w, self._gone(read, w)) for w in writers if not w.is_passing]
            if not any(gone for _, gone in emptying) or not _comes_after(read, moved, self._asking(read)):
                continue
            for writer, gone in emptying:
                if gone and not self.is_awaited(frame, moved, writer):
                    text, name = unparsed(read.node), writer.function.name
                    return f"`{text}` is used after the call, and `{name}` may {gone} meanwhile"
        return ""

    def _is_asked_first(self, read: Read) -> bool:
        """Whether the function asks before the read whether anything is there."""
        syntax = read.syntax
        before = Range(syntax.number(read.function), syntax.number(read.node))
        return _is_asked_for(read, before, self._asking(read))

    def _asking(self, read: Read) -> set[str]:
        """The place of the read, and the calls (`load()`) that put something there where nothing is."""
        writers = self.writers.of(read.name, read.home, [read.owner]) or ()
        return {unparsed(read.node), *(f"{w.function.name}()" for w in writers if w.fills)}

    def _gone(self, read: Read, writer: Writer) -> str:
        """What the function does so that the read finds nothing to go on with; empty if it does not."""
        if read.name != writer.name or not self.writers.is_one(read.owner, writer.owner):
            return ""
        if writer.unsets and _is_used(read):
            return writer.unsets
        return writer.takes if writer.takes and _is_looked_up(read) else ""

    def is_awaited(self, frame: Frame, moved: Range, writer: Writer) -> bool:
        """Whether one lock of the event loop is held around the call and wherever the function writes."""
        syntax = self.files.syntax(self.evaluator.module(frame.module))
        held = self._entered(frame, syntax, syntax.nodes[moved.first])
        there = self.files.frame(writer.module, writer.function) if held else None
        return there is not None and all(
            not held.isdisjoint(self._entered(there, writer.syntax, change.node)) for change in writer.changes
        )

    def _entered(self, frame: Frame, syntax: Syntax, node: ast.AST) -> set[str]:
        """The last names of the locks that the function holds around the node."""
        locks = (locked_by(self.evaluator, frame, outer) for outer, _ in syntax.ancestors(node))
        return {last_name(lock) for lock in locks if lock is not None}

    def _is_set(self, read: Read, writer: Writer) -> bool:
        return any(
            name == read.name and self.writers.is_one(read.owner, owner) for owner, name in writer.replaced
        )

    def _is_beside(self, moved: Range, read: Read) -> bool:
        """Whether nobody could come between the read and the call so far."""
        number = read.number
        if number is None:
            return True
        between = Range(min(number, moved.first), max(number, moved.first))
        return not is_interrupted(read.syntax, read.function, between, moved)

    def is_locked(self, writer: Writer, reads: Sequence[Read]) -> bool:
        """Whether one lock is held by the writer and wherever the thread reads."""
        held = [
            self.guards.held(writer.module, writer.syntax, writer.function, c.node) for c in writer.changes
        ]
        held += [self.guards.held(read.module, read.syntax, read.function, read.node) for read in reads]
        return bool(set.intersection(*held))

    # -- what functions read ---------------------------------------------------------------------

    def reads(self, frame: Frame) -> tuple[Read, ...]:
        """What of that the function reads, wherever it runs."""
        key = (frame.module, frame.function)
        if key not in self._reads:
            self._reads[key] = tuple(self._find(frame))
        return self._reads[key]

    def _find(self, frame: Frame) -> Iterator[Read]:
        module = self.evaluator.module(frame.module)
        function, syntax = self.files.function(frame)
        if function is None or function.name in _CONSTRUCTORS:
            return
        shared = self.sharing.of(module, function)
        for node in syntax.own_nodes(function):
            if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
                continue
            if isinstance(node, ast.Name) and not (
                shared.reaches(node.id) and node.id in self.files.global_names(module).project
            ):
                continue
            home = module if isinstance(node, ast.Name) else None
            owner = self.writers.owner(module, syntax, function, node)
            if owner is None or _is_said(syntax, node) or self._is_method(frame, syntax, node):
                continue
            if self.writers.of(last_name(node), home, [owner]) != ():
                yield Read(module, syntax, function, node, owner)

    def _is_method(self, frame: Frame, syntax: Syntax, node: ast.expr) -> bool:
        """Whether it is called, and a method that a class of the project defines by that name."""
        outer = syntax.parent(node)
        if not (isinstance(node, ast.Attribute) and isinstance(outer, ast.Call) and outer.func is node):
            return False
        values = [value for value, _ in plain(self.evaluator.evaluate(frame, annotation(node)))]
        return bool(values) and all(
            isinstance(value, FunctionReference) and self._is_named(value, node.attr) for value in values
        )

    def _is_named(self, function: FunctionReference, name: str) -> bool:
        facts = self.evaluator.facts(function)
        return facts.owner is not None and facts.name == name


def _is_said(syntax: Syntax, node: ast.AST) -> bool:
    """Whether the place is only read to be logged."""
    for outer, _ in syntax.ancestors(node):
        if isinstance(outer, ast.Call) and last_name(outer.func) in SAYING:
            return True
        if isinstance(outer, ast.stmt):
            return False
    return False


def _is_used(read: Read) -> bool:
    """Whether the read fails where nothing is there: an attribute or element is taken, or it is called."""
    syntax, node = read.syntax, read.node
    match syntax.parent(node):
        case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Call(func=value):
            return value is node
    return False


def _is_looked_up(read: Read) -> bool:
    """Whether the read fails where one element is missing, and nobody there is ready for that."""
    syntax, node = read.syntax, read.node
    outer = syntax.parent(node)
    if not isinstance(outer, ast.Subscript) or outer.value is not node or isinstance(outer.slice, ast.Slice):
        return False
    if not isinstance(outer.ctx, ast.Load):
        return False
    return not any(
        isinstance(around, ast.Try)
        and child in around.body
        and any(_LACKING.intersection(_caught(handler)) for handler in around.handlers)
        for around, child in syntax.ancestors(node)
    )


def _caught(handler: ast.ExceptHandler) -> list[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [last_name(kind) for kind in kinds if kind is not None]


def _comes_after(read: Read, moved: Range, asking: Collection[str]) -> bool:
    """Whether the function comes from the call to the read, with no `await` and no question between so far.

    `asking` are the places and calls (`load()`) that ask whether anything is there. In a loop that is so for
    what stands before the call too, or is the call: in the next round.
    """
    syntax, function, number = read.syntax, read.function, read.number
    assert number is not None
    call = syntax.nodes[moved.first]
    if number >= moved.end:
        between = Range(moved.end, number)
        if is_interrupted(syntax, function, between, moved) or not _leads_to(syntax, call, read.node):
            return False
        return not _is_asked_for(read, between, asking)
    for outer, child in syntax.ancestors(call):
        if outer is function:
            return False
        if isinstance(outer, ast.For | ast.While) and child in outer.body:
            body = Range(syntax.number(outer.body[0]), syntax.end_number(outer.body[-1]))
            if not body.has(number) or is_interrupted(syntax, function, body, moved):
                return False
            return not _is_asked_for(read, body, asking) and _goes_round(syntax, call, outer)
    return False


def _is_asked_for(read: Read, between: Range, asking: Collection[str]) -> bool:
    """Whether the function asks there whether anything is at the place."""
    asked = read.syntax.worked_out(_asked_at, read.function)
    numbers = [asked.get(text, []) for text in asking]
    return any(bisect_left(found, between.first) < bisect_left(found, between.end) for found in numbers)


def _asked_at(syntax: Syntax, function: Function) -> dict[str, list[int]]:
    """The numbers at which the function only asks for a place, or calls something (`load()`), in order."""
    found: dict[str, list[int]] = {}
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Call):
            found.setdefault(f"{last_name(node.func)}()", []).append(syntax.number(node))
        elif isinstance(node, ast.Name | ast.Attribute) and _only_asks(syntax, node):
            found.setdefault(unparsed(node), []).append(syntax.number(node))
    return found


def _leads_to(syntax: Syntax, call: ast.AST, node: ast.AST) -> bool:
    """Whether what stands after the call may run after it: not another branch, and nobody leaves before."""
    for outer, child in syntax.ancestors(call):
        if syntax.is_below(node, child):
            return True
        place = syntax.place(child) if isinstance(child, ast.stmt) else None
        for statement in place.suite[place.number :] if place is not None else ():
            if statement is not child and syntax.is_below(node, statement):
                return True
            if isinstance(statement, LEAVING):
                return False
        if syntax.is_below(node, outer):
            match outer:
                case ast.If(test=first) | ast.IfExp(test=first) | ast.Match(subject=first):
                    return first is child
                case ast.Try(orelse=other, finalbody=last):
                    return any(syntax.is_below(node, statement) for statement in (*other, *last))
    return True


def _goes_round(syntax: Syntax, call: ast.AST, loop: ast.AST) -> bool:
    """Whether the loop may come to its next round after the call."""
    for outer, child in syntax.ancestors(call):
        place = syntax.place(child) if isinstance(child, ast.stmt) else None
        behind = place.suite[place.number :] if place is not None else ()
        if any(isinstance(statement, ast.Return | ast.Raise | ast.Break) for statement in behind):
            return False
        if outer is loop:
            return True
    return True


def _only_asks(syntax: Syntax, node: ast.expr) -> bool:
    """Whether it is only asked for whether anything is there."""
    outer = syntax.parent(node)
    match outer:
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
            return True
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            return test is node
        case ast.UnaryOp(op=ast.Not()) | ast.BoolOp() | ast.Assert():
            return True
    return False


def _are_apart(one: Read, two: Read) -> bool:
    """Whether never both of the reads are made: they stand in two branches."""
    if one.function is not two.function:
        return False
    around = {id(outer): child for outer, child in one.syntax.ancestors(one.node)}
    for outer, child in two.syntax.ancestors(two.node):
        if id(outer) in around:
            if isinstance(outer, ast.If):
                first = around[id(outer)]
                return outer.test not in (first, child) and (first in outer.body) is not (child in outer.body)
            return isinstance(outer, ast.IfExp) and outer.test not in (around[id(outer)], child)
    return False


def _is_gone_through(read: Read) -> bool:
    """Whether the container that is there is gone through, one element after the other."""
    syntax, node = read.syntax, read.node
    outer = syntax.parent(node)
    if isinstance(outer, ast.Attribute) and outer.attr in _VIEWS:
        made = syntax.parent(outer)
        node = made if isinstance(made, ast.Call) and made.func is outer else node
    while True:
        outer = syntax.parent(node)
        match outer:
            case ast.For(iter=value) | ast.AsyncFor(iter=value) | ast.comprehension(iter=value):
                return value is node
            case ast.Call(func=ast.Name(id=name)) if name in _PASSING:
                node = outer
            case ast.Return():
                return node is not read.node
            case ast.Call(func=called):
                return node is not read.node and last_name(called) not in _AT_ONCE and called is not node
            case ast.Assign(targets=[ast.Name(id=name)]):
                return _goes_through(read, name)
            case _:
                return False


def _goes_through(read: Read, name: str) -> bool:
    """Whether the function goes through what the variable holds."""
    return any(
        isinstance(node, ast.For | ast.comprehension)
        and isinstance(node.iter, ast.Name)
        and node.iter.id == name
        for node in read.syntax.own_nodes(read.function)
    )
