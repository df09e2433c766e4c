"""Patterns, compared with git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelint.project.globs import compile_patterns

NAMES = st.sampled_from(["a", "b", "ab", "a.py", "b.py", "src", "a b", "[x]", ".env", "tést"])
PIECES = st.sampled_from(
    [
        "a",
        "b",
        "*",
        "**",
        "?",
        "*.py",
        "src",
        "[ab]",
        "[!a]",
        "a*",
        "?b",
        ".env",
        "\\*",
        "[a-c].py",
        "a**b",
        "[x",
        "***",
        "*a*b*",
        "[]a]",
        "[!]a]",
        "[^/]",
        "[a-",
        "[b-a]",
        "[\\]a]",
        "[[:alpha:]]*",
        "[[:alpha:]-b]",
        "[[:none:]]",
        "[a[:]b]",
        "a\\/b",
    ]
)
SENSIBLE = st.builds(
    lambda negated, leading, pieces, trailing: negated + leading + "/".join(pieces) + trailing,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(PIECES, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", " ", "\\ "]),
)
PATTERN = SENSIBLE | st.text("ab*?[]!/\\.-^ #", min_size=1, max_size=7)
ODD_NAMES = st.text("ab*[]!.-^ #\\", min_size=1, max_size=4).filter(
    lambda name: name not in (".", "..") and not name.endswith(" ")
)
PATH = st.lists(NAMES | ODD_NAMES, min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(PATTERN, min_size=1, max_size=4), paths=st.lists(PATH, min_size=1, max_size=6, unique=True)
)
def test_ignores_what_git_ignores(repository: Path, lines: list[str], paths: list[str]) -> None:
    (repository / ".gitignore").write_text("\n".join(lines) + "\n")
    asked = "\0".join(paths) + "\0"
    command = ["git", "-C", str(repository), "check-ignore", "--no-index", "-z", "--stdin"]
    answer = subprocess.run(command, input=asked.encode(), capture_output=True, check=False)
    ignored = set(filter(None, answer.stdout.decode().split("\0")))
    patterns = compile_patterns(lines)
    assert {path for path in paths if patterns.covers(path)} == ignored


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("tests/**", "tests/a/b.py", True),
        ("tests/**", "src/tests/a.py", False),
        ("tests", "src/tests/a.py", True),
        ("*.gen.py", "deep/down/x.gen.py", True),
        ("/build", "src/build/x.py", False),
        ("docs/**/x.py", "docs/x.py", True),
        ("# comment", "# comment", False),
    ],
)
def test_means_what_people_expect(pattern: str, path: str, expected: bool) -> None:
    assert compile_patterns([pattern]).covers(path) is expected
