"""Whether a fix would move some of what belongs together and leave the rest on the event loop.

So far one thread has called a model; then two would, which not every library allows. A function of which one
call is moved and another is not blocks the loop as before, and so does what two endpoints call if one of them
still calls it there.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from servelint.code.facts.facts import Attribute, Call, Constant, Expression, Name, Position
from servelint.code.fixes.doubts.shared import last_name
from servelint.code.fixes.doubts.sharing import Sharing
from servelint.code.fixes.pools.forms import is_pooled
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Syntax, is_none
from servelint.code.fixes.text.variables import roots
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import (
    ClassReference,
    External,
    ExternalObject,
    Frame,
    LibraryObject,
    plain,
)
from servelint.knowledge.types import Role

# A call by the file, its function and where it stands; whether a call or what the language does.
_Key: TypeAlias = tuple[str, int, Position, bool]
# What calls have in common: a function that they stand in or call, or a library.
_Bond: TypeAlias = tuple[str, int] | str
# What a function makes for itself is nobody else's.
_OWN = "()"


class Halves:
    """Judges the fixes of one project.

    `stays` tells whether a call has no safe fix of its own, `moves_with` which calls the fix of one moves.
    """

    def __init__(
        self,
        analysis: Analysis,
        files: Files,
        sharing: Sharing,
        stays: Callable[[BlockingCall], bool],
        moves_with: Callable[[BlockingCall], Iterable[BlockingCall]],
    ) -> None:
        self.analysis = analysis
        self.files = files
        self.sharing = sharing
        self._stays = stays
        self._moves_with = moves_with
        self._doubts: dict[_Key, str] = {}
        self._users: dict[tuple[str, str], tuple[BlockingCall, ...]] = {}
        self._callers: dict[tuple[str, int], list[BlockingCall]] = {}
        self._looked_into: set[str] = set()
        self._same: dict[tuple[tuple[str, str], ...], bool] = {}
        self._objects: dict[tuple[str, Position], str] = {}
        self._stored: dict[str, dict[str, list[ast.expr | None]]] = {}

    def doubt(self, call: BlockingCall) -> str:
        """Why the call should not move alone; empty where it may."""
        key = _key(call)
        if key not in self._doubts:
            self._work_out(call)
        return self._doubts[key]

    def _work_out(self, call: BlockingCall) -> None:
        """Find out for the call, and for all that has to do with it, what stays and what stays for that."""
        together = self._together(call)
        left = {key: one for key, one in together.items() if not self._stays(one)}
        taken = self._taken(left)
        beside: dict[_Key, list[_Key]] = {}
        for key, by in taken.items():
            beside.setdefault(by, []).append(key)
        staying = [one for key, one in together.items() if key not in left and key not in taken]
        self._doubts.update(dict.fromkeys(together, ""))
        bound: dict[_Bond, dict[_Key, BlockingCall]] = {}
        for key, one in left.items():
            for bond in self._bonds(one):
                bound.setdefault(bond, {})[key] = one
        while staying:
            other = staying.pop()
            near = {key: one for bond in self._bonds(other) for key, one in bound.get(bond, {}).items()}
            for key, one in near.items():
                reason = self._reason(one, other)
                if reason:
                    self._doubts[key] = reason
                    staying.append(left.pop(key))
                    for bond in self._bonds(one):
                        del bound[bond][key]
                    staying += (together[k] for k in beside.get(key, ()) if k in together and k not in left)

    def _taken(self, left: dict[_Key, BlockingCall]) -> dict[_Key, _Key]:
        """What moves in the same block as a call that moves, and which that is."""
        found: dict[_Key, _Key] = {}
        for key, one in left.items():
            if key not in found:
                found.update((_key(other), key) for other in self._moves_with(one))
        return found

    def _together(self, call: BlockingCall) -> dict[_Key, BlockingCall]:
        """The call, those of its function, those of what it calls or of its model, and so on."""
        found: dict[_Key, BlockingCall] = {}
        waiting, seen = [call], set[tuple[object, ...]]()
        while waiting:
            one = waiting.pop()
            if _key(one) in found:
                continue
            found[_key(one)] = one
            path, library = one.caller.module.path, one.blocking.library
            if (path, one.caller.index) not in seen:
                seen.add((path, one.caller.index))
                waiting += self.files.told(path).get(one.caller.index, ())
            called = _called(one)
            if called is not None and (path, called) not in seen:
                seen.add((path, called))
                waiting += self._calling(path, called)
            if is_pooled(self.analysis, one) and not one.blocking.thread_safe and (path, library) not in seen:
                seen.add((path, library))
                waiting += self._beside(path, library)
        return found

    def _reason(self, call: BlockingCall, other: BlockingCall) -> str:
        """Why the call should stay where the other one does."""
        if other.caller == call.caller and not self._is_done_before(other):
            here = call.caller.facts.name
            return f"line {other.position.line} of `{here}` stays on the event loop (`{other.text}`)"
        return self._of_model(call, other) or self._of_half(call, other)

    def _of_model(self, call: BlockingCall, other: BlockingCall) -> str:
        """Why a thread should not call the model while the other call stays on the loop."""
        if call.blocking.thread_safe or not (
            is_pooled(self.analysis, call) and is_pooled(self.analysis, other)
        ):
            return ""
        if other.blocking.library != call.blocking.library or not self._is_beside(call, other):
            return ""
        if other.blocking.thread_safe or not self._may_be_one(call, other):
            return ""
        library = call.blocking.library or "the model"
        allowed = "must not call" if call.blocking.thread_safe is False else "may not be allowed to call"
        return (
            f"`{other.text}` in `{other.caller.facts.qualname}` stays on the event loop, "
            f"and two threads {allowed} {library} at once"
        )

    def _of_half(self, call: BlockingCall, other: BlockingCall) -> str:
        """Why a function should not run in a thread here, and on the event loop there."""
        called = _called(call)
        if called is None or called != _called(other) or self._is_done_before(other):
            return ""
        if not self._is_beside(call, other):
            return ""
        path = os.path.relpath(other.caller.module.path, self.analysis.project.root).replace(os.sep, "/")
        place = f"`{other.caller.facts.qualname}`, line {other.position.line} of {path}"
        return f"`{other.text}` stays on the event loop in {place}: it would run there and in a thread"

    def _bonds(self, call: BlockingCall) -> Iterator[_Bond]:
        yield call.caller.module.path, call.caller.index
        yield call.blocking.library
        called = _called(call)
        if called is not None:
            yield called

    def _is_done_before(self, call: BlockingCall) -> bool:
        """Whether the call loads at its first use what start-up loads too: it hardly ever does it again."""
        evaluator, loop = self.analysis.evaluator, self.analysis.loop
        return (
            call.blocking.role is Role.LOAD
            and self.analysis.is_kept(call.frame, call.blocking)
            and any(
                loop.runs_at_startup(evaluator.module(path), index) for path, index in call.blocking.functions
            )
        )

    def _is_beside(self, call: BlockingCall, other: BlockingCall) -> bool:
        return other.caller.module.path in self.analysis.reach.beside(call.caller.module.path)

    def _calling(self, here: str, called: tuple[str, int]) -> Sequence[BlockingCall]:
        """The calls of a function of the project in the service, and some of others beside it."""
        new = self.analysis.reach.beside(here).intersection(self.analysis.loop.paths) - self._looked_into
        for path in sorted(new):
            self._looked_into.add(path)
            for calls in self.files.told(path).values():
                for call in calls:
                    function = _called(call)
                    if function is not None:
                        self._callers.setdefault(function, []).append(call)
        return self._callers.get(called, ())

    def _beside(self, here: str, library: str) -> tuple[BlockingCall, ...]:
        """The calls of the library in the service that threads may not be allowed to make at once."""
        key = (here, library)
        if key not in self._users:
            beside = self.analysis.reach.beside(here)
            self._users[key] = tuple(
                other
                for path in self.analysis.loop.paths
                for calls in (self.files.told(path).values() if path in beside else ())
                for other in calls
                if other.blocking.library == library
                and not other.blocking.thread_safe
                and is_pooled(self.analysis, other)
            )
        return self._users[key]

    def _may_be_one(self, call: BlockingCall, other: BlockingCall) -> bool:
        """Whether both may call one object: two names are, where not each is made by itself."""
        one, two = self._object(call), self._object(other)
        if _OWN in (one, two):
            return False
        if not one or not two:
            return bool(call.blocking.library)  # of a library that is known, whichever object it is
        if one == two:
            return not self._is_of_two_classes(call, other, one)
        key = ((call.blocking.hops[-1].path, one), (other.blocking.hops[-1].path, two))
        if key not in self._same:
            self._same[key] = self._are_one(call, other)
        return self._same[key]

    def _are_one(self, call: BlockingCall, other: BlockingCall) -> bool:
        """Whether two names may be of one object."""
        one, two = self._object(call), self._object(other)
        made = [self._made_of(c.blocking.hops[-1].path, name) for c, name in ((call, one), (other, two))]
        return bool(call.blocking.library) and (not all(made) or bool(frozenset.intersection(*made)))

    def _is_of_two_classes(self, call: BlockingCall, other: BlockingCall, name: str) -> bool:
        """Whether it is `self.name` of two classes with nothing in common, each with its own objects."""
        one, two = self._classes(call, name), self._classes(other, name)
        if not one or not two or one & two:
            return False
        evaluator, filled = self.analysis.evaluator, set[ClassReference]()
        for module, bound in self.analysis.project.attributes(name):
            facts = module.function(bound.function)
            if facts.owner is None or not _is_of_self(bound.binding.target):
                return False  # put there from outside: who knows into which
            owner = ClassReference(module.path, facts.owner)
            if owner not in one | two or bound.binding.value == Constant(None):
                continue
            if not self._is_new(evaluator.frame(module, bound.function), bound.binding.value):
                return False
            filled.add(owner)
        return bool(one & filled) and bool(two & filled)

    def _classes(self, call: BlockingCall, name: str) -> frozenset[ClassReference]:
        """The class in whose method the library is called on `self.name`, and all that are akin to it."""
        hop, functions = call.blocking.hops[-1], call.blocking.functions
        path, index = functions[-1] if functions else (call.caller.module.path, call.caller.index)
        evaluator = self.analysis.evaluator
        module = evaluator.module(path)
        node = self.files.syntax(module).at(hop.position, ast.Call) if path == hop.path else None
        owner = module.function(index).owner
        below = ast.walk(node.func) if node is not None else ()
        own = [n for n in below if isinstance(n, ast.Attribute) and n.attr == name]
        if owner is None or not own or any(last_name(n.value) != "self" for n in own):
            return frozenset()
        bases = [
            b for b in evaluator.classes.lineage(ClassReference(path, owner)) if isinstance(b, ClassReference)
        ]
        return frozenset((*bases, *(c for base in bases for c in evaluator.classes.subclasses(base))))

    def _is_new(self, frame: Frame, value: Expression | None) -> bool:
        """Whether a library makes the object there, of nothing that others may have."""
        if not isinstance(value, Call):
            return False
        evaluator = self.analysis.evaluator
        callees = [v for v, _ in plain(evaluator.calls.callees(frame, value))]
        given = (*value.arguments, *(argument for _, argument in value.keywords))
        parts = [v for argument in given for v, _ in plain(evaluator.evaluate(frame, argument))]
        return (
            bool(callees)
            and all(isinstance(v, External) for v in callees)
            and not any(isinstance(v, LibraryObject | ExternalObject) for v in parts)
        )

    def _made_of(self, path: str, name: str) -> frozenset[str]:
        """The name and those that its value is made of; empty where not only calls of libraries make it."""
        module = self.analysis.evaluator.module(path)
        libraries = self.files.global_names(module).libraries
        if path not in self._stored:
            self._stored[path] = _stored(self.files.syntax(module))
        stored = self._stored[path]
        values = [value for value in stored.get(name, ()) if not is_none(value)]
        made = [v for v in values if isinstance(v, ast.Call) and libraries.intersection(roots(v.func))]
        if not made or len(made) < len(values):
            return frozenset()
        found, waiting = {name}, list[ast.expr](made)
        while waiting:
            for node in ast.walk(waiting.pop()):
                part = last_name(node) if isinstance(node, ast.Name | ast.Attribute) else ""
                given = [value for value in stored.get(part, ()) if not isinstance(value, ast.Constant)]
                if given and part not in found:
                    found.add(part)
                    waiting += (value for value in given if value is not None)
        return frozenset(found)

    def _object(self, call: BlockingCall) -> str:
        """The name of the object that the library is called on at the end; empty where that is not known."""
        hop = call.blocking.hops[-1]
        if (hop.path, hop.position) not in self._objects:
            self._objects[hop.path, hop.position] = self._find_object(call)
        return self._objects[hop.path, hop.position]

    def _find_object(self, call: BlockingCall) -> str:
        hop = call.blocking.hops[-1]
        module = self.analysis.evaluator.module(hop.path)
        syntax = self.files.syntax(module)
        node = syntax.at(hop.position, ast.Call)
        if node is None:
            return ""
        called: ast.expr = node.func
        if isinstance(called, ast.Attribute) and called.attr == call.blocking.sink.rpartition(".")[2]:
            called = called.value
        if not isinstance(called, ast.Name):
            return last_name(called)
        function = syntax.function_around(node)
        if function is None:
            return called.id
        shared = self.sharing.of(module, function)
        if not shared.outlives(called):
            return _OWN
        return called.id if shared.reaches(called.id) else ""


def _key(call: BlockingCall) -> _Key:
    return (call.caller.module.path, call.caller.index, call.position, call.site is None)


def _stored(syntax: Syntax) -> dict[str, list[ast.expr | None]]:
    """What the file gives to each name or attribute, by the last name; None for what it does not assign."""
    found: dict[str, list[ast.expr | None]] = {}
    for node in syntax.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            match syntax.parent(node):
                case ast.AnnAssign(value=None):
                    pass
                case ast.Assign(targets=[_], value=value) | ast.AnnAssign(value=value):
                    found.setdefault(last_name(node), []).append(value)
                case _:
                    found.setdefault(last_name(node), []).append(None)
    return found


def _is_of_self(target: Expression) -> bool:
    return isinstance(target, Attribute) and target.value == Name("self")


def _called(call: BlockingCall) -> tuple[str, int] | None:
    """The function of the project that is called, by its file and number; None for anything else."""
    return call.blocking.functions[0] if call.site is not None and call.blocking.functions else None
