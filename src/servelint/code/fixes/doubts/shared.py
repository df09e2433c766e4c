"""State that requests share, and whether an `await` would come between two uses of it."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.fixes.text.variables import (
    HARMLESS_METHODS,
    aliases,
    changed,
    followed,
    reads,
    roots,
    writes,
)
from servelint.project.text.parsing import unparsed

# Functions that set what random numbers follow, and other things for the whole process or thread.
SEEDS = frozenset(
    {"seed", "manual_seed", "manual_seed_all", "set_seed", "seed_everything", "set_random_seed", "fix_seed"}
    | {"set_grad_enabled", "set_default_dtype", "set_default_device", "set_num_threads", "chdir"}
)

# How methods begin, or go on, that heed no setting of the object: those of tokenizers that go back to text
# (https://huggingface.co/docs/transformers/main_classes/tokenizer).
_HEEDLESS = re.compile("decode|convert_")

# Methods that leave what others of the object give then, as `Result` and `FinalResult` of Vosk do.
LEAVING = frozenset({"AcceptWaveform", "accept_waveform"})

_CONTAINERS = frozenset({"dict", "list", "set", "bytearray"})


class Change(NamedTuple):
    """A node that changes a place."""

    node: ast.AST
    place: ast.expr

    @property
    def text(self) -> str:
        """How the place is written."""
        return unparsed(self.place)


class Names(NamedTuple):
    """The variables that outlive a function: those of its file, and further ones.

    `gives`, if there is one, tells of what is called (`cache`) whether it gives a part of one.
    """

    of_file: frozenset[str]
    further: frozenset[str] = frozenset()
    gives: Callable[[str], bool] | None = None

    def have(self, root: str) -> bool:
        """Whether what begins with the variable, or with a call (`cache()`), outlives the function."""
        if root in self.of_file or root in self.further:
            return True
        return self.gives is not None and root.endswith("()") and self.gives(root.removesuffix("()"))


class Shared:
    """The variables and attributes of one function that outlive it.

    `names` are the variables around it that do; what `touched` names (modules of libraries) is not the
    project's, but may have attributes set.
    """

    def __init__(
        self,
        syntax: Syntax,
        function: Function,
        names: Names,
        touched: frozenset[str] = frozenset(),
    ) -> None:
        self.syntax = syntax
        self.function = function
        self._names = names
        self._touched = touched
        own = syntax.own_nodes(function)
        self._receiver = _receiver(syntax, function)
        self._declared = {name for n in own if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
        self._parameters = {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
        self._local = (_stored(own) | self._parameters) - self._declared
        self._kept = _kept_by_defaults(function)

    def reaches(self, name: str) -> bool:
        """Whether the function means the global by that name."""
        return name in self._declared or name not in self._local

    @property
    def own_names(self) -> frozenset[str]:
        """The variables that the function itself binds."""
        return frozenset(self._local)

    def changed(self, nodes: Iterable[ast.AST], own: str = "") -> Iterator[str]:
        """Those of them that some nodes of the function change.

        Attributes of `own` (the object that a constructor makes) are not shared yet.
        """
        return (change.text for change in self.changes(nodes, own))

    def changes(self, nodes: Iterable[ast.AST], own: str = "") -> Iterator[Change]:
        """The same, with where they are changed."""
        for node in _with_lambdas(nodes):
            for place in changed(node):
                if isinstance(place, ast.Name) and not is_container(node):
                    shared = place.id in self._declared
                else:
                    shared = self.holds(place, own, called=isinstance(node, ast.Call | ast.Assign))
                if shared and not self._is_new(node, place):
                    yield Change(node, place)

    def _is_new(self, node: ast.AST, place: ast.expr) -> bool:
        """Whether the variable was given a new container just before, whatever else it may hold elsewhere."""
        if not isinstance(place, ast.Name) or not is_container(node) or place.id in self._declared:
            return False
        if place.id in self._set_by_nested:
            return False
        child = node
        for outer, child in self.syntax.ancestors(node):
            if isinstance(outer, ast.Lambda):
                return False  # runs at another time
            if isinstance(child, ast.stmt):
                break
        where = self.syntax.place(child) if isinstance(child, ast.stmt) else None
        for before in reversed(where.suite[: where.number]) if where is not None else ():
            match before:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == place.id:
                    return _makes_container(value)
            if place.id in reads([before]) | writes([before]):
                return False
        return False

    @cached_property
    def _set_by_nested(self) -> set[str]:
        below = self.syntax.below(self.function)
        return {name for node in below if isinstance(node, ast.Nonlocal) for name in node.names}

    def holds(self, place: ast.expr, own: str = "", *, called: bool = False) -> bool:
        """Whether others may have the object that is there; `called` where a method of it is."""
        if "app" in _names(place):
            return True
        return any(self._is_shared(root, own, called=called) for root in self._roots(place))

    def _is_shared(self, root: str, own: str, *, called: bool) -> bool:
        first = root.partition(".")[0]
        if own and first == own:
            return False
        if root in ("", self._receiver) or root in self._kept:
            return True
        if first in self._local and first != self._receiver:
            return False
        return self._names.have(root) or (root in self._touched and not called)

    def _roots(self, place: ast.expr) -> set[str]:
        """The variables with which the way to the object begins, those followed that the function sets."""
        return followed(roots(place), self._aliases)

    @cached_property
    def _aliases(self) -> Mapping[str, set[str]]:
        return aliases(self.syntax.own_nodes(self.function))

    def parameters(self, place: ast.expr) -> set[str]:
        """The parameters by which the function was given the object, or what it is a part of."""
        return self._roots(place) & self._parameters - {self._receiver}

    @cached_property
    def changed_parameters(self) -> frozenset[str]:
        """The parameters whose objects the function changes."""
        found: set[str] = set()
        for node in self.syntax.own_nodes(self.function):
            for place in changed(node):
                if not isinstance(place, ast.Name) or is_container(node):
                    found |= self.parameters(place)
        return frozenset(found)

    @cached_property
    def uses(self) -> dict[str, list[ast.expr]]:
        """All that the function changes, in the order of the text, and where it uses that."""
        own = self.syntax.own_nodes(self.function)
        found: dict[str, list[ast.expr]] = {place: [] for place in self.changed(own)}
        last_names = {place.rpartition(".")[2] for place in found}
        for node in own if found else ():
            if isinstance(node, ast.Name | ast.Attribute) and last_name(node) in last_names:
                text = unparsed(node)
                if text in found:
                    found[text].append(node)
        return found

    def read_and_changed(self, first: int, end: int) -> str:
        """What the function changes and the nodes of these numbers use; empty if there is nothing."""
        number = self.syntax.number
        return next(
            (place for place, uses in self.uses.items() if any(first <= number(use) < end for use in uses)),
            "",
        )

    def prepared(self, first: int, end: int) -> str:
        """What the function tells an object, or the process, outside of the nodes of these numbers, for them.

        `net.setInput(blob)` before `net.forward()`, `interpreter.get_tensor(0)` after `interpreter.invoke()`,
        `rec.Result()` after `if rec.AcceptWaveform(data):`, a seed: with an `await` between,
        another request may tell the same object something else. Empty for none.
        """
        told: dict[str, bool] = {}  # the objects of the calls inside, and whether a result is left on them
        asked: set[str] = (
            set()
        )  # those of which a test asks something, which they may tell more of afterwards
        numbers, calls = self._calls
        for node in calls[bisect_left(numbers, first) : bisect_left(numbers, end)]:
            of = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            if isinstance(of, ast.Name | ast.Attribute) and self.outlives(of):
                text = unparsed(of)
                told[text] = told.get(text, False) or self._leaves(node)
                if _is_test(self.syntax, node):
                    asked.add(text)
        telling = [self._told[""], *(self._told[text, True] for text in told)]
        telling += [self._told[text, False] for text, left in told.items() if left]
        outside = (
            next(((number, node) for number, node in every if not first <= number < end), None)
            for every in telling
        )
        later = (
            next(iter(every[bisect_left(every, end, key=_first) :][:1]), None)
            for every in (self._told[text, False] for text in asked)
        )
        found = min(
            (one for one in (*outside, *later) if one is not None), key=lambda one: one[0], default=None
        )
        return "" if found is None else unparsed(found[1].func)

    def set_before(self, first: int) -> str:
        """An attribute that is set before the node of this number, for a call that is made there or later.

        `tokenizer.src_lang = source`, and `tokenizer(text)` there, behind it, or in a loop around: with
        an `await` between, another request may set another. Empty for none.
        """
        numbers, calls = self._calls
        for place in self._set:
            number = self.syntax.number(place)
            if number >= first:
                break
            rounds = (start for start, end in self._loops if number < start <= first < end)
            text = unparsed(place.value)
            if any(
                self._heeds(call, text) for call in calls[bisect_left(numbers, min(rounds, default=first)) :]
            ):
                return unparsed(place)
        return ""

    @cached_property
    def _set(self) -> list[ast.Attribute]:
        """The attributes of shared objects that the function sets, but for those of its receiver."""
        changes = self.changes(self.syntax.own_nodes(self.function))
        places = [node for node, _ in changes if isinstance(node, ast.Attribute)]
        return [place for place in places if self.outlives(place.value)]

    @cached_property
    def _loops(self) -> list[tuple[int, int]]:
        """The numbers with which the loops of the function begin and end."""
        own = self.syntax.own_nodes(self.function)
        loops = (node for node in own if isinstance(node, ast.For | ast.AsyncFor | ast.While))
        return [(self.syntax.number(loop), self.syntax.end_number(loop)) for loop in loops]

    @staticmethod
    def _heeds(call: ast.Call, text: str) -> bool:
        """Whether the call is one of the object, or is given it: what is set on it may matter there."""
        if any(unparsed(given) == text for given in (*call.args, *(k.value for k in call.keywords))):
            return True
        match call.func:
            case ast.Attribute(value=value, attr=name) if unparsed(value) == text:
                return name not in HARMLESS_METHODS and _HEEDLESS.search(name) is None
        return unparsed(call.func) == text

    def acquired(self, first: int, end: int) -> str:
        """What the function acquires, awaiting nothing, outside of the nodes of these numbers, if any."""
        outside = (node for number, node in self._acquiring if not first <= number < end)
        return next((unparsed(node.func) for node in outside), "")

    @cached_property
    def _acquiring(self) -> list[tuple[int, ast.Call]]:
        return [
            (number, node)
            for number, node in zip(*self._calls, strict=True)
            if isinstance(node.func, ast.Attribute)
            and node.func.attr == "acquire"
            and not isinstance(self.syntax.parent(node), ast.Await)
        ]

    @cached_property
    def _calls(self) -> tuple[list[int], list[ast.Call]]:
        """The calls of the function in the order of their numbers, which come first."""
        own = (node for node in self.syntax.own_nodes(self.function) if isinstance(node, ast.Call))
        calls = sorted(own, key=self.syntax.number)
        return [self.syntax.number(node) for node in calls], calls

    @cached_property
    def _told(self) -> Mapping[str | tuple[str, bool], list[tuple[int, ast.Call]]]:
        """The calls that tell an object something, by its text and whether they stand alone; seeds by ""."""
        found: defaultdict[str | tuple[str, bool], list[tuple[int, ast.Call]]] = defaultdict(list)
        for number, node in zip(*self._calls, strict=True):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else last_name(node.func)
            alone = self._leaves(node)
            if alone and name in SEEDS:
                found[""].append((number, node))
            if isinstance(node.func, ast.Attribute) and name not in HARMLESS_METHODS:
                found[unparsed(node.func.value), alone].append((number, node))
        return found

    def _leaves(self, node: ast.Call) -> bool:
        """Whether the call tells its object something for later: its result is unused, or it is known to."""
        return isinstance(self.syntax.parent(node), ast.Expr) or last_name(node.func) in LEAVING

    def outlives(self, place: ast.expr) -> bool:
        """Whether the object may be another request's too: all but one that the function makes."""
        if not isinstance(place, ast.Name):
            return True
        if place.id == self._receiver:
            return False
        made = self._assigned.get(place.id, ())
        return not made or not all(isinstance(v, ast.Call) and last_name(v.func)[:1].isupper() for v in made)

    @cached_property
    def _assigned(self) -> Mapping[str, list[ast.expr]]:
        """What the function assigns to names."""
        found: dict[str, list[ast.expr]] = {}
        for node in self.syntax.own_nodes(self.function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(node.value)
        return found

    def torn(self, call: ast.Call) -> str:
        """The place that the function uses before and after the call, changing it on one side.

        While nothing was awaited no other request could come between; with an `await` it can. Empty if there
        is none.
        """
        syntax = self.syntax
        statement = syntax.statement(call) or call
        first, end = syntax.number(statement), syntax.end_number(statement)
        for place, uses in self.uses.items():
            numbers = self._use_numbers[place]
            before, after = bisect_left(numbers, first), bisect_left(numbers, end)
            sides = [side for use in uses[before:after] for side in _sides(syntax, use, call)]
            sides += ["before"] * before + ["after"] * (len(uses) - after)
            if {"before", "after"} <= {*sides} or (len(sides) > 1 and _loop(syntax, call) is not None):
                return place
        return ""

    @cached_property
    def _use_numbers(self) -> dict[str, list[int]]:
        """The numbers of the uses of each place, in their order."""
        return {place: [self.syntax.number(use) for use in uses] for place, uses in self.uses.items()}


def last_name(node: ast.expr) -> str:
    """The name of a variable or attribute; empty for anything else."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_test(syntax: Syntax, node: ast.expr) -> bool:
    """Whether nothing is made of the value but a decision: `if`, `while`, a conditional."""
    outer = syntax.parent(node)
    while isinstance(outer, ast.BoolOp | ast.UnaryOp):
        node, outer = outer, syntax.parent(outer)
    return isinstance(outer, ast.If | ast.While | ast.IfExp) and outer.test is node


def _first(numbered: tuple[int, ast.Call]) -> int:
    return numbered[0]


def _makes_container(value: ast.expr) -> bool:
    """Whether the expression is a container that nobody else has: one that is written there, or a copy."""
    match value:
        case ast.Dict() | ast.List() | ast.Set() | ast.DictComp() | ast.ListComp() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _CONTAINERS
        case ast.Call(func=ast.Attribute(attr="copy"), args=[], keywords=[]):
            return True
    return False


def is_container(node: ast.AST) -> bool:
    """Whether what changes the place leaves the object there, and changes that."""
    return isinstance(node, ast.Subscript | ast.Call | ast.Assign)


def _with_lambdas(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a function, and all that its outermost lambdas hold: the others are below those."""
    for node in nodes:
        yield node
        if isinstance(node, ast.Lambda):
            yield from ast.walk(node.body)


def _names(place: ast.expr) -> set[str]:
    return {n.attr for n in ast.walk(place) if isinstance(n, ast.Attribute)}


def _receiver(syntax: Syntax, function: Function) -> str:
    """`self` or `cls` of a method, in whatever spelling; empty for a function."""
    if isinstance(syntax.parent(function), ast.ClassDef) and (
        function.args.posonlyargs or function.args.args
    ):
        return (*function.args.posonlyargs, *function.args.args)[0].arg
    return ""


def _kept_by_defaults(function: Function) -> set[str]:
    """The parameters whose default is a container: there is one for all calls."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = zip(reversed(positional), reversed(arguments.defaults), strict=False)
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=False)
    kinds = (ast.List, ast.Dict, ast.Set)
    return {parameter.arg for parameter, value in (*pairs, *named) if isinstance(value, kinds)}


def _stored(own: Iterable[ast.AST]) -> set[str]:
    return {n.id for n in own if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _sides(syntax: Syntax, use: ast.expr, call: ast.Call) -> Iterator[str]:
    """On which sides of the call the use is."""
    statement = syntax.statement(call)
    if statement is not None and syntax.is_below(use, statement) and syntax.statement(use) is statement:
        if isinstance(statement, ast.AugAssign) and syntax.is_below(use, statement.target):
            yield from ("before", "after")
            return
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if any(syntax.is_below(use, target) for target in targets):
            yield "after"
            return
    yield "before" if syntax.start(use) < syntax.start(call) else "after"


def _loop(syntax: Syntax, call: ast.Call) -> ast.AST | None:
    return next(
        (outer for outer, _ in syntax.ancestors(call) if isinstance(outer, ast.For | ast.While)), None
    )
