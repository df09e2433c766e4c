"""The wheel, built and used outside the checkout, is complete."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from servelint.knowledge import compiled
from servelint.knowledge import types as knowledge
from servelint.knowledge.pages import codes

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_rules_the_schemas_and_its_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"servelint/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "rules").rglob("*.*")}
    expected |= {
        f"servelint/{path.relative_to(ROOT / 'src' / 'servelint').as_posix()}"
        for path in (ROOT / "src" / "servelint").rglob("*")
        if path.suffix in (".py", ".json", ".typed", ".css", ".js")
    }
    assert expected <= names
    assert not [name for name in names if name.startswith(("tests", "examples")) or "__pycache__" in name]


def test_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "app.py").write_text("import torch\n\n\nasync def f(:\n")
    parts = pickle.loads((tmp_path / "site" / "servelint" / "rules" / compiled.FILE).read_bytes())
    catalogue: knowledge.Catalogue = pickle.loads(parts[compiled.CATALOGUE])
    assert catalogue.libraries == compiled.catalogue().libraries
    assert catalogue.frameworks == compiled.catalogue().frameworks
    assert pickle.loads(parts[compiled.TABLES]) == compiled.tables()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def servelint(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "servelint", *arguments]
        return subprocess.run(
            command, cwd=tmp_path / "project", env=environment, capture_output=True, text=True, check=False
        )

    listed = servelint("rule").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(codes())
    assert servelint("config", "--schema").stdout.startswith("{")
    checked = servelint("check")
    assert checked.returncode == 1, checked.stderr
    assert "SRV000" in checked.stdout
