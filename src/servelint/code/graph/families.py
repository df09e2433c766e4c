"""Which classes of a project inherit from which, by the names that their lists of bases have.

The bytes of all files tell that; only files with a class that is asked for are parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from servelint.code.facts import scan
from servelint.code.facts.facts import last_name
from servelint.code.graph.reach import Reach

if TYPE_CHECKING:
    from servelint.code.graph.project import Module, Project


class Families:
    """The classes of one project."""

    def __init__(self, project: Project, reach: Reach) -> None:
        self.project = project
        self.reach = reach
        self._inheriting: dict[str, tuple[tuple[Module, int], ...]] = {}
        self._overriding: dict[tuple[str, str], tuple[tuple[Module, int], ...]] = {}
        self._descendants: dict[str, tuple[set[str], set[str]]] = {}
        self._members: dict[str, list[str]] = {}
        self._searched: set[str] = set()
        self._families: set[str] = set()

    def inheriting(self, name: str) -> tuple[tuple[Module, int], ...]:
        """The classes that have a base whose last name is `name`, by module and number."""
        if name not in self._inheriting:
            modules = self.project.modules(dict.fromkeys(path for path, _ in self._children.get(name, ())))
            classes = ((m, number, cls) for m in modules for number, cls in enumerate(m.facts.classes))
            own = ((m, number) for m, number, cls in classes if name in map(last_name, cls.bases))
            self._inheriting[name] = tuple(own)
        return self._inheriting[name]

    def overriding(self, base: str, name: str) -> tuple[tuple[Module, int], ...]:
        """The classes that may inherit from one called `base`, directly or not, and bind the attribute."""
        found = self._overriding.get((base, name))
        if found is None:
            found = self._overriding[base, name] = tuple(self._may_override(base, name))
        return found

    def _may_override(self, base: str, name: str) -> Iterator[tuple[Module, int]]:
        names, files = self._descending(base)
        if not files:
            return
        binding = {path for path in self._paths_binding(base, name) if path in files}
        binding.update(path for path in self.project.paths_assigning(name) if path in files)
        for module in self.project.modules(sorted(binding)):
            for number, cls in enumerate(module.facts.classes):
                if cls.name in names and cls.bases:
                    yield module, number

    def _paths_binding(self, base: str, name: str) -> list[str]:
        """The files of what may inherit from `base`, and others, that may bind the name in such a class.

        To look for what classes bind takes longer than other scans, so it is done a family at a time.
        """
        if base not in self._families:
            self._families.add(base)
            _, files = self._descending(base)
            for path in files - self._searched:
                for member in self.reach.words(path, scan.members):
                    self._members.setdefault(member, []).append(path)
            self._searched |= files
        return self._members.get(name, [])

    def _descending(self, base: str) -> tuple[set[str], set[str]]:
        """The names of the classes that may inherit from one called `base`, and their files."""
        found = self._descendants.get(base)
        if found is None:
            names, files = found = self._descendants[base] = {base}, set()
            waiting = [base]
            while waiting:
                for path, child in self._children.get(waiting.pop(), ()):
                    files.add(path)
                    if child not in names:
                        names.add(child)
                        waiting.append(child)
        return found

    @cached_property
    def _children(self) -> dict[str, list[tuple[str, str]]]:
        """The file and name of each class, by the words in its list of base classes."""
        found: dict[str, list[tuple[str, str]]] = {}
        for path in self.reach.files:
            for child, bases in self.reach.graph.contents.scanned(path, scan.classes):
                for base in bases:
                    found.setdefault(base, []).append((path, child))
        return found
