"""Where a client is made and all that uses it: the class of its coroutines in the place of its own.

client = AsyncOpenAI()
answer = await client.chat.completions.create(...)
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from servelint.code.fixes.text import placement, style
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.needed import Needed
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.code.graph.project import Module
from servelint.code.judge.analysis import Analysis
from servelint.finding import Edit, Span
from servelint.knowledge.types import Twins

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Rewritten(NamedTuple):
    """Edits, and what they put something else in the place of."""

    edits: tuple[Edit, ...]
    replaces: tuple[Span, ...]


class _Made(NamedTuple):
    """The call that makes a client, the name that is bound to it, and all else of that name."""

    node: ast.Call
    uses: tuple[ast.expr, ...]


class _Client(NamedTuple):
    """The call that makes a client, and all calls of its methods."""

    made: ast.Call
    calls: tuple[ast.Call, ...]


class Clients:
    """Finds the clients of one project and rewrites what uses them."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files

    # -- calls -----------------------------------------------------------------------------------

    def is_replaceable(self, syntax: Syntax, node: ast.Call, known: Twins) -> bool:
        """Whether the coroutine can be awaited where the call stands, and gives the same."""
        function = next((outer for outer, _ in syntax.ancestors(node) if isinstance(outer, _FUNCTIONS)), None)
        if not isinstance(function, ast.AsyncFunctionDef) or placement.awaitable_at(syntax, node, function):
            return False
        parts = _parts(node.func)
        return bool(parts) and parts[-1] in known.names and _is_usual(node, parts, known)

    def awaited(
        self, syntax: Syntax, nodes: Sequence[ast.Call], written: Callable[[ast.Call], str]
    ) -> Rewritten:
        """The calls awaited, with what `written` gives in the place of what they call."""
        edits = [edit for node in nodes for edit in self._awaited(syntax, node, written(node))]
        return Rewritten(tuple(edits), tuple(syntax.span(node.func) for node in nodes))

    def _awaited(self, syntax: Syntax, node: ast.Call, written: str) -> Iterator[Edit]:
        parenthesised = placement.needs_parentheses(syntax, node)
        if node.lineno == node.end_lineno or parenthesised:
            wrapping = style.Wrapping(f"await {written}", ())
            yield from style.rewritten(syntax, node, wrapping, parenthesised=parenthesised)
        else:
            yield syntax.edit(syntax.start(node), syntax.end(node.func), f"await {written}")

    # -- functions -------------------------------------------------------------------------------

    def function(self, module: Module, node: ast.Call, known: Twins, needed: Needed) -> Rewritten | None:
        """The call of an imported function, and all of its calls where nothing else uses the name."""
        syntax = self.files.syntax(module)
        assert isinstance(node.func, ast.Name)
        loads = list(_loads(syntax, node.func.id))
        calls = [outer for load in loads if isinstance(outer := syntax.parent(load), ast.Call)]
        every = len(calls) == len(loads) and all(
            call.func is load and self.is_replaceable(syntax, call, known)
            for call, load in zip(calls, loads, strict=True)
        )
        name = node.func.id
        renamed = self._renamed(module, name, known.names[name], loads if every else [node.func], needed)
        if renamed is None:
            return None
        rewritten = self.awaited(syntax, calls if every else [node], lambda _: renamed.name)
        return Rewritten((*renamed.edits, *rewritten.edits), (*renamed.replaces, *rewritten.replaces))

    # -- clients ---------------------------------------------------------------------------------

    def of_another_class(
        self, module: Module, node: ast.Call, known: Twins, needed: Needed
    ) -> tuple[Rewritten, str, str] | None:
        """What makes the client of the other class, and awaits all calls of it; the old class and the new.

        Where all that the file makes of the class can be of the other one, that is done together.
        """
        syntax = self.files.syntax(module)
        root = _root(node.func)
        client = self._client(module, syntax, root, known) if root is not None else None
        if client is None:
            return None
        called = client.made.func
        old = _parts(called)[-1]
        new, group = known.classes[old], [client]
        edits: tuple[Edit, ...] = ()
        replaces: tuple[Span, ...] = ()
        if isinstance(called, ast.Name):
            group = self._all_of_class(module, syntax, old, known) or group
            renamed = self._renamed(module, old, new, [one.made.func for one in group], needed)
            if renamed is None:
                return None
            edits, replaces, spelled = renamed
        else:
            assert isinstance(called, ast.Attribute)
            spelled = f"{syntax.text(called.value)}.{new}"
        for one in group:
            rewritten = self.awaited(syntax, one.calls, lambda call: syntax.text(call.func))
            edits = (*edits, *_constructed(syntax, one.made, spelled), *rewritten.edits)
            replaces = (*replaces, syntax.span(one.made.func), *rewritten.replaces)
        return Rewritten(edits, replaces), old, new

    def _all_of_class(self, module: Module, syntax: Syntax, old: str, known: Twins) -> list[_Client]:
        """The clients that the file makes of the class; none if it uses the class for something else too."""
        found: list[_Client] = []
        for load in _loads(syntax, old):
            target = _target(syntax.statement(load))
            client = self._client(module, syntax, target, known) if target is not None else None
            if client is None or client.made.func is not load or not client.calls:
                return []
            found.append(client)
        return found

    def _client(self, module: Module, syntax: Syntax, root: ast.expr, known: Twins) -> _Client | None:
        """The client that the name holds, if it can be one of the other class."""
        made = self._made(module, syntax, root)
        if made is None:
            return None
        parts = _parts(made.node.func)
        if not parts or parts[-1] not in known.classes or not _is_usual(made.node, parts, known):
            return None
        calls = [_call_of(syntax, use) for use in made.uses]
        usual = [call for call in calls if call is not None and self.is_replaceable(syntax, call, known)]
        return _Client(made.node, tuple(usual)) if len(usual) == len(calls) else None

    def _made(self, module: Module, syntax: Syntax, root: ast.expr) -> _Made | None:
        """Where what the name holds is made, where that is one place and all uses of it are known."""
        if isinstance(root, ast.Attribute):
            return self._made_by_class(module, syntax, root)
        if not isinstance(root, ast.Name):
            return None
        function = next((outer for outer, _ in syntax.ancestors(root) if isinstance(outer, _FUNCTIONS)), None)
        binders = syntax.binders.get(root.id, [])
        own = [n for n in binders if function is not None and syntax.is_below(n, function)]
        scope: ast.AST = function if own and function is not None else syntax.tree
        names = [n for n in syntax.below(scope) if isinstance(n, ast.Name) and n.id == root.id]
        if len(own or binders) != 1 or (not own and self._is_known_elsewhere(module, root.id)):
            return None
        bound = next((n for n in names if n is (own or binders)[0]), None)
        if bound is None or (not own and any(isinstance(o, _FUNCTIONS) for o, _ in syntax.ancestors(bound))):
            return None
        return _bound_call(syntax, bound, tuple(n for n in names if n is not bound))

    def _made_by_class(self, module: Module, syntax: Syntax, attribute: ast.Attribute) -> _Made | None:
        """The same for an attribute of `self`."""
        name = attribute.attr
        owner = next((o for o, _ in syntax.ancestors(attribute) if isinstance(o, ast.ClassDef)), None)
        if owner is None or self._is_known_elsewhere(module, name, owner.name):
            return None
        found = [n for n in syntax.nodes if isinstance(n, ast.Attribute) and n.attr == name]
        if not all(isinstance(n.value, ast.Name) and n.value.id == "self" for n in found):
            return None
        if not all(syntax.is_below(n, owner) for n in found):
            return None
        bound = [n for n in found if not isinstance(n.ctx, ast.Load)]
        of_class = any(syntax.statement(node) in owner.body for node in syntax.binders.get(name, ()))
        if len(bound) != 1 or of_class:
            return None
        return _bound_call(syntax, bound[0], tuple(n for n in found if n is not bound[0]))

    # -- names -----------------------------------------------------------------------------------

    def _renamed(
        self, module: Module, old: str, new: str, uses: Collection[ast.expr], needed: Needed
    ) -> _Renamed | None:
        """The imported name `new` for `old`, in the place of it where nothing else uses that."""
        syntax = self.files.syntax(module)
        binders = syntax.binders.get(old, [])
        imported = syntax.parent(binders[0]) if len(binders) == 1 else None
        alias = binders[0] if binders else None
        if not isinstance(imported, ast.ImportFrom) or not isinstance(alias, ast.alias) or imported.level:
            return None
        if any(load not in uses for load in _loads(syntax, old)):
            first = next(iter(uses))
            function = next((o for o, _ in syntax.ancestors(first) if isinstance(o, Function)), None)
            spelled = needed.of(module).member(
                imported.module or "", new, function, line=first.lineno, prefer_from=True
            )
            return _Renamed((), (), spelled)
        if self._is_known_elsewhere(module, old) or new in syntax.binders:
            return None
        return _Renamed(
            (syntax.edit(syntax.start(alias), syntax.end(alias), new),), (syntax.span(alias),), new
        )

    def _is_known_elsewhere(self, module: Module, name: str, owner: str = "") -> bool:
        """Whether another file may use the global name, or the attribute of the class `owner`."""
        for other in self.analysis.project.mentioning([name], tests=True):
            if other is module:
                continue
            if owner:
                syntax = self.files.syntax(other)
                if name in syntax.attributes and (owner in syntax.names or owner in syntax.binders):
                    return True
            elif self._imports_it(other, module, name):
                return True
        return False

    def _imports_it(self, other: Module, module: Module, name: str) -> bool:
        """Whether the file imports the name from the module, or may read it as the module's attribute."""
        resolve = self.analysis.project.resolve
        imports = [item for facts in other.facts.functions for item in facts.imports]
        if any(
            item.name == name and resolve(other, item.module, item.level) == module.path for item in imports
        ):
            return True
        if any(resolve(other, star, level) == module.path for star, level in other.facts.stars):
            return True
        known = {Path(module.path).stem, Path(module.path).parent.name}
        imported = any((item.name or item.module.rpartition(".")[2]) in known for item in imports)
        return imported and name in self.files.syntax(other).attributes


class _Renamed(NamedTuple):
    """The edits that import the new name, what they replace, and how it is spelled."""

    edits: tuple[Edit, ...]
    replaces: tuple[Span, ...]
    name: str


def _root(called: ast.expr) -> ast.expr | None:
    """The name, or attribute of `self`, that what is called starts with."""
    while isinstance(called, ast.Attribute):
        if isinstance(called.value, ast.Name) and called.value.id == "self":
            return called
        called = called.value
    return called if isinstance(called, ast.Name) else None


def _target(statement: ast.stmt | None) -> ast.expr | None:
    """The one name, or attribute of `self`, that the statement binds."""
    match statement:
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return target if _root(target) is target else None
    return None


def _constructed(syntax: Syntax, made: ast.Call, spelled: str) -> tuple[Edit, ...]:
    """The edits that make the client of another class."""
    if made.lineno == made.end_lineno:
        return style.rewritten(syntax, made, style.Wrapping(spelled, ()), parenthesised=False)
    return (syntax.edit(syntax.start(made.func), syntax.end(made.func), spelled),)


def _parts(called: ast.expr) -> tuple[str, ...]:
    """The names of `a.b.c`; empty for what has a call or an index in it."""
    found: list[str] = []
    while isinstance(called, ast.Attribute):
        found.append(called.attr)
        called = called.value
    return (*found, called.id)[::-1] if isinstance(called, ast.Name) else ()


def _is_usual(node: ast.Call, parts: Sequence[str], known: Twins) -> bool:
    """Whether nothing is given or gone through with which the coroutine gives something else."""
    keywords = [keyword.arg for keyword in node.keywords]
    return not any(name is None or name in known.unless for name in (*keywords, *parts))


def _loads(syntax: Syntax, name: str) -> Iterator[ast.Name]:
    for node in syntax.nodes:
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield node


def _call_of(syntax: Syntax, use: ast.expr) -> ast.Call | None:
    """The call of a method of what the expression gives, or of what an attribute of it holds."""
    outer: ast.AST | None = use
    while isinstance(outer, ast.Name | ast.Attribute):
        use, outer = outer, syntax.parent(outer)
    return outer if isinstance(outer, ast.Call) and outer.func is use else None


def _bound_call(syntax: Syntax, bound: ast.expr, uses: tuple[ast.expr, ...]) -> _Made | None:
    """The call whose result alone is bound to the name."""
    match syntax.parent(bound):
        case ast.Assign(targets=[_], value=ast.Call() as made):
            return _Made(made, uses)
        case ast.AnnAssign(annotation=annotation, value=ast.Call() as made) if _is_plain(annotation):
            return _Made(made, uses)
    return None


def _is_plain(annotation: ast.expr) -> bool:
    """Whether the annotation says nothing that would have to change."""
    return isinstance(annotation, ast.Name) and annotation.id in ("Any", "object")
