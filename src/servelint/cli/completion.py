"""`servelint completion`."""

from __future__ import annotations

import click

from servelint.cli.terminal import write

EPILOG = """\b
Examples:
  servelint completion bash > ~/.local/share/bash-completion/completions/servelint
  servelint completion zsh > "${fpath[1]}/_servelint"
  servelint completion fish > ~/.config/fish/completions/servelint.fish
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands, options and rule codes in SHELL."""
    from click.shell_completion import get_completion_class

    from servelint.cli.commands import group

    completion = get_completion_class(shell)
    assert completion is not None, "the choices are those that click has"
    write(completion(group, {}, "servelint", "_SERVELINT_COMPLETE").source() + "\n")
