"""State that requests share and that only a lock lets anybody change: threads may use it too.

Nobody may change it without that lock. Who only looks at it without must look once, at one place, and must
not go through it: what is seen then was there before or after, as if one had waited for the other. Where what
has been put there stays, one may look more often.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from servelint.code.facts.facts import Call, Expression
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.doubts.lazy import FirstUse, first_use
from servelint.code.fixes.doubts.locking import Locking, locking
from servelint.code.fixes.doubts.shared import Change, Names, Shared, is_container, last_name
from servelint.code.fixes.pools.bounds import lets_one_in
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.placement import function_at
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.variables import CHANGING_METHODS
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import External, ExternalObject, Frame, plain
from servelint.project.text.parsing import unparsed

# So many calls up it is looked for who holds the lock.
MAXIMUM_CALLS = 3
_CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_AWAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith)
# Functions that reach an attribute or a variable by its name as text.
_BY_TEXT = frozenset({"getattr", "setattr", "delattr", "globals", "vars", "attrgetter"})


class _Lock(NamedTuple):
    """A lock: the file and class in which it is spelled so."""

    path: str
    owner: str
    text: str


class _Access(NamedTuple):
    """Where the project uses a place; `function` is None at the top of a file or class."""

    module: Module
    syntax: Syntax
    function: Function | None
    node: ast.expr


class Guards:
    """Finds the locks of one project. `locks` are the classes of the locks that count."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.locks = policy.load().locks
        self._answers: dict[tuple[Frame, tuple[str, ...]], bool] = {}
        self._families: dict[str, set[str]] = {}

    def guard(self, frame: Frame, syntax: Syntax, function: Function, changes: Sequence[Change]) -> bool:
        """Whether one lock is held at all of the function's changes, and wherever else that matters."""
        key = (frame, tuple(change.text for change in changes))
        if key not in self._answers:
            self._answers[key] = self._guard(frame, syntax, function, changes)
        return self._answers[key]

    def _guard(self, frame: Frame, syntax: Syntax, function: Function, changes: Sequence[Change]) -> bool:
        module = self.analysis.evaluator.module(frame.module)
        held = [self.held(module, syntax, function, change.node) for change in changes]
        common = set.intersection(*held) if held else set()
        return any(
            self._is_only_entered(lock) and self._is_kept(module, syntax, function, changes, lock)
            for lock in common
        )

    def locking(
        self, frame: Frame, syntax: Syntax, function: Function, changes: Sequence[Change]
    ) -> Locking | None:
        """The lock that would make the function's changes safe: those of a load at the first use."""
        module = self.analysis.evaluator.module(frame.module)
        load = first_use(syntax, function, changes)
        found = locking(module, load, changes) if load is not None else None
        if load is None or found is None:
            return None
        return found if self._is_kept(module, syntax, function, changes, load) else None

    # -- which locks are held --------------------------------------------------------------------

    def held(
        self, module: Module, syntax: Syntax, function: Function, node: ast.AST, calls: int = 0
    ) -> set[_Lock]:
        """The locks around the node, and those around all calls of its function."""
        frame = self.files.frame(module, function)
        if frame is None:
            return set()
        found = set(self._around(module, syntax, function, node, frame))
        if calls >= MAXIMUM_CALLS:
            return found
        # To see how else a function is used takes trees of all files that have its name.
        if not self._may_be_held(frame, calls) or self._is_used_otherwise(function):
            return found
        above: list[set[_Lock]] = []
        for outer, made in self.analysis.evaluator.callers.call_sites(frame):
            other = self.analysis.evaluator.module(outer.module)
            around = self.files.syntax(other)
            caller = function_at(around, self.analysis.evaluator.facts(outer).position)
            site = around.at(made.position, ast.Call)
            if caller is None or site is None:
                return found
            above.append(self.held(other, around, caller, site, calls + 1))
        return found | (set.intersection(*above) if above else set())

    def _may_be_held(self, frame: Frame, calls: int) -> bool:
        """Whether all calls of the function stand in a `with`, or in functions of which that is so."""
        sites = list(self.analysis.evaluator.callers.call_sites(frame))
        return bool(sites) and all(
            any(site.call is made and site.contexts for site in self.analysis.evaluator.facts(outer).sites)
            or (calls + 1 < MAXIMUM_CALLS and self._may_be_held(outer, calls + 1))
            for outer, made in sites
        )

    def _around(
        self, module: Module, syntax: Syntax, function: Function, node: ast.AST, frame: Frame
    ) -> Iterator[_Lock]:
        for outer, child in syntax.ancestors(node):
            if outer is function or isinstance(outer, (*_FUNCTIONS, ast.Lambda)):
                return
            if isinstance(outer, ast.With) and isinstance(child, ast.stmt):
                for item in outer.items:
                    if self._is_lock(frame, annotation(item.context_expr)):
                        text = unparsed(item.context_expr)
                        yield _Lock(module.path, _owner(syntax, function) if "." in text else "", text)

    def _is_lock(self, frame: Frame, expression: Expression | None) -> bool:
        if expression is None or isinstance(expression, Call):
            return False
        values = [value for value, _ in plain(self.analysis.evaluator.evaluate(frame, expression))]
        names = [v.name for v in values if isinstance(v, External | ExternalObject)]
        if not names or len(names) != len(values) or not all(self.locks.find(name) for name in names):
            return False
        return lets_one_in(self.analysis.evaluator, expression, names)

    def _is_used_otherwise(self, function: Function) -> bool:
        """Whether the function may be called where nobody sees it: it is handed on, or decorated."""
        if function.decorator_list:
            return True
        for other in self.analysis.project.mentioning([function.name]):
            syntax = self.files.syntax(other)
            for node in syntax.nodes:
                named = isinstance(node, ast.Name | ast.Attribute) and last_name(node) == function.name
                if named and not _is_called(syntax, node):
                    return True
        return False

    # -- who else uses the state -----------------------------------------------------------------

    def _is_kept(
        self,
        module: Module,
        syntax: Syntax,
        function: Function,
        changes: Sequence[Change],
        lock: _Lock | FirstUse,
    ) -> bool:
        """Whether the lock is held wherever the places are changed, or looked at more than once.

        For a load at the first use it is one that is going to be held there.
        """
        load = lock if isinstance(lock, FirstUse) else first_use(syntax, function, changes)
        if load is not None and isinstance(lock, _Lock):
            held = self.held(module, syntax, function, load.statements[0])
            load = load if lock in held else None
        in_steps = load is not None and load.is_in_steps()
        loose: dict[Function, dict[ast.expr, str]] = {}
        owner = _owner(syntax, function)
        for change in changes:
            accesses = list(self._accesses(module, change, owner))
            used = [a for a in accesses if a is not None and not self._is_made_there(a, change)]
            if None in accesses:
                return False
            stays = self._stays(change, used, load)
            is_variable = stays and not is_container(change.node)
            for access in used:
                if access.function is None:
                    continue
                if (
                    load is not None
                    and stays
                    and _is_read(access)
                    and load.is_done(access.syntax, access.node)
                ):
                    continue
                if self._has(lock, access, access.function):
                    continue
                if not _only_looks(access.syntax, access.node) and (
                    in_steps or not (is_variable and _is_read(access))
                ):
                    return False
                loose.setdefault(access.function, {})[access.node] = change.text if stays else ""
        return all(len(found) == 1 or _is_one_that_stays(found.values()) for found in loose.values())

    def _has(self, lock: _Lock | FirstUse, access: _Access, function: Function) -> bool:
        if isinstance(lock, FirstUse):
            return access.syntax is lock.syntax and lock.holds(access.node)
        return lock in self.held(access.module, access.syntax, function, access.node)

    def _stays(self, change: Change, used: Sequence[_Access], load: FirstUse | None) -> bool:
        """Whether the place is set once, where it is found to be empty, and nothing takes away from it."""
        writers = [a for a in used if a.function is not None and not _is_read(a)]
        if load is not None and all(a.syntax is load.syntax and load.holds(a.node) for a in writers):
            return all(_is_filled(a.syntax, a.node) for a in writers)
        if any(a.function is not writers[0].function for a in writers):
            return False
        return all(_fills(a.syntax, a.node, change.text) for a in writers)

    def _is_only_entered(self, lock: _Lock) -> bool:
        """Whether all that is done with the lock is to enter it, and nobody who holds it awaits anything.

        Who waited for a thread that wants the lock would wait for ever.
        """
        name = lock.text.rpartition(".")[2]
        for module in self.analysis.project.mentioning([name]):
            syntax = self.files.syntax(module)
            for node in syntax.nodes:
                if not isinstance(node, ast.Name | ast.Attribute) or last_name(node) != name:
                    continue
                if not isinstance(node.ctx, ast.Load):
                    continue
                item = syntax.parent(node)
                entered = syntax.parent(item) if isinstance(item, ast.withitem) else None
                if not isinstance(entered, ast.With):
                    return False
                if any(
                    isinstance(n, ast.Await | ast.AsyncFor | ast.AsyncWith) for n in syntax.below(entered)
                ):
                    return False
        return True

    def _accesses(self, module: Module, change: Change, owner: str) -> Iterator[_Access | None]:
        """All uses of the place in the project; None for one that cannot be followed."""
        name, is_global = last_name(change.place), isinstance(change.place, ast.Name)
        owner = "" if is_global else owner
        if not name:
            yield None
            return
        for other in self.analysis.project.mentioning([name]):
            syntax = self.files.syntax(other)
            for node in syntax.nodes:
                match node:
                    case ast.alias(name=imported) if imported == name and is_global:
                        yield None
                    case ast.Call(func=ast.Name(id=called)) if called in _BY_TEXT and _says(node, name):
                        yield None
                    case ast.Attribute(attr=attribute) if attribute == name:
                        if not self._is_unrelated(module, owner, other, syntax, node):
                            yield _Access(other, syntax, syntax.function_around(node), node)
                    case ast.Name(id=found) if found == name and is_global and other is module:
                        around = syntax.function_around(node)
                        if around is None or Shared(syntax, around, Names(frozenset({name}))).reaches(name):
                            yield _Access(other, syntax, around, node)

    def _is_unrelated(
        self, module: Module, owner: str, other: Module, syntax: Syntax, node: ast.Attribute
    ) -> bool:
        """Whether it is `self.name` in a class of which no object is one of the owner's.

        A global has no owner.
        """
        if not isinstance(node.value, ast.Name) or node.value.id != "self":
            return False
        if not owner:
            return True
        cls = next((outer for outer, _ in syntax.ancestors(node) if isinstance(outer, ast.ClassDef)), None)
        if cls is None or (other is module and cls.name == owner):
            return False
        if cls.name == owner and other is not module and not cls.bases:
            return self.family(owner) == {owner}  # two classes of one name
        return not self.family(cls.name) & self.family(owner)

    def family(self, name: str) -> set[str]:
        """The names of the class and of all that inherit from it: an object of one has what the class has."""
        if name not in self._families:
            found, waiting = {name}, [name]
            while waiting:
                for module, number in self.analysis.project.families.inheriting(waiting.pop()):
                    inheriting = module.facts.classes[number].name
                    if inheriting not in found:
                        found.add(inheriting)
                        waiting.append(inheriting)
            self._families[name] = found
        return self._families[name]

    def _is_made_there(self, access: _Access, change: Change) -> bool:
        """Whether the use is of the object that a constructor makes."""
        function = access.function
        if function is None or function.name not in _CONSTRUCTORS or isinstance(change.place, ast.Name):
            return False
        node = access.node
        own = function.args.args[0].arg if function.args.args else ""
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == own


def _owner(syntax: Syntax, function: Function) -> str:
    outer = syntax.parent(function)
    return outer.name if isinstance(outer, ast.ClassDef) else ""


def _is_called(syntax: Syntax, node: ast.AST) -> bool:
    outer = syntax.parent(node)
    return isinstance(outer, ast.Call) and outer.func is node


def _says(call: ast.Call, name: str) -> bool:
    return any(isinstance(n, ast.Constant) and n.value == name for n in ast.walk(call)) or not call.args


def _is_read(access: _Access) -> bool:
    """Whether the use changes nothing at the place itself."""
    node, outer = access.node, access.syntax.parent(access.node)
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return False
    if isinstance(outer, ast.Subscript) and outer.value is node:
        return isinstance(outer.ctx, ast.Load)
    return not (isinstance(outer, ast.Attribute) and outer.attr in CHANGING_METHODS)


def _fills(syntax: Syntax, node: ast.expr, place: str) -> bool:
    """Whether the place is assigned something, below an `if` or behind a guard that asks about the place."""
    if not _is_filled(syntax, node):
        return False
    for around, child in syntax.ancestors(node):
        if isinstance(around, _FUNCTIONS):
            return False
        if isinstance(around, ast.If) and child in around.body and _asks(around.test, place):
            return True
        if isinstance(around, ast.With) and isinstance(child, ast.stmt):
            before = around.body[: around.body.index(child)]
            return any(
                isinstance(s, ast.If) and _asks(s.test, place) and isinstance(s.body[-1], ast.Return)
                for s in before
            )
    return False


def _is_filled(syntax: Syntax, node: ast.expr) -> bool:
    """Whether the place is assigned something that is not empty."""
    outer = syntax.parent(node)
    target = outer if isinstance(outer, ast.Subscript) and outer.value is node else node
    if not isinstance(getattr(target, "ctx", None), ast.Store):
        return False
    statement = syntax.statement(node)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    return not isinstance(statement.value, ast.Constant) or bool(statement.value.value)


def _asks(test: ast.expr, place: str) -> bool:
    return any(isinstance(n, ast.expr) and unparsed(n) == place for n in ast.walk(test))


def _is_one_that_stays(places: Collection[str]) -> bool:
    return len(set(places)) == 1 and "" not in places


def _only_looks(syntax: Syntax, node: ast.expr) -> bool:
    """Whether the use is one look at the place: it is there, it has that many or that element."""
    if not isinstance(getattr(node, "ctx", None), ast.Load):
        return False
    match syntax.parent(node):
        case ast.Subscript(value=value, ctx=ast.Load()) if value is node:
            return True
        case ast.Attribute(value=value, attr="get") as method if value is node:
            return _is_called(syntax, method)
        case ast.Compare(ops=[ast.Is() | ast.IsNot() | ast.In() | ast.NotIn()]):
            return True
        case ast.Call(func=ast.Name(id="len" | "bool"), args=[value]) if value is node:
            return True
    return False
