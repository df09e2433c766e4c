"""From distributions as a user names them to the content of catalogue files: what `servelint learn` does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from servelint.code.graph.dependencies import normalised
from servelint.code.installed import sdist
from servelint.code.installed.archive import ArchiveError, Archives
from servelint.code.installed.learn import learn
from servelint.code.installed.packages import Package, Packages, Shelf
from servelint.knowledge import compiled

DOWNLOAD_SECONDS = 600


class LearnError(ValueError):
    """A distribution cannot be had or read."""


class Learned(NamedTuple):
    """What was read of a distribution: the content of its file, None where nothing is found to block."""

    title: str
    data: dict[str, Any] | None


def of_archives(names: Sequence[str], folder: Path) -> Iterator[Learned]:
    """Of archives, and of distributions whose wheels are downloaded into the folder; raises `LearnError`."""
    try:
        shelf = Archives(
            [path for number, name in enumerate(names) for path in _archives(name, folder / str(number))]
        )
    except ArchiveError as error:
        raise LearnError(str(error)) from error
    yield from _each(shelf, shelf.packages)


def of_environment(folders: Sequence[str], names: Sequence[str]) -> Iterator[Learned]:
    """Of what is installed: the distributions named, or all of which the catalogue has nothing."""
    shelf = Packages(folders)
    wanted = {normalised(name.partition("==")[0]) for name in names}
    known = compiled.catalogue().modules
    found = [
        package
        for package in shelf.all()
        if (package.distribution in wanted if wanted else package.module.partition(".")[0] not in known)
    ]
    if missing := wanted - {package.distribution for package in found}:
        raise LearnError(f"{', '.join(sorted(missing))}: not installed in {', '.join(folders)}")
    yield from _each(shelf, found)


def file_name(title: str) -> str:
    """What the file about a distribution is called."""
    return f"{normalised(title)}.yaml"


def _each(shelf: Shelf, packages: Iterable[Package]) -> Iterator[Learned]:
    """What there is to say of each distribution that the packages are of."""
    distributions: dict[str, list[Package]] = {}
    for package in packages:
        distributions.setdefault(package.distribution, []).append(package)
    for of_one in distributions.values():
        yield Learned(of_one[0].shown, learn(shelf, [package.module for package in of_one]))


def _archives(name: str, folder: Path) -> list[str]:
    """The file that is named, or the wheel of a distribution, downloaded without what it needs.

    To ask pip for anything but a wheel would run what the distribution brings along.
    """
    if name.endswith((".whl", *sdist.ENDS)):
        return [name]
    if not name[:1].isalnum():
        raise LearnError(f"{name}: is the name of no distribution")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    try:
        done = subprocess.run(  # noqa: S603 - pip, with a name that is no option
            [*pip, "--dest", str(folder), name],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LearnError(f"{name}: the download took more than {DOWNLOAD_SECONDS} seconds") from error
    found = sorted(map(str, folder.glob("*.whl")))
    if done.returncode or not found:
        told = done.stderr.strip().split("\n") or ["pip says nothing"]
        raise LearnError(f"{name}: there is no wheel of it: {told[-1]}")
    return found
