"""Opens the brackets around a rewritten call that no longer fits on its line, as formatters do.

    return {"labels": model.predict(rows), "request": request_id}

becomes, from the outermost bracket inward and no further than needed,

    return {
        "labels": await loop.run_in_executor(pool, model.predict, rows),
        "request": request_id,
    }

What has no brackets is broken before operators, and before methods that follow each other:

    return (
        await loop.run_in_executor(pool, model.predict, rows)
        if rows
        else []
    )
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
_BRACKETED = (ast.Dict, ast.List, ast.Set, ast.Call, ast.keyword, ast.comprehension)
# So many methods called one on the other's result stand on lines of their own.
_SEVERAL = 2


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
    whole, brackets = _around(syntax, node)
    leaf = _span(syntax, whole)
    start, end = brackets[0].span if brackets else leaf
    line, indent = syntax.line_start(node.lineno), syntax.indent(node.lineno)
    after = syntax.source.length(node.lineno) - (end - line)
    parts, operated = _split(syntax, whole, node)
    outer = syntax.parent(whole)
    value = not brackets and _is_value(outer, whole)
    if not (value or (not operated and (brackets or isinstance(outer, _BRACKETED)))):
        parts = ()
    bare = value and not _starts_in_parentheses(syntax, whole)
    writer = _Writer(syntax, _span(syntax, node), replacement, limit, leaf, brackets, parts, bare=bare)
    targets = () if brackets else _targets(syntax, node, leaf, line + len(indent))
    if targets:
        return syntax.edit(line + len(indent), end, assignment(targets, writer.whole(), indent, limit))
    return syntax.edit(start, end, writer.write(0, indent, start - line, after))


def deepened(indent: str) -> str:
    """The indentation of what stands in brackets on lines of its own."""
    return indent + ("\t" if indent.endswith("\t") else "    ")


def assignment(targets: tuple[str, ...], value: Replacement, indent: str, limit: int) -> str:
    """`targets = value` over several lines, the first one not indented."""
    written, head, deeper = value.write(indent), f"{', '.join(targets)} = ", deepened(indent)
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


def _is_value(statement: ast.AST | None, value: ast.expr) -> bool:
    """Whether the statement has no brackets of its own around the value."""
    match statement:
        case ast.Return(value=found) | ast.Assign(value=found) | ast.Assert(test=found, msg=None):
            return found is value
        case ast.For(iter=found) | ast.AsyncFor(iter=found) | ast.If(test=found) | ast.While(test=found):
            return found is value
    return False


def _starts_in_parentheses(syntax: Syntax, value: ast.expr) -> bool:
    """Whether a statement's value stands below its first line: in parentheses, where no `\\` leads to it."""
    statement = syntax.statement(value)
    if statement is None or value.lineno == statement.lineno:
        return False
    return not syntax.source.line(value.lineno - 1).rstrip().endswith("\\")


def _around(syntax: Syntax, node: ast.Call) -> tuple[ast.expr, tuple[Bracket, ...]]:
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
    return leaf, tuple(reversed(found))


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


def _split(syntax: Syntax, whole: ast.expr, node: ast.Call) -> tuple[tuple[Span, ...], bool]:
    """The parts of the whole, one of which has the call, and whether operators stand between them.

    No parts where it is not broken.
    """
    chained = _links(syntax, whole, node)
    if len(chained) > _SEVERAL:
        return chained, False
    return tuple(_operands(syntax, whole, node)), True


def _links(syntax: Syntax, whole: ast.expr, node: ast.Call) -> tuple[Span, ...]:
    """The call with the items that are taken of its result, and each method that is called after that.

    Empty where that is not the whole.
    """
    found: list[Span] = []
    start, end = syntax.start(node), syntax.end(node)
    outer: ast.expr = node
    while outer is not whole:
        link = syntax.parent(outer)
        match link:
            case ast.Attribute(value=value) if value is outer and _is_called(syntax, link):
                found.append((start, end))
                start = end
            case ast.Attribute(value=value) | ast.Subscript(value=value) if value is outer:
                pass
            case ast.Call(func=function) if function is outer:
                pass
            case _:
                return ()
        outer, end = link, syntax.end(link)
    return *found, (start, end)


def _is_called(syntax: Syntax, node: ast.expr) -> bool:
    call = syntax.parent(node)
    return isinstance(call, ast.Call) and call.func is node


def _operands(syntax: Syntax, whole: ast.expr, node: ast.Call) -> Iterator[Span]:
    """The operands, all but the first with the operator before them; none where the call is in none."""
    match whole:
        case ast.IfExp(body=body, test=test, orelse=other):
            operands: list[ast.expr] = [body, test, other]
        case ast.BoolOp(values=operands):
            pass
        case ast.Compare(left=left, comparators=comparators):
            operands = [left, *comparators]
        case _:
            return
    of_result = isinstance(whole, ast.IfExp) and any(_begins_with(operand, node) for operand in operands)
    is_operand = of_result or any(operand is node for operand in operands)
    if not is_operand or (len(operands) == 2 and operands[1] is node):
        return  # formatters let a call that comes last keep its brackets
    text = syntax.source.text
    start = _span(syntax, whole)[0]
    for operand, following in zip(operands, [*operands[1:], None], strict=True):
        end = _span(syntax, operand)[1] if following is not None else syntax.end(whole)
        between = text[end : syntax.start(following)] if following is not None else ""
        yield start, end
        start = end + len(between) - len(between.lstrip())


def _begins_with(operand: ast.expr, node: ast.Call) -> bool:
    """Whether the operand is the call, or what is taken of its result: `model.predict(rows)[0].tolist()`."""
    while operand is not node:
        match operand:
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Call(func=inner):
                operand = inner
            case _:
                return False
    return True


@dataclass(frozen=True, slots=True)
class _Writer:
    syntax: Syntax
    node: Span
    replacement: Replacement
    limit: int
    leaf: Span
    brackets: tuple[Bracket, ...]
    # What comes on lines of its own; one of them has the call. Empty where it is not broken.
    parts: tuple[Span, ...]
    bare: bool

    def write(self, depth: int, indent: str, before: int, after: int) -> str:
        """The bracket at this depth, or the whole inside them, with so many characters beside it."""
        start, end = self.brackets[depth].span if depth < len(self.brackets) else self.leaf
        flat = self._flat(start, end)
        if before + len(flat) + after <= self.limit:
            return flat
        if depth == len(self.brackets):
            return self._over_lines(indent, before)
        bracket = self.brackets[depth]
        deeper = indent if bracket.is_open else deepened(indent)
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
            self._over_lines,
        )

    def _over_lines(self, indent: str, before: int = 0) -> str:
        """What stands in no bracket, over several lines; in parentheses where a statement has none."""
        if not self.parts:
            return self._around_node(*self.leaf, self.replacement.write(indent))
        deeper = deepened(indent) if self.bare else indent
        if self.bare and len(deeper) + len(self._flat(*self.leaf)) <= self.limit:
            return f"(\n{deeper}{self._flat(*self.leaf)}\n{indent})"
        places = [len(deeper) if self.bare else before] + [len(deeper)] * len(self.parts)
        written = (self._on_line(*each, deeper) for each in zip(self.parts, places, strict=False))
        lines = f"\n{deeper}".join(written)
        return f"(\n{deeper}{lines}\n{indent})" if self.bare else lines

    def _on_line(self, part: Span, before: int, indent: str) -> str:
        flat = self._flat(*part)
        if not self._has_node(part) or before + len(flat) <= self.limit:
            return flat
        return self._around_node(*part, self.replacement.write(indent))

    def _has_node(self, part: Span) -> bool:
        return part[0] <= self.node[0] and self.node[1] <= part[1]

    def _part(self, part: Span, depth: int, indent: str, comma: int) -> str:
        start, end = self.brackets[depth + 1].span if depth + 1 < len(self.brackets) else self.leaf
        if not part[0] <= start < part[1]:
            return self._flat(*part)
        text = self.syntax.source.text
        before, after = text[part[0] : start], text[end : part[1]]
        return before + self.write(depth + 1, indent, len(indent) + len(before), len(after) + comma) + after

    def _flat(self, start: int, end: int) -> str:
        """The text between, with the replacement on one line."""
        if self._has_node((start, end)):
            return self._around_node(start, end, self.replacement.inline)
        return self.syntax.source.text[start:end]

    def _around_node(self, start: int, end: int, content: str) -> str:
        text = self.syntax.source.text
        return text[start : self.node[0]] + content + text[self.node[1] : end]
