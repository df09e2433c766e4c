"""Which file of a project an import means, where the project's folder is the package itself."""

from __future__ import annotations

import pytest

from servelint.code.graph.imports import Resolver

ROOT = "/repository/pkg"
FILES = (f"{ROOT}/__init__.py", f"{ROOT}/api.py", f"{ROOT}/routes/__init__.py", f"{ROOT}/routes/items.py")


@pytest.mark.parametrize("external", [frozenset(), frozenset({"pkg"})])
def test_the_projects_folder_may_be_the_package_that_its_files_import(external: frozenset[str]) -> None:
    resolver = Resolver(FILES, ROOT, external)
    assert resolver.resolve(f"{ROOT}/routes/items.py", "pkg.api", 0) == f"{ROOT}/api.py"
    assert resolver.resolve(f"{ROOT}/routes/items.py", "pkg.missing", 0) is None


def test_a_folder_that_is_named_like_a_library_does_not_hide_it() -> None:
    assert Resolver(FILES, ROOT, frozenset({"pkg"})).resolve(f"{ROOT}/api.py", "pkg", 0) is None
    assert Resolver(FILES, ROOT, frozenset()).resolve(f"{ROOT}/api.py", "pkg", 0) == f"{ROOT}/__init__.py"
