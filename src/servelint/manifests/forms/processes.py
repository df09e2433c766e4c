"""Files that list processes to run on one machine: Procfile, supervisord, systemd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servelint.manifests.documents.text import Located
from servelint.project.text.source import Source


@dataclass(frozen=True, slots=True)
class Kind:
    """How a file spells its commands; the first group is the command."""

    command: re.Pattern[str]
    in_image_only: bool = False


_PROCFILE = Kind(re.compile(r"^[\w-]++:[ \t]*+(.+)$", re.MULTILINE))
_SUPERVISOR = Kind(re.compile(r"^command[ \t]*+=[ \t]*+(.+(?:\r?\n[ \t]++\S.*)*+)$", re.MULTILINE))
# A unit on a host is a server run by hand: several workers are what its cores are for.
_SYSTEMD = Kind(
    re.compile(r"^ExecStart[ \t]*+=[ \t]*+[-@:+!]*+(.+(?:\\\r?\n.*)*)$", re.MULTILINE), in_image_only=True
)


def kind_of(path: Path) -> Kind | None:
    """How a file lists processes, or None where it does not."""
    name = path.name
    if name == "Procfile" or name.startswith("Procfile."):
        return _PROCFILE
    if name.endswith((".conf", ".ini")) and "supervisor" in name:
        return _SUPERVISOR
    return _SYSTEMD if name.endswith(".service") else None


def commands(source: Source, kind: Kind) -> Iterator[Located]:
    """The commands of a file, as shell code."""
    for found in kind.command.finditer(source.text):
        yield Located.of(source, *found.span(1))
