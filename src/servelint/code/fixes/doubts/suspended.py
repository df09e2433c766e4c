"""What goes wrong where a function waits that did not: others run in between, and time passes.

async def load(self):               # has no `await` so far: who asks before calling it is not interrupted
    self.model = joblib.load(path)
    self.ready = True

if not service.ready:
    await service.load()
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from servelint.code.facts.facts import Call
from servelint.code.fixes.doubts.outside import Outside
from servelint.code.fixes.doubts.paths import written_below
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.doubts.shared import Change, last_name
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.doubts.timed import WAITING, is_interrupted, kept, timed
from servelint.code.fixes.pools.bounds import locked_by
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import LEAVING, Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.loop.bound import Where
from servelint.code.values.values import Frame, FunctionReference, plain
from servelint.knowledge.types import Phase
from servelint.project.text.parsing import unparsed

# So many calls up it is looked for who asks before calling.
MAXIMUM_CALLS = 3
_CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_REMOVING = frozenset({"pop", "popitem", "clear", "remove", "discard"})
# What runs together the coroutines that it is given.
_TOGETHER = frozenset({"gather", "wait", "as_completed", "create_task", "ensure_future", "start_soon"})
_ROUNDS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)


class _Writer(NamedTuple):
    """A function that sets a place, and what else it sets."""

    function: Function
    places: frozenset[str]


class Suspended:
    """Judges the functions of one project that get an `await`."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached, sharing: Sharing) -> None:
        self.evaluator = analysis.evaluator
        self.loop = analysis.loop
        self.files = files
        self.reached = reached
        self.sharing = sharing
        self.outside = Outside(analysis, files, reached)
        self._left: dict[Frame, list[tuple[int, str]]] = {}
        self._waits: dict[tuple[str, int], bool] = {}
        self._asked: dict[Frame, str] = {}
        self._writing: dict[str, dict[str, list[_Writer]]] = {}

    def doubt(self, frame: Frame, moved: Range) -> str:
        """Why the function should not wait for what is moved."""
        function, syntax = self.files.function(frame)
        if function is None:
            return ""
        return (
            self.first_await(frame)
            or timed(syntax, function, moved)
            or self._outdated(frame, function, moved)
            or self._left_by_helper(frame, function, moved)
            or self.outside.doubt(frame, syntax, function, moved)
            or _beside_coroutines(syntax, moved)
        )

    def kept_time(self, frame: Frame, moved: Range, workers: int | None) -> str:
        """Why the time that is moved has to wait for one of few threads is not that of the work."""
        function, syntax = self.files.function(frame)
        if function is None or workers is None:
            return ""
        return kept(syntax, function, moved)

    def _left_by_helper(self, frame: Frame, function: Function, moved: Range) -> str:
        """A file with one name for all requests that another function writes before what is moved."""
        if frame not in self._left:
            self._left[frame] = sorted(self._find_left(frame))
        left, (_, syntax) = self._left[frame], self.files.function(frame)
        number = bisect_left(left, (moved.first + 1, ""))
        if not number:
            return ""
        end, text = left[number - 1]
        return "" if is_interrupted(syntax, function, Range(end, moved.first), moved) else text

    def _find_left(self, frame: Frame) -> Iterator[tuple[int, str]]:
        """The calls of a function that write such files, by the numbers at which they have."""
        _, syntax = self.files.function(frame)
        for site in self.evaluator.facts(frame).sites:
            node = syntax.at(site.call.position, ast.Call)
            below = self.reached.called(frame, site.call) if node is not None else ()
            for inner in self.reached.functions(below)[:MAXIMUM_FUNCTIONS]:
                helper, there = self.files.function(inner)
                path = written_below(there, helper) if helper is not None else ""
                if path and node is not None:
                    name = self.evaluator.facts(inner).qualname
                    text = f"`{name}` writes `{path}`: another request may do so before the call is made"
                    yield syntax.end_number(node), text
                    break

    def first_await(self, frame: Frame) -> str:
        """Why a function should not get its first `await`: who calls it counts on not being interrupted."""
        if frame not in self._asked:
            called = self.evaluator.callers.is_called(frame)
            changed = self._changed(frame) if called and not self._is_waiting(frame) else frozenset()
            self._asked[frame] = self._find_asking(frame, changed, MAXIMUM_CALLS) if called else ""
        return self._asked[frame]

    def _find_asking(self, frame: Frame, changed: frozenset[str], calls: int) -> str:
        facts = self.evaluator.facts(frame)
        if not calls or not facts.is_async or self._is_waiting(frame):
            return ""
        for outer, made in self.evaluator.callers.call_sites(frame):
            function, syntax = self.files.function(outer)
            node = syntax.at(made.position, ast.Call)
            if function is None or node is None or not isinstance(syntax.parent(node), ast.Await):
                continue
            shared = self.sharing.of(self.evaluator.module(outer.module), function)
            name = self.evaluator.facts(outer).qualname
            for asked in self._asked_before(outer, node, changed):
                if isinstance(asked, ast.Attribute) or shared.reaches(last_name(asked)):
                    text = unparsed(asked)
                    return f"`{name}` asks for `{text}` and calls `{facts.name}`, which did not wait so far"
            place = "" if self.is_locked(outer, node) else shared.torn(node)
            if place:
                return f"`{name}` uses `{place}` before and after `{facts.name}`, which did not wait so far"
            further = self._find_asking(outer, changed, calls - 1)
            if further:
                return further
        return ""

    def _asked_before(self, frame: Frame, node: ast.AST, names: frozenset[str]) -> Iterator[ast.expr]:
        """Variables and attributes of these names that the function asks for to come to the node.

        What is asked once more inside a lock around the node is asked for with nobody between.
        """
        function, syntax = self.files.function(frame)
        found: list[ast.expr] = []
        for outer, child in syntax.ancestors(node):
            for test in _tests(syntax, outer, child):
                named = (n for n in ast.walk(test) if isinstance(n, ast.Name | ast.Attribute))
                found += (one for one in named if last_name(one) in names)
            if outer is function:
                break
            if found and locked_by(self.evaluator, frame, outer) is not None:
                return
        yield from found

    def is_locked(self, frame: Frame, node: ast.AST) -> bool:
        """Whether the node stands under a lock that lets in one."""
        syntax = self.files.function(frame)[1]
        outside = (outer for outer, _ in syntax.ancestors(node))
        return any(locked_by(self.evaluator, frame, outer) is not None for outer in outside)

    def _changed(self, frame: Frame) -> frozenset[str]:
        """The last names of what requests share and the function changes, or one that it calls."""
        found: set[str] = set()
        for number, inner in enumerate(self.reached.functions([frame])):
            function, syntax = self.files.function(inner)
            if number >= MAXIMUM_FUNCTIONS or function is None:
                continue
            shared = self.sharing.of(self.evaluator.module(inner.module), function)
            found.update(last_name(change.place) for change in shared.changes(syntax.own_nodes(function)))
        return frozenset(found - {""})

    # -- what others set -------------------------------------------------------------------------

    def _outdated(self, frame: Frame, function: Function, moved: Range) -> str:
        """What the function reads after the call, and another sets together with what it read before."""
        module, syntax = self.evaluator.module(frame.module), self.files.function(frame)[1]
        before: dict[str, int] = {}
        after: dict[str, int] = {}
        writers = self._writers(module)
        for place, number in _used(syntax, function, writers):
            if number >= moved.end:
                after.setdefault(place, number)
            else:
                before[place] = number
        for place, number in after.items():
            for writer in writers[place]:
                seen = max((before[other] for other in writer.places if other in before), default=None)
                if seen is None or writer.function is function or not _may_be_one(syntax, writer, function):
                    continue
                waits = is_interrupted(syntax, function, Range(seen, number), moved)
                if not waits and self._serves(module, writer.function):
                    return (
                        f"`{place}` is read after the call, and `{writer.function.name}` may set it meanwhile"
                    )
        return ""

    def _writers(self, module: Module) -> Mapping[str, list[_Writer]]:
        """The functions of the file that set what requests share, by place; not who fills what is empty."""
        if module.path not in self._writing:
            found = self._writing[module.path] = {}
            syntax = self.files.syntax(module)
            for function in (node for node in syntax.nodes if isinstance(node, _FUNCTIONS)):
                if function.name in _CONSTRUCTORS:
                    continue
                changes = self.sharing.of(module, function).changes(syntax.own_nodes(function))
                places = frozenset(c.text for c in changes if _replaces(c.node) and not _fills(syntax, c))
                if places and not _is_called_for_lack(syntax, function, places):
                    for place in places:
                        found.setdefault(place, []).append(_Writer(function, places))
        return self._writing[module.path]

    def _serves(self, module: Module, function: Function) -> bool:
        """Whether the function may run while requests are under way."""
        frame = self.files.frame(module, function)
        if frame is None:
            return False
        index = frame.function
        where = self.loop.where(module, index, module.function(index))
        return (
            where is Where.LOOP
            or any(p.phase is Phase.SERVING for p in self.loop.entry_points.of(module, index))
            or (where is Where.ELSEWHERE and self.loop.is_called_on_loop(module, index))
        )

    # -- who waits -------------------------------------------------------------------------------

    def _is_waiting(self, frame: Frame) -> bool:
        """Whether the coroutine may be interrupted: all it awaits may be coroutines that are not."""
        key = (frame.module, frame.function)
        if key not in self._waits:
            self._waits[key] = False  # what awaits itself waits for nothing else by that
            self._waits[key] = any(self.is_wait(frame, node) for node in self._own(frame))
        return self._waits[key]

    def _own(self, frame: Frame) -> tuple[ast.AST, ...]:
        function, syntax = self.files.function(frame)
        return syntax.own_nodes(function) if function is not None else ()

    def is_wait(self, frame: Frame, node: ast.AST) -> bool:
        """Whether the function may be interrupted at one of its nodes."""
        if isinstance(node, WAITING) or (isinstance(node, ast.comprehension) and node.is_async):
            return True
        if not isinstance(node, ast.Await):
            return False
        _, syntax = self.files.function(frame)
        sites = self.evaluator.facts(frame).sites
        made = [s.call for s in sites if syntax.at(s.call.position, ast.Call) is node.value]
        return not made or any(self._may_wait(frame, call) for call in made)

    def _may_wait(self, frame: Frame, made: Call) -> bool:
        """Whether what is called may be anything but coroutines of the project that do not wait."""
        values = [value for value, _ in plain(self.evaluator.calls.callees(frame, made))]
        return not values or any(
            not isinstance(value, FunctionReference)
            or self._is_waiting(self.evaluator.calls.enter(value, frame, made))
            for value in values
        )


def _beside_coroutines(syntax: Syntax, moved: Range) -> str:
    """Why no `await` should come among the arguments of a call: others of them are coroutines that it makes.

    await asyncio.gather(first(model.predict(a)), second(model.predict(b)))
    """
    named = syntax.worked_out(_coroutines, syntax.tree)
    for outer, child in syntax.ancestors(syntax.nodes[moved.first]):
        if isinstance(outer, ast.stmt):
            break
        if isinstance(outer, ast.Call) and child is not outer.func:
            given = [part for argument in outer.args for part in _parts(argument)]
            others = [part for part in given if not moved.has(syntax.number(part))]
            is_made = last_name(outer.func) in _TOGETHER or any(
                isinstance(part, ast.Call) and last_name(part.func) in named
                for part in others
                if part is not child
            )
            if is_made and (len(given) > 1 or any(isinstance(part, _ROUNDS) for part in given)):
                return (
                    f"the call is among the arguments of `{unparsed(outer.func)}`: "
                    "coroutines that are made beside it would wait for it, or never be awaited if it fails"
                )
    return ""


def _parts(argument: ast.expr) -> list[ast.expr]:
    """What is given: the elements of what is written out."""
    inner = argument.value if isinstance(argument, ast.Starred) else argument
    return inner.elts if isinstance(inner, ast.List | ast.Tuple | ast.Set) else [inner]


def _coroutines(syntax: Syntax, _: ast.Module) -> frozenset[str]:
    """The names of the coroutine functions of the file."""
    return frozenset(node.name for node in syntax.nodes if isinstance(node, ast.AsyncFunctionDef))


def _tests(syntax: Syntax, outer: ast.AST, child: ast.AST) -> Iterator[ast.expr]:
    """What is asked around `child`, which `outer` holds, and by the guards above it."""
    yield from _tests_around(outer, child)
    place = syntax.place(child) if isinstance(child, ast.stmt) else None
    if place is not None:
        yield from (test for _, test in _guards(place.suite[: place.number]))


def _tests_around(outer: ast.AST, child: ast.AST) -> Iterator[ast.expr]:
    match outer:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if child is not test:
            yield test
        case ast.BoolOp(values=values):
            yield from (value for value in values if value is not child)


def _guards(statements: Sequence[ast.stmt]) -> Iterator[tuple[int, ast.expr]]:
    """What those of the statements ask that leave where it is so, each with its number."""
    for number, statement in enumerate(statements):
        if isinstance(statement, ast.If) and isinstance(statement.body[-1], LEAVING):
            yield number, statement.test


def _is_called_for_lack(syntax: Syntax, function: Function, places: frozenset[str]) -> bool:
    """Whether the file asks before each call of the function for what it sets: it fills what is empty."""
    names = frozenset(place.rpartition(".")[2] for place in places)
    kind = ast.Attribute if isinstance(syntax.parent(function), ast.ClassDef) else ast.Name
    made = (node for node in syntax.nodes if isinstance(node, ast.Call) and isinstance(node.func, kind))
    calls = [node for node in made if last_name(node.func) == function.name]
    return bool(calls) and all(
        any(
            True
            for outer, child in syntax.ancestors(node)
            for test in _tests(syntax, outer, child)
            for n in ast.walk(test)
            if isinstance(n, ast.Name | ast.Attribute) and last_name(n) in names
        )
        for node in calls
    )


def _used(syntax: Syntax, function: Function, places: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """Where the function reads the places, in the order of the text."""
    names = {place.rpartition(".")[2] for place in places}
    for node in syntax.own_nodes(function) if names else ():
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            text = unparsed(node) if last_name(node) in names else ""
            if text in places:
                yield text, syntax.number(node)


def _may_be_one(syntax: Syntax, writer: _Writer, function: Function) -> bool:
    """Whether both mean the same by `self`: methods of one class, or neither is a method."""
    one, two = syntax.parent(writer.function), syntax.parent(function)
    return one is two or not (isinstance(one, ast.ClassDef) and isinstance(two, ast.ClassDef))


def _replaces(node: ast.AST) -> bool:
    """Whether something else is at the place afterwards, or something that was in it is gone."""
    match node:
        case ast.Subscript():
            return isinstance(node.ctx, ast.Del)
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _REMOVING
    return not isinstance(node, ast.Call)


def _fills(syntax: Syntax, change: Change) -> bool:
    """Whether the place is set where it is asked for before: something is put where nothing was."""
    text = change.text
    for outer, child in syntax.ancestors(change.node):
        if any(text in syntax.worked_out(_asked, test) for test in _tests_around(outer, child)):
            return True
        place = syntax.place(child) if isinstance(child, ast.stmt) else None
        if place is not None:
            asking = syntax.worked_out(_first_asking, place.suite[0])
            if asking.get(text, place.number) < place.number:
                return True
        if isinstance(outer, _FUNCTIONS):
            break
    return False


def _first_asking(syntax: Syntax, first: ast.stmt) -> dict[str, int]:
    """What the guards of a suite ask for, as it is written, and the number of the first that does."""
    place = syntax.place(first)
    found: dict[str, int] = {}
    for number, test in _guards(place.suite if place is not None else ()):
        for text in syntax.worked_out(_asked, test):
            found.setdefault(text, number)
    return found


def _asked(_: Syntax, test: ast.expr) -> frozenset[str]:
    """The places that the test asks for, as they are written."""
    places = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
    return frozenset(unparsed(node) for node in ast.walk(test) if isinstance(node, places))
