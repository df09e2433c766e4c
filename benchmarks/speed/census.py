"""How much of a tree servelint parses: `python -m benchmarks.speed.census FOLDER` prints it as JSON.

It is a process of its own because it counts what `ast.parse` is given, whoever calls it.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from servelint import check
from servelint.project.config import Config
from servelint.store import digest


class Census(TypedDict):
    """Files and bytes of a tree, as servelint lists them.

    `unreadable` counts those that this version of Python cannot parse; newer ones may. `parsed` counts the
    Python files that were parsed; files with the same content are parsed together. `typical` is the parsed
    file of median size, or of all Python files where none was parsed; empty without.
    """

    python_files: int
    manifests: int
    bytes: int
    parsed: int
    unreadable: int
    typical: str


@contextmanager
def contents_parsed() -> Iterator[set[bytes]]:
    """The digests of all that is given to `ast.parse` meanwhile."""
    digests: set[bytes] = set()
    original = ast.parse

    def counted(source: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(source, (str, bytes)):
            content = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
            digests.add(digest(content))
        return original(source, *arguments, **options)

    ast.parse = counted
    try:
        yield digests
    finally:
        ast.parse = original


def typical(files: Sequence[Path]) -> Path:
    """The file of median size."""
    return sorted(files, key=lambda path: (path.stat().st_size, path))[len(files) // 2]


def census(root: Path) -> Census:
    """Check the tree with the default options and count."""
    with contents_parsed() as digests:
        report = check([root], Config(root))
    tree = report.tree
    parsed = [path for path in tree.python if digest(tree.read(path)) in digests]
    candidates = parsed or tree.python
    return {
        "python_files": len(tree.python),
        "manifests": len(tree.manifests),
        "bytes": sum(path.stat().st_size for path in (*tree.python, *tree.manifests)),
        "parsed": len(parsed),
        "unreadable": len(report.problems),
        "typical": typical(candidates).relative_to(root).as_posix() if candidates else "",
    }


if __name__ == "__main__":
    print(json.dumps(census(Path(sys.argv[1]).resolve())))
