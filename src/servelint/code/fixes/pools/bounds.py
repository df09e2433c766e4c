"""What lets only so many requests in at once, and is entered by `async with`: locks and semaphores."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from servelint.code.facts.facts import Attribute, Call, Constant, Expression, Name, dotted, last_name
from servelint.code.facts.nodes import annotation
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.values.evaluate import Evaluator
from servelint.code.values.values import External, ExternalObject, Frame, plain


def bound_by(evaluator: Evaluator, frame: Frame, statement: ast.AST) -> ast.expr | None:
    """What the statement enters that lets only so many in, if it is an `async with` that does."""
    return next((item for item in _entered(statement) if _is_bound(evaluator, frame, item)), None)


def locked_by(evaluator: Evaluator, frame: Frame, statement: ast.AST) -> ast.expr | None:
    """The same for what lets in one only."""
    return next((item for item in _entered(statement) if _is_lock(evaluator, frame, item)), None)


def fed_by(syntax: Syntax, node: ast.AST, function: Function) -> str:
    """The queue that the loop around a call takes from, one after the other; empty for none."""
    for outer, _ in syntax.ancestors(node):
        if outer is function:
            break
        for part in syntax.below(outer) if isinstance(outer, ast.While) else ():
            match part:
                case ast.Await(value=ast.Call(func=ast.Attribute(value=queue, attr="get"), args=[])):
                    return syntax.text(queue) if isinstance(queue, ast.Name | ast.Attribute) else ""
                case ast.Await(
                    value=ast.Call(args=[ast.Call(func=ast.Attribute(attr="get") as get, args=[]), *_])
                ):
                    return syntax.text(get.value) if isinstance(get.value, ast.Name | ast.Attribute) else ""
    return ""


def acquired_before(syntax: Syntax, node: ast.AST, function: Function) -> str:
    """What the function acquires, by an `await`, before a call; empty for nothing."""
    for part in syntax.own_nodes(function):
        match part:
            case ast.Await(value=ast.Call(func=ast.Attribute(value=lock, attr="acquire"))) if isinstance(
                lock, ast.Name | ast.Attribute
            ):
                if syntax.number(part) < syntax.number(node):
                    return syntax.text(lock)
    return ""


def lets_one_in(evaluator: Evaluator, entered: Expression, names: Collection[str]) -> bool:
    """Whether an object that is one of these classes lets in one only, wherever it is made.

    A semaphore does where it is made with 1, or without a number.
    """
    counted = policy.load().counted
    if not any(counted.find(name) for name in names):
        return True
    made = list(_made(evaluator, dotted(entered).rpartition(".")[2]))
    return bool(made) and all(_is_one(call) for call in made)


def _made(evaluator: Evaluator, name: str) -> Iterator[Call | None]:
    """The calls that make what the project's variables and attributes of that name hold; None for others."""
    for module in evaluator.project.mentioning([name]):
        bindings = [binding for function in module.facts.functions for binding in function.bindings]
        bindings += [binding for cls in module.facts.classes for binding in cls.bindings]
        for binding in bindings:
            if isinstance(binding.target, Name | Attribute) and last_name(binding.target) == name:
                yield binding.value if isinstance(binding.value, Call) else None


def _is_one(made: Call | None) -> bool:
    if made is None or last_name(made.function) not in policy.load().counted.last_names():
        return False
    if not made.arguments and not made.keywords:
        return True
    given = made.arguments[0] if made.arguments else made.keywords[0][1]
    return len(made.arguments) + len(made.keywords) == 1 and given == Constant(1)


def _entered(statement: ast.AST) -> Iterator[ast.expr]:
    return (item.context_expr for item in (statement.items if isinstance(statement, ast.AsyncWith) else ()))


def _is_lock(evaluator: Evaluator, frame: Frame, node: ast.expr) -> bool:
    entered, known = annotation(node), policy.load()
    if entered is None or not _is_bound(evaluator, frame, node):
        return False
    values = [value for value, _ in plain(evaluator.evaluate(frame, entered))]
    names = [value.name for value in values if isinstance(value, External | ExternalObject)]
    if not names:
        return bool(words(dotted(entered).rpartition(".")[2]) & known.lock_words)
    return lets_one_in(evaluator, entered, names)


def _is_bound(evaluator: Evaluator, frame: Frame, node: ast.expr) -> bool:
    """Whether it is a bound: by what it is or, for an object that nobody knows, by a word of its name."""
    entered = annotation(node)
    if entered is None:
        return False
    known = policy.load()
    values = [value for value, _ in plain(evaluator.evaluate(frame, entered))]
    if values:
        return all(isinstance(v, External | ExternalObject) and known.bounds.find(v.name) for v in values)
    return bool(words(dotted(entered).rpartition(".")[2]) & (known.bound_words | known.lock_words))


def words(name: str) -> set[str]:
    """The words of a name."""
    return set(name.lower().split("_"))
