"""Small services in several frameworks, each run as it is and as `servelint fix` leaves it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from .running import Running, running

SERVICES = Path(__file__).parents[1] / "fixtures" / "services"


@dataclass(frozen=True)
class Pair:
    """The same service before and after `servelint fix`."""

    framework: str
    before: Running
    after: Running


@pytest.fixture(scope="session")
def model() -> LogisticRegression:
    """A classifier of two features: rows with large values are 1."""
    return LogisticRegression().fit([[0.0, 0.0], [1.0, 0.0], [4.0, 5.0], [5.0, 4.0]], [0, 0, 1, 1])


@pytest.fixture(scope="session", params=sorted(path.name for path in SERVICES.iterdir()))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model: LogisticRegression
) -> Iterator[Pair]:
    framework: str = request.param
    folder = tmp_path_factory.mktemp(framework)
    fixed = folder / "fixed"
    shutil.copytree(SERVICES / framework, fixed)
    fix = [sys.executable, "-m", "servelint", "fix", "--isolated", "--unsafe-fixes", "--no-baseline", "."]
    done = subprocess.run(fix, cwd=fixed, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    with ExitStack() as stack:
        before = stack.enter_context(running(framework, SERVICES / framework, model, folder / "before"))
        after = stack.enter_context(running(framework, fixed, model, folder / "after"))
        yield Pair(framework, before, after)
