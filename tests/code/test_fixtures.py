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
from servelint.code.judge.analysis import Analysis, BlockingCall
from servelint.project.config import Config

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


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_that_is_named_has_the_findings_that_it_has_among_all(shape: str) -> None:
    root = FIXTURES / shape
    among_all = check([root], Config(root)).findings
    for path in root.rglob("*.py"):
        alone = check([path], Config(root)).findings
        assert alone == tuple(finding for finding in among_all if finding.span.path == path)


def test_for_a_file_that_is_named_other_services_are_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = (FIXTURES / "routes").resolve()
    for name in ("one", "two"):
        shutil.copytree(service, tmp_path / name)
    looked_into: list[str] = []
    original = Analysis.blocking_calls_in

    def noted(analysis: Analysis, path: str) -> tuple[BlockingCall, ...]:
        looked_into.append(Path(path).relative_to(tmp_path).parts[0])
        return original(analysis, path)

    monkeypatch.setattr(Analysis, "blocking_calls_in", noted)
    found = check([tmp_path / "one"], Config(tmp_path)).findings
    assert {finding.span.path.relative_to(tmp_path).parts[0] for finding in found} == {"one"}
    assert set(looked_into) == {"one"}
