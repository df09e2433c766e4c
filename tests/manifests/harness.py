"""Fixtures say what is expected on the very line.

`expect: CODE severity fix` in a comment, where `fix` is `safe`, `unsafe` or `no-fix`. Where a line cannot
hold a comment the marker stands elsewhere and counts lines: `expect[+1]:` is the next line, `expect[-2]:`
the one before the last.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from servelint.finding import Applicability, Edit, Finding
from servelint.manifests import ManifestResult, judge, read
from servelint.project.config import Config
from servelint.project.listing import files
from servelint.project.text.source import decode
from servelint.project.text.splice import splice
from servelint.serving import Applications

FIXTURES = Path(__file__).parents[1] / "fixtures" / "manifests"
_MARKER = re.compile(r"expect(?:\[([+-]\d+)\])?: (SRV\d{3}) (\w+) ([\w-]+)")


@dataclass(frozen=True, slots=True, order=True)
class Expected:
    """A finding as a fixture announces it."""

    path: str
    line: int
    code: str
    severity: str
    fix: str


def expectations(root: Path) -> list[Expected]:
    """What the markers below `root` announce."""
    return sorted(
        Expected(path.relative_to(root).as_posix(), number + int(shift or 0), code, severity, fix)
        for path in root.rglob("*")
        if path.is_file()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for shift, code, severity, fix in _MARKER.findall(line)
    )


def observed(result: ManifestResult, root: Path) -> list[Expected]:
    """The findings in the same words."""
    return sorted(_observed(finding, root) for finding in result.findings)


def _observed(finding: Finding, root: Path) -> Expected:
    fix = finding.fix.applicability.value if finding.fix else "no-fix"
    path = finding.span.path.relative_to(root).as_posix()
    return Expected(path, finding.span.line, finding.code, finding.severity.value, fix)


def tree(root: Path) -> files.Tree:
    """The listing of a folder."""
    return files.collect([], Config(root=root))


def check(root: Path, applications: Applications | None = None) -> ManifestResult:
    """What servelint says of a folder's manifests."""
    result = judge(read(tree(root)), applications)
    return replace(result, findings=result.with_fixes(result.findings))


def copied(case: str, target: Path) -> Path:
    """A fixture folder, copied out of the repository's own files."""
    return Path(shutil.copytree(FIXTURES / case, target / Path(case).name))


def written(target: Path, contents: dict[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, content in contents.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return target


def edits(result: ManifestResult, *, unsafe: bool = False) -> dict[Path, set[Edit]]:
    """The edits of the fixes, by file."""
    found: dict[Path, set[Edit]] = defaultdict(set)
    for finding in result.findings:
        if finding.fix and (unsafe or finding.fix.applicability is Applicability.SAFE):
            for edit in finding.fix.edits:
                found[edit.span.path].add(edit)
    return found


def fixed(root: Path, *, unsafe: bool = False) -> Iterator[tuple[Path, bytes, bytes, set[Edit]]]:
    """Each file that fixes change: its path, what it was, what it becomes, and the edits."""
    for path, changes in edits(check(root), unsafe=unsafe).items():
        before = path.read_bytes()
        yield path, before, splice(decode(path, before), changes), changes
