"""`servelint check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from servelint.cli import options
from servelint.cli.terminal import Progress, complain, style_for, write
from servelint.escape import output_line, visible
from servelint.finding import ExitStatus
from servelint.lint import Report
from servelint.project.listing.files import shown_path
from servelint.project.listing.git import GitError
from servelint.project.reported import causes
from servelint.reports import FORMATS, WITH_FIXES, render
from servelint.reports.style import Style
from servelint.run import Run

if TYPE_CHECKING:
    from servelint.stalls.log import Stall


_BROKEN = 5  # lines of a log that are complained about
_MOST_DIGITS = 9  # of a line's number


class OutputFormat(click.ParamType[tuple[str, Path | None]]):
    """`FORMAT` or `FORMAT=FILE`."""

    name = "format"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, Path | None]:
        """The format's name and the file, if one is given."""
        if isinstance(value, tuple):
            return value
        name, equals, file = str(value).partition("=")
        if name not in FORMATS:
            import difflib

            near = difflib.get_close_matches(name, FORMATS, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            self.fail(f"{name!r} is not one of {', '.join(FORMATS)}.{hint}", parameter, context)
        if equals and not file:
            self.fail(f"{value!r} names no file after `=`.", parameter, context)
        return name, Path(file) if file else None

    def shell_complete(
        self, _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The formats that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in FORMATS if name.startswith(incomplete)]


EPILOG = """\b
Examples:
  servelint check                                     the whole project
  servelint check app/ k8s/hpa.yaml                   report on these only
  servelint check --since origin/main                 what this branch touched or caused
  servelint check --output-format text --output-format sarif=servelint.sarif
  servelint check --stalls service.log                with how long the loop was seen to stand still
  servelint check --explain app/main.py:41            why line 41 is or is not a finding
  cat app.py | servelint check - --stdin-filename app.py

Exit status: 0 nothing found, 1 findings, 2 the run itself failed.
"""


@click.command(epilog=EPILOG)
@options.paths_argument
@click.option(
    "--output-format",
    "formats",
    type=OutputFormat(),
    multiple=True,
    metavar="FORMAT[=FILE]",
    help=f"One of {', '.join(FORMATS)}; may be given several times. Default: text.",
)
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@options.selection_options
@options.judgement_options
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if something is found.")
@click.option("--since", metavar="REV", default="", help="Only what the change since REV touched or caused.")
@options.baseline_options
@click.option(
    "--stalls",
    "logs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Put what this log of asyncio's debug mode measured on the findings; may be given several times.",
)
@options.stdin_option
@options.cache_option
@click.option(
    "--explain",
    "explained",
    metavar="PATH:LINE",
    default="",
    help="Say why what stands on a line is or is not a finding.",
)
@click.option("--statistics", is_flag=True, help="Counts by rule instead of findings.")
@click.option("--quiet", "-q", is_flag=True, help="Findings only: no summary, no progress.")
@click.option("--verbose", "-v", is_flag=True, help="Say what was read, what was skipped and why.")
@options.configuration_options
def command(
    *,
    paths: Sequence[Path],
    formats: Sequence[tuple[str, Path | None]],
    output: Path | None,
    exit_zero: bool,
    since: str,
    baseline_file: Path | None,
    no_baseline: bool,
    logs: Sequence[Path],
    stdin_filename: Path | None,
    no_cache: bool,
    explained: str,
    statistics: bool,
    quiet: bool,
    verbose: bool,
    config_file: Path | None,
    isolated: bool,
    **settings: Any,
) -> int:
    """Find what stalls the service in PATHS (default: the project in this folder).

    When PATHS are given, the whole project is still read, so that calls can be followed, but only they are
    reported on.
    """
    outputs = _outputs(formats, output)
    target = options.Target(paths, config_file, isolated, stdin_filename)
    started = target.run()
    place = _place(explained, started, target) if explained else None
    if place is not None and not paths and not place.path.is_relative_to(started.config.root):
        # The project in this folder does not have the file: then the file's own is meant.
        started = target._replace(paths=(place.path.parent,)).run()
    run = options.with_baseline(options.configured(started, settings), baseline_file, no_baseline)
    options.complain_about_missing(run)
    if run.missing and not run.paths:
        return ExitStatus.FAILED
    if place is not None:
        return _explain(place, run if no_cache else run.with_cache(), since)
    fixes = any(name in WITH_FIXES for name, _ in outputs)
    stalls = _stalls(logs, quiet=quiet)
    report = checked(run if no_cache else run.with_cache(), since, fixes=fixes, quiet=quiet)
    if logs:
        from servelint.stalls.match import with_stalls

        report = with_stalls(report, stalls)
    report = replace(report, findings=causes.joined(report.findings))
    for name, file in outputs:
        _deliver(name, file, report, quiet=quiet, statistics=statistics)
    remarks(report, quiet=quiet)
    if verbose:
        _tell(report)
    if run.missing:
        return ExitStatus.FAILED
    return ExitStatus.CLEAN if exit_zero else report.exit_status


class Place(NamedTuple):
    """What `--explain` asks about; the path is absolute."""

    path: Path
    line: int


def _place(text: str, run: Run, target: options.Target) -> Place:
    """The file and line of `PATH:LINE`; raises `click.UsageError` if there is no such file."""
    name, _, line = text.rpartition(":")
    path = Path(os.path.normpath(Path.cwd() / name))
    overlay = run.overlay or {}
    if target.is_stdin and name == options.STDIN:
        path = next(iter(overlay))
    is_line = line.isdecimal() and len(line) <= _MOST_DIGITS and int(line) > 0
    if not name or not is_line or not (path in overlay or path.is_file()):
        raise click.UsageError(f"--explain needs an existing file and a line, as in app.py:12, not {text!r}")
    return Place(path, int(line))


def _explain(place: Place, run: Run, since: str) -> int:
    """Print how what stands on a line is judged in the run, and what becomes of it."""
    from servelint.explanation import Explanation

    try:
        told = Explanation(run, place.path, since).lines(place.line)
    except GitError as error:
        raise options.Failure(f"--since {since}: {error}") from error
    write("".join(f"{output_line(visible(text))}\n" for text in told))
    return ExitStatus.FAILED if run.missing else ExitStatus.CLEAN


def _stalls(logs: Sequence[Path], *, quiet: bool) -> list[Stall]:
    """What the logs say, and on standard error what they do not; raises `options.Failure`."""
    if not logs:
        return []
    from servelint.stalls.log import LogError, read

    found: list[Stall] = []
    for path in logs:
        try:
            log = read(path)
        except LogError as error:
            raise options.Failure(str(error)) from error
        found += log.stalls
        for line in log.broken[:_BROKEN]:
            complain(f"{path}:{line}: begins as a line of asyncio's debug mode and is not one, left out")
        if not log.stalls and not quiet:
            complain(
                f"{path}: none of {log.lines:,} lines is one of asyncio's debug mode "
                "(`Executing <...> took ... seconds`)"
            )
    return found


def checked(run: Run, since: str = "", *, fixes: bool = True, quiet: bool) -> Report:
    """The report of `run`, with progress on a terminal; raises `options.Failure`."""
    progress = Progress(quiet=quiet)
    try:
        return run.check(since=since, fixes=fixes, stage=progress)
    except GitError as error:
        raise options.Failure(f"--since {since}: {error}") from error
    finally:
        progress.done()


def _outputs(
    formats: Sequence[tuple[str, Path | None]], output: Path | None
) -> list[tuple[str, Path | None]]:
    """Which format goes where; raises `click.UsageError` if two would share a place."""
    chosen = [(name, file or output) for name, file in formats or [("text", None)]]
    places = [file for _, file in chosen]
    if len(set(places)) < len(places):
        raise click.UsageError(
            "Several formats for one place: give each a file, as in `sarif=servelint.sarif`."
        )
    return chosen


def _deliver(name: str, file: Path | None, report: Report, *, quiet: bool, statistics: bool) -> None:
    if file is None:
        write(render(name, report, style_for(sys.stdout, quiet=quiet, statistics=statistics)))
    else:
        text = render(name, report, Style(summary=not quiet, statistics=statistics))
        try:
            file.write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise options.Failure(f"{file}: cannot be written: {error.strerror}") from error
    if name == "github":
        _summarise_job(report)


def _summarise_job(report: Report) -> None:
    """Append the table to the page of the workflow run: annotations are cut off after ten a step."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(render("markdown", report, Style()))
    except OSError as error:
        raise options.Failure(f"{place}: cannot be written: {error.strerror}") from error


def remarks(report: Report, *, quiet: bool) -> None:
    """What a person should know that is no finding, on standard error."""
    for problem in report.warnings:
        complain(f"{shown_path(problem.path, Path.cwd())}:{problem.line}: {problem.message}")
    if quiet:
        return
    if not report.files:
        complain("no Python files and no manifests to check")
    if report.stale:
        count = len(report.stale)
        entries = "entry of the baseline matches" if count == 1 else "entries of the baseline match"
        complain(f"{count} {entries} nothing any more; `servelint baseline --prune` removes what is stale")


def _tell(report: Report) -> None:
    config = report.config
    complain(f"project {config.root}, configuration {config.source or 'none'}")
    complain(
        f"read {len(report.tree.python)} Python files and {len(report.tree.manifests)} manifests, "
        f"reported on {report.files}, in {report.seconds:.2f} s"
    )
    for item in report.skipped:
        complain(f"skipped {shown_path(item.path, Path.cwd())}: {item.reason}")
    for suppressed in report.suppressed:
        span, reason = suppressed.finding.span, suppressed.suppression.reason or "no reason given"
        place = f"{shown_path(span.path, Path.cwd())}:{span.line}"
        complain(f"suppressed {place}: {suppressed.finding.code}: {reason}")
