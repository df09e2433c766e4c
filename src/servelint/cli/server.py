"""`servelint server`."""

from __future__ import annotations

import gc

import click

from servelint.cli import options


@click.command()
@click.option("--stdio", is_flag=True, help="Ignored: the server always speaks on standard input and output.")
def command(*, stdio: bool) -> None:  # noqa: ARG001 - many editors append it
    """Run the language server on standard input and output.

    Needs the extra `lsp`: pip install 'servelint[lsp]'.
    """
    try:
        from servelint import server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise options.Failure("the language server needs an extra: pip install 'servelint[lsp]'") from error
    gc.enable()  # it stays for hours
    server.serve()
