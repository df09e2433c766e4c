"""What the check offers to repair, `fix` repairs: no fix of the fixtures is taken back when it is applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits, lint
from servelint.project.config import Config

FIXTURES = Path(__file__).parent / "fixtures"
PROJECTS = sorted(
    folder for kind in ("code", "services", "manifests") for folder in (FIXTURES / kind).iterdir()
)


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "unsafe"])
@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_offered_is_applied(project: Path, unsafe: bool) -> None:
    outcome = edits.apply(lint.check([project], Config(project)), unsafe=unsafe)
    assert [
        (item.finding.span.path.name, item.finding.span.line, item.reason) for item in outcome.rejected
    ] == []


@pytest.mark.parametrize(
    ("project", "file", "written"),
    [
        ("code/lazy", "unpacked.py", '        one, other = pipeline(text, voice="af_heart")'),
        ("code/lazy", "unpacked.py", "        first_piece, *others = pieces"),
        ("code/language", "containers.py", "        setitem_delitem_c[1] = 2"),
        ("code/language", "attributes.py", "        setattr_dunder_s.x = 1"),
    ],
)
def test_an_assignment_that_runs_the_call_moves_as_a_whole(project: str, file: str, written: str) -> None:
    root = FIXTURES / project
    outcome = edits.apply(lint.check([root / file], Config(root)), unsafe=True)
    assert f"    def run_inference():\n{written}" in outcome.after[root / file].decode()
