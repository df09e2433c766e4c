"""Images from elsewhere whose own command starts several workers: whether they do, and how many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from servelint.knowledge.servers import BaseImage, servers
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.forms.dockerfile import Command, Image, Stage
from servelint.manifests.forms.sources import Sources, copied_files
from servelint.manifests.shell.commandline import ASSUMED_CORES, WorkerCount, count


def keeps_command(stage: Stage, command: Command | None) -> bool:
    """Whether what an image starts is what its base starts: it says nothing, or names the base's script."""
    known = servers().base_image(stage.base.text)
    if known is None or stage.entrypoint is not None:
        return False
    if command is None:
        return True
    words = command.words or ((command.script,) if command.script is not None else ())
    script = words[0].text if len(words) == 1 else ""
    own = {PurePosixPath(source).name for copy in stage.copies for source in copy.sources}
    return script in known.scripts and script not in stage.written and PurePosixPath(script).name not in own


def _starts_one(known: BaseImage, environment: Environment) -> bool:
    """Whether a variable makes it start one process, or may: its value comes from elsewhere."""
    for name, value in known.unless.items():
        found = environment.get(name)
        if found is not None and found.text == value:
            return True
    for name in filter(None, (known.workers, known.limit)):
        if environment.unset(name):
            continue
        value_of = environment.get(name)
        number = count(value_of) if value_of is not None else None
        if value_of is None or (value_of.text and (number is None or number.number == 1)):
            return True
    return False


def says_number(stage: Stage, environment: Environment) -> bool:
    """Whether a container's own variables say how many workers the image's base starts."""
    known = servers().base_image(stage.base.text)
    return known is not None and any(
        name and not environment.unset(name) for name in (known.workers, known.limit)
    )


def workers(known: BaseImage, name: Located, environment: Environment) -> WorkerCount | None:
    """The number that a variable says, else one that the host decides: that one stands on the image's name.

    None where there is one worker, or may be.
    """
    if _starts_one(known, environment):
        return None
    said = environment.get(known.workers)
    found = count(said) if said is not None else None
    if found is not None:
        return replace(found, variable=known.workers)
    return WorkerCount(ASSUMED_CORES, True, Located.computed(name.text, name.place))


def application(known: BaseImage, environment: Environment, sources: Sources, image: Image | None) -> str:
    """The application that it serves: a variable names it, else the file that is there does."""
    said = environment.get(known.application)
    if said is not None:
        return said.text
    for reference in known.applications:
        path = f"{known.folder}/{reference.partition(':')[0].replace('.', '/')}.py"
        if copied(path, sources, image) is not None:
            return reference
    return known.applications[-1] if known.applications else ""


def copied(path: str, sources: Sources, image: Image | None) -> Path | None:
    """The project's file that stands at a path of the image."""
    if image is None:
        return None
    files = copied_files(PurePosixPath(path), image)
    return next((found for found in files if found in sources.known_paths), None)
