"""Who writes what requests share while the service serves, on the event loop.

Start-up does not count, and neither does who only fills what is found to be empty. Who leaves nothing there
counts in a thread too: an idle timer that hands `unload` to one starts it when the event loop gets to it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Call, Expression, Name
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.doubts.guards import Guards
from servelint.code.fixes.doubts.shared import Change, Shared, last_name
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import FunctionsByLine, function_at
from servelint.code.fixes.text.syntax import LEAVING, Function, Syntax
from servelint.code.fixes.text.variables import Written, mentioning_lines, written_attributes
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.loop.bound import Where
from servelint.code.values.values import (
    ClassReference,
    Frame,
    Instance,
    LibraryObject,
    ModuleReference,
    plain,
)
from servelint.knowledge.types import Phase
from servelint.project.text.parsing import unparsed

# So many calls up it is looked for who runs a function while the service serves.
MAXIMUM_CALLS = 4
_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_REMOVING = frozenset({"pop", "popitem", "popleft", "clear", "remove", "discard"})
# Words of a name that says whether something is there: `if not self.is_loaded(): self.load()`.
_THERE = frozenset({"loaded", "ready", "initialized", "initialised", "exists", "has"})
# In so many files what writes an attribute is looked at.
MAXIMUM_FILES = 12


class Owner(NamedTuple):
    """Whose a place is: the class of the object that has it, or the file of a global."""

    cls: str
    path: str


class _Place(NamedTuple):
    """A function, by its number in its file."""

    module: Module
    number: int


class Writer(NamedTuple):
    """A function that writes a place: what it does to it, and all that it puts anew.

    `fills` are changes that put something where nothing was; `in_thread` says that it is never on the loop.
    `alters` are those of an object of a library that nobody may use meanwhile (`self.index.add(vectors)`).
    """

    module: Module
    syntax: Syntax
    function: Function
    owner: Owner
    name: str
    changes: tuple[Change, ...]
    fills: tuple[Change, ...]
    replaced: frozenset[tuple[Owner, str]]
    in_thread: bool = False
    alters: tuple[Change, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether something else is there afterwards, or something that was in it is gone."""
        return any(not _is_added(change.node) for change in self.changes)

    @property
    def empties(self) -> bool:
        """Whether nothing may be there afterwards."""
        return any(
            (_is_resized(change.node) and not _is_added(change.node)) or _is_nothing(self.syntax, change.node)
            for change in self.changes
        )

    @property
    def unsets(self) -> str:
        """What it does to the place so that nothing is there afterwards; empty if it does not."""
        found = (_unset(self.syntax, change.node) for change in self.changes)
        return next((told for told in found if told), "")

    @property
    def takes(self) -> str:
        """What it does so that an element that was there is gone afterwards; empty if it does not."""
        taken = any(_is_resized(c.node) and not _is_added(c.node) for c in self.changes)
        if taken:
            return "take from it"
        return "empty it" if any(_is_made_empty(self.syntax, c.node) for c in self.changes) else ""

    @property
    def is_passing(self) -> bool:
        """Whether something is put there again at once, before anybody on the loop can see it."""
        left = [c for c in self.changes if not _unset(self.syntax, c.node) and not _is_resized(c.node)]
        last = max((self.syntax.number(change.node) for change in (*left, *self.fills)), default=0)
        gone = max((self.syntax.number(c.node) for c in self.changes if c not in left), default=0)
        return not self.in_thread and gone < last and not self._waits(gone, last)

    def _waits(self, first: int, last: int) -> bool:
        return any(isinstance(node, ast.Await) for node in self.syntax.nodes[first:last])

    @property
    def resizes(self) -> bool:
        """Whether the container that is there has more elements afterwards, or fewer."""
        return any(_is_resized(change.node) for change in (*self.changes, *self.fills))

    @property
    def goes_on(self) -> bool:
        """Whether it goes on with what it has put there: it is not finished when others can see it."""
        places = {change.text for change in self.changes if not _is_resized(change.node)}
        firsts = [self.syntax.number(c.node) for c in self.changes if c.text in places]
        return any(
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
            and unparsed(node.value.func.value) in places
            and self.syntax.number(node) > min(firsts)
            for node in self.syntax.own_nodes(self.function)
        )


class Writers:
    """Finds them in one project."""

    def __init__(self, analysis: Analysis, files: Files, sharing: Sharing, guards: Guards) -> None:
        self.analysis = analysis
        self.evaluator = analysis.evaluator
        self.loop = analysis.loop
        self.files = files
        self.sharing = sharing
        self.guards = guards
        self._of_places: dict[tuple[str, tuple[_Place, ...]], tuple[Writer, ...]] = {}
        self._lines: dict[str, FunctionsByLine] = {}
        self._of_globals: dict[tuple[str, str], tuple[_Place, ...]] = {}
        self._by_text: dict[tuple[str, frozenset[Owner]], tuple[_Place, ...] | None] = {}
        self._writers: dict[Function, tuple[Writer, ...]] = {}
        self._may: dict[tuple[str, int, int], bool] = {}

    def of(self, name: str, module: Module | None, owners: Iterable[Owner]) -> tuple[Writer, ...] | None:
        """Those that write an attribute of that name, or the global of that name in the module.

        Of attributes those of the owners are wanted; others may be among them. None where more files than are
        looked into may write it: nothing is known of it then.
        """
        places = self._places(name, module, owners)
        if places is None:
            return None
        key = (name, places)
        if key not in self._of_places:
            self._of_places[key] = tuple(
                writer for place in places for writer in self._of_function(*place) if writer.name == name
            )
        return self._of_places[key]

    def _places(self, name: str, module: Module | None, owners: Iterable[Owner]) -> tuple[_Place, ...] | None:
        """The functions that may write it while the service serves, by their text; None if they are many."""
        if module is not None:
            if (name, module.path) not in self._of_globals:
                lines = mentioning_lines(self.analysis.source(module.path), name)
                places = tuple(self._serving(module, map(self._by_line(module).around, lines)))
                self._of_globals[name, module.path] = places
            return self._of_globals[name, module.path]
        key = (name, frozenset(owners))
        if key not in self._by_text:
            self._by_text[key] = self._attributes(*key)
        return self._by_text[key]

    def _attributes(self, name: str, owners: frozenset[Owner]) -> tuple[_Place, ...] | None:
        found: list[_Place] = []
        files = 0
        for path in self.analysis.project.paths_mentioning([f".{name}"]):
            written = list(written_attributes(self.analysis.source(path), name))
            if written:
                module, before = self.evaluator.module(path), len(found)
                found += self._serving(module, self._of_owners(module, written, owners))
                files += len(found) > before
                if files > MAXIMUM_FILES:
                    return None
        return tuple(found)

    def _of_owners(
        self, module: Module, written: Sequence[Written], owners: frozenset[Owner]
    ) -> Iterator[int]:
        """The functions that may write the attribute of one of the owners."""
        around = self._by_line(module).around
        for line, holder in written:
            index = around(line)
            owner = self._owner_by_text(module, index, holder) if holder and index else None
            if not holder or (owner is not None and any(self.is_one(owner, one) for one in owners)):
                yield index

    def _by_line(self, module: Module) -> FunctionsByLine:
        if module.path not in self._lines:
            self._lines[module.path] = FunctionsByLine(module.facts.functions)
        return self._lines[module.path]

    def _owner_by_text(self, module: Module, index: int, holder: str) -> Owner | None:
        """Whose the attribute of what a function calls `holder` is; None where that is not known."""
        cls = _class_around(module, index) if holder == "self" else ""
        if cls:
            return Owner(cls, "")
        first, *attributes = holder.split(".")
        expression: Expression = Name(first)
        for attribute in attributes:
            expression = Attribute(expression, attribute)
        return self._owner_of(self.evaluator.frame(module, index), expression)

    def _serving(self, module: Module, functions: Iterable[int]) -> Iterator[_Place]:
        """Those of them that may run while the service serves, each once."""
        for index in dict.fromkeys(functions):
            if index and self._may_serve(self.evaluator.frame(module, index), MAXIMUM_CALLS):
                yield _Place(module, index)

    def _may_serve(self, frame: Frame, calls: int) -> bool:
        """What `_serves` says, where no caller asks first whether anything is missing."""
        key = (frame.module, frame.function, calls)
        if key not in self._may:
            answer = self._runs(frame, threads=True)
            if answer is None:
                callers = (outer for outer, _ in self._made(frame, threads=True) if outer.function)
                answer = calls > 0 and any(self._may_serve(outer, calls - 1) for outer in callers)
            self._may[key] = answer
        return self._may[key]

    def is_one(self, one: Owner, two: Owner) -> bool:
        """Whether both may be the same object's, or the same file's."""
        if one.cls and two.cls:
            return not self.guards.family(one.cls).isdisjoint(self.guards.family(two.cls))
        return one == two

    def owner(self, module: Module, syntax: Syntax, function: Function, place: ast.expr) -> Owner | None:
        """Whose the place is; None where that is not known."""
        if isinstance(place, ast.Name):
            return Owner("", module.path)
        if not isinstance(place, ast.Attribute):
            return None
        outer = syntax.parent(function)
        arguments = [*function.args.posonlyargs, *function.args.args]
        own = arguments[0].arg if isinstance(outer, ast.ClassDef) and arguments else ""
        if isinstance(outer, ast.ClassDef) and isinstance(place.value, ast.Name) and place.value.id == own:
            return Owner(outer.name, "")
        frame = self.files.frame(module, function)
        expression = annotation(place.value)
        return self._owner_of(frame, expression) if frame is not None and expression is not None else None

    def _owner_of(self, frame: Frame, expression: Expression) -> Owner | None:
        for value, _ in plain(self.evaluator.evaluate(frame, expression)):
            match value:
                case Instance(ClassReference(path, number)) | ClassReference(path, number):
                    return Owner(self.evaluator.module(path).facts.classes[number].name, "")
                case ModuleReference(path):
                    return Owner("", path)
        return None

    def _of_function(self, module: Module, index: int) -> tuple[Writer, ...]:
        syntax = self.files.syntax(module)
        function = function_at(syntax, module.function(index).position)
        if function is None:
            return ()
        if function not in self._writers:
            self._writers[function] = tuple(self._writing(module, syntax, function))
        return self._writers[function]

    def _writing(self, module: Module, syntax: Syntax, function: Function) -> Iterator[Writer]:
        """The function as what writes each place that it does while the service serves."""
        arguments = [*function.args.posonlyargs, *function.args.args]
        own = arguments[0].arg if function.name in _CONSTRUCTORS and arguments else ""
        every: dict[tuple[Owner, str], list[Change]] = {}
        shared = self.sharing.of(module, function)
        altered = list(self._altered(module, shared, own))
        for change in dict.fromkeys((*shared.changes(syntax.own_nodes(function), own), *altered)):
            owner = self.owner(module, syntax, function, change.place) if last_name(change.place) else None
            if owner is not None:
                every.setdefault((owner, last_name(change.place)), []).append(change)
        names = {name for _, name in every}
        left, fills = dict[tuple[Owner, str], list[Change]](), dict[tuple[Owner, str], list[Change]]()
        for key, changes in every.items():
            for change in changes:
                (fills if _fills(syntax, change, names) else left).setdefault(key, []).append(change)
        replaced = frozenset(
            key for key, changes in left.items() if any(not _is_added(change.node) for change in changes)
        )
        found = [
            Writer(
                module, syntax, function, *key, tuple(left.get(key, ())), tuple(fills.get(key, ())), replaced
            )._replace(alters=tuple(c for c in left.get(key, ()) if c in altered))
            for key in every
        ]
        if found and self._serves(module, function, names, MAXIMUM_CALLS):
            yield from found
            return
        # Who asks whether it is unloaded already (`if not unloaded: unload()`) fills nothing.
        found = [writer for writer in found if writer.unsets or writer.takes]
        names = {writer.name for writer in found}
        if found and self._serves(module, function, names, MAXIMUM_CALLS):
            yield from found
        elif found and self._serves(module, function, names, MAXIMUM_CALLS, threads=True):
            yield from (writer._replace(in_thread=True) for writer in found)

    def _altered(self, module: Module, shared: Shared, own: str) -> Iterator[Change]:
        """The calls that change an object of a library which nobody may use meanwhile."""
        frame, known = self.files.frame(module, shared.function), policy.load().changes_alone
        for node in shared.syntax.own_nodes(shared.function) if frame is not None else ():
            match node:
                case ast.Call(func=ast.Attribute(value=place, attr=name)) if name in known.last_names():
                    held = annotation(place)
                    kinds = plain(self.evaluator.evaluate(frame, held)) if frame and held else ()
                    types = [kind.type for kind, _ in kinds if isinstance(kind, LibraryObject)]
                    if any(known.find(f"{t}.{name}") for t in types) and shared.holds(
                        place, own, called=True
                    ):
                        yield Change(node, place)

    def _serves(
        self,
        module: Module,
        function: Function,
        names: Collection[str],
        calls: int,
        *,
        threads: bool = False,
    ) -> bool:
        """Whether the function runs on the loop while requests are under way, but for what is missing.

        With `threads` also whether it runs in a thread then.
        """
        frame = self.files.frame(module, function)
        if frame is None:
            return False
        answer = self._runs(frame, threads=threads)
        if answer is not None:
            return answer
        return calls > 0 and any(
            self._serves(there, caller, names, calls - 1, threads=threads)
            for there, syntax, caller, node in self._calling(frame, threads=threads)
            if caller is not function and not asks_for_lack(syntax, node, names)
        )

    def _runs(self, frame: Frame, *, threads: bool) -> bool | None:
        """Whether the function runs on the loop while requests are under way; None if its callers decide."""
        module, facts = self.evaluator.module(frame.module), self.evaluator.facts(frame)
        where = self.loop.where(module, frame.function, facts)
        if where is Where.STARTUP or facts.name in _CONSTRUCTORS:
            return False
        if any(point.phase is Phase.SERVING for point in self.loop.entry_points.of(module, frame.function)):
            return threads or where is Where.LOOP
        if not self.evaluator.callers.is_called(frame):
            handed = threads and self.loop.handed.calls(module, frame.function)
            return None if handed else where is Where.LOOP
        return None

    def _calling(self, frame: Frame, *, threads: bool) -> Iterator[tuple[Module, Syntax, Function, ast.Call]]:
        for outer, made in self._made(frame, threads=threads):
            module = self.evaluator.module(outer.module)
            syntax = self.files.syntax(module)
            function = function_at(syntax, self.evaluator.facts(outer).position) if outer.function else None
            node = syntax.at(made.position, ast.Call)
            if function is not None and node is not None:
                yield module, syntax, function, node

    def _made(self, frame: Frame, *, threads: bool) -> Iterator[tuple[Frame, Call]]:
        """The calls of the frame's function, with `threads` also those that threads make."""
        if threads:
            return self.loop.runs(self.evaluator.module(frame.module), frame.function)
        return self.evaluator.callers.call_sites(frame)


def _class_around(module: Module, index: int) -> str:
    """The class in whose method, or in a function of whose method, the function stands."""
    at: int | None = index
    while at:
        facts = module.function(at)
        if facts.owner is not None:
            return module.facts.classes[facts.owner].name
        at = facts.parent
    return ""


def asks_for_lack(syntax: Syntax, node: ast.AST, names: Collection[str]) -> bool:
    """Whether the node is only come to where one of the places has nothing in it."""
    for outer, child in syntax.ancestors(node):
        match outer:
            case ast.If(test=test, body=body) if child in body and _lacks(test, names, so=True):
                return True
            case ast.If(test=test, orelse=other) if child in other and _lacks(test, names, so=False):
                return True
        place = syntax.place(child) if isinstance(child, ast.stmt) else None
        for statement in place.suite[: place.number] if place is not None else ():
            leaves = isinstance(statement, ast.If) and isinstance(statement.body[-1], LEAVING)
            if leaves and isinstance(statement, ast.If) and _lacks(statement.test, names, so=False):
                return True
        if isinstance(outer, _FUNCTIONS):
            return False
    return False


def _lacks(test: ast.expr, names: Collection[str], *, so: bool) -> bool:
    """Whether something is missing where the test says `so`."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _lacks(operand, names, so=not so)
        case ast.BoolOp(op=op, values=values):
            every = (_lacks(value, names, so=so) for value in values)
            return any(every) if isinstance(op, ast.And) is so else all(every)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            if isinstance(op, ast.In | ast.NotIn):
                return last_name(right) in names and isinstance(op, ast.NotIn) is so
            if isinstance(op, ast.Is | ast.Eq | ast.IsNot | ast.NotEq):
                empty = isinstance(right, ast.Constant) and not right.value
                return empty and last_name(left) in names and isinstance(op, ast.Is | ast.Eq) is so
            return False
        case ast.Call(func=called):
            return not so and bool(_THERE.intersection(_words(last_name(called))))
        case ast.Name() | ast.Attribute():
            name = last_name(test)
            return not so and (name in names or bool(_THERE.intersection(_words(name))))
    return False


def _words(name: str) -> list[str]:
    return name.lower().removesuffix("attr").split("_")


def _fills(syntax: Syntax, change: Change, names: Collection[str]) -> bool:
    """Whether something is put where nothing was."""
    if _is_nothing(syntax, change.node) or (_is_resized(change.node) and not _is_put(change.node)):
        return False
    return asks_for_lack(syntax, change.node, names)


def _is_nothing(syntax: Syntax, node: ast.AST) -> bool:
    """Whether the place is deleted, or something empty is put there."""
    if isinstance(getattr(node, "ctx", None), ast.Del):
        return True
    match syntax.parent(node):
        case ast.Assign(value=ast.Constant(value=value)) | ast.AnnAssign(value=ast.Constant(value=value)):
            return not value
    return False


def _unset(syntax: Syntax, node: ast.AST) -> str:
    """What is done to the variable or attribute so that it holds nothing; empty for anything else."""
    if not isinstance(node, ast.Name | ast.Attribute):
        return ""
    if isinstance(node.ctx, ast.Del):
        return "delete it"
    match syntax.parent(node):
        case ast.Assign(value=ast.Constant(value=None)) | ast.AnnAssign(value=ast.Constant(value=None)):
            return "set it to None"
    return ""


def _is_made_empty(syntax: Syntax, node: ast.AST) -> bool:
    """Whether a container with nothing in it is put there."""
    outer = syntax.parent(node)
    if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(outer, ast.Assign | ast.AnnAssign):
        return False
    match outer.value:
        case ast.Dict(keys=[]) | ast.List(elts=[]):
            return True
        case ast.Call(func=ast.Name(id="dict" | "list"), args=[], keywords=[]):
            return True
    return False


def _is_added(node: ast.AST) -> bool:
    """Whether all that was there is there afterwards."""
    if isinstance(node, ast.Call):
        return not (isinstance(node.func, ast.Attribute) and node.func.attr in _REMOVING)
    return _is_put(node) or isinstance(node, ast.Assign)


def _is_put(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)


def _is_resized(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript | ast.Call | ast.Assign)
