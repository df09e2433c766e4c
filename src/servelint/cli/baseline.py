"""`servelint baseline`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from servelint.cli import options
from servelint.cli.check import checked
from servelint.cli.terminal import complain, write
from servelint.escape import visible
from servelint.finding import ExitStatus
from servelint.project.listing.files import shown_path
from servelint.project.reported import baseline
from servelint.project.text.writing import replace_file
from servelint.run import Run

EPILOG = """\b
Examples:
  servelint baseline            accept everything that is found today
  servelint check               from now on reports only what is new
  servelint baseline --prune    forget entries whose findings are gone, accept nothing new
"""


@click.command(epilog=EPILOG)
@options.paths_argument
@click.option("--prune", is_flag=True, help="Only remove entries that no longer match anything.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead."
)
@options.selection_options
@options.configuration_options
def command(
    *,
    paths: Sequence[Path],
    prune: bool,
    output: Path | None,
    config_file: Path | None,
    isolated: bool,
    **settings: Any,
) -> int:
    """Accept today's findings: `check` then reports only what is new.

    Writes `.servelint-baseline.json` at the root of the project (option `baseline`); commit it. Entries are
    recognised when lines move, files are renamed or code is reformatted.
    """
    run = options.configured(options.Target(paths, config_file, isolated).run(), settings)
    options.complain_about_missing(run)
    if run.missing:
        return ExitStatus.FAILED
    place = output or _place(run)
    report = checked(run, fixes=False, quiet=False)
    findings, read = report.findings, report.tree.read
    if report.tree.reported is not None:
        complain("a baseline is for the whole project; with paths it would forget the rest")
        return ExitStatus.FAILED
    entries = baseline.entries(findings, run.config.root, read)
    removed = 0
    if prune:
        old = _load(place)
        compared = baseline.compare(findings, old, run.config.root, read)
        entries = baseline.entries(compared.known, run.config.root, read)
        removed = len(compared.stale)
    try:
        _put(place.absolute(), baseline.dump(entries).encode())
    except OSError as error:
        raise options.Failure(f"{place}: cannot be written: {error.strerror}") from error
    what = f"removed {removed}, kept {len(entries)}" if prune else f"accepted {len(entries)}"
    write(f"{visible(shown_path(place.absolute(), Path.cwd()))}: {what} finding{'s' * (len(entries) != 1)}\n")
    return ExitStatus.CLEAN


def _place(run: Run) -> Path:
    try:
        place = run.baseline_path
    except baseline.BaselineError as error:
        raise options.Failure(str(error)) from error
    if place.exists() and not place.is_file():
        raise options.Failure(f"{place}: is not a file")
    return place


def _put(place: Path, content: bytes) -> None:
    if place.exists() and not place.is_file():  # /dev/stdout: a device or pipe must not become a file
        place.write_bytes(content)
    else:
        replace_file(place, content)


def _load(place: Path) -> tuple[baseline.Entry, ...]:
    try:
        return baseline.load(place)
    except baseline.BaselineError as error:
        raise options.Failure(str(error)) from error
