"""Which calls of libraries take long: by themselves, or many of them in a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from functools import cached_property

from servelint.code.facts.facts import Attribute, Site, last_name
from servelint.code.fixes.beside.ways import within
from servelint.code.fixes.text import policy
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.judge.analysis import Analysis
from servelint.code.names import evidence
from servelint.code.values.values import External, ExternalObject, Frame, LibraryMethod, plain
from servelint.knowledge.types import NameIndex, Role

_OPENING = ("open", "read_text", "read_bytes")


class Long(Enum):
    """How a call takes long: by itself, or as one of many between which nothing is awaited."""

    ALONE = "alone"
    TOGETHER = "together"


class LongCalls:
    """Knows the long calls of one project."""

    def __init__(self, analysis: Analysis, files: Files) -> None:
        self.analysis = analysis
        self.files = files
        self.policy = policy.load()

    def of(self, frame: Frame, site: Site) -> Long | None:
        """How the call takes long; None where it is not known to."""
        evaluator, known = self.analysis.evaluator, self.policy
        module, function = evaluator.module(frame.module), site.call.function
        if self._asks_service(frame, site):
            return Long.ALONE
        if not module.may_call(function, self._last_names):
            return None
        named = self._named(frame, site)
        if _has(known.long_calls, named) or self._reads_much(frame, site, named):
            return Long.ALONE
        syntax = self.files.syntax(module)
        node = syntax.at(site.call.position, ast.Call)
        loops = list(loops_around(syntax, node)) if node is not None else []
        if loops and _has(known.long_in_loops, named):
            return Long.ALONE
        together = _has(known.long_together, named)
        return Long.TOGETHER if together and loops and not _awaits(syntax, loops[0]) else None

    @cached_property
    def _last_names(self) -> frozenset[str]:
        known = self.policy
        indexes = (known.long_calls, known.long_in_loops, known.long_together, known.long_readers)
        return frozenset(name for index in indexes for name in index.last_names())

    def _named(self, frame: Frame, site: Site) -> list[str]:
        """What libraries call what is called; of an object of which nothing is known, what it may be."""
        values = [value for value, _ in plain(self.analysis.evaluator.calls.callees(frame, site.call))]
        if values or not isinstance(site.call.function, Attribute):
            return [value.name for value in values if isinstance(value, External | ExternalObject)]
        name = last_name(site.call.function)
        return [f"{library}.*.{name}" for library in self.analysis.reach.libraries(frame.module)]

    def _asks_service(self, frame: Frame, site: Site) -> bool:
        """Whether the catalogue does not list the method of a client, but only such as ask a service."""
        evaluator, verb = self.analysis.evaluator, last_name(site.call.function).partition("_")[0]
        if verb not in self.policy.long_of_clients:
            return False
        for value, _ in plain(evaluator.calls.callees(frame, site.call)):
            if isinstance(value, LibraryMethod):
                known = tuple(self.analysis.catalogue.lineage(value.type))
                roles = {listed.role for each in known for listed in each.methods.values()}
                if roles - {Role.CHEAP} == {Role.REMOTE} and all(
                    value.method not in e.methods for e in known
                ):
                    return True
        return False

    def _reads_much(self, frame: Frame, site: Site, named: list[str]) -> bool:
        """Whether it parses a file that holds data, as far as the name of that tells."""
        if not _has(self.policy.long_readers, named):
            return False
        syntax = self.files.syntax(self.analysis.evaluator.module(frame.module))
        node = syntax.at(site.call.position, ast.Call)
        if node is None or not node.args:
            return False
        texts = _texts(_opened(syntax, node, node.args[0]))
        words = {word for text in texts for word in evidence.split(text)}
        return bool(words & self.policy.data_words) and words.isdisjoint(self.policy.table_words)


def loops_around(syntax: Syntax, node: ast.AST) -> Iterator[ast.AST]:
    """The loops of the function that repeat the node, from inside outwards."""
    for outer, child in within(syntax, node):
        match outer:
            case ast.While(orelse=other) | ast.For(orelse=other) if child not in other:
                if child is not getattr(outer, "iter", None):
                    yield outer
            case (
                ast.ListComp(generators=made)
                | ast.SetComp(generators=made)
                | ast.GeneratorExp(generators=made)
                | ast.DictComp(generators=made)
            ):
                if child is not made[0]:
                    yield outer


def _has(index: NameIndex[str], names: list[str]) -> bool:
    return any(index.find(name) for name in names)


def _awaits(syntax: Syntax, loop: ast.AST) -> bool:
    """Whether the event loop may do something else between two rounds."""
    return any(isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) for node in syntax.below(loop))


def _opened(syntax: Syntax, node: ast.AST, given: ast.expr) -> ast.expr | None:
    """What opens or reads the file that is given, there or in a `with` around the call, if anything does."""
    match given:
        case ast.Call(func=ast.Attribute(value=held, attr="read")):
            given = held
    for outer, _ in within(syntax, node) if isinstance(given, ast.Name) else ():
        for item in outer.items if isinstance(outer, ast.With) else ():
            match given, item.optional_vars:
                case ast.Name(id=name), ast.Name(id=bound) if name == bound:
                    given = item.context_expr
    match given:
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called in _OPENING:
            return given
    return None


def _texts(expression: ast.expr | None) -> Iterator[str]:
    """The names and texts in an expression."""
    for node in ast.walk(expression) if expression is not None else ():
        match node:
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.Constant(value=str(text)):
                yield text
