"""The image for CI systems: what it copies is there and is all that the package needs, and it is nobody's root."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")


def test_it_runs_as_nobody() -> None:
    users = re.findall(r"^USER (\d+):\d+$", TEXT, re.MULTILINE)
    assert users
    assert users[-1] != "0"


def test_it_copies_what_a_build_needs() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*) /build", TEXT, re.MULTILINE)
        for word in line.split()
    ]
    assert all((ROOT / name).exists() for name in copied)
    needed = {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "rules", "src"}
    assert set(copied) == needed
