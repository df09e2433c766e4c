"""Files that are nowhere, as the analysis of Python asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from servelint.project.cache import Facts

ROOT = Path("/project")


class Listing:
    """What the analysis needs of a `Tree`: the files of `contents`, by path below the root, in some order."""

    def __init__(self, contents: Mapping[str, bytes], order: Iterable[str] = ()) -> None:
        self.root = ROOT
        self.contents = {ROOT / name: content for name, content in contents.items()}
        self.python = tuple(ROOT / name for name in order) or tuple(sorted(self.contents))
        self.manifests: tuple[Path, ...] = ()
        self.facts = Facts()
        self.scans = None
        self.wanted = None

    def read(self, path: Path) -> bytes:
        """The content of one of them; raises `FileNotFoundError`."""
        if path not in self.contents:
            raise FileNotFoundError(path)
        return self.contents[path]
