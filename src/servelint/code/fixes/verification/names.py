"""Whether each name that edits brought in is bound, to one thing, before it is used, and hides no other."""

from __future__ import annotations

import ast
import builtins
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from servelint.code.fixes.text import variables
from servelint.code.fixes.text.syntax import Placed, Syntax
from servelint.project.text.splice import Written

_WORD = re.compile(r"\w+")
_BUILTINS = frozenset(dir(builtins))
Scope: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Binding(NamedTuple):
    """A place that binds a name: the statement or parameter, and the import that it is, if it is one."""

    node: Placed | ast.arg
    imported: str = ""


class Names:
    """The names of a file after edits; `written` are the edits' contents in it."""

    def __init__(self, after: Syntax, written: Sequence[Written]) -> None:
        self.after = after
        self.written = written
        self._starts = [part.start for part in written]
        self._globals: dict[str, list[Binding]] | None = None
        self._locals: dict[Scope, Mapping[str, list[Binding]]] = {}
        self._uses: dict[Scope, dict[str, list[ast.Name]]] = {}
        self._lines = {
            line
            for part in written
            for line in range(after.source.position(part.start)[0], after.source.position(part.end)[0] + 1)
        }

    def fault(self) -> str:
        """What is wrong with a name that the edits brought in; empty if nothing is."""
        for name, node in self._bindings_of_nodes():
            reason = self._hides(name, node) if self._is_brought(name, node) else ""
            if reason:
                return reason
        loads = (n for n in self._near if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
        for loaded in loads:
            reason = self._unbound(loaded) if self._is_brought(loaded.id, loaded) else ""
            if reason:
                return reason
        return ""

    @cached_property
    def _near(self) -> tuple[ast.AST, ...]:
        """The nodes on the lines of the edits."""
        return tuple(n for n in self.after.nodes if getattr(n, "lineno", 0) in self._lines)

    def _is_brought(self, name: str, node: Placed | ast.arg) -> bool:
        """Whether the name stands in an edit, and did not where the edit was made."""
        part = self._written_at(node)
        if part is None or name in _words(part.removed):
            return False
        # Of `async` in front of a `def` that was there, the name is none.
        return name in _words(self.after.source.text[part.start : part.end])

    def _written_at(self, node: Placed | ast.arg) -> Written | None:
        start = self.after.start(node)
        part = self.written[max(bisect_right(self._starts, start) - 1, 0)]
        return part if part.start <= start < part.end else None

    def _bindings_of_nodes(self) -> Iterator[tuple[str, Placed]]:
        for node in self._near:
            if isinstance(node, _BINDING):
                for name in variables.writes([node]):
                    yield name, node

    # -- what a new name hides -------------------------------------------------------------------

    def _hides(self, name: str, node: Placed | ast.arg) -> str:
        scope = self._scope(node)
        if scope is not None:
            return self._hides_in_function(name, node, scope)
        if name in _BUILTINS:
            return f"`{name}` would hide the builtin"
        bindings = self._of_module(name)
        things = {binding.imported or binding.node for binding in bindings}
        if len(things) > 1:
            return f"`{name}` would be bound to several things"
        is_import = all(binding.imported for binding in bindings)
        brought = {binding.node for binding in bindings if self._written_at(binding.node) is not None}
        if len(brought) == len(bindings) and not is_import and self._is_used_already(name):
            return f"`{name}` would hide what the file takes for it"
        return ""

    def _hides_in_function(self, name: str, node: Placed | ast.arg, scope: Scope) -> str:
        if any(self._written_at(other) is None for other in self._named(scope, name)):
            return f"`{name}` would hide another"
        again = [b for b in self._of_function(scope, name) if b.node is not node]
        return f"`{name}` would be bound twice" if again else ""

    def _is_used_already(self, name: str) -> bool:
        return any(
            isinstance(n, ast.Name) and n.id == name and self._written_at(n) is None for n in self.after.nodes
        )

    # -- whether a name is bound -----------------------------------------------------------------

    def _unbound(self, node: ast.Name) -> str:
        name = node.id
        for scope in self._scopes(node):
            found = self._of_function(scope, name)
            if found:
                before = any(self.after.start(b.node) < self.after.start(node) for b in found)
                looped = any(isinstance(o, ast.For | ast.While) for o, _ in self.after.ancestors(node))
                inner = self._scope(node) is not scope
                return "" if before or looped or inner else f"`{name}` would be used before it is bound"
        bindings = [b for b in self._of_module(name) if not self._is_for_types(b.node)]
        if not bindings:
            return "" if name in _BUILTINS else f"`{name}` would not be bound"
        if self._scope(node) is None and not any(self._ends_before(b.node, node) for b in bindings):
            return f"`{name}` would be used before it is bound"
        return ""

    def _ends_before(self, binding: Placed | ast.arg, node: ast.Name) -> bool:
        statement = self.after.statement(binding)
        return statement is not None and self.after.end(statement) <= self.after.start(node)

    def _is_for_types(self, node: Placed | ast.arg) -> bool:
        """Whether the binding is made for type checkers only."""
        return any(
            isinstance(outer, ast.If) and self._is_in(child, outer.body) and _says_type_checking(outer.test)
            for outer, child in self.after.ancestors(node)
        )

    # -- scopes ----------------------------------------------------------------------------------

    def _scope(self, node: ast.AST) -> Scope | None:
        """The function whose body runs the node; None where that is the file."""
        return next(self._scopes(node), None)

    def _scopes(self, node: ast.AST) -> Iterator[Scope]:
        """The functions around the node, whose bodies it is in: not their defaults and decorators."""
        for outer, child in self.after.ancestors(node):
            if isinstance(outer, _SCOPES) and (child is outer.body or self._is_in(child, outer.body)):
                yield outer

    def _is_in(self, node: ast.AST, suite: object) -> bool:
        """Whether the node is a statement of the suite itself."""
        place = self.after.place(node) if isinstance(node, ast.stmt) else None
        return place is not None and place.suite is suite

    def _named(self, scope: Scope, name: str) -> list[ast.Name]:
        """Where the function, or one inside it, uses or sets a variable of that name."""
        if scope not in self._uses:
            found = self._uses[scope] = defaultdict(list)
            for node in ast.walk(scope):
                if isinstance(node, ast.Name):
                    found[node.id].append(node)
        return self._uses[scope].get(name, [])

    def _of_function(self, scope: Scope, name: str) -> list[Binding]:
        """Where the function binds the name for itself."""
        if scope not in self._locals:
            self._locals[scope] = self._find_locals(scope)
        return self._locals[scope].get(name, [])

    def _find_locals(self, scope: Scope) -> Mapping[str, list[Binding]]:
        found: dict[str, list[Binding]] = defaultdict(list)
        for parameter in ast.walk(scope.args):
            if isinstance(parameter, ast.arg):
                found[parameter.arg].append(Binding(parameter))
        inner = [n for part in _suite(scope) for n in ast.walk(part)]
        declared = {word for n in inner if isinstance(n, ast.Global | ast.Nonlocal) for word in n.names}
        own = variables.writes(_suite(scope)) - declared
        for name, binding in (pair for node in inner for pair in _bindings(node)):
            if name in own and self._scope(binding.node) is scope:
                found[name].append(binding)
        return found

    def _of_module(self, name: str) -> list[Binding]:
        """Where the file binds the global name, in a function that declares it too."""
        if self._globals is None:
            self._globals = defaultdict(list)
            for bound, binding in (pair for node in self.after.nodes for pair in _bindings(node, self.after)):
                self._globals[bound].append(binding)
        return [b for b in self._globals.get(name, []) if self._is_global(name, b)]

    def _is_global(self, name: str, binding: Binding) -> bool:
        scope = self._scope(binding.node)
        return _declares(scope, name) if scope is not None else self._class(binding.node) is None

    def _class(self, node: Placed | ast.arg) -> ast.AST | None:
        """The class in whose body the node binds a name, if it is one's."""
        for outer, child in self.after.ancestors(node):
            if isinstance(outer, _SCOPES):
                return None
            if isinstance(outer, ast.ClassDef) and self._is_in(child, outer.body):
                return outer
        return None


_BINDING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.alias, ast.Name)


def _bindings(node: ast.AST, syntax: Syntax | None = None) -> Iterator[tuple[str, Binding]]:
    """The name that the node itself binds, if it binds one, with what is known of it."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name, Binding(node)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, Binding(node)
        case ast.alias(name=thing, asname=asname):
            yield asname or thing.partition(".")[0], Binding(node, _imported(node, syntax))


def _imported(alias: ast.alias, syntax: Syntax | None) -> str:
    """What the import binds: the first package of `import a.b`, a member of a module."""
    statement = syntax.parent(alias) if syntax is not None else None
    if isinstance(statement, ast.ImportFrom):
        return f"{'.' * statement.level}{statement.module or ''}:{alias.name}"
    return alias.name if alias.asname else alias.name.partition(".")[0]


@lru_cache(maxsize=64)
def _words(text: str) -> frozenset[str]:
    """The words of a text: many names may stand in one edit."""
    return frozenset(_WORD.findall(text))


def _suite(scope: Scope) -> Sequence[ast.AST]:
    """What a call of the function runs."""
    return [scope.body] if isinstance(scope, ast.Lambda) else scope.body


def _declares(scope: Scope, name: str) -> bool:
    return any(isinstance(n, ast.Global) and name in n.names for n in ast.walk(scope))


def _says_type_checking(test: ast.expr) -> bool:
    match test:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == "TYPE_CHECKING"
    return False
