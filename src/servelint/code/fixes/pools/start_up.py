"""The fix for a model that every request loads: load it once, when the service starts.

In the lifespan of an application whose state the function reaches, else as a global above the function. Never
safe: a service that lacks the file fails when it starts, and does not see a new one.
"""

from __future__ import annotations

import ast
import builtins
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import count

from servelint.code.fixes.pools.lifespan import Lifespans
from servelint.code.fixes.text import placement, variables
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import ClassReference, plain
from servelint.finding import Applicability, Edit, Fix
from servelint.knowledge.types import Role

REASON = "the service then fails to start without the file, and does not see a new one until it starts again"
SHARED = "the threads that serve requests would share it, and two must not use it at once"
_UNKNOWN = "the threads that serve requests share it, and whether they may is not known"
_TRAINING = frozenset({"fit", "partial_fit", "fit_transform", "fit_predict", "train", "set_params"})
_SOMETIMES = (
    ast.Try,
    ast.If,
    ast.IfExp,
    ast.BoolOp,
    ast.While,
    ast.Lambda,
    ast.comprehension,
    ast.ExceptHandler,
)


class StartUp:
    """Plans the move of loads to start-up for one project."""

    def __init__(self, analysis: Analysis, files: Files, lifespans: Lifespans) -> None:
        self.analysis = analysis
        self.files = files
        self.lifespans = lifespans
        self._given: dict[str, dict[tuple[str, int], str]] = {}

    def plan_in_threads(self, call: BlockingCall) -> tuple[Fix | None, str]:
        """The fix for a load in an endpoint that runs in threads, or None and why there is none.

        There each request has a model of its own as long as it loads it. On the event loop it is another
        matter: the predictions go to a pool whose size is that which the library allows.
        """
        if call.blocking.thread_safe is False:
            return None, SHARED
        fix = self.plan(call)
        if fix is not None and call.blocking.thread_safe is None:
            fix = fix._replace(reason=f"{fix.reason}; {_UNKNOWN}")
        return fix, ""

    def plan(self, call: BlockingCall) -> Fix | None:
        """The fix for the load; None where it depends on the request, or is meant to happen again."""
        syntax = self.files.syntax(call.caller.module)
        function = placement.function_at(syntax, call.caller.facts.position)
        node = syntax.at(call.position, ast.Call)
        if function is None or node is None or not self._loads_anew(call, syntax, node, function):
            return None
        top = self._top_level(syntax, function)
        if top is None or not _is_constant(syntax, node, function, top):
            return None
        if _is_changed(syntax, node, function) or self._lacks_arguments(call, node):
            return None
        name = self._name(call, syntax, node, function)
        edits = self._in_lifespan(call, syntax, node, name) or self._above(syntax, node, top, f"_{name}")
        title = f"Load with `{call.text}` once, when the service starts"
        ordered = tuple(sorted(edits, key=lambda edit: edit.span))
        return Fix(Applicability.UNSAFE, title, ordered, REASON, (syntax.span(node),))

    def _lacks_arguments(self, call: BlockingCall, node: ast.Call) -> bool:
        """Whether a class of the project is made without an argument that it asks for.

        A decorator may give it; a call that stands at the top of the file had better not fail.
        """
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            return False
        given = {keyword.arg for keyword in node.keywords}
        if None in given or call.site is None:
            return False
        for value, _ in plain(self.analysis.evaluator.evaluate(call.frame, call.site.call.function)):
            if not isinstance(value, ClassReference):
                continue
            module = self.analysis.evaluator.module(value.module)
            made = module.facts.classes[value.number].methods.get("__init__")
            asked = module.function(made).parameters[1:] if made is not None else ()
            rest = [p for p in asked if p.kind == "positional"][len(node.args) :]
            if any(p.default is None and p.name not in given for p in rest):
                return True
        return False

    def _loads_anew(self, call: BlockingCall, syntax: Syntax, node: ast.Call, function: Function) -> bool:
        """Whether the function loads for itself, always, and keeps nothing."""
        if self.analysis.preloads.keeps(call.caller.facts) or not self._serves(call):
            return False
        for outer, _ in syntax.ancestors(node):
            if outer is function:
                break
            if isinstance(outer, _SOMETIMES):
                return False
        statement = syntax.statement(node)
        if isinstance(statement, ast.Assign) and statement.value is node:
            declared = (n for n in syntax.own_nodes(function) if isinstance(n, ast.Global | ast.Nonlocal))
            outside = {name for n in declared for name in n.names}
            return all(isinstance(t, ast.Name) and t.id not in outside for t in statement.targets)
        if isinstance(statement, ast.Expr) and statement.value is node:
            return False  # nobody uses what it gives: it puts that somewhere itself
        return isinstance(statement, ast.Assign | ast.Expr | ast.Return)

    def _serves(self, call: BlockingCall) -> bool:
        """Whether the function also uses a model: one that only loads is there to load."""
        if not call.caller.facts.is_async:
            return True  # in a thread, where the rule has looked
        same = self.analysis.blocking_calls_of(call.caller)
        return any(other.blocking.role is not Role.LOAD for other in same)

    def _top_level(self, syntax: Syntax, function: Function) -> ast.stmt | None:
        """The statement of the file in which the function is defined, if that is a function or class."""
        outers = [function, *(outer for outer, _ in syntax.ancestors(function))]
        found = next((node for node in outers if node in syntax.tree.body), None)
        return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else None

    def _name(self, call: BlockingCall, syntax: Syntax, node: ast.Call, function: Function) -> str:
        """A name for what is loaded: that of the variable it was assigned to, if nothing else has it.

        The fixes of a file may be applied together, and then two loads must not become one global: a name
        that the fix of one load got is taken for the others. Functions that load the very same share one.
        """
        given = self._given.setdefault(call.caller.module.path, {})
        key = (syntax.text(node), _number(syntax, node, function))
        if key in given:
            return given[key]
        statement = syntax.statement(node)
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
                wanted = name.lstrip("_")
            case _:
                wanted = "loaded_model"
        others = set(given.values())
        candidates = (wanted if number == 1 else f"{wanted}_{number}" for number in count(1))
        name = next(c for c in candidates if f"_{c}" not in syntax.names and c not in others)
        given[key] = name
        return name

    def _in_lifespan(self, call: BlockingCall, syntax: Syntax, node: ast.Call, name: str) -> list[Edit]:
        """The edits that load in the lifespan; none where its function or the state is out of reach."""
        lifespan, state = self.lifespans.reaching(call.caller.module), self.lifespans.state(call)
        if lifespan is None or not state or lifespan.module is not call.caller.module:
            return []
        if name in syntax.attributes:
            return []
        start = self.lifespans.start(lifespan)
        if start is None or variables.reads([node]) & start.local:
            return []
        loaded = f"{start.indent}{start.application}.state.{name} = {syntax.text(node)}\n"
        return [
            syntax.edit(start.offset, start.offset, loaded),
            syntax.edit(syntax.start(node), syntax.end(node), f"{state}.{name}"),
        ]

    def _above(self, syntax: Syntax, node: ast.Call, top: ast.stmt, name: str) -> list[Edit]:
        """The edits that load into a global above the definition."""
        first = _first(syntax, node, top)
        place = syntax.line_start(syntax.above_comments(syntax.first_line(first)))
        return [
            syntax.edit(place, place, f"{name} = {syntax.text(node)}\n\n\n"),
            syntax.edit(syntax.start(node), syntax.end(node), name),
        ]


def _number(syntax: Syntax, node: ast.Call, function: Function) -> int:
    """How many calls of the same text stand before this one in the function."""
    places = syntax.worked_out(_places_of_calls, function).get(syntax.text(node), [])
    return bisect_left(places, (node.lineno, node.col_offset))


def _places_of_calls(syntax: Syntax, function: Function) -> dict[str, list[tuple[int, int]]]:
    """Where the function's own calls stand, in the order of the text, by what they say."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for node in syntax.own_nodes(function):
        if isinstance(node, ast.Call):
            found[syntax.text(node)].append((node.lineno, node.col_offset))
    return {text: sorted(places) for text, places in found.items()}


def _first(syntax: Syntax, node: ast.Call, top: ast.stmt) -> ast.stmt:
    """The first definition of the file that has a call of the same text, if what that reads is set there."""
    body, text = syntax.tree.body, syntax.text(node)
    read = variables.reads([node]) - set(dir(builtins))
    set_above: set[str] = set()
    for statement in body[: body.index(top)]:
        is_definition = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if is_definition and read <= set_above and text in syntax.text(statement):
            calls = (n for n in syntax.below(statement) if isinstance(n, ast.Call))
            if any(syntax.text(other) == text for other in calls):
                return statement
        set_above |= variables.writes([statement])
    return top


def _is_constant(syntax: Syntax, node: ast.Call, function: Function, top: ast.stmt) -> bool:
    """Whether the call reads only what the file has set, once and for all, above the definition."""
    if any(isinstance(n, ast.Await | ast.Yield | ast.NamedExpr | ast.Lambda) for n in ast.walk(node)):
        return False
    names = variables.reads([node])
    first, above = syntax.worked_out(_first_set, syntax.tree), syntax.tree.body.index(top)
    if any(first.get(name, above) >= above for name in names - set(dir(builtins))):
        return False
    changed = syntax.worked_out(_set_by_functions, syntax.tree)
    return not names & (syntax.worked_out(_locals, function) | changed | _locals_around(syntax, function))


def _first_set(_: Syntax, tree: ast.Module) -> dict[str, int]:
    """The first statement of the file, by its number, that sets each name."""
    found: dict[str, int] = {}
    for number, statement in enumerate(tree.body):
        for name in variables.writes([statement]):
            found.setdefault(name, number)
    return found


def _set_by_functions(syntax: Syntax, _: ast.Module) -> frozenset[str]:
    """The names of the file that functions set."""
    return frozenset(n for s in syntax.nodes if isinstance(s, ast.Global) for n in s.names)


def _locals(_: Syntax, function: Function) -> frozenset[str]:
    """The variables of the function, its parameters among them."""
    parameters = (a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg))
    return frozenset((*variables.writes(function.body), *parameters))


def _is_changed(syntax: Syntax, node: ast.Call, function: Function) -> bool:
    """Whether the function changes what it loads: requests would see what others have set."""
    statement = syntax.statement(node)
    targets = statement.targets if isinstance(statement, ast.Assign) and statement.value is node else ()
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return bool(names & syntax.worked_out(_changed_in, function))


def _changed_in(syntax: Syntax, function: Function) -> frozenset[str]:
    """The variables whose objects the function changes."""
    return frozenset(
        root
        for inner in syntax.own_nodes(function)
        for place in (*variables.changed(inner), *_told(inner))
        if not isinstance(inner, ast.Name)
        for root in variables.roots(place)
    )


def _told(node: ast.AST) -> Iterator[ast.expr]:
    """The objects that are told something, or trained."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=value, attr=name))):
            if name not in variables.HARMLESS_METHODS:
                yield value
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _TRAINING:
            yield value


def _locals_around(syntax: Syntax, function: Function) -> set[str]:
    """The variables of the functions around the function."""
    found: set[str] = set()
    for outer, _ in syntax.ancestors(function):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= syntax.worked_out(_locals, outer)
    return found
