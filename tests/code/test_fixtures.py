"""Small services in the shapes that real code has; what is to be found stands on the very line.

`# expect: SRV101` is a finding that begins on the line; a line without one has none. Each folder of
`tests/fixtures/code` is a project of its own, with what must be found next to what must not.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from servelint import check
from servelint.config import Config

FIXTURES = Path(__file__).parents[1] / "fixtures" / "code"
SHAPES = sorted(path.name for path in FIXTURES.iterdir())


def expected(root: Path) -> set[tuple[str, int, str]]:
    """The markers of a project: path, line, code."""
    return {
        (path.relative_to(root).as_posix(), number, code)
        for path in root.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for code in re.findall(r"# expect: (SRV\d{3})", line)
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_findings_are_those_on_the_lines(shape: str, tmp_path: Path) -> None:
    root = Path(shutil.copytree(FIXTURES / shape, tmp_path / shape))
    found = check([root], Config(root)).findings
    observed = {(item.span.path.relative_to(root).as_posix(), item.span.line, item.code) for item in found}
    assert observed == expected(root)
