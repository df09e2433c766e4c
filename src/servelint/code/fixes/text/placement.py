"""Whether an `await` can stand where a call stands, and what keeps the call from being moved at all."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Sequence

from servelint.code.facts.facts import (
    Call,
    Expression,
    FunctionFacts,
    Listed,
    Position,
    dotted,
    last_name,
)
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.judge.outcomes import Blocking
from servelint.code.values.values import External, ExternalObject, Generator, LazyResult, Value, Values, plain

_TAKES_ELEMENTS = ("__iter__", "__next__", "__getitem__")


def obstacle(analysis: Analysis, call: BlockingCall, *, may_await: bool = False) -> str:
    """Why the call cannot be moved where nothing but the analysis is needed to tell; empty if it can.

    `may_await` says that its function can be made a coroutine.
    """
    facts, site = call.caller.facts, call.site
    if site is None:
        return _without_call(call.blocking)
    if facts.is_lambda:
        return "a lambda cannot await: make it an `async def` and offload the call there"
    if not facts.is_async and not may_await:
        return (
            f"`{facts.name}` is a plain `def` that runs on the event loop and cannot await: "
            f"make it an `async def` and offload the call there{_or_in_a_thread(analysis, call)}"
        )
    if last_name(site.call.function) in policy.load().stops_iteration:
        return "StopIteration cannot leave a thread: offload a function that catches it"
    guessed = not call.blocking.library  # by its name alone: it may be a stream
    if (site.use == "iterate" and guessed) or any(_is_lazy(value) for value in _results(analysis, call)):
        return "the result is lazy, the inference runs while it is read: offload `list(...)` of it"
    if any(isinstance(argument, Listed) and argument.lazy for argument in _arguments(site.call)):
        return "a generator expression among the arguments would run in the thread: pass a list"
    if call.blocking.implied:
        return _without_call(call.blocking)
    return _held(analysis, call, site.contexts)


def _or_in_a_thread(analysis: Analysis, call: BlockingCall) -> str:
    """The option with which the framework would run the function in a thread; empty if it has none."""
    points = analysis.loop.entry_points.of(call.caller.module, call.caller.index)
    options = {f"`{key}={value}`" for point in points for key, value in point.thread_when.items()}
    return f", or register it with {min(options)}, which runs it in a thread" if options else ""


def _without_call(blocking: Blocking) -> str:
    """Why nothing here can be awaited: the language does it, not a call that is written."""
    does, _, what = blocking.hops[0].text.partition(" ")
    method = what.rpartition(".")[2]
    if does == "reads":
        return f"reading `{what}` is the inference: read it in a function and offload that"
    if method.startswith("__") and method not in _TAKES_ELEMENTS:
        return f"`{method}` is the inference, which nothing can await here: offload a function with all of it"
    return "iterating is the inference: collect the results in a function and offload that"


def _results(analysis: Analysis, call: BlockingCall) -> Values:
    return analysis.evaluator.evaluate(call.frame, call.site.call if call.site else None)


def _is_lazy(value: Value) -> bool:
    return isinstance(value, LazyResult | Generator)


def _arguments(call: Call) -> tuple[Expression, ...]:
    return (*call.arguments, *(value for _, value in call.keywords))


def _held(analysis: Analysis, call: BlockingCall, contexts: tuple[Expression, ...]) -> str:
    """Why the `with` blocks around the call keep it where it is."""
    for context in contexts:
        for name in context_names(analysis, call, context):
            if _is_thread_local(analysis, name):
                return (
                    f"`with {dotted(context)}` holds for one thread only: "
                    "move the whole block into a function and offload that"
                )
            if policy.load().locks.find(name):
                return (
                    f"`with {dotted(context)}` would be held while the loop goes on: use an asyncio.Lock, "
                    "or a pool of one thread instead of the lock"
                )
    return ""


def is_held(analysis: Analysis, call: BlockingCall, context: Expression) -> bool:
    """Whether the context manager belongs to the thread that enters it."""
    names = context_names(analysis, call, context)
    return any(_is_thread_local(analysis, name) or policy.load().locks.find(name) for name in names)


def _is_thread_local(analysis: Analysis, name: str) -> bool:
    return bool(analysis.thread_local.find(name) or policy.load().thread_local_contexts.find(name))


def context_names(analysis: Analysis, call: BlockingCall, context: Expression) -> tuple[str, ...]:
    """The qualified names of what makes or is the context manager."""
    made = context.function if isinstance(context, Call) else context
    values = (
        *analysis.evaluator.evaluate(call.frame, made),
        *analysis.evaluator.evaluate(call.frame, context),
    )
    return tuple(v.name for v, _ in plain(values) if isinstance(v, External | ExternalObject))


def function_at(syntax: Syntax, position: Position) -> Function | None:
    """The function definition that stands there."""
    return syntax.at(position, ast.AsyncFunctionDef) or syntax.at(position, ast.FunctionDef)


def awaitable_at(syntax: Syntax, node: ast.Call, function: Function) -> str:
    """Why there can be no `await` at the call; empty if there can be."""
    for outer, child in syntax.ancestors(node):
        if isinstance(outer, ast.JoinedStr):
            return "it stands inside a formatted string: assign the result to a variable first"
        if outer is function:
            inside = child in function.body
            return "" if inside else "a default or decorator cannot await: compute the value before"
        if isinstance(outer, ast.Lambda):
            return "a lambda cannot await: make it a nested `async def` and offload the call there"
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return "it stands in a definition inside the function: compute the value before"
        if isinstance(outer, ast.GeneratorExp) and not (
            child is outer.generators[0] and _is_iterable(outer.generators[0], syntax, node)
        ):
            return "a generator expression cannot await: write a list comprehension or a loop"
        if isinstance(outer, ast.Await) and child is node:
            return "the result is awaited already: it may be a coroutine"
    return "the function could not be found in the file"


def _is_iterable(generator: ast.comprehension, syntax: Syntax, node: ast.Call) -> bool:
    """Whether the call stands in the first iterable, which the enclosing function evaluates itself."""
    return node is generator.iter or any(outer is generator.iter for outer, _ in syntax.ancestors(node))


def needs_parentheses(syntax: Syntax, node: ast.Call) -> bool:
    """Whether `await` would bind to what follows the call instead of to the call."""
    match syntax.parent(node):
        case ast.Attribute() | ast.Subscript(value=ast.Call()) as outer:
            return outer.value is node
        case ast.Call(func=called):
            return called is node
    return False


def awaited_again(syntax: Syntax, node: ast.Call) -> str:
    """Why what is awaited in the place of the call reads badly: something of its result is awaited as well.

    `await (await asyncio.to_thread(load)).predict(row)` is two waits in one expression.
    """
    for outer, child in syntax.ancestors(node):
        match outer:
            case ast.Await():
                again = child is not node
                return (
                    "its result would be awaited within the same expression: assign it first" if again else ""
                )
            case ast.Attribute(value=part) | ast.Subscript(value=part) | ast.Call(func=part) if part is child:
                continue
        return ""
    return ""


class FunctionsByLine:
    """Finds the innermost function definition around a line of a file."""

    def __init__(self, functions: Sequence[FunctionFacts]) -> None:
        self.functions = functions
        self._order = sorted(range(1, len(functions)), key=lambda index: functions[index].position[:2])
        self._starts = [functions[index].position.line for index in self._order]

    def around(self, line: int) -> int:
        """Its number, 0 for none; of two on one line the last is taken."""
        before = bisect_right(self._starts, line)
        at: int | None = self._order[before - 1] if before else 0
        while at:
            facts = self.functions[at]
            if facts.position.end_line >= line and _is_definition(facts):
                return at
            at = facts.parent
        return 0


def _is_definition(facts: FunctionFacts) -> bool:
    """Whether the function has a name of its own: lambdas and generator expressions have none."""
    return not facts.is_lambda and facts.name.isidentifier()
