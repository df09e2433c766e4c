"""The example service: trained once, served as it is and as `servelint fix` leaves it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from gated import Gate, GatedModel

from .serving import serve

EXAMPLE = Path(__file__).parents[2] / "examples" / "bankchurn"


@pytest.fixture(scope="session")
def example() -> Path:
    """The folder of the example, as it is in the repository."""
    return EXAMPLE


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small models, trained by the example's own script."""
    out = tmp_path_factory.mktemp("bankchurn") / "model"
    subprocess.run([sys.executable, "train.py", "--small", "--out", str(out)], cwd=EXAMPLE, check=True)
    return out


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example that `servelint fix` has been run on."""
    copy = tmp_path_factory.mktemp("fixed") / "bankchurn"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("model", "__pycache__"))
    command = [sys.executable, "-m", "servelint", "fix", "--unsafe-fixes", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.fixture(scope="session")
def unfixed_url(model: Path) -> Iterator[str]:
    with serve(EXAMPLE, model) as url:
        yield url


@pytest.fixture(scope="session")
def fixed_url(fixed: Path, model: Path) -> Iterator[str]:
    with serve(fixed, model) as url:
        yield url


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """The gate of `gated_model`, open."""
    return Gate(tmp_path)


@pytest.fixture
def gated_model(model: Path, tmp_path: Path, gate: Gate) -> Path:
    """A folder with the same models behind `gate`."""
    folder = tmp_path / "gated"
    shutil.copytree(model, folder)
    for path in folder.glob("*.joblib"):
        joblib.dump(GatedModel(joblib.load(path), gate), path)
    return folder


@pytest.fixture(scope="session")
def customers() -> list[dict[str, Any]]:
    """A hundred customers that no model was trained on."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        from train import customers as synthetic
    finally:
        sys.path.remove(str(EXAMPLE))
    rows: list[dict[str, Any]] = synthetic(100, seed=99).to_dict("records")
    return rows
