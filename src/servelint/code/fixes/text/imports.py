"""Imports that a fix needs: how a name is spelled in the file, and the edit that brings it there."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from servelint.code.fixes.text.header import Head, Importing, Index, Section, is_text, module_of
from servelint.code.fixes.text.style import line_length
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.finding import Edit

# What stands on the rest of a line, its first character.
_FOLLOWING = re.compile(r"[ \t]*+([^ \t]?)")


class NameTakenError(Exception):
    """The file uses the name for something else."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Wanted(NamedTuple):
    """An import to add: `import module`, or `from module import name`. The module may start with dots.

    `other` is the name that a module gets where its own is taken.
    """

    module: str
    name: str = ""
    other: str = ""

    @property
    def line(self) -> str:
        """How it is written."""
        if self.other:
            return f"import {self.module} as {self.other}\n"
        return f"from {self.module} import {self.name}\n" if self.name else f"import {self.module}\n"

    @property
    def bound(self) -> str:
        """The name that it binds."""
        return self.other or self.name or self.module.partition(".")[0]


@dataclass(slots=True)
class Imports:
    """Collects what one fix needs to import into one file."""

    head: Head
    _wanted: set[Wanted] = field(default_factory=set)
    _new_modules: set[str] = field(default_factory=set)

    @property
    def syntax(self) -> Syntax:
        """The file."""
        return self.head.syntax

    def member(
        self,
        module: str,
        name: str,
        function: Function | None = None,
        *,
        line: int = 0,
        prefer_from: bool = False,
        also: Sequence[str] = (),
    ) -> str:
        """How `module.name` is spelled in `function` at `line`; imports it if need be.

        The modules of `also` have the very same thing under that name. Where the file or the function uses
        the name for something else, the module gets another one. Raises `NameTakenError` if that is taken
        too.
        """
        try:
            spelled = self._imported((module, *also), name, function, line)
            if spelled:
                return spelled
            wanted = self._as_it_is_called(module, name, function, prefer_from=prefer_from)
        except NameTakenError:
            if module.startswith("."):  # which only `from` can import
                raise
            wanted = Wanted(module, other=f"_{module.rpartition('.')[2]}")
            self._free(wanted, function)
        self._wanted.add(wanted)
        return wanted.name or f"{wanted.other or module}.{name}"

    def _as_it_is_called(
        self, module: str, name: str, function: Function | None, *, prefer_from: bool
    ) -> Wanted:
        """The import that binds the member, or the module, to its own name."""
        if prefer_from:
            try:
                self._free(Wanted(module, name), function)
            except NameTakenError:
                if module.startswith("."):
                    raise
            else:
                return Wanted(module, name)
        self._free(Wanted(module), function)
        return Wanted(module)

    def _imported(self, modules: Sequence[str], name: str, function: Function | None, line: int) -> str:
        """How the member is spelled by an import that the file has; empty where none has it.

        What a function does has all of the file's imports; what the file does itself has those above.
        """
        own = self.syntax.worked_out(_made_by, function).of(modules, name) if function is not None else None
        if own is not None and own.statement.lineno >= line:
            own = None
        found = own or (self.head.leading if function is None else self.head.anywhere).of(modules, name)
        if found is None:
            return ""
        bound = found.alias.asname or found.alias.name
        spelled = self._visible(bound, found.statement, function)
        return spelled if isinstance(found.statement, ast.ImportFrom) else f"{spelled}.{name}"

    def new_module(self, module: str) -> None:
        """Take a module that the fix makes for one of the project."""
        self._new_modules.add(module)

    def edits(self) -> tuple[Edit, ...]:
        """The edits that add what is not imported yet, one a place."""
        edits: list[Edit] = []
        places: dict[int, dict[Section, list[str]]] = {}
        for wanted in sorted(self._wanted, key=lambda w: (bool(w.name) and not self.head.mixes_forms, w)):
            joined = self._joined(wanted)
            if joined is not None:
                edits.append(joined)
                continue
            section = self._section(wanted.module)
            places.setdefault(self._place(wanted, section), {}).setdefault(section, []).append(wanted.line)
        edits += [self._edit(place, sections) for place, sections in places.items()]
        return tuple(sorted(edits, key=lambda edit: edit.span))

    def _joined(self, wanted: Wanted) -> Edit | None:
        """The edit that adds the name to an import of the same module, where that stands on one line."""
        for statement in self.head.of_module(wanted.module) if wanted.name else ():
            if statement.names[-1].name == "*":
                continue
            line = self.syntax.source.line(statement.lineno)
            written = self.syntax.text(statement)
            room = line_length(self.syntax) - len(line) - len(wanted.name) - 2
            if statement.lineno != statement.end_lineno or written.endswith(")") or room < 0:
                continue
            for alias in statement.names:
                if alias.name > wanted.name:
                    start = self.syntax.start(alias)
                    return self.syntax.edit(start, start, f"{wanted.name}, ")
            end = self.syntax.end(statement)
            return self.syntax.edit(end, end, f", {wanted.name}")
        return None

    def _edit(self, place: int, sections: Mapping[Section, Sequence[str]]) -> Edit:
        """The edit that adds the lines, with blank lines around a section that the file does not have."""
        text = self.syntax.source.text
        content = "\n".join("".join(sections[section]) for section in sorted(sections))
        if place and text[place - 1] not in "\r\n":
            content = f"\n{content}"
        present = self.head.sections
        found = _FOLLOWING.match(text, place)
        following = found[1] if found is not None else ""
        previous = text[:place].rstrip(" \t\r\n")
        blank_before = place - len(previous) > len(self.syntax.source.newline)
        if min(sections) not in present and previous and not blank_before:
            content = f"\n{content}"
        if max(sections) not in present and following and following not in "\r\n":
            content = f"{content}\n"
        return self.syntax.edit(place, place, content)

    def _section(self, module: str) -> Section:
        own = module in self._new_modules and not module.startswith(".")
        return Section.PROJECT if own else self.head.section(module)

    def _place(self, wanted: Wanted, section: Section) -> int:
        """Where the line goes: among those of its section and form, sorted if they are."""
        same, others = (
            self.head.group(section, members=members) for members in (bool(wanted.name), not wanted.name)
        )
        before = same.before(wanted.module, renamed=bool(wanted.other))
        if before is not None:
            return self._after(before)
        if same.statements:
            first, last = same.statements[0], same.statements[-1]
            return self._before(first) if same.is_sorted else self._after(last)
        if others.statements:
            first, last = others.statements[0], others.statements[-1]
            return self._after(last) if wanted.name else self._before(first)
        return self._new_section(section)

    def _new_section(self, section: Section) -> int:
        """Where a section starts that the file does not have: before the first that comes after it."""
        following = self.head.first_after(section)
        if following is not None:
            above = self.syntax.above_comments(self.syntax.first_line(following))
            return min(self._before(following), self.syntax.line_start(above))
        body, head = self.syntax.tree.body, (self.head.block or self.head.statements)
        if head:
            return self._after(head[-1])
        return self._before(body[0]) if body else 0

    def _before(self, statement: ast.stmt) -> int:
        """The start of the statement's line; of that below where a docstring stands on it too."""
        line = self.syntax.first_line(statement)
        first = self.syntax.tree.body[0]
        if statement is not first and is_text(first) and (first.end_lineno or 0) >= line:
            line = (statement.end_lineno or line) + 1
        return self.syntax.line_start(line)

    def _after(self, statement: ast.stmt) -> int:
        return self.syntax.line_start((statement.end_lineno or statement.lineno) + 1)

    def _free(self, wanted: Wanted, function: Function | None) -> None:
        """Raise `NameTakenError` if something in the file binds the name of the import to something else."""
        syntax, name = self.syntax, wanted.bound
        for node in syntax.binders.get(name, ()):
            ours = function is not None and syntax.is_below(node, function)
            if ours or not self._is_same(node, wanted):
                raise NameTakenError(name)

    def _is_same(self, node: ast.AST, wanted: Wanted) -> bool:
        """Whether the node is a part of an import that binds the name to what is wanted."""
        statement = self.syntax.parent(node)
        if isinstance(statement, ast.ImportFrom):
            return bool(wanted.name) and module_of(statement) == wanted.module
        if not isinstance(node, ast.alias) or (node.asname or "") != wanted.other:
            return False
        return not wanted.name and (not wanted.other or node.name == wanted.module)

    def _visible(self, name: str, imported: ast.stmt, function: Function | None) -> str:
        """The name, if neither the function nor, later on, the file binds it to something else."""
        syntax, top = self.syntax, name.partition(".")[0]
        if function is None:
            return name
        for node in syntax.binders.get(top, ()):
            inside = node is not function and syntax.is_below(node, function)
            if inside and not syntax.is_below(node, imported):
                raise NameTakenError(name)
        return name


def _made_by(_: Syntax, function: Function) -> Index:
    """The imports that the function's body makes first-hand."""
    return Index(statement for statement in function.body if isinstance(statement, Importing))
