"""`servelint suppress`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from servelint import annotate, edits
from servelint.cli import options
from servelint.cli.check import checked
from servelint.cli.terminal import complain, write, write_bytes
from servelint.escape import visible
from servelint.finding import ExitStatus
from servelint.project.listing.files import shown_path

EPILOG = """\b
Examples:
  servelint suppress --reason "legacy, see OPS-12" app/
  servelint suppress --select SRV202 --reason "a cache, memory is the right metric" k8s/
  servelint suppress --diff --reason "to be offloaded in May"
"""


@click.command(epilog=EPILOG)
@options.paths_argument
@click.option("--reason", required=True, help="Why the findings may stay; goes into every comment.")
@click.option("--diff", is_flag=True, help="Print a patch for `git apply` instead of writing.")
@options.selection_options
@options.baseline_options
@options.configuration_options
def command(
    *,
    paths: Sequence[Path],
    reason: str,
    diff: bool,
    baseline_file: Path | None,
    no_baseline: bool,
    config_file: Path | None,
    isolated: bool,
    **settings: Any,
) -> int:
    """Add a suppression comment with a reason above everything that is found in PATHS."""
    if not reason.strip() or "\n" in reason:
        raise click.UsageError("The reason must be one line of text.")
    run = options.configured(options.Target(paths, config_file, isolated).run(), settings)
    run = options.with_baseline(run, baseline_file, no_baseline)
    options.complain_about_missing(run)
    if run.missing:
        return ExitStatus.FAILED
    outcome = edits.apply(
        checked(run, quiet=False),
        unsafe=False,
        known=run.known,
        propose=lambda report: annotate.with_suppressions(report, reason),
    )
    for item in outcome.rejected:
        span = item.finding.span
        place = f"{shown_path(span.path, Path.cwd())}:{span.line}"
        complain(f"{place}: {item.finding.code}: not suppressed: {item.reason}")
    if diff:
        write_bytes(edits.patch(outcome, Path.cwd()))
        return ExitStatus.FINDINGS if outcome.after else ExitStatus.CLEAN
    try:
        for path in edits.write(outcome):
            write(f"{visible(shown_path(path, Path.cwd()))}: suppressed\n")
    except edits.WriteError as error:
        raise options.Failure(str(error)) from error
    return outcome.report.exit_status
