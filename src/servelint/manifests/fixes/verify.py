"""Whether an edited manifest still parses and differs in meaning in exactly the edited places.

A fix is text; this is its proof. Both versions are read again by the parser of their kind, and everything
outside the edited ranges has to mean what it meant.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from servelint.boundary import Boundary
from servelint.finding import Edit, Problem
from servelint.manifests.documents import toml
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlError,
    YamlMapping,
    YamlSequence,
    parse,
)
from servelint.manifests.forms import dockerfile, hcl, masking, terraform
from servelint.manifests.shell import syntax as shell_syntax
from servelint.project.text.parsing import parse as parse_python
from servelint.project.text.source import Source, SourceError, decode
from servelint.project.text.splice import spliced

_YAML = (".yaml", ".yml", ".tpl", ".tftpl", ".json")
_SHELL = (".sh", ".bash", "")


@dataclass(frozen=True, slots=True)
class _Ranges:
    """The edited ranges of a file, as offsets, in order and apart from each other."""

    ranges: tuple[tuple[int, int], ...]

    def touch(self, start: int, end: int) -> bool:
        """Whether a range is edited, or next to an edit."""
        last = bisect_right(self.ranges, end, key=lambda edited: edited[0])
        return last > 0 and self.ranges[last - 1][1] >= start

    def hold(self, position: int) -> bool:
        """Whether the character at a position is edited."""
        last = bisect_right(self.ranges, position, key=lambda edited: edited[0])
        return last > 0 and position < self.ranges[last - 1][1]


def verify(before: bytes, after: bytes, path: Path, edits: Sequence[Edit]) -> str:
    """Why the edited file may not be kept; empty where it may.

    `edits` are those made to this file, in positions of `before`.
    """
    faults: list[Problem] = []
    with Boundary(path, "checking the result of a fix", faults.append):
        return _verified(before, after, path, edits)
    return faults[0].message


def _verified(before: bytes, after: bytes, path: Path, edits: Sequence[Edit]) -> str:
    try:
        old, new = decode(path, before), decode(path, after)
    except SourceError as error:
        return f"the result {error}"
    ranges = _Ranges(
        tuple(
            sorted(
                (
                    old.offset(edit.span.line, edit.span.column),
                    old.offset(edit.span.end_line, edit.span.end_column),
                )
                for edit in edits
                if edit.span.path == path
            )
        )
    )
    if path.suffix == ".py":
        return _python(old, new, ranges)
    if masking.suffix(path) in _YAML:
        return _yaml(old, new, ranges)
    if path.suffix == ".toml":
        return "" if toml.parse(Located.of(new)) is not None else "the result would not be valid TOML"
    if path.suffix in terraform.SUFFIXES:
        read = hcl.well_formed(Located.of(new)) or not hcl.well_formed(Located.of(old))
        return "" if read else "the result would not be valid HCL"
    if dockerfile.NAME.fullmatch(path.name):
        return _instructions(old, new, ranges)
    if path.suffix in _SHELL:
        made = spliced(old, (edit for edit in edits if edit.span.path == path))
        written = _Ranges(tuple((part.start, part.end) for part in made.written))
        return _tokens(_apart(old, ranges), _apart(new, written), old)
    return ""


def _yaml(old: Source, new: Source, ranges: _Ranges) -> str:
    first, second = _documents(old), _documents(new)
    if first is None:
        # Only its own engine can read this template; the rendering is judged when it is checked again.
        return ""
    if second is None:
        return "the result would not be valid YAML"
    if len(first) != len(second):
        return "the result would have other documents"
    pairs = zip(first, second, strict=True)
    changed = next((node for pair in pairs for node in _differences(*pair, ranges)), None)
    if changed is None:
        return ""
    line = changed.within.place_of(changed.start, changed.end).span.line
    return f"something else would change in line {line}"


def _documents(source: Source) -> list[Node] | None:
    """The documents, None where they cannot be read; what goes past a limit is null in both versions."""
    text = Located.of(source)
    try:
        return parse(text, lambda _: None)
    except YamlError:
        masked = masking.masked(text)
    try:
        return parse(masked, lambda _: None) if masked is not None else None
    except YamlError:
        return None


def _differences(old: Node, new: Node, ranges: _Ranges) -> Iterator[Node]:
    """Nodes of the old version that changed without being edited."""
    waiting = [(old, new)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        one, other = waiting.pop()
        if (id(one), id(other)) in seen:
            continue
        seen.add((id(one), id(other)))
        if isinstance(one, Scalar) and isinstance(other, Scalar):
            same = one.value == other.value and one.tag == other.tag and one.style == other.style
            if not same and not ranges.touch(one.start, one.end):
                yield one
        elif isinstance(one, YamlSequence) and isinstance(other, YamlSequence):
            kept = one.items
            if len(kept) != len(other.items):
                kept = [item for item in kept if not _removed(item, ranges)]
            if len(kept) != len(other.items):
                yield one
            waiting.extend(zip(kept, other.items, strict=False))
        elif isinstance(one, YamlMapping) and isinstance(other, YamlMapping):
            if [key.value for key, _ in one.entries] != [key.value for key, _ in other.entries]:
                yield one
            waiting.extend((a[1], b[1]) for a, b in zip(one.entries, other.entries, strict=False))
        elif not ranges.touch(one.start, one.end):
            yield one


def _removed(item: Node, ranges: _Ranges) -> bool:
    """Whether an edit takes the whole item, its dash included or its separator."""
    return ranges.hold(item.start)


def _python(old: Source, new: Source, ranges: _Ranges) -> str:
    try:
        before, after = parse_python(old.text), parse_python(new.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the result would not parse: {error}"
    one, other = list(ast.walk(before)), list(ast.walk(after))
    if len(one) != len(other):
        return ""  # an expression became a number: the places below it are gone
    for first, second in zip(one, other, strict=True):
        same = type(first) is type(second)
        if same and isinstance(first, ast.Constant) and isinstance(second, ast.Constant):
            start = old.starts[first.lineno - 1] + first.col_offset
            end = old.starts[(first.end_lineno or first.lineno) - 1] + (first.end_col_offset or 0)
            same = first.value == second.value or ranges.touch(start, max(start, end))
        if not same:
            return "something else would change"
    return ""


def _instructions(old: Source, new: Source, ranges: _Ranges) -> str:
    """Dockerfiles: the same instructions, save those that were edited."""
    first, second = (
        [
            (f"{item.name} {item.text.text}", item.text.place)
            for item in dockerfile.instructions(Located.of(source))
            if item.text.runs
        ]
        for source in (old, new)
    )
    if len(first) != len(second):
        return "the result would have other words"
    for (text, place), (other, _) in zip(first, second, strict=True):
        if text != other and not ranges.touch(place.start, place.end):
            return f"something else would change in line {place.span.line}"
    return ""


def _tokens(first: list[tuple[str, int]], second: list[tuple[str, int]], old: Source) -> str:
    """Shell scripts: the same tokens, save those that were edited."""
    for (text, start), (other, _) in zip(first, second, strict=False):
        if text != other:
            return f"something else would change in line {old.position(start)[0]}"
    return "" if len(first) == len(second) else "the result would have other words"


def _apart(source: Source, ranges: _Ranges) -> list[tuple[str, int]]:
    """The tokens of a script that no edit touches; an expansion is several, and a number is one."""
    syntax = shell_syntax.parse(Located.of(source))
    return [
        (syntax.raw(node), syntax.start(node))
        for node in shell_syntax.descendants(syntax.root)
        if node.child_count == 0
        and node.type != "comment"
        and not ranges.touch(syntax.start(node), syntax.end(node))
    ]
