"""Programs that describe deployments: what they hold is bounded, and what they are given is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import check, written

_HEAD = "from pulumi_kubernetes.apps.v1 import Deployment\n"
_POD = 'Deployment("d", spec={{"template": {{"spec": {{"containers": [{}]}}}}}})\n'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['c = {"command": ["uvicorn"], "next": c}'], "nested more than 100 levels"),
        (["c = ['uvicorn']", *(f"c = [c, c{n}]\nc{n} = [c, c]" for n in range(40))], "nested more than 100"),
        (
            [
                "a = ['uvicorn']",
                "b0 = [a, a]",
                *(f"b{n} = [b{n - 1}, b{n - 1}]" for n in range(1, 40)),
                "c = [b39]",
            ],
            "more than 50,000 values",
        ),
    ],
)
def test_values_that_lead_on_without_end_are_told(lines: list[str], message: str, tmp_path: Path) -> None:
    program = _HEAD + "\n".join(lines) + "\n" + _POD.format("c")
    [problem] = check(written(tmp_path, {"stack.py": program})).problems
    assert message in problem.message


@pytest.mark.parametrize(
    ("count", "found"),
    [('"4"', 1), ('f"{4}"', 0), ("str(WORKERS)", 1), ("str(given.workers)", 0), ('"4" if given else "1"', 0)],
)
def test_what_is_not_written_there_is_not_known(count: str, found: int, tmp_path: Path) -> None:
    container = '{"name": "a", "image": "i", "command": ["uvicorn", "a:b", "--workers", ' + count + "]}"
    program = f"{_HEAD}from elsewhere import given\nWORKERS = 3\n" + _POD.format(container)
    result = check(written(tmp_path, {"stack.py": program}))
    assert len(result.findings) == found
    assert not result.problems


def test_tests_of_a_stack_deploy_nothing(tmp_path: Path) -> None:
    container = '{"name": "a", "image": "i", "command": ["uvicorn", "a:b", "--workers", "4"]}'
    assert not check(written(tmp_path, {"tests/stack.py": _HEAD + _POD.format(container)})).findings
