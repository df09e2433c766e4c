"""How the rewritten call is laid out: on its line where it fits, else over several lines."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from servelint.code.fixes.text.arguments import Argument, arguments, opening
from servelint.code.fixes.text.brackets import Replacement, assignment, deepened, replaced
from servelint.code.fixes.text.syntax import Syntax
from servelint.finding import Edit
from servelint.project import disk
from servelint.project.text import toml
from servelint.project.text.source import split_lines

# What formatters take where nothing is configured, and what a file may show instead.
DEFAULT_LENGTH = 88
LONGEST = 120
# No formatter has been at a longer line, and to lay out all of it for each of its calls may cost any time.
_UNFORMATTED = 1000


@dataclass(frozen=True, slots=True)
class Wrapping:
    """`head(leading, <the original arguments>)`, or with another wrapping in their place."""

    head: str
    leading: tuple[str, ...]
    inner: Wrapping | None = None

    @property
    def depth(self) -> int:
        """How many parentheses are open where the original arguments stand."""
        return 1 + (self.inner.depth if self.inner is not None else 0)

    def with_arguments(self, arguments: Sequence[str]) -> Wrapping:
        """The same with these arguments after the others in the innermost call."""
        if self.inner is not None:
            return replace(self, inner=self.inner.with_arguments(arguments))
        return replace(self, leading=(*self.leading, *arguments))


def rewritten(syntax: Syntax, node: ast.Call, wrapping: Wrapping, *, parenthesised: bool) -> tuple[Edit, ...]:
    """The edits that put the wrapping in the place of `callee(`, and its end in the place of `)`.

    What stands between stays as it is where everything fits on the line; else the call is laid out over
    several lines.
    """
    text, start, end = syntax.source.text, syntax.start(node), syntax.end(node)
    inside = text[opening(syntax, node) + 1 : end - 1]
    given = arguments(syntax, node)
    several = any(character in text[start:end] for character in "\r\n")
    if given is None:
        return _hugging(syntax, node, wrapping, inside, parenthesised=parenthesised)
    length, limit = syntax.source.length(node.lineno), line_length(syntax)
    bare = _inline(wrapping, given)
    inline = f"({bare})" if parenthesised else bare
    fits = length - (end - start) + len(inline) <= limit
    if not several and (fits or length > _UNFORMATTED):
        return _hugging(syntax, node, wrapping, inside, parenthesised=parenthesised)
    commented = any(argument.above or argument.beside for argument in given)
    layout = _Layout(limit, exploded=commented or (several and inside.rstrip().endswith(",")))

    def over_lines(indent: str) -> str:
        if not parenthesised:
            return layout.write(wrapping, given, indent)
        deeper = deepened(indent)
        flat = not several and len(deeper) + len(bare) <= limit
        return f"(\n{deeper}{bare if flat else layout.write(wrapping, given, deeper)}\n{indent})"

    if several:
        return (syntax.edit(start, end, over_lines(syntax.indent(node.lineno))),)
    return (replaced(syntax, node, Replacement(inline, over_lines), limit),)


def substituted(syntax: Syntax, node: ast.Call, wrapping: Wrapping, *, parenthesised: bool = False) -> Edit:
    """The edit that puts the wrapping, which has all of its arguments, in the place of the whole call."""
    start, end = syntax.start(node), syntax.end(node)
    bare, layout = _inline(wrapping, ()), _Layout(line_length(syntax), exploded=False)
    inline = f"({bare})" if parenthesised else bare

    def over_lines(indent: str) -> str:
        if not parenthesised:
            return layout.write(wrapping, (), indent)
        deeper = deepened(indent)
        return f"(\n{deeper}{layout.write(wrapping, (), deeper)}\n{indent})"

    if node.lineno != node.end_lineno:
        return syntax.edit(start, end, over_lines(syntax.indent(node.lineno)))
    length = syntax.source.length(node.lineno)
    if length > _UNFORMATTED or length - (end - start) + len(inline) <= layout.limit:
        return syntax.edit(start, end, inline)
    return replaced(syntax, node, Replacement(inline, over_lines), layout.limit)


def laid_out(syntax: Syntax, prefix: str, wrapping: Wrapping, indent: str) -> str:
    """The statement `prefix` and the call as lines of the file, the first one indented."""
    value, limit = _inline(wrapping, ()), line_length(syntax)
    if len(indent) + len(prefix) + len(value) <= limit and "\n" not in value:
        return f"{indent}{prefix}{value}"
    layout = _Layout(limit, exploded=False)
    if not prefix.endswith(" = "):
        return f"{indent}{prefix}{layout.write(wrapping, (), indent)}"
    targets = tuple(prefix.removesuffix(" = ").split(", "))
    over_lines = Replacement(value, lambda deeper: layout.write(wrapping, (), deeper))
    return indent + assignment(targets, over_lines, indent, limit)


def fitted(line: str, limit: int) -> str:
    """A line that ends with a call, broken between the call's parentheses where it is too long."""
    if len(line) <= limit:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    head, _, arguments = line.removesuffix(")").partition("(")
    return f"{head}(\n{deepened(indent)}{arguments}\n{indent})"


def _hugging(
    syntax: Syntax, node: ast.Call, wrapping: Wrapping, inside: str, *, parenthesised: bool
) -> tuple[Edit, ...]:
    """The edits that leave the arguments and the space around them alone."""
    before, after = ("(", ")") if parenthesised else ("", "")
    head = before + _before_arguments(wrapping)
    if inside.strip() and not head.endswith("("):
        head += ", "
    if inside.lstrip(" \t").startswith(("\n", "\r", "#")):
        head = head.rstrip()
    edits = [syntax.edit(syntax.start(node), opening(syntax, node) + 1, head)]
    closing = ")" * (wrapping.depth - 1) + after
    if closing:
        edits.append(syntax.edit(syntax.end(node), syntax.end(node), closing))
    return tuple(edits)


def _before_arguments(wrapping: Wrapping) -> str:
    return _inline(wrapping, ())[: -wrapping.depth]


def _inline(wrapping: Wrapping, given: tuple[Argument, ...]) -> str:
    texts = tuple(argument.text for argument in given)
    inner = texts if wrapping.inner is None else (_inline(wrapping.inner, given),)
    return f"{wrapping.head}({', '.join((*wrapping.leading, *inner))})"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Writes a call over several lines as the formatters of the language do; `exploded` one item a line."""

    limit: int
    exploded: bool

    def write(self, wrapping: Wrapping, given: tuple[Argument, ...], indent: str) -> str:
        deeper = deepened(indent)
        inner = given if wrapping.inner is None else (Argument(_inline(wrapping.inner, given)),)
        items = [*map(Argument, wrapping.leading), *inner]
        inline = ", ".join(item.text for item in items)
        if not self.exploded and "\n" not in inline and len(deeper) + len(inline) <= self.limit:
            return f"{wrapping.head}(\n{deeper}{inline}\n{indent})"
        last = f"{deeper}{items[-1].text},"
        if wrapping.inner is not None and (self.exploded or "\n" in last or len(last) > self.limit):
            items[-1] = Argument(self.write(wrapping.inner, given, deeper))
        elif wrapping.inner is None:
            items = [item._replace(text=_indented(item.text, deeper)) for item in items]
        listed = "".join(line for item in items for line in item.on_lines(deeper))
        return f"{wrapping.head}(\n{listed}{indent})"


def _indented(text: str, indent: str) -> str:
    """Text of several lines, its last line as far to the right as its first will be."""
    first, *rest = split_lines(text)
    if not rest:
        return text
    surplus = len(rest[-1]) - len(rest[-1].lstrip())
    moved = (indent + line[surplus:] if not line[:surplus].strip() else line for line in rest)
    return "\n".join((first, *moved))


def line_length(syntax: Syntax) -> int:
    """The longest line that the file may have: configured, else what its longest line shows."""
    configured = _configured_for(syntax.source.path.parent)
    if configured:
        return configured
    return min(max(DEFAULT_LENGTH, syntax.longest_call), LONGEST)


def length_in(folder: Path) -> int:
    """The longest line that a new file in the folder may have."""
    return _configured_for(folder) or DEFAULT_LENGTH


@cache
def _configured_for(folder: Path) -> int:
    """The line length that the project's formatter is given; 0 where it is not."""
    for parent in (folder, *folder.parents):
        for name in ("ruff.toml", ".ruff.toml", "pyproject.toml"):
            found = _configured(parent / name)
            if found:
                return found
        if (parent / ".git").exists():
            break
    return 0


def _configured(path: Path) -> int:
    try:
        table = toml.table(disk.read(path).decode("utf-8"))
    except (OSError, UnicodeDecodeError):
        table = None
    if table is None:  # the formatter could not read it either
        return 0
    tools = table.get("tool") if path.name == "pyproject.toml" else {"ruff": table}
    settings = [tools.get(name) for name in ("ruff", "black")] if isinstance(tools, dict) else []
    lengths = [item.get("line-length") for item in settings if isinstance(item, dict)]
    return next((length for length in lengths if isinstance(length, int) and length > 1), 0)
