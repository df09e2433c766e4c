"""How a block is written that runs in a thread: as a `lambda`, or as a function in front of it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from itertools import count

from servelint.code.fixes.blocks.block import Block, Variables
from servelint.code.fixes.blocks.wrappings import Offloading
from servelint.code.fixes.text import style, variables
from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.syntax import Syntax
from servelint.code.judge.analysis import BlockingCall
from servelint.finding import Edit
from servelint.knowledge.types import Role

_NAMES = {
    Role.LOAD: "load_model",
    Role.TRAINING: "train_model",
    Role.PREPROCESSING: "preprocess",
    Role.EXPLANATION: "explain",
    Role.REMOTE: "send_requests",
}
_MAIN = (Role.TRAINING, Role.INFERENCE)
_USUAL_NAME = "run_inference"


class Names:
    """Names for nested functions; the same block gets the same name."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._given: dict[tuple[str, int, int], str] = {}
        self._in_file: dict[str, set[str]] = {}
        self._in_function: dict[tuple[str, int], set[str]] = {}
        self._tried: dict[tuple[str, int, str], Iterator[str]] = {}

    def of(self, call: BlockingCall, block: Block, roles: Collection[Role] = ()) -> str:
        """A name that nothing in the file has, no other block of the function either.

        `roles` are those of all the calls in the block: what trains or infers is what the block is for.
        """
        path, line = call.caller.module.path, block.function.lineno
        key = (path, line, block.first_line)
        if key not in self._given:
            if path not in self._in_file:
                self._in_file[path] = _all_names(self.files.syntax(call.caller.module))
            mine = self._in_function.setdefault((path, line), set())
            role = next((role for role in _MAIN if role in roles), call.blocking.role)
            wanted = _NAMES.get(role, _USUAL_NAME)
            # What has been tried for the function is taken: no later block need try it again.
            tried = self._tried.setdefault((path, line, wanted), _candidates(wanted))
            name = next(name for name in tried if name not in self._in_file[path] and name not in mine)
            mine.add(name)
            self._given[key] = name
        return self._given[key]


def _candidates(wanted: str) -> Iterator[str]:
    yield wanted
    yield from (f"{wanted}_{number}" for number in count(2))


def _all_names(syntax: Syntax) -> set[str]:
    found = set(syntax.names)
    for node in syntax.nodes:
        match node:
            case ast.arg(arg=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(name=name, asname=asname):
                found.add(asname or name)
    return found


def moved(
    block: Block, found: Variables, name: str, offloading: Offloading, calls: Sequence[BlockingCall]
) -> Edit:
    """The edit that puts the offloaded block, with those calls, in the place of its statements."""
    value = _only_value(block, found, calls)
    if value is not None:
        return _as_lambda(block, value, offloading)
    wrapping = offloading.of(name, arguments=bool(found.parameters))
    return as_function(block, found, name, wrapping.with_arguments(found.parameters))


def as_function(block: Block, found: Variables, name: str, wrapping: style.Wrapping) -> Edit:
    """The edit that makes the block a function `name`, and `wrapping` run it."""
    indent = block.syntax.indent(block.first_line)
    before = "return " if block.returns else f"{', '.join(found.returned)} = " if found.returned else ""
    awaited = style.laid_out(block.syntax, before, wrapping, indent)
    blank = "\n" if _needs_blank_line(block) else ""
    return block.syntax.edit(block.start, block.end, f"{blank}{block.nested(name, found)}\n\n{awaited}")


def _needs_blank_line(block: Block) -> bool:
    """Whether another statement stands in the line above: formatters want a function apart from it."""
    above = block.syntax.source.line(block.first_line - 1) if block.first_line > 1 else ""
    is_first = block.statements[0] is block.function.body[0]
    return bool(above.strip()) and not above.lstrip().startswith(("#", "@")) and not is_first


def _only_value(block: Block, found: Variables, calls: Sequence[BlockingCall]) -> ast.expr | None:
    """The value of the block's only statement, where moving that is enough: what it is assigned to stays."""
    if len(block.statements) > 1 or found.parameters or found.kept or _assigning_runs(block, calls):
        return None
    match block.statements[0]:
        case ast.Assign(value=value) | ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
            pass
        case ast.AnnAssign(value=ast.expr() as value):
            pass
        case _:
            return None
    text = block.syntax.text(value)
    fits = not any(mark in text for mark in ('"""', "'''", "\\\n", "#"))
    return value if fits and not variables.writes([value]) else None


def _assigning_runs(block: Block, calls: Sequence[BlockingCall]) -> bool:
    """Whether one of the calls may be run by assigning: by `__setitem__`, or by taking a lazy value apart."""
    statement = block.statements[0]
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    takes_apart = any(isinstance(target, ast.Tuple | ast.List) for target in targets)
    nodes = [block.syntax.at(call.position, ast.AST) for call in calls if call.site is None]
    value = statement.value
    return any(
        node is None or (node is value and takes_apart) or not block.syntax.is_below(node, value)
        for node in nodes
    )


def _as_lambda(block: Block, value: ast.expr, offloading: Offloading) -> Edit:
    syntax, statement = block.syntax, block.statements[0]
    start, end = syntax.start(value), syntax.end(value)
    text = syntax.source.text
    # Parentheses around the value belong to it: what is between it and the statement's end is only those.
    begin = syntax.start(statement)
    prefix = text[begin:start].rstrip("( \t\r\n\\")
    inner = text[start:end]
    if isinstance(value, ast.Tuple) and not _has_parentheses(inner):
        inner = f"({inner})"
    wrapping = offloading.of(f"lambda: {inner}")
    indent = syntax.indent(block.first_line)
    content = style.laid_out(syntax, f"{prefix} " if prefix else "", wrapping, indent)
    return syntax.edit(syntax.line_start(block.first_line), syntax.end(statement), content)


def _has_parentheses(text: str) -> bool:
    """Whether the parentheses at both ends of a tuple's text belong together."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    try:
        ast.parse(text[1:-1], mode="eval")
    except SyntaxError:
        return False
    return True
