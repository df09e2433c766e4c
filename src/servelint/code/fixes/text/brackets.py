"""Opens the brackets around a rewritten call that no longer fits on its line, as formatters do.

    return {"labels": model.predict(rows), "request": request_id}

becomes, from the outermost bracket inward and no further than needed,

    return {
        "labels": await loop.run_in_executor(pool, model.predict, rows),
        "request": request_id,
    }
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from servelint.code.fixes.text.syntax import Placed, Syntax
from servelint.finding import Edit

Span: TypeAlias = tuple[int, int]
_MOST_PARTS = 200


@dataclass(frozen=True, slots=True)
class Bracket:
    """A bracketed expression: its span, those of its parts, and what stands between these.

    A `display` (list, set, dictionary, tuple) never has several parts on the line between its brackets.
    Where the brackets stand on other lines than the parts, they are open already: then the span is that of
    the parts.
    """

    span: Span
    parts: tuple[Span, ...]
    separator: str = ", "
    display: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Replacement:
    """What comes where the call is: on one line, or over several with the indentation given."""

    inline: str
    write: Callable[[str], str]


def replaced(syntax: Syntax, node: ast.Call, replacement: Replacement, limit: int) -> Edit:
    """The edit that puts the replacement in the place of the call and keeps lines within the limit."""
    leaf, brackets = _around(syntax, node)
    start, end = brackets[0].span if brackets else leaf
    line, indent = syntax.line_start(node.lineno), syntax.indent(node.lineno)
    after = syntax.source.length(node.lineno) - (end - line)
    writer = _Writer(syntax, (syntax.start(node), syntax.end(node)), replacement, limit, leaf, brackets)
    targets = () if brackets else _targets(syntax, node, leaf, line + len(indent))
    if targets:
        return syntax.edit(line + len(indent), end, assignment(targets, writer.whole(), indent, limit))
    return syntax.edit(start, end, writer.write(0, indent, start - line, after))


def assignment(targets: tuple[str, ...], value: Replacement, indent: str, limit: int) -> str:
    """`targets = value` over several lines, the first one not indented."""
    written, head, deeper = value.write(indent), f"{', '.join(targets)} = ", f"{indent}    "
    if len(indent) + len(head) + len(written.partition("\n")[0]) <= limit:
        return head + written
    if len(targets) > 1:
        fits = len(f"{indent}) = {value.inline}") <= limit
        listed = "".join(f"{deeper}{target},\n" for target in targets)
        return f"(\n{listed}{indent}) = {value.inline if fits else written}"
    fits = len(deeper) + len(value.inline) <= limit
    return f"{head}(\n{deeper}{value.inline if fits else value.write(deeper)}\n{indent})"


def _targets(syntax: Syntax, node: ast.Call, value: Span, start: int) -> tuple[str, ...]:
    """What the statement that starts there assigns the value to; empty where it does something else."""
    statement = syntax.statement(node)
    match statement:
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]):
            found: list[ast.expr] = [target]
        case ast.Assign(targets=[ast.Tuple(elts=found)]) if len(found) > 1:
            pass
        case _:
            return ()
    names = tuple(map(syntax.text, found))
    return names if f"{', '.join(names)} = " == syntax.source.text[start : value[0]] else ()


def _around(syntax: Syntax, node: ast.Call) -> tuple[Span, tuple[Bracket, ...]]:
    """What is replaced as a whole, and the brackets directly around it on the line, outermost first.

    The whole is the call with what holds it in no bracket: `model.predict(rows)[0] + 1`.
    """
    leaf: ast.expr = node
    found: list[Bracket] = []
    for outer, child in syntax.ancestors(node):
        if isinstance(outer, ast.keyword | ast.comprehension | ast.Starred) or _shares_parentheses(
            outer, child
        ):
            continue
        if not isinstance(outer, ast.expr) or _is_long(outer):
            break
        bracket = _bracket(syntax, outer, child)
        if bracket is not None:
            found.append(bracket)
        if outer.lineno != outer.end_lineno or (found and bracket is None):
            break
        if bracket is None:
            leaf = outer
    return (syntax.start(leaf), syntax.end(leaf)), tuple(reversed(found))


def _is_long(node: ast.expr) -> bool:
    """Whether there is too much in it to be written anew for each of the calls in it."""
    parts = [value for _, value in ast.iter_fields(node) if isinstance(value, list)]
    return sum(map(len, parts)) > _MOST_PARTS


def _shares_parentheses(outer: ast.AST, inner: ast.AST) -> bool:
    """Whether the parentheses of a call are those of the generator expression that it is given."""
    if not (isinstance(outer, ast.Call) and isinstance(inner, ast.GeneratorExp)):
        return False
    return (outer.end_lineno, outer.end_col_offset) == (inner.end_lineno, inner.end_col_offset)


def _bracket(syntax: Syntax, node: ast.expr, child: ast.AST) -> Bracket | None:
    """The node as a bracket that `child` stands in; None if it is none."""
    span = _span(syntax, node)
    match node:
        case ast.Call(func=function) if child is not function:
            given: tuple[Placed, ...] = (*node.args, *node.keywords)
            spans = [_span(syntax, item) for item in given]
        case ast.Dict(keys=keys, values=values):
            spans = [
                (syntax.start(key) if key is not None else syntax.start(value) - 2, syntax.end(value))
                for key, value in zip(keys, values, strict=True)
            ]
        case ast.List(elts=elements) | ast.Set(elts=elements):
            spans = [_span(syntax, item) for item in elements]
        case ast.Tuple(elts=elements) if syntax.source.text[span[0]] == "(":
            spans = [_span(syntax, item) for item in elements]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            call = syntax.parent(node)
            if isinstance(call, ast.Call) and _shares_parentheses(call, node):
                span = _span(syntax, call)
            return _whole(syntax, Bracket(span, tuple(_clauses(syntax, node)), " "))
        case _:
            return None
    display = len(spans) > 1 and not isinstance(node, ast.Call)
    return _whole(syntax, Bracket(span, tuple(sorted(spans)), display=display))


def _whole(syntax: Syntax, bracket: Bracket) -> Bracket | None:
    """The bracket, unless there is more in it than its parts on one line: parentheses around one, say."""
    text, (start, end) = syntax.source.text, bracket.span
    first, last = bracket.parts[0][0], bracket.parts[-1][1]
    joined = bracket.separator.join(text[begin:stop] for begin, stop in bracket.parts)
    before, after = text[start:first], text[last:end]
    if joined != text[first:last] or len(after.strip(", \r\n")) != 1:
        return None
    if "\n" not in before and "\n" not in after:
        return bracket
    rest = after.partition("\n")[0].rstrip()
    opened = not before.rpartition("\n")[2].strip() and rest in ("", ",")
    return replace(bracket, span=(first, last + len(rest)), is_open=True) if opened else None


def _span(syntax: Syntax, node: Placed) -> Span:
    return syntax.start(node), syntax.end(node)


def _clauses(
    syntax: Syntax, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
) -> Iterator[Span]:
    """The element, and each `for` and `if`, of a comprehension."""
    text, end = syntax.source.text, syntax.end(node) - 1
    starts = [syntax.start(node.key if isinstance(node, ast.DictComp) else node.elt)]
    for generator in node.generators:
        word = "async for" if generator.is_async else "for"
        starts.append(text.rindex(word, starts[-1], syntax.start(generator.target)))
        starts += [text.rindex("if", starts[-1], syntax.start(test)) for test in generator.ifs]
    for start, following in zip(starts, [*starts[1:], end], strict=True):
        yield start, start + len(text[start:following].rstrip())


@dataclass(frozen=True, slots=True)
class _Writer:
    syntax: Syntax
    node: Span
    replacement: Replacement
    limit: int
    leaf: Span
    brackets: tuple[Bracket, ...]

    def write(self, depth: int, indent: str, before: int, after: int) -> str:
        """The bracket at this depth, or the whole inside them, with so many characters beside it."""
        start, end = self.brackets[depth].span if depth < len(self.brackets) else self.leaf
        flat = self._flat(start, end)
        if before + len(flat) + after <= self.limit:
            return flat
        if depth == len(self.brackets):
            return self._around_node(start, end, self.replacement.write(indent))
        bracket = self.brackets[depth]
        deeper = indent if bracket.is_open else f"{indent}    "
        first, last = bracket.parts[0][0], bracket.parts[-1][1]
        text = self.syntax.source.text
        opening, closing = text[start:first].rstrip(), text[last:end].lstrip(", ")
        inner = bracket.separator.join(self._flat(*part) for part in bracket.parts)
        listed = bracket.separator == ", "
        exploded = bracket.display or "," in text[last:end]
        trailing = "," if exploded or (listed and len(bracket.parts) > 1) else ""
        if exploded or bracket.is_open or len(deeper) + len(inner) > self.limit:
            parts = (self._part(part, depth, deeper, len(trailing)) for part in bracket.parts)
            inner = f"{bracket.separator.strip()}\n{deeper}".join(parts) + trailing
        if bracket.is_open:
            return inner
        return f"{opening}\n{deeper}{inner}\n{indent}{closing}"

    def whole(self) -> Replacement:
        """What stands in no bracket, to be written anywhere."""
        start, end = self.leaf
        return Replacement(
            self._flat(start, end),
            lambda indent: self._around_node(start, end, self.replacement.write(indent)),
        )

    def _part(self, part: Span, depth: int, indent: str, comma: int) -> str:
        start, end = self.brackets[depth + 1].span if depth + 1 < len(self.brackets) else self.leaf
        if not part[0] <= start < part[1]:
            return self._flat(*part)
        text = self.syntax.source.text
        before, after = text[part[0] : start], text[end : part[1]]
        return before + self.write(depth + 1, indent, len(indent) + len(before), len(after) + comma) + after

    def _flat(self, start: int, end: int) -> str:
        """The text between, with the replacement on one line."""
        if start <= self.node[0] and self.node[1] <= end:
            return self._around_node(start, end, self.replacement.inline)
        return self.syntax.source.text[start:end]

    def _around_node(self, start: int, end: int, content: str) -> str:
        text = self.syntax.source.text
        return text[start : self.node[0]] + content + text[self.node[1] : end]
