"""`servelint learn`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from servelint.cli import options
from servelint.cli.terminal import complain, write
from servelint.escape import visible
from servelint.finding import ExitStatus
from servelint.project import environment
from servelint.project.config import Config, ConfigError
from servelint.project.text.writing import replace_file

FOLDER = "servelint-libraries"

EPILOG = f"""\b
Examples:
  servelint learn resemblyzer==0.1.4         its wheel, from the index that pip is set to
  servelint learn dist/acme_ml-2.0-py3-none-any.whl
  servelint learn dist/acme_ml-2.0.tar.gz    a source distribution, which is not built
  servelint learn --environment .venv        all that is installed and not in the catalogue
  servelint learn acme-ml --environment .venv

\b
`libraries = ["{FOLDER}/*.yaml"]` in the configuration adds the files to what servelint knows.
They are for people to read and to correct; a file that is there already is kept without --force.
"""


@click.command(epilog=EPILOG)
@click.argument("distributions", nargs=-1, metavar="[DIST[==VERSION] | WHEEL | SDIST]...")
@click.option("--environment", "prefix", metavar="PATH", help="Read the packages that are installed here.")
@options.output_folder(FOLDER)
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of catalogue files instead.")
def command(
    *, distributions: Sequence[str], prefix: str | None, output: Path, force: bool, schema: bool
) -> int:
    """Read packages, and write down what their functions, classes and methods do.

    Nothing of them is imported, built or run. Of the index only wheels are taken.
    """
    if schema:
        write((Path(__file__).parents[1] / "schemas" / "library.schema.json").read_text("utf-8"))
        return ExitStatus.CLEAN
    if not distributions and prefix is None:
        raise click.UsageError("Name a distribution, a wheel or an sdist, or an --environment.")
    from servelint import learning

    written = 0
    try:
        with tempfile.TemporaryDirectory(prefix="servelint-") as folder:
            if prefix is None:
                found = learning.of_archives(distributions, Path(folder))
            else:
                config = Config(Path.cwd()).override(options.ORIGIN, environment=prefix)
                found = learning.of_environment(environment.folders(config), distributions)
            for title, data in found:
                if data is not None:
                    written += _write(data, output / learning.file_name(data["library"]), force=force)
                elif distributions:
                    complain(f"{title}: nothing in it is found to block")
    except (ConfigError, learning.LearnError) as error:
        raise options.Failure(visible(str(error))) from error
    if written:
        complain(f'`libraries = ["{output.as_posix()}/*.yaml"]` in the configuration adds what was written')
    return ExitStatus.CLEAN if written else ExitStatus.FAILED


def _write(data: dict[str, Any], path: Path, *, force: bool) -> bool:
    """Write one file, and say so; False where there is one already."""
    import yaml

    if path.exists() and not force:
        complain(f"{path}: is there already; --force replaces it")
        return False
    text = yaml.safe_dump(data, sort_keys=False, width=10_000, allow_unicode=True)
    about = f"# {data['source']}, read by `servelint learn`. Correct it where you know better.\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (about + text).encode())
    except OSError as error:
        raise options.Failure(f"{path}: cannot be written: {error.strerror}") from error
    counts = f"{len(data.get('functions', ()))} functions, {len(data.get('types', ()))} classes"
    write(f"{visible(path.as_posix())}: {counts} of {visible(data['library'])} {visible(data['version'])}\n")
    return True
