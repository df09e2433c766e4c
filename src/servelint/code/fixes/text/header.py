"""How a file begins: its docstring, what it says of itself (`__author__`), and its imports."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import cached_property
from itertools import pairwise, takewhile
from typing import NamedTuple, TypeAlias

from servelint.code.fixes.text.syntax import Syntax

_DUNDER = re.compile(r"__\w+__")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Importing: TypeAlias = ast.Import | ast.ImportFrom


class Section(IntEnum):
    """The blocks of imports, in the order in which formatters put them."""

    FUTURE = 0
    STANDARD = 1
    LIBRARY = 2
    PROJECT = 3
    RELATIVE = 4


class Imported(NamedTuple):
    """A name that an import binds, the statement, and which of the file's imports it is."""

    number: int
    statement: Importing
    alias: ast.alias


class Index:
    """What some imports bind, by the module and the member that it is; the first of several."""

    def __init__(self, statements: Iterable[Importing]) -> None:
        self._found: dict[tuple[str, str], Imported] = {}
        for number, statement in enumerate(statements):
            for place, alias in enumerate(statement.names):
                member = isinstance(statement, ast.ImportFrom)
                key = (module_of(statement), alias.name) if member else (alias.name, "")
                self._found.setdefault(key, Imported((number << 32) + place, statement, alias))

    def of(self, modules: Iterable[str], name: str) -> Imported | None:
        """The first import of the member, or of a module that has it."""
        keys = ((module, member) for module in modules for member in (name, ""))
        found = [self._found[key] for key in keys if key in self._found]
        return min(found, key=lambda item: item.number, default=None)


class Group:
    """The imports of one section and form: `import a`, or `from a import b`."""

    def __init__(self, statements: Sequence[Importing]) -> None:
        self.statements = statements
        self.keys = [module_of(statement) for statement in statements]
        self.is_sorted = all(one <= other for one, other in pairwise(self.keys))

    def before(self, module: str, *, renamed: bool) -> Importing | None:
        """The last import that comes before one of the module, where they are sorted.

        One that gives the module another name comes after one that does not.
        """
        find = bisect_right if renamed else bisect_left
        place = find(self.keys, module) if self.is_sorted else 0
        return self.statements[place - 1] if place else None


class Head:
    """The head of one file, which all fixes in it ask for: worked out once.

    `is_project` tells modules of the project.
    """

    def __init__(self, syntax: Syntax, is_project: Callable[[str], bool]) -> None:
        self.syntax = syntax
        self.is_project = is_project
        self.statements = header(syntax)
        self.imports = [s for s in above_definitions(syntax) if isinstance(s, Importing)]

    @cached_property
    def leading(self) -> Index:
        """The imports of the file's head that are always made."""
        return Index(self.imports)

    @cached_property
    def anywhere(self) -> Index:
        """The imports that are always made when the file is imported, wherever they stand."""
        return Index(s for s in self.syntax.tree.body if isinstance(s, Importing))

    @cached_property
    def block(self) -> Sequence[Importing]:
        """The imports beside which others go: of each section those of the block that has most of them.

        One that the next line uses, as `import warnings` may be, belongs to that line.
        """
        runs, body = [list[Importing]()], self.syntax.tree.body
        numbers = {id(statement): number for number, statement in enumerate(body)}
        previous = -1
        for statement in self.imports:
            number = numbers[id(statement)]
            if not all(map(_belongs, body[previous + 1 : number])) and runs[-1]:
                runs.append([])
            previous = number
            if not self._is_for_the_next_line(statement, body[number + 1 : number + 2]):
                runs[-1].append(statement)
        found: dict[Section, list[Importing]] = {}
        for run in runs:
            sections: dict[Section, list[Importing]] = {}
            for statement in run:
                sections.setdefault(self.section(module_of(statement)), []).append(statement)
            for section, statements in sections.items():
                if len(statements) > len(found.get(section, ())):
                    found[section] = statements
        chosen = sorted((s for statements in found.values() for s in statements), key=lambda s: s.lineno)
        return chosen or self.imports

    def _is_for_the_next_line(self, statement: Importing, following: Sequence[ast.stmt]) -> bool:
        if not following or not _prepares(following[0]):
            return False
        if following[0].lineno > (statement.end_lineno or 0) + 1:
            return False
        bound = {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        return any(isinstance(n, ast.Name) and n.id in bound for n in ast.walk(following[0]))

    @cached_property
    def _sections(self) -> list[Section]:
        return [self.section(module_of(statement)) for statement in self.block]

    @cached_property
    def sections(self) -> frozenset[Section]:
        """The sections that the file has."""
        return frozenset(self._sections)

    @cached_property
    def _groups(self) -> dict[tuple[Section, bool], Group]:
        found: dict[tuple[Section, bool], list[Importing]] = {}
        for statement, section in zip(self.block, self._sections, strict=True):
            found.setdefault((section, isinstance(statement, ast.ImportFrom)), []).append(statement)
        return {key: Group(statements) for key, statements in found.items()}

    @cached_property
    def _by_module(self) -> dict[str, list[Importing]]:
        found: dict[str, list[Importing]] = {}
        for statement in self.imports:
            found.setdefault(module_of(statement), []).append(statement)
        return found

    def of_module(self, module: str) -> Sequence[Importing]:
        """The imports of the head that name the module first."""
        return self._by_module.get(module, ())

    @cached_property
    def mixes_forms(self) -> bool:
        """Whether each section is sorted by module, whatever the form: `force-sort-within-sections`."""
        pairs = [(section, s) for section, s in zip(self._sections, self.block, strict=True)]
        modules = [(section, module_of(s)) for section, s in pairs]
        mixed = any(
            one[0] == other[0] and isinstance(one[1], ast.ImportFrom) and isinstance(other[1], ast.Import)
            for one, other in pairwise(pairs)
        )
        return mixed and all(one <= other for one, other in pairwise(modules))

    def group(self, section: Section, *, members: bool) -> Group:
        """The imports of a section, of the form that takes members or the other; of both where they mix."""
        if self.mixes_forms:
            pairs = zip(self.block, self._sections, strict=True)
            return Group([statement for statement, other in pairs if other is section])
        return self._groups.get((section, members), Group(()))

    def first_after(self, section: Section) -> Importing | None:
        """The first import of a later section."""
        pairs = zip(self.block, self._sections, strict=True)
        return next((statement for statement, other in pairs if other > section), None)

    def section(self, module: str) -> Section:
        """The section that an import of the module belongs to."""
        if module.startswith("."):
            return Section.RELATIVE
        if module == "__future__":
            return Section.FUTURE
        if module.partition(".")[0] in sys.stdlib_module_names:
            return Section.STANDARD
        return Section.PROJECT if self.is_project(module) else Section.LIBRARY


def module_of(statement: Importing) -> str:
    """The module as it is written, dots included; the first of `import a, b`."""
    if isinstance(statement, ast.ImportFrom):
        return "." * statement.level + (statement.module or "")
    return statement.names[0].name


def header(syntax: Syntax) -> tuple[ast.stmt, ...]:
    """The statements of the file's head: what else there is stands below them."""
    return syntax.worked_out(_header, syntax.tree)


def above_definitions(syntax: Syntax) -> tuple[ast.stmt, ...]:
    """The statements above the first that defines a function or class: what needs a pool comes later.

    One that stands in for what could not be imported does not count.
    """
    return syntax.worked_out(_above_definitions, syntax.tree)


def below_imports(syntax: Syntax) -> ast.stmt | None:
    """The statement below which stands what needs the file's imports: the last that is above all definitions.

    What the next lines do belongs to it, as `warnings.filterwarnings("ignore")`; None where the file has no
    head.
    """
    return syntax.worked_out(_below_imports, syntax.tree)


def _above_definitions(_: Syntax, tree: ast.Module) -> tuple[ast.stmt, ...]:
    return tuple(takewhile(lambda s: _belongs(s) or not _defines(s), tree.body))


def _below_imports(syntax: Syntax, _: ast.Module) -> ast.stmt | None:
    head, above = header(syntax), above_definitions(syntax)
    if not head or not any(map(_imports, head)):
        return head[-1] if head else None
    last = max(number for number, s in enumerate(above) if _belongs(s) and not _is_dunder(s))
    for number in range(last + 1, len(above)):
        if not _prepares(above[number]) or above[number].lineno > (above[last].end_lineno or 0) + 1:
            break
        last = number
    return above[last]


def _defines(statement: ast.stmt) -> bool:
    return any(isinstance(n, _DEFINITIONS) for n in ast.walk(statement))


def _header(_: Syntax, tree: ast.Module) -> tuple[ast.stmt, ...]:
    found: list[ast.stmt] = []
    real, until = False, 0  # what stands before that number leads to what belongs to the head
    for number, statement in enumerate(tree.body):
        if _is_docstring(number, statement) or _belongs(statement):
            found.append(statement)
            real = real or _is_real(statement)
        elif real:
            break
        elif number >= until:
            until = _led_to(tree.body, number)
            if not until:
                break
    while found and _is_dunder(found[-1]) and any(map(_imports, found)):
        found.pop()  # written below the imports, so nothing has to stand below it
    return tuple(found)


def _led_to(statements: Sequence[ast.stmt], first: int) -> int:
    """The number of the imports that follow with nothing defined before them; 0 where none do.

    `print("starts")` stands above a head too.
    """
    numbers = range(first, len(statements))
    following = next((number for number in numbers if not _prepares(statements[number])), 0)
    return following if _belongs(statements[following]) else 0


def _is_real(statement: ast.stmt) -> bool:
    """Whether the statement imports something: `from __future__` only says how the file is read."""
    return _imports(statement) and not (
        isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    )


def _prepares(statement: ast.stmt) -> bool:
    """Whether the statement does or sets something, and defines no function."""
    return isinstance(statement, ast.Expr | ast.Assign | ast.AugAssign | ast.AnnAssign)


def _is_docstring(number: int, statement: ast.stmt) -> bool:
    return not number and is_text(statement)


def is_text(statement: ast.stmt) -> bool:
    """Whether the statement is a string by itself."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _belongs(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Try | ast.If):
        return all(map(_only_imports, _suites(statement))) or _tries_to_import(statement)
    return _imports(statement) or _is_dunder(statement)


def _tries_to_import(statement: ast.Try | ast.If) -> bool:
    """Whether the statement imports first of all, and does something else where that fails."""
    nodes = list(ast.walk(statement))
    return _imports(statement.body[0]) and not any(isinstance(n, ast.AsyncFunctionDef) for n in nodes)


def _imports(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _is_dunder(statement: ast.stmt) -> bool:
    """`__version__ = "1"` and the like."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return _DUNDER.fullmatch(name) is not None
    return False


def _suites(statement: ast.Try | ast.If) -> Iterator[list[ast.stmt]]:
    yield statement.body
    yield statement.orelse
    if isinstance(statement, ast.Try):
        yield statement.finalbody
        for handler in statement.handlers:
            yield handler.body


def _only_imports(suite: list[ast.stmt]) -> bool:
    """Whether the suite imports, or says what to do without what could not be imported."""
    return all(
        isinstance(s, ast.Import | ast.ImportFrom | ast.Pass)
        or (isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant))
        or (isinstance(s, ast.If | ast.Try) and _belongs(s))
        for s in suite
    )
