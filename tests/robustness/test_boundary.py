"""One bad file is one finding: what the boundary catches, and what it lets pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint.boundary import Boundary, LimitError
from servelint.finding import Problem
from servelint.knowledge.tables import KnowledgeError

_PATH = Path("/project/deploy.yaml")


def _caught(error: BaseException) -> list[Problem]:
    problems: list[Problem] = []
    with Boundary(_PATH, "reading the manifest", problems.append) as boundary:
        raise error
    assert boundary.failed
    return problems


@pytest.mark.parametrize("error", [RecursionError, MemoryError, OverflowError, KeyError, AssertionError])
def test_what_is_unforeseen_is_a_problem_that_asks_for_a_report(error: type[Exception]) -> None:
    (problem,) = _caught(error("0x7f0000000000"))
    assert problem.path == _PATH
    assert problem.message.startswith(f"reading the manifest: {error.__name__}, ")
    assert "please report" in problem.message
    assert "0x7f" not in problem.message


def test_a_limit_is_named_with_its_line() -> None:
    assert _caught(LimitError("nested more than 90 levels deep", 7)) == [
        Problem(_PATH, "reading the manifest: nested more than 90 levels deep", 7)
    ]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), KnowledgeError("rules/x.yaml: broken")]
)
def test_what_is_no_fault_of_the_file_passes(error: BaseException) -> None:
    with pytest.raises(type(error)):
        _caught(error)


def test_the_traceback_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _caught(KeyError("hidden"))
    assert not capsys.readouterr().err
    monkeypatch.setenv("SERVELINT_DEBUG", "1")
    _caught(KeyError("shown"))
    assert "KeyError: 'shown'" in capsys.readouterr().err


def test_what_was_found_before_the_failure_is_kept() -> None:
    def findings():
        yield 1
        raise ZeroDivisionError

    found: list[int] = []
    with Boundary(_PATH, "SRV201", lambda _: None):
        found.extend(findings())
    assert found == [1]
