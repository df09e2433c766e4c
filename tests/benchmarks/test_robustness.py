"""The long runs against hostile input: short ones, and that a fault would be seen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.robustness import fuzz, inputs, kill, oracles
from servelint import lint


def test_a_number_is_a_project() -> None:
    assert inputs.project(7) == inputs.project(7)
    assert len({tuple(inputs.project(number).items()) for number in range(20)}) == 20


def test_nothing_goes_wrong_with_a_few() -> None:
    assert [fault for number in range(12) if (fault := oracles.fault(inputs.project(number)))] == []


def test_a_failure_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(lint, "check", fails)
    assert oracles.fault({"app.py": b"x = 1\n"}) == "RecursionError: too deep"


def test_what_is_kept_is_the_project(tmp_path: Path) -> None:
    place = fuzz.keep(fuzz.Failure(3, "x"), tmp_path)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == inputs.project(3)


def test_a_process_that_hangs_is_a_failure() -> None:
    counts: Counter[str] = Counter()
    first = next(fuzz.failures(0, 60, 0.0, counts))
    assert (first.number, first.what, counts["projects"]) == (0, "no answer in 0 s", 1)


def test_a_killed_fix_leaves_files_whole() -> None:
    assert kill.torn(1, seed=1) == []
