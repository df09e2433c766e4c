"""Imports that a fix needs: how a name is spelled in the file, and the edit that brings it there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from servelint.code.fixes.text.header import header, imports_anywhere, is_text, leading_imports
from servelint.code.fixes.text.style import line_length
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.finding import Edit


class NameTakenError(Exception):
    """The file uses the name for something else."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Section(IntEnum):
    """The blocks of imports, in the order in which formatters put them."""

    FUTURE = 0
    STANDARD = 1
    LIBRARY = 2
    PROJECT = 3
    RELATIVE = 4


class Wanted(NamedTuple):
    """An import to add: `import module`, or `from module import name`. The module may start with dots."""

    module: str
    name: str = ""

    @property
    def line(self) -> str:
        """How it is written."""
        return f"from {self.module} import {self.name}\n" if self.name else f"import {self.module}\n"


@dataclass(slots=True)
class Imports:
    """Collects what one fix needs to import into one file; `is_project` tells modules of the project."""

    syntax: Syntax
    is_project: Callable[[str], bool]
    _wanted: set[Wanted] = field(default_factory=set)
    _new_modules: set[str] = field(default_factory=set)

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

        The modules of `also` have the very same thing under that name. Raises `NameTakenError` where the file
        or the function uses the name for something else.
        """
        spelled = self._imported((module, *also), name, function, line)
        if spelled:
            return spelled
        if prefer_from:
            try:
                self._free(Wanted(module, name), function)
            except NameTakenError:
                if module.startswith("."):  # which only `from` can import
                    raise
            else:
                self._wanted.add(Wanted(module, name))
                return name
        self._free(Wanted(module), function)
        self._wanted.add(Wanted(module))
        return f"{module}.{name}"

    def _imported(self, modules: Sequence[str], name: str, function: Function | None, line: int) -> str:
        """How the member is spelled by an import that the file has; empty where none has it.

        What a function does has all of the file's imports; what the file does itself has those above.
        """
        tree = self.syntax.tree
        above = leading_imports(tree) if function is None else imports_anywhere(tree)
        for statement in (*self._earlier(function, line), *above):
            for alias in statement.names:
                if isinstance(statement, ast.ImportFrom):
                    if _module(statement) in modules and alias.name == name:
                        return self._visible(alias.asname or name, statement, function)
                elif alias.name in modules:
                    return f"{self._visible(alias.asname or alias.name, statement, function)}.{name}"
        return ""

    def new_module(self, module: str) -> None:
        """Take a module that the fix makes for one of the project."""
        self._new_modules.add(module)

    def edits(self) -> tuple[Edit, ...]:
        """The edits that add what is not imported yet, one a place."""
        edits: list[Edit] = []
        places: dict[int, dict[Section, list[str]]] = {}
        for wanted in sorted(self._wanted, key=lambda w: (bool(w.name), w)):
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
        for statement in self._leading():
            if not wanted.name or _module(statement) != wanted.module or statement.names[-1].name == "*":
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
        present = {self._section_of(statement) for statement in self._leading()}
        following = text[place:].lstrip(" \t")
        previous = text[:place].rstrip(" \t\r\n")
        blank_before = place - len(previous) > len(self.syntax.source.newline)
        if min(sections) not in present and previous and not blank_before:
            content = f"\n{content}"
        if max(sections) not in present and following and following[0] not in "\r\n":
            content = f"{content}\n"
        return self.syntax.edit(place, place, content)

    def _leading(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports that the file begins with."""
        return leading_imports(self.syntax.tree)

    def _section_of(self, statement: ast.Import | ast.ImportFrom) -> Section:
        return self._section(_module(statement))

    def _section(self, module: str) -> Section:
        if module.startswith("."):
            return Section.RELATIVE
        if module == "__future__":
            return Section.FUTURE
        if module.partition(".")[0] in sys.stdlib_module_names:
            return Section.STANDARD
        ours = module in self._new_modules or self.is_project(module)
        return Section.PROJECT if ours else Section.LIBRARY

    def _place(self, wanted: Wanted, section: Section) -> int:
        """Where the line goes: among those of its section and form, sorted if they are."""
        block = [s for s in self._leading() if self._section_of(s) is section]
        same = [s for s in block if isinstance(s, ast.ImportFrom) is bool(wanted.name)]
        keys = [_module(statement) for statement in same]
        before = [s for s, key in zip(same, keys, strict=True) if key < wanted.module]
        if before and keys == sorted(keys):
            return self._after(before[-1])
        if same:
            return self._before(same[0]) if keys == sorted(keys) else self._after(same[-1])
        if block:
            return self._after(block[-1]) if wanted.name else self._before(block[0])
        return self._new_section(section)

    def _new_section(self, section: Section) -> int:
        """Where a section starts that the file does not have: before the first that comes after it."""
        leading = self._leading()
        for statement in leading:
            if self._section_of(statement) > section:
                return self._before(statement)
        body, head = self.syntax.tree.body, header(self.syntax.tree)
        if leading:
            return self._after(leading[-1])
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
        syntax, name = self.syntax, wanted.name or wanted.module.partition(".")[0]
        for node in syntax.binders.get(name, ()):
            ours = function is not None and syntax.is_below(node, function)
            if ours or not self._is_same(node, wanted):
                raise NameTakenError(name)

    def _is_same(self, node: ast.AST, wanted: Wanted) -> bool:
        """Whether the node is a part of an import that binds the name to what is wanted."""
        statement = self.syntax.parent(node)
        if isinstance(statement, ast.ImportFrom):
            return bool(wanted.name) and _module(statement) == wanted.module
        return isinstance(node, ast.alias) and node.asname is None and not wanted.name

    def _earlier(self, function: Function | None, line: int) -> list[ast.Import | ast.ImportFrom]:
        """The imports that the function itself has made when it comes to the line."""
        made = self.syntax.imports_of(function) if function is not None else ()
        return [statement for statement in made if statement.lineno < line]

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


def _module(statement: ast.Import | ast.ImportFrom) -> str:
    """The module as it is written, dots included; the first of `import a, b`."""
    if isinstance(statement, ast.ImportFrom):
        return "." * statement.level + (statement.module or "")
    return statement.names[0].name
