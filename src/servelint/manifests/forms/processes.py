"""Files that say what to run without describing a container: Procfile, supervisord, systemd, App Service."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.forms import masking
from servelint.manifests.shell.commandline import split
from servelint.project.text.source import Source


@dataclass(frozen=True, slots=True)
class Kind:
    """How a file spells its commands; the first group is the command.

    Where there are sections, `copies` is how one says that its command is started several times; `variables`
    is how a file gives its commands some.
    """

    command: re.Pattern[str]
    copies: re.Pattern[str] | None = None
    variables: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command as shell code, and how many times it is started where that is said."""

    code: Located
    copies: Located | None = None


_PROCFILES = re.compile(r"procfile(?:[._-].*)?|.*\.procfile", re.IGNORECASE)
_DEVELOPMENT = re.compile(r"[._-](?:dev|development|local|test)(?![a-z])", re.IGNORECASE)
_PROCFILE = Kind(re.compile(r"^[\w-]++:[ \t]*+(.+)$", re.MULTILINE))
_SUPERVISOR = Kind(
    re.compile(r"^command[ \t]*+=[ \t]*+(.+(?:\r?\n[ \t]++\S.*)*)$", re.MULTILINE),
    re.compile(r"^numprocs[ \t]*+[=:][ \t]*+(\d++)(?:[ \t]++;.*|[ \t]*+)\r?$", re.MULTILINE),
)
_SECTION = re.compile(r"^\[", re.MULTILINE)
# https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Environment=
_SYSTEMD = Kind(
    re.compile(r"^ExecStart[ \t]*+=[ \t]*+[-@:+!]*+((?:[^\\\n]|\\\r?\n|\\.)+)$", re.MULTILINE),
    variables=re.compile(r"^Environment[ \t]*+=[ \t]*+(.+)$", re.MULTILINE),
)
_ASSIGNED = re.compile(r"(\w+)=(.*)")
# What App Service is told to start, in a workflow, a pipeline or a script that sets it up.
# https://learn.microsoft.com/en-us/azure/app-service/configure-language-python#customize-startup-command
_KEY = r"^[ \t-]*+[\"']?(?:startup-command|startUpCommand|appCommandLine)[\"']?[ \t]*+:[ \t]*+"
_OPTION = r"--startup-file[ \t=]++"
_APP_SERVICE = Kind(
    re.compile(
        rf"{_KEY}([^\s\"'|>].*?)[ \t]*+\r?$|{_KEY}\"([^\"\n]++)\"|{_KEY}'([^'\n]++)'"
        rf"|{_OPTION}\"([^\"\n]++)\"|{_OPTION}'([^'\n]++)'",
        re.MULTILINE,
    )
)
_STARTS = (b"startup-command", b"startUpCommand", b"appCommandLine", b"--startup-file")
# One of these stands in what deploys to App Service, which starts a file of this name where it is told to.
APP_SERVICE = (b"azure/webapps-deploy", b"AzureWebApp@", b"AzureRmWebAppDeployment@", b"az webapp ")
STARTUP = "startup.sh"


def kind_in(data: bytes) -> Kind | None:
    """How a file says what App Service starts, or None where it does not."""
    return _APP_SERVICE if any(word in data for word in _STARTS) else None


def kind_of(path: Path) -> Kind | None:
    """How a file lists processes, or None where it does not."""
    name = path.stem if masking.is_template(path) else path.name
    if _PROCFILES.fullmatch(name):
        return None if _DEVELOPMENT.search(name) else _PROCFILE
    if name.endswith((".conf", ".ini")):  # others are not listed
        return _SUPERVISOR
    return _SYSTEMD if name.endswith(".service") else None


def commands(source: Source, kind: Kind) -> Iterator[Command]:
    """The commands of a file."""
    edges = [0, *(found.start() for found in _SECTION.finditer(source.text) if kind.copies), len(source.text)]
    for start, end in itertools.pairwise(edges):
        copies = kind.copies.search(source.text, start, end) if kind.copies is not None else None
        number = Located.of(source, *copies.span(1)) if copies is not None else None
        for found in kind.command.finditer(source.text, start, end):
            yield Command(Located.of(source, *found.span(found.lastindex or 0)), number)


def variables(source: Source, kind: Kind) -> Environment:
    """The variables that a file gives its commands."""
    values: dict[str, Located | None] = {}
    for found in kind.variables.finditer(source.text) if kind.variables is not None else ():
        for word in split(Located.of(source, *found.span(1))):
            assigned = _ASSIGNED.fullmatch(word.text)
            if assigned is not None:
                values[assigned[1]] = word.slice(*assigned.span(2))
    return Environment(values)
