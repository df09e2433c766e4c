"""Objects of libraries that a moved call uses in its thread, while other code of the service changes them.

faiss.write_index(self.index, path)     # in the thread

self.index.add(vectors)                 # on the event loop, meanwhile

What both run in one pool of one thread excludes each other, as it did on the event loop.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from servelint.code.facts.facts import Site
from servelint.code.fixes.blocks.regions import Region
from servelint.code.fixes.doubts.meanwhile import Meanwhile, Read
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.writers import Writer, asks_for_lack
from servelint.code.fixes.pools.forms import is_pooled
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import Frame
from servelint.project.text.parsing import unparsed

# Functions that ask an object for nothing that another thread may be changing.
_ASKING = frozenset({"isinstance", "type", "id", "bool", "callable", "hasattr", "repr", "str"})


class _Altered(NamedTuple):
    """An object that a function reads, the numbers of the nodes that use it, and who changes it."""

    read: Read
    uses: list[int]
    writers: list[Writer]


class Altered:
    """Finds them in one project.

    `region` tells which block may move with a call, `moved` the calls in it and the functions that they run,
    and `stays` whether no safe fix brings a call to the pool.
    """

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        meanwhile: Meanwhile,
        region: Callable[[BlockingCall], Region | None],
        moved: Callable[[BlockingCall], tuple[Iterable[Site], Iterable[Frame]]],
        stays: Callable[[BlockingCall], bool],
    ) -> None:
        self.analysis = analysis
        self.files = files
        self.meanwhile = meanwhile
        self.reached: Reached = meanwhile.reached
        self._region = region
        self._moved = moved
        self._stays = stays
        self._known: dict[Frame, list[_Altered]] = {}
        self._altered_by: dict[tuple[object, ...], list[Writer]] = {}
        self._told: dict[tuple[Frame, Range], list[tuple[str, Writer]]] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Which code changes what the call uses, and does not come into the same pool; empty for none."""
        found = self._found(call)
        return next((told for told, writer in found if not self._is_pooled(writer)), "")

    def at_once(self, call: BlockingCall) -> str:
        """The same of all code: nothing keeps it apart where the call is not in a pool of one thread."""
        return next((told for told, _ in self._found(call)), "")

    def _found(self, call: BlockingCall) -> list[tuple[str, Writer]]:
        """What is told of each function that changes what the call uses, without one lock for both."""
        syntax = self.files.syntax(call.caller.module)
        region, node = self._region(call), syntax.at(call.position, ast.expr)
        if region is None and node is None:
            return []
        moved = region.block.range if region is not None else Range.of(syntax, [node] if node else ())
        key = (call.frame, moved)
        if key not in self._told:  # once for all the calls in a block
            self._told[key] = list(self._in_range(call, moved))
        return self._told[key]

    def _in_range(self, call: BlockingCall, moved: Range) -> Iterator[tuple[str, Writer]]:
        below = self.reached.functions(self._moved(call)[1])
        if len(below) > MAXIMUM_FUNCTIONS:
            return
        own = [one for one in self._altered(call.frame) if any(map(moved.has, one.uses))]
        altered = [*own, *(one for frame in below for one in self._altered(frame))]
        run = {self.files.function(one)[0] for one in below} if altered else set()
        for read, _, writers in altered:
            for writer in writers:
                if writer.function in run or self._is_kept_apart(call, moved, read, writer):
                    continue
                text, changed = unparsed(read.node), unparsed(_method(writer))
                told = f"the thread uses `{text}`, and `{writer.function.name}` may change it meanwhile"
                yield f"{told} (`{changed}()`)", writer

    def _altered(self, frame: Frame) -> list[_Altered]:
        """The objects that the function uses and others change."""
        if frame not in self._known:
            used = [(read, uses) for read in self.meanwhile.reads(frame) if (uses := _uses(read))]
            found = (_Altered(read, uses, self._altering(read)) for read, uses in used)
            self._known[frame] = [one for one in found if one.writers]
        return self._known[frame]

    def _altering(self, read: Read) -> list[Writer]:
        """The functions that change the object that is read, not only where there was none."""
        key = (read.name, read.home, read.owner)
        if key not in self._altered_by:
            writers, found = self.meanwhile.writers, list[Writer]()
            for writer in writers.of(read.name, read.home, [read.owner]) or ():
                changes = [
                    c for c in writer.alters if not asks_for_lack(writer.syntax, c.node, [writer.name])
                ]
                if changes and writers.is_one(read.owner, writer.owner):
                    altering = writer._replace(changes=tuple(changes), fills=(), alters=tuple(changes))
                    found.append(altering)
            self._altered_by[key] = found
        return self._altered_by[key]

    def _is_kept_apart(self, call: BlockingCall, moved: Range, read: Read, writer: Writer) -> bool:
        """Whether one lock is held around both."""
        return self.meanwhile.is_locked(writer, [read]) or self.meanwhile.is_awaited(
            call.frame, moved, writer
        )

    def _is_pooled(self, writer: Writer) -> bool:
        """Whether all that the function changes comes into the pool by safe fixes."""
        calls, functions = self._in_pool
        return writer.function in functions or all(change.node in calls for change in writer.alters)

    @cached_property
    def _in_pool(self) -> tuple[set[ast.AST], set[Function]]:
        """The calls that safe fixes move to the pool for inference, and the functions that run below them."""
        calls: set[ast.AST] = set()
        functions: set[Function] = set()
        for path in self.analysis.loop.paths:
            for call in self.analysis.told_in(path):
                if is_pooled(self.analysis, call) and not self._stays(call):
                    syntax = self.files.syntax(call.caller.module)
                    sites, inner = self._moved(call)
                    calls.update(n for s in sites if (n := syntax.at(s.call.position, ast.Call)) is not None)
                    functions.update(
                        f for one in self.reached.functions(inner) if (f := self.files.function(one)[0])
                    )
        return calls, functions


def _method(writer: Writer) -> ast.expr:
    """The method that the function calls first."""
    node = writer.alters[0].node
    assert isinstance(node, ast.Call)
    return node.func


def _uses(read: Read) -> list[int]:
    """The numbers of the nodes where the object is used, by the variable that it is put in too."""
    syntax, node = read.syntax, read.node
    held: list[ast.expr] = [node]
    match syntax.parent(node):
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
            own = syntax.own_nodes(read.function)
            held = [
                n for n in own if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
            ]
    return [syntax.number(one) for one in held if _is_used(syntax, one)]


def _is_used(syntax: Syntax, node: ast.expr) -> bool:
    """Whether a method of the object is called, or it is given to a function: not one of its numbers read."""
    outer = syntax.parent(node)
    if isinstance(outer, ast.keyword):
        outer = syntax.parent(outer)
    match outer:
        case ast.Attribute():
            called = syntax.parent(outer)
            return isinstance(called, ast.Call) and called.func is outer
        case ast.Call(func=called):
            return called is not node and last_name(called) not in _ASKING
    return False
