"""The fix for a remote call whose library has a coroutine for it: that is awaited, and no thread waits.

    answer = await chain.ainvoke(question)

Which coroutine that is, the `twins` of `rules/libraries` say.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from servelint.code.facts.facts import Attribute, last_name
from servelint.code.fixes.clients import Clients, Rewritten
from servelint.code.fixes.text import placement
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.imports import NameTakenError
from servelint.code.fixes.text.needed import Needed
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.code.values.values import External, LibraryMethod, LibraryObject, plain
from servelint.finding import Applicability, Fix
from servelint.knowledge.types import Role
from servelint.knowledge.types import Twins as Known

_UNFIT = frozenset({"await", "async", "iterate", "enter"})


class _Change(NamedTuple):
    """How the call becomes the coroutine, what that is called, and why it may not be the same."""

    rewritten: Rewritten
    title: str
    reason: str


class Twins:
    """Plans the fixes of one project."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.clients = Clients(analysis, files)

    def plan(self, call: BlockingCall) -> Fix | None:
        """The fix that awaits the library's coroutine; None where there is none, or not all can await."""
        library = self.analysis.catalogue.libraries.get(call.blocking.library)
        if library is None or not library.twins.names or not self._may_be(call):
            return None
        syntax = self.files.syntax(call.caller.module)
        node = syntax.at(call.position, ast.Call)
        if node is None or not self.clients.is_replaceable(syntax, node, library.twins):
            return None
        needed = Needed(self.files)
        try:
            change = self._change(call, syntax, node, library.twins, needed)
        except NameTakenError:
            return None
        if change is None:
            return None
        edits = needed.with_edits(change.rewritten.edits)
        return Fix(Applicability.UNSAFE, change.title, edits, change.reason, change.rewritten.replaces)

    def _may_be(self, call: BlockingCall) -> bool:
        """Whether the call is the library's, whatever its receiver may be, and a coroutine makes it."""
        site = call.site
        if call.blocking.role is not Role.REMOTE or site is None or len(call.blocking.hops) != 1:
            return False
        if not call.caller.facts.is_async or site.use in _UNFIT or placement.obstacle(self.analysis, call):
            return False
        callees = [value for value, _ in plain(self.analysis.evaluator.calls.callees(call.frame, site.call))]
        return bool(callees) and all(isinstance(value, LibraryMethod | External) for value in callees)

    def _change(
        self, call: BlockingCall, syntax: Syntax, node: ast.Call, known: Known, needed: Needed
    ) -> _Change | None:
        assert call.site is not None
        name, text = last_name(call.site.call.function), call.text
        coroutine, module = known.names[name], call.caller.module
        if known.classes:
            found = self.clients.of_another_class(module, node, known, needed)
            if found is None:
                return None
            rewritten, old, new = found
            return _Change(rewritten, f"Await `{text}` of `{new}` in the place of `{old}`", _opens(new))
        reason = f"what has been built for `{name}` need not do the same for `{coroutine}`"
        if known.attribute:
            client = self._client(call, node, known.attribute)
            if client is None:
                return None
            start = syntax.end(client)
            below = syntax.source.text[start : syntax.end(node.func)]
            written = f"{syntax.text(client)}.{known.attribute}{below}"
            rewritten = self.clients.awaited(syntax, [node], lambda _: written)
            return _Change(rewritten, f"Await `{written}()`", _opens(known.attribute))
        if isinstance(node.func, ast.Name):
            found_function = self.clients.function(module, node, known, needed)
            if found_function is None:
                return None
            return _Change(found_function, f"Await `{coroutine}()`", reason)
        assert isinstance(node.func, ast.Attribute)
        written = f"{syntax.text(node.func.value)}.{coroutine}"
        rewritten = self.clients.awaited(syntax, [node], lambda _: written)
        return _Change(rewritten, f"Await `{written}()`", reason)

    def _client(self, call: BlockingCall, node: ast.Call, attribute: str) -> ast.expr | None:
        """The part of what is called that is the client."""
        expression, part = (call.site.call.function if call.site else None), node.func
        while isinstance(expression, Attribute) and isinstance(part, ast.Attribute):
            expression, part = expression.value, part.value
            for value, _ in plain(self.analysis.evaluator.evaluate(call.frame, expression)):
                if isinstance(value, LibraryObject) and self.analysis.catalogue.attribute(
                    value.type, attribute
                ):
                    return part
        return None


def _opens(what: str) -> str:
    return f"what `{what}` opens belongs to one event loop, and a script or test may have several"
