"""The edits of one fix: what it needs to import, file by file, and all of them as one list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from servelint.code.fixes.text.files import Files
from servelint.code.fixes.text.imports import Imports
from servelint.code.graph.project import Module
from servelint.finding import Edit


@dataclass(slots=True)
class Needed:
    """The imports that one fix needs, by file."""

    files: Files
    found: dict[str, Imports] = field(default_factory=dict)

    def of(self, module: Module) -> Imports:
        """What collects the imports of one file."""
        if module.path not in self.found:
            self.found[module.path] = self.files.imports(module)
        return self.found[module.path]

    def with_edits(self, *edits: Iterable[Edit]) -> tuple[Edit, ...]:
        """The edits of the imports and the others; those that insert at one place are one, in their order."""
        found: list[Edit] = []
        imports = [edit for collected in self.found.values() for edit in collected.edits()]
        for edit in (*imports, *(edit for group in edits for edit in group)):
            same = next((n for n, other in enumerate(found) if _both_insert(other, edit)), None)
            if same is None:
                found.append(edit)
            else:
                found[same] = Edit(edit.span, found[same].content + edit.content)
        return tuple(sorted(found, key=lambda edit: edit.span))


def _both_insert(one: Edit, other: Edit) -> bool:
    span = other.span
    return one.span == span and (span.line, span.column) == (span.end_line, span.end_column)
