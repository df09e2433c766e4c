"""`servelint fleet`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import click

from servelint.cli import options
from servelint.cli.terminal import Progress, complain, write
from servelint.escape import visible
from servelint.finding import ExitStatus
from servelint.fleet import results, workers
from servelint.fleet.checkout import Checkout
from servelint.fleet.results import Results
from servelint.project import disk

FOLDER = "servelint-fleet"

EPILOG = f"""\b
Examples:
  servelint fleet checkouts/                 every folder in it
  servelint fleet repositories.txt           a list of folders, one a line
  servelint fleet checkouts/ --scheduler tcp://10.0.0.7:8786

\b
In --output: {results.LINES}, a line a repository; {results.SARIF}, all reports in one;
{results.TABLE}, a table, the worst first. A commit that is checked is not checked again.

Exit status: 0 nothing found, 1 findings, 2 a repository could not be checked.
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="FOLDER|LIST", type=click.Path(path_type=Path, exists=True))
@options.output_folder(FOLDER)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=None, help="How many at a time (default: one a CPU)."
)
@click.option(
    "--timeout", type=click.FloatRange(1), default=600.0, help="Seconds for one repository (default: 600)."
)
@click.option("--scheduler", metavar="ADDRESS", default="", help="Check on this Dask cluster.")
def command(*, source: Path, output: Path, workers: int | None, timeout: float, scheduler: str) -> int:
    """Check many checkouts, each by itself and with its own configuration.

    One that fails or takes too long is told of and does not stop the others.
    """
    try:
        checkouts = list(_checkouts(source, output))
        kept = Results(output)
    except OSError as error:
        raise options.Failure(visible(f"{error.filename}: cannot be read: {error.strerror}")) from error
    if not checkouts:
        raise click.UsageError(f"There are no folders in {source}.")
    if kept.unread:
        complain(f"{output / results.LINES}: lines that are no results count as not written: {kept.unread}")
    left = [checkout for checkout in checkouts if not kept.is_done(checkout)]
    try:
        _check(kept, left, workers, timeout, scheduler)
        told = kept.finish([checkout.name for checkout in checkouts])
    except OSError as error:
        raise options.Failure(f"{error.filename}: cannot be written: {error.strerror}") from error
    write(told)
    complain(f"{len(left)} checked, {len(checkouts) - len(left)} known from before; more in {output}")
    return max(map(_status, kept.lines.values()), default=ExitStatus.CLEAN)


def _check(kept: Results, left: list[Checkout], count: int | None, seconds: float, scheduler: str) -> None:
    progress = Progress(quiet=False)
    progress(f"checking {len(left)} repositories")
    try:
        outcomes = (
            workers.cluster(left, scheduler, seconds)
            if scheduler
            else workers.local(left, count or os.cpu_count() or 1, seconds)
        )
        for number, outcome in enumerate(outcomes, 1):
            kept.add(outcome)
            progress(f"{number} of {len(left)} repositories, {outcome.line['repository']} last")
    except workers.FleetError as error:
        raise options.Failure(visible(str(error))) from error
    finally:
        progress.done()


def _status(line: dict[str, object]) -> ExitStatus:
    """The status of one: what `check` said, or that it could not be checked."""
    if line["status"] != "done" or line["exit"] == ExitStatus.FAILED:
        return ExitStatus.FAILED
    return ExitStatus.FINDINGS if line["exit"] else ExitStatus.CLEAN


def _checkouts(source: Path, output: Path) -> Iterator[Checkout]:
    """The folders in a folder, or of a list; called by their last name, or by more where two share it.

    The folder for what is found is none of them.
    """
    if source.is_dir():
        own = os.path.realpath(output)
        found = [path for path in sorted(source.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        found = [path for path in found if os.path.realpath(path) != own]
    else:
        content = disk.read(source, disk.LARGE, "the limit for a list").decode("utf-8", "replace")
        texts = [line.strip() for line in content.split("\n")]
        found = [source.parent / text for text in texts if text and not text.startswith("#")]
    named: set[str] = set()
    for path in dict.fromkeys(Path(os.path.normpath(Path.cwd() / path)) for path in found):
        parts = path.parts[1:] or ("root",)
        longer = ("+".join(parts[-count:]) for count in range(1, len(parts) + 1))
        numbered = (f"{'+'.join(parts)}+{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain(longer, numbered) if name not in named)
        named.add(name)
        yield Checkout(name, os.fspath(path))
