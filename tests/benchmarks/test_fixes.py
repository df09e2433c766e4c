"""The harness that tries fixes counts what they break, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fixes

CALL = "def save(a, b):\n    return a\n\n\nwith open('x') as file:\n    done = save(\n        1,\n        2,\n    )\nsave(3)\n"


def counted(folder: Path, monkeypatch: pytest.MonkeyPatch, *errors: tuple[int, str]) -> int:
    """How many errors count of those that pyright tells, by 1-based lines and rules."""
    file = folder / "app.py"
    file.write_text(CALL)
    told = [
        {
            "file": str(file),
            "severity": "error",
            "rule": rule,
            "message": "wrong",
            "range": {"start": {"line": line - 1}},
        }
        for line, rule in errors
    ]

    def reported(command: Sequence[str], root: Path, paths: Sequence[Path]) -> Any:
        return json.loads(json.dumps({"generalDiagnostics": told}))

    monkeypatch.setattr(fixes, "_reported", reported)
    return fixes._pyright(folder, [Path("app.py")])["app.py"]


def test_a_call_with_wrong_arguments_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issue, argument = "reportCallIssue", "reportArgumentType"
    assert counted(tmp_path, monkeypatch, (6, issue), (7, argument), (8, argument)) == 1
    assert counted(tmp_path, monkeypatch, (6, issue), (10, issue)) == 2


def test_other_errors_count_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = "reportOptionalMemberAccess"
    assert counted(tmp_path, monkeypatch, (7, access), (8, access)) == 2
