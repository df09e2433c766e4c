"""What the function asks a database, a cache or another service before the call, and writes there after it.

cached = get_cached_score(customer)
if cached:
    return cached
score = model.predict(row)          # with an `await`, a second request comes here before the first writes
db.add(Score(customer, score))

Where all that is written is put by its key (`redis.set(key, score)`), both put the same: nothing is lost.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, Call, Constant, Expression, Site, dotted, last_name
from servelint.code.fixes.doubts.reached import MAXIMUM_FUNCTIONS, Reached
from servelint.code.fixes.doubts.timed import is_interrupted
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import LEAVING, Function, Syntax
from servelint.code.fixes.text.uses import Range
from servelint.code.judge.analysis import Analysis
from servelint.code.values.values import External, ExternalObject, Frame, plain

# So many calls of one function are looked at.
MAXIMUM_TOUCHES = 30
# So many calls of one expression are followed to the object that it begins with.
_LONGEST_CHAIN = 12
_WORDS = re.compile(r"[a-z]+")
_TABLE = re.compile(r"[A-Z]\w*[a-z]\w*")
_SQL = re.compile(r"\s*(select|insert|update|replace|delete)\b", re.IGNORECASE)
_PUTS = re.compile(r"\bon\s+(?:conflict|duplicate)\b|\bor\s+(?:ignore|replace)\b", re.IGNORECASE)


class _Use(NamedTuple):
    """What a call does with what is outside: which clients it uses, to look, to put by a key, or to add."""

    clients: frozenset[str]
    looks: bool = False
    puts: bool = False
    adds: bool = False


class _Branch(NamedTuple):
    """An `if` that asks whether something was found: where it is, and what the test holds for."""

    whole: Range
    body: Range
    found: bool
    leaves: bool

    def keeps_out(self, number: int) -> bool:
        """Whether the node of this number is only come to where nothing is found."""
        if self.whole.has(number):
            return self.body.has(number) is not self.found
        return self.whole.end <= number and self.found and self.leaves


class _Touch(NamedTuple):
    """A call of the function that does so, and what its text says it is about."""

    node: ast.Call
    use: _Use
    text: str
    about: frozenset[str]
    decides: tuple[_Branch, ...] = ()

    def may_mean(self, other: _Touch) -> bool:
        """Whether both may be about one thing, at one client."""
        if not self.use.clients & other.use.clients:
            return False
        return not self.about or not other.about or bool(self.about & other.about)


class Outside:
    """Judges the functions of one project."""

    def __init__(self, analysis: Analysis, files: Files, reached: Reached) -> None:
        self.evaluator = analysis.evaluator
        self.files = files
        self.reached = reached
        self.policy = policy.load()
        self._own: dict[Frame, dict[int, _Use]] = {}
        self._touches: dict[Frame, tuple[_Touch, ...]] = {}

    def doubt(self, frame: Frame, syntax: Syntax, function: Function, moved: Range) -> str:
        """Why nobody should come between what is asked before the call and what is written after it."""
        if frame not in self._touches:
            found = islice(self._find(frame, syntax, function), MAXIMUM_TOUCHES)
            self._touches[frame] = tuple(found)
        touches = self._touches[frame]
        after = [one for one in touches if syntax.number(one.node) >= moved.end]
        if not any(one.use.adds for one in after):
            return ""
        for look in touches:
            number = syntax.number(look.node)
            if number >= moved.first or not look.use.looks:
                continue
            if not any(branch.keeps_out(moved.first) for branch in look.decides):
                continue
            here = [
                one
                for one in after
                if not is_interrupted(syntax, function, Range(number, syntax.number(one.node)), moved)
            ]
            is_written = any((o.use.puts or o.use.adds) and look.may_mean(o) for o in here)
            added = next((one for one in here if one.use.adds), None)
            if is_written and added is not None:
                return (
                    f"`{look.text}()` is asked before the call and `{added.text}()` adds something after it: "
                    "another request may come between and do both too"
                )
        return ""

    def _find(self, frame: Frame, syntax: Syntax, function: Function) -> Iterator[_Touch]:
        own = self._of(frame)
        for number, site in enumerate(self.evaluator.facts(frame).sites):
            node = syntax.at(site.call.position, ast.Call)
            if node is None or site.use in ("await", "async") or site.is_off_loop:
                continue
            text = dotted(site.call.function)
            if number in own:
                use, about = own[number], _tables(syntax, function, node)
                yield _Touch(node, use, text, about, self._decides(syntax, function, node, use))
                continue
            below = self.reached.functions(self.reached.called(frame, site.call))[:MAXIMUM_FUNCTIONS]
            used = [use for inner in below for use in self._of(inner).values()]
            if used:
                together = _Use(
                    frozenset().union(*(use.clients for use in used)),
                    any(use.looks for use in used),
                    any(use.puts for use in used),
                    any(use.adds for use in used),
                )
                decides = self._decides(syntax, function, node, together)
                yield _Touch(node, together, text, frozenset(), decides)

    def _decides(self, syntax: Syntax, function: Function, node: ast.Call, use: _Use) -> tuple[_Branch, ...]:
        return tuple(_decided(syntax, function, node)) if use.looks else ()

    def _of(self, frame: Frame) -> dict[int, _Use]:
        """What the calls of a function themselves do outside, by their numbers among its calls."""
        if frame not in self._own:
            sites = enumerate(self.evaluator.facts(frame).sites)
            found = ((number, self._use(frame, site)) for number, site in sites)
            self._own[frame] = {number: use for number, use in found if use is not None}
        return self._own[frame]

    def _use(self, frame: Frame, site: Site) -> _Use | None:
        made, known = site.call, self.policy
        name = last_name(made.function)
        looks, puts, adds = name in known.looks_up, name in known.puts, name in known.adds
        if name == "execute":
            looks, puts, adds = _of_statement(made)
        if not isinstance(made.function, Attribute) or not (looks or puts or adds):
            return None
        clients = self.clients(frame, chain_start(made.function.value))
        return _Use(clients, looks, puts, adds) if clients else None

    def clients(self, frame: Frame, held: Expression) -> frozenset[str]:
        """What the object is called, and the library of its class; empty for what is no client."""
        found: set[str] = set()
        values = list(plain(self.evaluator.evaluate(frame, held)))
        for value, _ in values:
            name = value.name if isinstance(value, External | ExternalObject) else ""
            if name and (self.policy.remote.find(name) or self.policy.thread_bound.find(name)):
                found.update((dotted(held), name.partition(".")[0]))
        words = set(_WORDS.findall(last_name(held).lower()))
        if not found and not values and words & self.policy.client_words:
            found.add(dotted(held))
        return frozenset(found)


def chain_start(held: Expression) -> Expression:
    """What a chain of calls begins with: `db` of `db.query(Score).filter(...)`."""
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(held, Call) or not isinstance(held.function, Attribute):
            break
        held = held.function.value
    return held


def _of_statement(made: Call) -> tuple[bool, bool, bool]:
    """Whether a statement of SQL that is written out looks, puts or adds."""
    given = made.arguments[0] if made.arguments else None
    if isinstance(given, Call) and given.arguments:  # text("SELECT ...")
        given = given.arguments[0]
    text = given.value if isinstance(given, Constant) else None
    match = _SQL.match(text) if isinstance(text, str) else None
    verb = match[1].lower() if match is not None else ""
    adds = verb == "insert" and not _PUTS.search(str(text))
    return verb == "select", bool(verb) and verb != "select" and not adds, adds


def _tables(syntax: Syntax, function: Function, node: ast.Call) -> frozenset[str]:
    """The classes that are named in the call, or made for the variable that it is given."""
    named = {part.id for part in syntax.below(node) if isinstance(part, ast.Name)}
    made = syntax.worked_out(_made, function)
    named.update(*(made[name] for name in named if name in made))
    return frozenset(name for name in named if _TABLE.fullmatch(name))


def _made(syntax: Syntax, function: Function) -> dict[str, set[str]]:
    """What the variables of the function are set to by calls: the names of what is called."""
    found: dict[str, set[str]] = {}
    for node in syntax.own_nodes(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=called))):
                found.setdefault(name, set()).add(called)
    return found


def _decided(syntax: Syntax, function: Function, look: ast.Call) -> Iterator[_Branch]:
    """The branches of the function that ask whether the call, or its variable, has found something."""
    statement = syntax.statement(look)
    name = ""
    match statement:
        case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
            name = target
    for branch in syntax.worked_out(_branches, function):
        number = syntax.number(branch)
        found = _found(branch.test, name, look)
        if found is None or (number < syntax.number(look) and branch is not statement):
            continue
        body = Range(syntax.number(branch.body[0]), syntax.end_number(branch.body[-1]))
        leaves = isinstance(branch.body[-1], LEAVING)
        yield _Branch(Range(number, syntax.end_number(branch)), body, found, leaves)


def _branches(syntax: Syntax, function: Function) -> list[ast.If]:
    return [node for node in syntax.own_nodes(function) if isinstance(node, ast.If)]


def _found(test: ast.expr, name: str, look: ast.Call) -> bool | None:
    """Whether the test holds where something is found, or where nothing is; None for another test."""
    positive = True
    for _ in range(_LONGEST_CHAIN):
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                test, positive = inner, not positive
            case ast.BoolOp(values=[inner, *_]):
                test = inner
            case ast.NamedExpr(value=inner):
                test = inner
            case ast.Compare(left=left, ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]):
                test, positive = left, not positive
            case ast.Compare(
                left=left, ops=[ast.IsNot() | ast.NotEq()], comparators=[ast.Constant(value=None)]
            ):
                test = left
            case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()]):
                test = left
            case ast.Call(func=ast.Name(id="bool" | "len" | "int"), args=[inner]) if test is not look:
                test = inner
            case ast.Name(id=asked):
                return positive if name and asked == name else None
            case _:
                return positive if test is look else None
    return None
