"""The commands, each in a module of its own that is imported when the command is named."""

from __future__ import annotations

from importlib import import_module

import click

from servelint.version import __version__

COMMANDS = {
    "check": "Find what stalls the service.",
    "fix": "Rewrite what can be rewritten safely.",
    "rule": "Explain a rule, or list them all.",
    "baseline": "Accept today's findings, so that only new ones are reported.",
    "suppress": "Add suppression comments, with a reason, to today's findings.",
    "config": "Show the configuration in force, and where each value came from.",
    "learn": "Write down what the packages of a library do, by reading them.",
    "fleet": "Check many checkouts at once, here or on a cluster.",
    "init": "Set up configuration, pre-commit hook and workflow in a repository.",
    "clean": "Remove what earlier runs have kept to be faster.",
    "server": "Run the language server for editors.",
    "completion": "Print the completion script for a shell.",
}


class Commands(click.Group):
    """A group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Names in the order of their use."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command `name`, None if there is none."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"servelint.cli.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the nearest."""
        if arguments and arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
            import difflib
            from pathlib import Path

            near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            if not near and Path(arguments[0]).exists():
                hint = f" Did you mean `servelint check {arguments[0]}`?"
            context.fail(f"No such command `{arguments[0]}`.{hint}")
        return super().resolve_command(context, arguments)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Documentation of a rule: `servelint rule SRV101`. Help on a command: `servelint check --help`.",
)
@click.version_option(__version__, "-V", "--version", prog_name="servelint", message="%(prog)s %(version)s")
def group() -> None:
    """Find the code and the manifests that stall a machine-learning service, and fix them.

    \b
    servelint check                  check the project in this folder
    servelint check app/main.py      report on one file, knowing the rest
    servelint fix --diff             show the repairs as a patch
    servelint rule SRV101            why it matters and what to do
    """
