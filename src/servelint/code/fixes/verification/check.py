"""The check of one file: what edits make of it, against what it was and what they are meant to replace."""

from __future__ import annotations

import ast
import warnings
from bisect import bisect_right
from collections.abc import Collection, Iterable
from pathlib import Path

from servelint.code.fixes.text.syntax import Syntax
from servelint.code.fixes.verification.embedding import Embedding
from servelint.code.fixes.verification.names import Names
from servelint.finding import Edit, Span
from servelint.project.text.parsing import parse
from servelint.project.text.source import SourceError, decode
from servelint.project.text.splice import spliced


def fault(path: Path, before: bytes | None, edits: Iterable[Edit], replaces: Iterable[Span]) -> str:
    """Why the edits may not be made in the Python file; empty if they may.

    `before` is None for a file that there is not yet. In a file that could not be compiled before, nothing
    is to be told.
    """
    try:
        source = decode(path, before or b"")
        result = spliced(source, edits)
        content = source.encode(result.text)
    except SourceError as error:
        return str(error)
    try:
        old = parse(before or b"")
    except (SyntaxError, ValueError, RecursionError):
        return ""
    try:
        new = _compiled(content)
    except (SyntaxError, ValueError, RecursionError) as error:
        return _why_broken(error) if _compiles(old) else ""
    try:
        lost = ""
        if before is not None:
            lost = _lost(Syntax(source, old), new, {span for span in replaces if span.path == path})
        return lost or Names(Syntax(decode(path, content), new), result.written).fault()
    except RecursionError:
        return "the file is nested too deeply to tell whether only what is meant would change"


def _lost(before: Syntax, new: ast.Module, meant: Collection[Span]) -> str:
    """What would be changed that is not meant to be."""
    offsets = {
        (
            before.source.offset(span.line, span.column),
            before.source.offset(span.end_line, span.end_column),
        )
        for span in meant
    }
    lines = {span.line for span in meant}
    ordered = sorted(offsets)

    def replaced(node: ast.expr | ast.alias) -> bool:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.lineno not in lines and not is_text:
            return False
        start, end = before.start(node), before.end(node)
        if (start, end) in offsets:
            return True
        # A part of a text: the rest of that cannot change, for the edit goes no further.
        following = bisect_right(ordered, (start, end)) if is_text else len(ordered)
        return following < len(ordered) and ordered[following][1] < end

    embedding = Embedding(replaced)
    if embedding.holds(before.tree, new):
        return ""
    line = embedding.lost.lineno if embedding.lost is not None else 1
    return f"something else would change in line {line}"


def _why_broken(error: Exception) -> str:
    where = f"{error.msg} in line {error.lineno}" if isinstance(error, SyntaxError) else str(error)
    return f"the result would not compile: {where}"


def _compiled(content: bytes) -> ast.Module:
    """The tree of what can be compiled: parsing alone does not look at `nonlocal` or `return`."""
    tree = parse(content)
    _compile(tree)
    return tree


def _compiles(tree: ast.Module) -> bool:
    try:
        _compile(tree)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _compile(tree: ast.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in the file is not our subject
        compile(tree, "<fixed>", "exec", dont_inherit=True)
