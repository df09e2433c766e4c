"""A number of workers in the words of a command that a program starts: what is offered is applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelint import edits
from servelint.finding import Applicability
from servelint.lint import check
from servelint.manifests.documents.text import Located
from servelint.manifests.python.values import said
from servelint.project.config import Config

HEAD = """\
import os
import subprocess

number = os.cpu_count()
"""


def fixed(folder: Path, line: str, *, unsafe: bool) -> tuple[str, str]:
    """The line after its fix, and whether that is safe; many others like it stand around it."""
    around = 'subprocess.run(["uvicorn", "app:app", "--port", "4"])\n'
    (folder / "Dockerfile").write_text('FROM python:3.12\nCMD ["python", "/srv/begin.py"]\n')
    (folder / "begin.py").write_text(HEAD + around + line + "\n" + around)
    found = check([], Config(root=folder, select=("SRV201",)))
    (fix,) = [finding.fix for finding in found.findings if finding.fix is not None]
    outcome = edits.apply(found, unsafe=unsafe)
    assert not outcome.rejected
    (changed,) = outcome.after.values()
    assert changed.decode().startswith(HEAD + around)
    assert changed.decode().endswith("\n" + around)
    return changed.decode().removeprefix(HEAD + around).removesuffix("\n" + around), fix.applicability


@pytest.mark.parametrize(
    "line",
    [
        'subprocess.run(["uvicorn", "app:app", "--workers", "4"])',
        'os.system("cd /srv && exec uvicorn app:app --workers 4 --port 80")',
        'os.execvp("uvicorn", ["uvicorn", "app:app", "--workers=4"])',
    ],
)
def test_a_number_in_a_text(tmp_path: Path, line: str) -> None:
    expected = line.replace('"4"', '"1"').replace("workers 4", "workers 1").replace("=4", "=1")
    assert fixed(tmp_path, line, unsafe=False) == (expected, Applicability.SAFE)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('subprocess.run(["uvicorn", "app:app", "--workers", str(number)])', "str(1)"),
        ('os.execvp("uvicorn", ["uvicorn", "app:app", f"--workers={os.cpu_count()}"])', "={1}"),
        ('subprocess.run(["uvicorn", "app:app", "--workers", os.environ.get("N", "3")])', '"1"'),
    ],
)
def test_a_word_that_is_computed_stays_a_text(tmp_path: Path, line: str, expected: str) -> None:
    after, applicability = fixed(tmp_path, line, unsafe=True)
    assert applicability is Applicability.UNSAFE
    assert expected in after
    assert "number" not in after
    assert "environ" not in after
    compile(after, "begin.py", "exec")


def test_a_number_of_thousands_of_digits_is_no_number() -> None:
    digits = "1" * 5000
    assert said(Located(digits)).data == digits
    assert said(Located("4")).data == 4
