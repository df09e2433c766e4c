"""How the rewritten call is laid out: on its line where it fits, else over several lines."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from servelint.code.fixes.syntax import Syntax
from servelint.finding import Edit

# What formatters take where nothing is configured, and what a file may show instead.
DEFAULT_LENGTH = 88
LONGEST = 120


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


def rewritten(syntax: Syntax, node: ast.Call, wrapping: Wrapping, *, parenthesised: bool) -> tuple[Edit, ...]:
    """The edits that put the wrapping in the place of `callee(`, and its end in the place of `)`.

    What stands between stays as it is, unless the line would become too long: then a call that had one
    line is laid out over several.
    """
    text, start, end = syntax.source.text, syntax.start(node), syntax.end(node)
    opening = _opening(syntax, node)
    inside = text[opening + 1 : end - 1]
    before, after = ("(", ")") if parenthesised else ("", "")
    closing = ")" * (wrapping.depth - 1) + after
    if "\n" in text[start:end] or "\r" in text[start:end]:
        head = before + _spread(syntax, node, wrapping, inside)
    else:
        line = syntax.source.line(node.lineno)
        whole = before + _inline(wrapping, tuple(_arguments(syntax, node))) + after
        limit = line_length(syntax)
        if len(line) - (end - start) + len(whole) > limit:
            indent = syntax.indent(node.lineno)
            deeper = f"{indent}    " if parenthesised else indent
            content = _laid_out(wrapping, tuple(_arguments(syntax, node)), deeper, limit)
            if parenthesised:
                content = f"(\n{deeper}{content}\n{indent})"
            return (syntax.edit(start, end, content),)
        head = before + _inline(wrapping, ())[: -wrapping.depth] + (", " if inside.strip() else "")
    edits = [syntax.edit(start, opening + 1, head)]
    if closing:
        edits.append(syntax.edit(end, end, closing))
    return tuple(edits)


def _opening(syntax: Syntax, node: ast.Call) -> int:
    """Where the parenthesis of the call opens; before it may stand those that close around the callee."""
    text, offset = syntax.source.text, syntax.end(node.func)
    while text[offset] != "(":
        offset = text.index("\n", offset) if text[offset] == "#" else offset + 1
    return offset


def _arguments(syntax: Syntax, node: ast.Call) -> Iterator[str]:
    """The text of each argument, parentheses around it included."""
    text = syntax.source.text
    items: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    items.sort(key=lambda item: (item.lineno, item.col_offset))
    begin = _opening(syntax, node) + 1
    for item, following in zip(items, (*items[1:], None), strict=True):
        end = syntax.end(item)
        stop = syntax.start(following) if following is not None else syntax.end(node) - 1
        comma = text.find(",", end, stop)
        comma = stop if comma < 0 else comma
        yield text[begin:comma].strip()
        begin = comma + 1


def _inline(wrapping: Wrapping, arguments: tuple[str, ...]) -> str:
    inner = arguments if wrapping.inner is None else (_inline(wrapping.inner, arguments),)
    return f"{wrapping.head}({', '.join((*wrapping.leading, *inner))})"


def _laid_out(wrapping: Wrapping, arguments: tuple[str, ...], indent: str, limit: int) -> str:
    """The call over several lines, as the formatters of the language lay it out."""
    deeper = f"{indent}    "
    inner = arguments if wrapping.inner is None else (_inline(wrapping.inner, arguments),)
    items = [*wrapping.leading, *inner]
    inline = ", ".join(items)
    if len(deeper) + len(inline) <= limit:
        return f"{wrapping.head}(\n{deeper}{inline}\n{indent})"
    if wrapping.inner is not None and len(deeper) + len(items[-1]) + 1 > limit:
        items[-1] = _laid_out(wrapping.inner, arguments, deeper, limit)
    return f"{wrapping.head}(\n" + "".join(f"{deeper}{item},\n" for item in items) + f"{indent})"


def _spread(syntax: Syntax, node: ast.Call, wrapping: Wrapping, inside: str) -> str:
    """What stands before the arguments of a call that has several lines already."""
    outer = ""
    while wrapping.inner is not None:
        outer += f"{wrapping.head}({''.join(f'{item}, ' for item in wrapping.leading)}"
        wrapping = wrapping.inner
    if inside.lstrip(" \t").startswith(("\n", "\r")):
        indent = syntax.indent(_first_line(node))
        return f"{outer}{wrapping.head}(" + "".join(f"\n{indent}{item}," for item in wrapping.leading)
    return f"{outer}{wrapping.head}({', '.join(wrapping.leading)}" + (", " if inside.strip() else "")


def _first_line(node: ast.Call) -> int:
    """The line of the first argument."""
    items: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    return min((item.lineno for item in items), default=node.lineno)


def line_length(syntax: Syntax) -> int:
    """The longest line that the file may have: configured, else what its longest line shows."""
    configured = _configured_for(syntax.source.path.parent)
    if configured:
        return configured
    longest = max((len(syntax.source.line(n + 1)) for n in range(syntax.source.line_count)), default=0)
    return min(max(DEFAULT_LENGTH, longest), LONGEST)


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
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such file, or none that the formatter could read either
        return 0
    tools = table.get("tool", {}) if path.name == "pyproject.toml" else {"ruff": table}
    lengths = [tools.get(name, {}).get("line-length", 0) for name in ("ruff", "black")]
    return next((length for length in lengths if isinstance(length, int) and length), 0)
