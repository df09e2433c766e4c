"""Options that several commands have, and what they come to: a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from servelint.cli.terminal import complain
from servelint.finding import Confidence, Severity
from servelint.project.config import ConfigError, codes
from servelint.project.environment import NONE
from servelint.project.listing.files import shown_path
from servelint.project.reported import baseline
from servelint.run import Run, prepare

F = TypeVar("F", bound=Callable[..., Any])
STDIN = "-"
ORIGIN = "command line"


class Failure(click.ClickException):
    """The run failed; the message is all there is to say."""

    exit_code = 2

    def show(self, file: Any = None) -> None:  # noqa: ARG002 - the signature is click's
        """Tell on standard error."""
        complain(self.message)


def _together(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def output_folder(default: str) -> Callable[[F], F]:
    """`--output` of a command that writes several files."""
    return click.option(
        "--output",
        "-o",
        type=click.Path(path_type=Path, file_okay=False),
        default=default,
        help=f"The folder to write to (default: {default}).",
    )


def _complete_codes(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from servelint.knowledge.pages import codes as known

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{code}" for code in known() if code.startswith(last.upper())]


def _codes_option(name: str, description: str) -> Callable[[F], F]:
    return click.option(
        name, multiple=True, metavar="CODES", help=description, shell_complete=_complete_codes
    )


paths_argument = click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))

configuration_options = _together(
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Use this configuration file instead of the nearest.",
    ),
    click.option(
        "--isolated",
        is_flag=True,
        help="Ignore all configuration files and all environments but --environment.",
    ),
    click.option(
        "--environment",
        metavar="PATH",
        help="Follow calls into the packages of this virtual environment, prefix or folder; `none` for none.",
    ),
)

selection_options = _together(
    _codes_option("--select", "Only these rules: codes or prefixes, separated by commas."),
    _codes_option("--ignore", "Not these rules."),
    _codes_option("--extend-select", "These rules in addition to the configured ones."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out these files, as in .gitignore."),
    click.option("--extend-exclude", multiple=True, metavar="GLOB", help="The same, in addition."),
    click.option(
        "--min-confidence",
        type=click.Choice([item.value for item in Confidence]),
        help="Leave out findings that are less sure than this.",
    ),
    click.option("--report-unused", is_flag=True, default=None, help="Report suppressions without effect."),
)

judgement_options = _together(
    click.option(
        "--severity",
        multiple=True,
        metavar="CODE=LEVEL",
        help="Give a rule another severity, e.g. SRV202=error.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice([item.value for item in Severity]),
        help="Exit with 1 from this severity on (default: warning).",
    ),
)

baseline_options = _together(
    click.option(
        "--baseline",
        "baseline_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Report only what this baseline does not have.",
    ),
    click.option("--no-baseline", is_flag=True, help="Report old findings as well."),
)

cache_option = click.option(
    "--no-cache", is_flag=True, help="Work everything out anew and keep nothing for the next run."
)

stdin_option = click.option(
    "--stdin-filename",
    type=click.Path(path_type=Path),
    help="What the text on standard input (-) is to be taken for.",
)


class Target(NamedTuple):
    """What to check and from where, as typed."""

    paths: Sequence[Path]
    config_file: Path | None = None
    isolated: bool = False
    stdin_filename: Path | None = None

    @property
    def is_stdin(self) -> bool:
        """Whether the text to check comes from standard input."""
        return Path(STDIN) in self.paths

    def run(self) -> Run:
        """The run, with its configuration; raises `Failure`."""
        overlay: Mapping[Path, bytes] | None = None
        paths: Sequence[Path] = self.paths or (Path(),)
        if self.is_stdin:
            if len(self.paths) > 1:
                raise click.UsageError("`-` stands for standard input and cannot be combined with paths.")
            name = (self.stdin_filename or Path("stdin.py")).absolute()
            overlay = {name: _standard_input()}
            paths = (name,)
        try:
            return prepare(
                paths,
                config_file=self.config_file,
                isolated=self.isolated,
                overlay=overlay,
                variables=os.environ,
            )
        except ConfigError as error:
            raise Failure(str(error)) from error


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise Failure(f"standard input cannot be read: {error.strerror}") from error


def configured(run: Run, values: Mapping[str, Any]) -> Run:
    """The run with the options of the command line in place of the configured ones."""
    given = {name: value for name, value in values.items() if value not in (None, ())}
    try:
        overrides = {name: _READ.get(name, lambda value: value)(value) for name, value in given.items()}
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if "severity" in overrides:
        overrides["severity"] = {**run.config.severity, **overrides["severity"]}
    return run._replace(config=run.config.override(ORIGIN, **overrides))


def _chosen_codes(values: Sequence[str]) -> tuple[str, ...]:
    chosen = _split_codes(values)
    if not chosen:  # as an unset variable of a script has it; a run without rules would always pass
        raise ValueError("--select names no rule")
    return chosen


def _split_codes(values: Sequence[str]) -> tuple[str, ...]:
    return codes([part.strip() for value in values for part in value.split(",") if part.strip()])


def _severities(values: Sequence[str]) -> dict[str, Severity]:
    read: dict[str, Severity] = {}
    for value in values:
        code, _, level = value.partition("=")
        named = _split_codes([code])
        if not named or level not in list(Severity):
            raise ValueError(f"`{value}` must be CODE=LEVEL, LEVEL one of {', '.join(Severity)}")
        read |= dict.fromkeys(named, Severity(level))
    return read


_READ: Mapping[str, Callable[[Any], Any]] = {
    "select": _chosen_codes,
    "ignore": _split_codes,
    "extend_select": _split_codes,
    "severity": _severities,
    "fail_on": Severity,
    "min_confidence": Confidence,
    "environment": lambda path: path if path == NONE else str(Path.cwd() / path),
}


def with_baseline(run: Run, baseline_file: Path | None, no_baseline: bool) -> Run:
    """The run with the baseline it is to be compared with; raises `Failure` for one that cannot be used."""
    if no_baseline:
        return run
    try:
        if baseline_file is not None:
            return run._replace(known=baseline.load(baseline_file))
        return run.with_baseline()
    except baseline.BaselineError as error:
        raise Failure(str(error)) from error


def complain_about_missing(run: Run) -> None:
    """Name the paths that do not exist."""
    for path in run.missing:
        complain(f"{shown_path(path, Path.cwd())}: no such file or folder")
