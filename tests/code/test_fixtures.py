"""Small services in the shapes that real code has; what is to be found stands on the very line.

`# expect: SRV101` is a finding that begins on the line; a line without one has none. `# expect: SRV101 medium`
says how sure it is. Each folder of `tests/fixtures/code` is a project of its own, with what must be found next
to what must not.
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


def expected(root: Path) -> dict[tuple[str, int, str], str]:
    """The markers of a project: the confidence, empty where it is not said, by path, line and code."""
    return {
        (path.relative_to(root).as_posix(), number, code): confidence
        for path in root.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for code, confidence in re.findall(r"# expect: (SRV\d{3})(?: (high|medium))?", line)
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_findings_are_those_on_the_lines(shape: str, tmp_path: Path) -> None:
    root = Path(shutil.copytree(FIXTURES / shape, tmp_path / shape))
    found = check([root], Config(root)).findings
    observed = {
        (item.span.path.relative_to(root).as_posix(), item.span.line, item.code): item.confidence
        for item in found
    }
    wanted = expected(root)
    assert set(observed) == set(wanted)
    assert {place: str(observed[place]) for place, sure in wanted.items() if sure} == {
        place: sure for place, sure in wanted.items() if sure
    }
