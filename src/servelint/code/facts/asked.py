"""What the conditions of branches ask for, and what a body lacks where they leave it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from servelint.code.facts.facts import (
    OFF_LOOP,
    Attribute,
    Binding,
    Condition,
    Constant,
    Expression,
    Name,
    Parameter,
    Site,
    dotted,
)

# Functions that tell which thread runs.
_THIS_THREAD = frozenset({"get_ident", "get_native_id", "current_thread", "currentThread"})
# How many of the conditions of a function that is left early are looked at.
_MAXIMUM_LEFT = 8


def guards(branch: ast.If) -> list[ast.expr]:
    """The names and attributes of which a branch asks whether they are set: `x is None`, `not self.x`.

    A branch that gives up for want of something does not keep it (`if not path: raise ValueError`), nor does
    one that only does more for what is set (`if layers is not None: shorten(model, layers)`).
    """
    given_up = _gives_up(branch.body)
    chooses = isinstance(branch.body[-1], ast.Return) or not all(map(_tells, branch.orelse))
    return [asked for asked, unset in _asked(branch.test) if (not given_up if unset else chooses)]


def is_kept(
    guards: Iterable[Expression],
    parameters: Iterable[Parameter],
    bindings: Collection[Binding],
    outer: Collection[str],
) -> bool:
    """Whether one of the guards of a body asks for what outlives it: an attribute, or a name not its own.

    An attribute that only gets another one is no place where something is kept that was loaded:
    `if tokenizer.pad_token is None: tokenizer.pad_token = tokenizer.eos_token`.
    """
    own = {p.name for p in parameters}
    own.update(b.target.id for b in bindings if isinstance(b.target, Name))
    copied = [b.target for b in bindings if isinstance(b.value, Attribute)]
    kept = [b.target for b in bindings if not isinstance(b.value, Attribute)]
    for asked in guards:
        lives_on = asked.id in outer or asked.id not in own if isinstance(asked, Name) else True
        if lives_on and (asked in kept or asked not in copied):
            return True
    return False


def _asked(test: ast.expr) -> Iterator[tuple[ast.expr, bool]]:
    """What a condition asks of whether it is set, and whether it holds where it is not."""
    match test:
        case ast.Compare(
            left=ast.Name() | ast.Attribute() as asked,
            ops=[ast.Is() | ast.IsNot() as how],
            comparators=[ast.Constant()],
        ):
            yield asked, isinstance(how, ast.Is)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            named = _attribute_asked(operand)
            if isinstance(named, ast.Name | ast.Attribute):
                yield named, True
        case ast.BoolOp(values=values):
            for value in values:
                yield from _asked(value)


def _attribute_asked(test: ast.expr) -> ast.expr:
    """The attribute that `hasattr(self, "model")` asks for, or `getattr` with a default; else it as it is."""
    match test:
        case ast.Call(
            func=ast.Name("hasattr" | "getattr"),
            args=[ast.Name() | ast.Attribute() as holder, ast.Constant(str(name)), *_],
        ):
            return ast.Attribute(holder, name, ast.Load())
    return test


def _gives_up(body: list[ast.stmt]) -> bool:
    """Whether a branch does nothing but say so and leave: it raises, or returns nothing that it makes."""
    *before, last = body
    raises = isinstance(last, ast.Raise)
    if not (raises or (isinstance(last, ast.Return) and not _calls(last))):
        return False
    return all(not _calls(statement) or (raises or _tells(statement)) for statement in before)


def _calls(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Call | ast.Await) for node in ast.walk(statement))


def _tells(statement: ast.stmt) -> bool:
    """Whether the statement writes to a log, or prints."""
    match statement:
        case ast.Expr(ast.Call(func=ast.Name(id))):
            return id == "print"
        case ast.Expr(ast.Call(func=ast.Attribute(value=ast.Name(id) | ast.Attribute(attr=id)))):
            return "log" in id.lower()
    return False


def lacked(test: ast.expr) -> str:
    """What a condition finds not to be set: `x is None`, `not x`, `not hasattr(self, "x")`; else empty."""
    match test:
        case ast.Compare(left=asked, ops=[ast.Is()], comparators=[ast.Constant(None)]):
            return _spelled(_attribute_asked(asked))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _spelled(_attribute_asked(operand))
        case ast.BoolOp(op=ast.Or(), values=[first, *rest]):
            found = lacked(first)
            return found if all(lacked(value) == found for value in rest) else ""
        case ast.BoolOp(op=ast.And(), values=values):  # what is asked for None was there for sure to be set
            exactly = sorted(values, key=lambda value: not isinstance(value, ast.Compare))
            return next(filter(None, map(lacked, exactly)), "")
    return ""


def _spelled(asked: ast.expr) -> str:
    match asked:
        case ast.Name(id):
            return id
        case ast.Attribute(value=holder, attr=name):
            before = _spelled(holder)
            return f"{before}.{name}" if before else ""
    return ""


def lacking_behind(
    sites: Iterable[Site], body: list[ast.stmt], bindings: Iterable[Binding]
) -> Iterator[Site]:
    """The sites, those for want of something that stand behind `if x is not None: return x`.

    The body sets `x`, or has the object set it: `if self.model: return`, then `self.load()`.
    """
    left = list(_left(body))
    if not left:
        yield from sites
        return
    bound = {dotted(binding.target) for binding in bindings}
    for site in sites:
        before = (name for line, name in left if line < site.call.position.line)
        found = next((name for name in before if name in bound or _is_of(site, name)), "")
        yield site._replace(lacking=found) if found and not site.lacking else site


def _is_of(site: Site, name: str) -> bool:
    """Whether the site is a statement that calls a method of the object that has the attribute."""
    match site.call.function:
        case Attribute(holder, _):
            return site.use in ("discard", "await") and dotted(holder) == name.rpartition(".")[0]
    return False


def _left(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """What is set where a body is left early, and the lines behind which it is not."""
    for statement in body:
        match statement:
            case ast.If(test=test, body=[*_, ast.Return()], orelse=[]):
                name = _had(test)
                if name:
                    yield statement.end_lineno or statement.lineno, name
            case ast.With() | ast.AsyncWith():
                yield from _left(statement.body)


def _had(test: ast.expr) -> str:
    """What a condition finds to be set: `x is not None`, `x`, `hasattr(self, "x")`; else empty."""
    match test:
        case ast.Compare(left=asked, ops=[ast.IsNot()], comparators=[ast.Constant(None)]):
            return _spelled(_attribute_asked(asked))
    return _spelled(_attribute_asked(test))


def conditions(test: ast.expr) -> tuple[Condition, ...]:
    """What a branch asks of names, each of which has to hold for it to run."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return tuple(condition for value in test.values for condition in conditions(value))
    match test:
        case ast.Name() | ast.Attribute() if name := _spelled(test):
            return (Condition(name, None, holds=True),)
        case ast.UnaryOp(op=ast.Not(), operand=operand) if name := _spelled(operand):
            return (Condition(name, None, holds=False),)
        case ast.Compare(left=ast.Name(id), ops=[op], comparators=[to]):
            several = isinstance(op, ast.In | ast.NotIn) and isinstance(to, ast.Tuple | ast.List | ast.Set)
            values = to.elts if several and isinstance(to, ast.Tuple | ast.List | ast.Set) else [to]
            among = tuple(value for value in map(_value, values) if value is not None)
            one = isinstance(op, ast.Eq | ast.NotEq | ast.Is | ast.IsNot)
            if (one or several) and len(among) == len(values):
                return (Condition(id, among, isinstance(op, ast.Eq | ast.Is | ast.In)),)
        case ast.Compare(
            left=left, ops=[ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot() as op], comparators=[to]
        ):
            if _is_thread(left) or _is_thread(to):  # `self.loop_thread_id != threading.get_ident()`
                return (Condition(OFF_LOOP, None, isinstance(op, ast.NotEq | ast.IsNot)),)
    return ()


def _is_thread(node: ast.expr) -> bool:
    """Whether it is the thread that runs."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _THIS_THREAD
    return False


def _value(node: ast.expr) -> Constant | Name | None:
    match node:
        case ast.Constant(str() | int() | float() | None as value):
            return Constant(value)
        case ast.Name(id):
            return Name(id)
    return None


def left_before(
    sites: Iterable[Site], body: list[ast.stmt], parameters: tuple[Parameter, ...]
) -> Iterator[Site]:
    """The sites, those behind `if not enabled: return` with what that asks of a parameter with a default."""
    names = {p.name for p in parameters if isinstance(p.default, Constant)}
    asked: list[tuple[int, Condition]] = []
    for statement in body if names else ():
        match statement:
            case ast.If(test=test, body=[*_, ast.Return() | ast.Raise()], orelse=[]):
                is_any = isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or)
                parts = test.values if isinstance(test, ast.BoolOp) and is_any else [test]
                found = (one for part in parts for one in otherwise(part) if one.name in names)
                asked += ((statement.end_lineno or statement.lineno, one) for one in found)
    if not asked:
        yield from sites
        return
    for site in sites:
        behind = (one for line, one in asked[:_MAXIMUM_LEFT] if line < site.call.position.line)
        more = tuple(one for one in behind if one not in site.conditions)
        yield site._replace(conditions=site.conditions + more) if more else site


def otherwise(test: ast.expr) -> tuple[Condition, ...]:
    """What the branches after one ask of names: that it did not run."""
    asked = conditions(test) if not isinstance(test, ast.BoolOp) else ()
    return tuple(one._replace(holds=not one.holds) for one in asked)
