"""Every form that a worker count and a memory metric may take, with decoys beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.manifests import verify

from .harness import FIXTURES, check, copied, expectations, fixed, observed

CASES = sorted(path.name for path in FIXTURES.iterdir() if path.name != "fixes")


@pytest.mark.parametrize("case", CASES)
def test_findings_are_those_on_the_lines(case: str, tmp_path: Path) -> None:
    root = copied(case, tmp_path)
    result = check(root)
    assert observed(result, root) == expectations(root)
    assert not result.problems


@pytest.mark.parametrize("case", CASES)
def test_safe_fixes_leave_nothing_safe_to_fix_and_change_nothing_else(case: str, tmp_path: Path) -> None:
    root = copied(case, tmp_path)
    before = {item for item in observed(check(root), root) if item.fix != "safe"}
    for path, old, new, edits in list(fixed(root)):
        assert verify(old, new, path, tuple(edits)) == ""
        path.write_bytes(new)
    left = observed(check(root), root)
    assert [item for item in left if item.fix == "safe"] == []
    assert {(item.path, item.code) for item in left} <= {(item.path, item.code) for item in before}


@pytest.mark.parametrize("case", CASES)
def test_the_same_input_gives_the_same_output(case: str, tmp_path: Path) -> None:
    root = copied(case, tmp_path)
    assert check(root).findings == check(root).findings
