"""The catalogue as one project has it: its own files over it, and what it imports beside that under it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from servelint import store
from servelint.code.facts import scan
from servelint.code.facts.contents import Contents
from servelint.code.graph.imports import Resolver
from servelint.code.installed.kept import Kept
from servelint.code.installed.layer import Installed
from servelint.code.installed.packages import Packages
from servelint.code.names.frameworks import Frameworks
from servelint.knowledge import compiled, learned
from servelint.knowledge.layers import under
from servelint.project import environment, libraries
from servelint.project.config import Config

if TYPE_CHECKING:
    from servelint.knowledge.types import Catalogue
    from servelint.project.listing.files import Tree


class Known:
    """What is known of libraries for one check, and what was read in packages for it. Raises `ConfigError`.

    With `keep` that is kept for the next run.
    """

    def __init__(self, tree: Tree, config: Config, contents: Contents, *, keep: bool = False) -> None:
        self.catalogue: Catalogue = libraries.extended(compiled.catalogue(), config)
        self.installed: Installed | None = None
        self.frameworks = Frameworks(self.catalogue, config.offloads)
        ordinary = frozenset(sys.stdlib_module_names | self.frameworks.modules)
        known = self.catalogue.modules | ordinary
        folders = environment.folders(config)
        packages = Packages(folders)
        names = _imported(tree, contents, known, lambda top: top in learned.modules() or packages.has(top))
        if folders and names:
            salt = store.digest(*store.signatures(libraries.files(config)), *map(str.encode, config.offloads))
            path = store.folder() / f"{store.digest(*map(os.fsencode, folders)).hex()}.packages"
            kept = Kept(path if keep else None)
            self.installed = Installed(packages, self.catalogue, self.frameworks, ordinary, kept, salt)
            self.installed.follow(sorted(names))
            self.catalogue = under(self.catalogue, self.installed)
        tops = {name.partition(".")[0] for name in names} & learned.modules()
        if self.installed is not None:
            tops = {top for top in tops if self.installed.followed(top) is None}
        if tops:
            self.catalogue = under(self.catalogue, learned.of(tops))

    def unread(self, name: str) -> str:
        """Why nothing is known of a name in an installed package; empty where it is not of one."""
        return "" if self.installed is None else self.installed.why(name)

    def save(self) -> None:
        """Keep what was read in packages for the next run."""
        if self.installed is not None:
            self.installed.kept.save()


def _imported(
    tree: Tree, contents: Contents, known: frozenset[str], may_be: Callable[[str], bool]
) -> set[str]:
    """The names that the project imports from modules that nobody has described, and that are not its own."""
    paths = [str(path) for path in tree.python]
    asked = [
        (path, item)
        for path in paths
        for item in map(scan.Statement._make, contents.scanned(path, scan.statements))
        if not item.level and (top := item.module.partition(".")[0]) not in known and may_be(top)
    ]
    if not asked:
        return set()
    resolver = Resolver(paths, str(tree.root), known)
    found: set[str] = set()
    for path, (module, _, names) in asked:
        if resolver.resolve(path, module.partition(".")[0], 0) is None:
            found.add(module)
            found.update(f"{module}.{name}" for name in names)
    return found
