"""`servelint config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from servelint.cli import options
from servelint.cli.terminal import write
from servelint.escape import json_text, visible
from servelint.project.config import Config, option_names
from servelint.project.listing.files import shown_path

EPILOG = """\b
Examples:
  servelint config                     what holds for this folder
  servelint config --select SRV2       with an option of `check`
  servelint config --schema            the JSON Schema of the options, for editors
"""


@click.command(epilog=EPILOG)
@options.paths_argument
@options.selection_options
@options.judgement_options
@options.configuration_options
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the options instead.")
@click.option(
    "--output-format", type=click.Choice(["text", "json"]), default="text", help="text (default) or json."
)
def command(
    *,
    paths: Sequence[Path],
    config_file: Path | None,
    isolated: bool,
    schema: bool,
    output_format: str,
    **settings: Any,
) -> None:
    """Show the configuration that holds for PATHS, and where each value came from."""
    if schema:
        write((Path(__file__).parents[1] / "schemas" / "config.schema.json").read_text("utf-8"))
        return
    run = options.configured(options.Target(paths, config_file, isolated).run(), settings)
    options.complain_about_missing(run)
    values = effective(run.config)
    if output_format == "json":
        write(json_text(values, indent=2) + "\n")
        return
    root = run.config.root
    source = shown_path(run.config.source, Path.cwd()) if run.config.source else "none found"
    write(f"# project root: {visible(str(root))}\n# configuration: {visible(source)}\n")
    for name, item in values.items():
        write(f"{name} = {json_text(item['value'])}  # {visible(item['origin'])}\n")


def effective(config: Config) -> dict[str, dict[str, Any]]:
    """Every option with its `value` and its `origin`: `default`, a file and line, or the command line."""
    values: dict[str, dict[str, Any]] = {}
    for name in option_names():
        owner, _, field = name.rpartition(".")
        value = getattr(config.fix if owner else config, field.replace("-", "_"))
        place = config.provenance.get(name, "default")
        folder = f"{Path.cwd()}/"
        values[name] = {"value": _plain(value), "origin": place.removeprefix(folder)}
    return values


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
