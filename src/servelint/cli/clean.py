"""`servelint clean`."""

from __future__ import annotations

import click

from servelint import store
from servelint.cli import options
from servelint.cli.terminal import write
from servelint.escape import visible

EPILOG = f"""\b
Examples:
  servelint clean

\b
The folder is that of {store.VARIABLE}, else the user's usual place for caches.
`servelint check --no-cache` neither reads nor writes it.
"""


@click.command(epilog=EPILOG)
def command() -> None:
    """Remove the caches of all projects."""
    try:
        removed = store.clean()
    except OSError as error:
        raise options.Failure(f"{error.filename}: cannot be removed: {error.strerror}") from error
    write(f"Removed {removed} file{'s' * (removed != 1)} from {visible(str(store.folder()))}.\n")
