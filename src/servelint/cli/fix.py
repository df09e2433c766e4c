"""`servelint fix`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from servelint import edits
from servelint.cli import options
from servelint.cli.check import checked, remarks
from servelint.cli.terminal import Progress, complain, style_for, write, write_bytes
from servelint.edits import Outcome
from servelint.escape import visible
from servelint.finding import Applicability, ExitStatus, Finding
from servelint.knowledge.pages import name_of
from servelint.reports.style import Style
from servelint.run import Run

EPILOG = """\b
Examples:
  servelint fix --diff                 show the repairs as a patch, write nothing
  servelint fix                        repair what can be repaired without a change of behaviour
  servelint fix --unsafe-fixes app/    also what may change behaviour, in one folder
  servelint fix --select SRV2          manifests only
  cat app.py | servelint fix - --stdin-filename app.py > fixed.py

Exit status: 0 nothing is left to report (with --diff: nothing would change), 1 otherwise, 2 the run failed.
"""


@click.command(epilog=EPILOG)
@options.paths_argument
@click.option("--diff", is_flag=True, help="Print a patch for `git apply` instead of writing.")
@click.option("--unsafe-fixes", is_flag=True, help="Also apply fixes that may change behaviour.")
@options.selection_options
@options.judgement_options
@options.baseline_options
@options.stdin_option
@options.cache_option
@click.option("--quiet", "-q", is_flag=True, help="Say nothing about what was done.")
@options.configuration_options
def command(
    *,
    paths: Sequence[Path],
    diff: bool,
    unsafe_fixes: bool,
    baseline_file: Path | None,
    no_baseline: bool,
    stdin_filename: Path | None,
    no_cache: bool,
    quiet: bool,
    config_file: Path | None,
    isolated: bool,
    **settings: Any,
) -> int:
    """Rewrite what can be rewritten in PATHS (default: the project in this folder).

    A file is written in one step and only if the result parses, the finding is gone and nothing new is
    found.
    """
    target = options.Target(paths, config_file, isolated, stdin_filename)
    run = options.with_baseline(options.configured(target.run(), settings), baseline_file, no_baseline)
    options.complain_about_missing(run)
    if run.missing and not run.paths:
        return ExitStatus.FAILED
    outcome = _worked_out(run if no_cache else run.with_cache(), unsafe=unsafe_fixes, quiet=quiet)
    if diff:
        write_bytes(edits.patch(outcome, Path.cwd()))
        status = ExitStatus.FINDINGS if outcome.after else ExitStatus.CLEAN
    elif target.is_stdin:
        _print_fixed(run, outcome)
        status = outcome.report.exit_status
    else:
        _write(outcome)
        style = style_for(sys.stdout)
        lines = [] if quiet else [*_done(outcome, style), *_left(outcome, style, unsafe=unsafe_fixes)]
        write("".join(f"{line}\n" for line in lines))
        status = outcome.report.exit_status
    remarks(outcome.report, quiet=quiet)
    return ExitStatus.FAILED if run.missing else status


def _worked_out(run: Run, *, unsafe: bool, quiet: bool) -> Outcome:
    report = checked(run, quiet=quiet)
    progress = Progress(quiet=quiet)
    try:
        return edits.apply(report, unsafe=unsafe, known=run.known, stage=progress)
    finally:
        progress.done()


def _print_fixed(run: Run, outcome: Outcome) -> None:
    (path,) = run.paths
    write_bytes(outcome.after.get(path, outcome.report.tree.read(path)))
    elsewhere = sorted(str(changed) for changed in outcome.after if changed != path)
    if elsewhere:
        complain(f"the fix also needs changes to {', '.join(elsewhere)}; run `servelint fix` on the file")


def _write(outcome: Outcome) -> None:
    written: list[Path] = []
    try:
        written += edits.write(outcome)
    except edits.WriteError as error:
        done = f"; already written: {', '.join(map(str, written))}" if written else ""
        raise options.Failure(f"{error}{done}") from error


def _done(outcome: Outcome, style: Style) -> Iterator[str]:
    if not outcome.applied:
        return
    files = len(outcome.after)
    count = len(outcome.applied)
    yield style.paint(
        f"Repaired {count} finding{'s' * (count != 1)} in {files} file{'s' * (files != 1)}:", "bold"
    )
    for finding in sorted(outcome.applied, key=lambda item: (item.span, item.code)):
        title = finding.fix.title if finding.fix else ""
        yield f"  {_place(finding, style)}: {visible(title)}"


def _left(outcome: Outcome, style: Style, *, unsafe: bool) -> Iterator[str]:
    left = outcome.report.findings
    if not left:
        yield style.paint("Nothing is left to report.", "green")
        return
    yield style.paint(f"Left {len(left)} finding{'s' * (len(left) != 1)}:", "bold")
    reasons = {_identity(item.finding): item.reason for item in outcome.rejected}
    for finding in left:
        why = _why_left(finding, reasons.get(_identity(finding), ""), unsafe)
        yield f"  {_place(finding, style)}: {visible(why)}"


def _identity(finding: Finding) -> tuple[object, ...]:
    return (finding.code, finding.span.path, finding.function, finding.message)


def _why_left(finding: Finding, rejected: str, unsafe: bool) -> str:
    if rejected:
        return f"the fix was taken back: {rejected}"
    if finding.fix is not None and finding.fix.applicability is Applicability.UNSAFE and not unsafe:
        return f"needs --unsafe-fixes: {finding.fix.reason or finding.fix.title}"
    return f"no fix: {finding.unfixable}" if finding.unfixable else "no fix for this rule"


def _place(finding: Finding, style: Style) -> str:
    return f"{style.place(finding.span)} {style.paint(finding.code, 'cyan')} {name_of(finding.code)}"
