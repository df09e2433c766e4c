"""The commands that are measured: servelint, and whichever of its peers are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# -P: what is measured is not imported from the tree.
_SERVELINT = (sys.executable, "-P", "-m", "servelint")
SERVELINT = (*_SERVELINT, "check", "--exit-zero", "--isolated")
COLD = (*SERVELINT, "--no-cache")
CLICK = (sys.executable, "-P", "-c", "import click")
# How `ruff, warm` and the others are called in results, tables and `--peer`.
RUFF_WARM = "ruff, warm"
VERSION_SECONDS = 20.0
_BLOCKING = ",".join(f"*.{name}->to_thread" for name in ("predict", "predict_proba", "encode", "run"))


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tool. `{cache}` and `{rule}` in its arguments stand for a folder and the rule for semgrep.

    With `lists_files` all Python files are given on the command line. `statuses` are those of a run that
    went well, whatever was found.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    lists_files: bool = False
    statuses: tuple[int, ...] = (0, 1)

    def command(self, tree: Path, cache: Path) -> list[str]:
        """What to run in the folder `tree`."""
        rule = Path(__file__).with_name("blocking.yaml")
        filled = (argument.format(cache=cache, rule=rule) for argument in self.arguments)
        files = sorted(str(path.relative_to(tree)) for path in tree.rglob("*.py")) if self.lists_files else ()
        return [self.program, *filled, *files]


_RUFF = ("check", "--isolated", "--select", "ASYNC", "--quiet", "--exit-zero")
CODE = (
    Peer("ruff", "ruff", (*_RUFF, "--no-cache")),
    Peer(RUFF_WARM, "ruff", (*_RUFF, "--cache-dir", "{cache}")),
    Peer("flake8-async", "flake8-async", ("--enable", "ASYNC"), lists_files=True),
    Peer("evloop-lint", "evloop-lint", ("--isolated", "--exit-zero", ".")),
    Peer("ty-async", "ty-async", (".", f"--async200-blocking-calls={_BLOCKING}", "--async200-transitive")),
    Peer(
        "semgrep, one rule",
        "semgrep",
        ("scan", "--config", "{rule}", "--metrics", "off", "--disable-version-check", "--quiet", "."),
    ),
)
MANIFESTS = (
    Peer(
        "checkov, kubernetes",
        "checkov",
        ("--directory", ".", "--framework", "kubernetes", "--compact", "--quiet", "--soft-fail"),
    ),
    Peer("yamllint", "yamllint", ("--no-warnings", "--config-data", "relaxed", ".")),
)
NAMES = tuple(peer.name for peer in (*CODE, *MANIFESTS))


def installed(peers: Iterable[Peer], wanted: Iterable[str] | None = None) -> tuple[Peer, ...]:
    """Those of the peers that are found on the PATH, and are among the wanted names if there are any."""
    names = set(NAMES if wanted is None else wanted)
    return tuple(peer for peer in peers if peer.name in names and shutil.which(peer.program))


def versions(peers: Iterable[Peer]) -> Iterator[tuple[str, str]]:
    """The programs and their versions; servelint first."""
    yield "servelint", metadata.version("servelint")
    for program in dict.fromkeys(peer.program for peer in peers):
        yield program, _version(program)


def _version(program: str) -> str:
    """As the package says that the program was installed with, else as the program says, if it does."""
    place = Path(shutil.which(program) or program).absolute()
    packages = [str(path) for path in place.parents[1].glob("lib/python*/site-packages")]
    for package in metadata.distributions(name=program, path=packages):
        return package.version
    with tempfile.TemporaryDirectory() as empty:  # some take `--version` for a request to check what is here
        try:
            told = subprocess.run(
                [program, "--version"],
                cwd=empty,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=VERSION_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return "of unknown version"
    found = re.search(r"\d+(?:\.\d+)+\S*", told.stdout)
    return found.group() if found else "of unknown version"
