"""Dockerfiles and Containerfiles: what each stage starts, with which variables, where its files come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from servelint.boundary import LimitError
from servelint.knowledge.servers import servers
from servelint.manifests.documents.text import Located, word
from servelint.manifests.shell import written
from servelint.project.text.source import split_lines

NAME = re.compile(r"(?:.*\.)?(?:dockerfile|containerfile)(?:[._-].*)?", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*escape\s*=\s*([\\`])", re.IGNORECASE)
_INSTRUCTION = re.compile(r"\s*+([A-Za-z]++)(?:\s++|$)")
_HEREDOC = re.compile(r"<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_.]*+)\2")
_ESCAPED = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)|[^\\]++", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+"')
_FLAG = re.compile(r"--[a-z][a-z-]*+(?:=\S++)?\s++")
_QUOTED = re.compile(r"\"[^\"\\\n]*\"|'[^'\n]*'")
_END_OF_ARRAY = re.compile(r"\s*,?\s*\]\s*(?:#.*)?")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
_WORDS = re.compile(r"\S++")
_MAX_NESTING = 100
_MAX_STAGES = 500
_REFERENCE = re.compile(r"\\\$|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:[-+])([^{}$]*))?\})")
_PAIR = re.compile(
    r"""(?<![A-Za-z0-9_.-])([A-Za-z_][A-Za-z0-9_.-]*+)=((?:"(?:[^"\\]|\\.)*+"|'[^']*+'|\\.|[^\s"'\\])*+)"""
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `text` is what follows its name, continuation lines joined and comments dropped."""

    name: str
    text: Located
    heredocs: tuple[Located, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What CMD or ENTRYPOINT holds: the words of the exec form, or the script of the shell form."""

    words: tuple[Located, ...] = ()
    script: Located | None = None

    @property
    def text(self) -> Located:
        """The command as one text, to point at."""
        return self.script if self.script is not None else self.words[0]


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY or ADD from the build context: `sources` are paths in it, `target` is absolute in the image."""

    sources: tuple[str, ...]
    target: str


@dataclass(slots=True)
class Stage:
    """One `FROM` and what follows it.

    `arguments` are there while the image is built and gone when it runs; `parent` is the stage of this file
    that it is built on, and `own_command` says that its CMD is not that stage's.
    """

    base: Located
    name: str
    environment: dict[str, Located] = field(default_factory=dict)
    arguments: dict[str, Located] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    entrypoint: Command | None = None
    command: Command | None = None
    folder: str = "/"
    ports: tuple[str, ...] = ()
    # Files that instructions write, by their path in the image.
    written: dict[str, Located] = field(default_factory=dict)
    parent: Stage | None = None
    own_command: bool = False
    own_entrypoint: bool = False

    def replaces_start_of(self, other: Stage) -> bool:
        """Whether this stage is built on another one and starts something else than that."""
        replaced = False
        stage: Stage | None = self
        while stage is not None and stage is not other:
            replaced = replaced or stage.own_command or stage.own_entrypoint
            stage = stage.parent
        return stage is other and replaced


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A Dockerfile's stage."""

    path: Path
    stage: Stage
    last: bool = True


def instructions(text: Located) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, in order."""
    escape = _escape_character(text.text)
    lines = _lines(text)
    while (line := next(lines, None)) is not None:
        if not line.text.strip() or line.text.lstrip().startswith("#"):
            continue
        joined = Located.join(_continued(line, lines, escape))
        found = _INSTRUCTION.match(joined.text)
        if found is None:
            continue
        name = found.group(1).upper()
        rest = joined.slice(found.end(), len(joined)).strip()
        heredocs = tuple(_heredocs(rest, lines)) if name in ("RUN", "COPY", "ADD") else ()
        yield Instruction(name, rest, heredocs)


def stages(text: Located) -> list[Stage]:
    """The stages of a Dockerfile; a stage built on another one starts with what that one has."""
    found: list[Stage] = []
    named: dict[str, Stage] = {}
    arguments: dict[str, Located] = {}
    for instruction in instructions(text):
        if instruction.name == "FROM":
            if len(found) >= _MAX_STAGES:
                raise LimitError(f"more than {_MAX_STAGES} stages", _line(instruction.text))
            stage = _start(instruction.text, named, arguments)
            found.append(stage)
            if stage.name:
                named[stage.name.lower()] = stage
        elif instruction.name == "ARG":
            _declare(instruction.text, arguments, found[-1] if found else None)
        elif found:
            _apply(found[-1], instruction)
    return found


def _line(text: Located) -> int:
    return text.place.span.line if text.runs else 0


def _start(text: Located, named: Mapping[str, Stage], arguments: Mapping[str, Located]) -> Stage:
    """FROM: an image or an earlier stage, named by what the arguments before it say."""
    words = [
        text.slice(*found.span()) for found in _WORDS.finditer(text.text) if not found[0].startswith("--")
    ]
    base = words[0] if words else text
    if "$" in base.text:
        base = Located.computed(_expanded(base, arguments).text, base.place)
    name = words[2].text if len(words) > 2 and words[1].text.upper() == "AS" else ""
    stage = named.get(base.text.lower())
    if stage is None:
        known = servers().base_image(base.text)
        return Stage(base, name, folder=known.folder if known is not None else "/")
    return Stage(
        stage.base,
        name,
        dict(stage.environment),
        copies=list(stage.copies),
        entrypoint=stage.entrypoint,
        command=stage.command,
        folder=stage.folder,
        written=dict(stage.written),
        parent=stage,
    )


def _declare(text: Located, common: dict[str, Located], stage: Stage | None) -> None:
    """ARG: with a default, or in a stage without one, which then takes the default from before FROM."""
    known = {**common, **stage.arguments, **stage.environment} if stage is not None else common
    given = {name: _expanded(value, known) for name, value in _pairs(text)}
    if stage is None:
        common.update(given)
        return
    for name in text.text.split():
        if name in common:
            stage.arguments[name] = common[name]
    stage.arguments.update(given)


def _expanded(text: Located, known: Mapping[str, Located]) -> Located:
    """The text with `$NAME`, `${NAME}`, `${NAME:-other}` and `${NAME:+other}` replaced where they can be."""
    if "$" not in text.text:
        return text
    parts: list[Located] = []
    position = 0
    for found in _REFERENCE.finditer(text.text):
        name, operator = found.group(1) or found.group(2), found.group(3)
        value = known.get(name) if name else None
        if operator == ":-" and (value is None or not value.text):
            value = text.slice(*found.span(4))
        elif operator == ":+":
            value = text.slice(*found.span(4)) if value is not None and value.text else None
        if value is None:
            continue
        parts += [text.slice(position, found.start()), value]
        position = found.end()
    parts.append(text.slice(position, len(text)))
    return word([part for part in parts if part.text]) if any(part.text for part in parts) else parts[-1]


def _apply(stage: Stage, instruction: Instruction) -> None:
    text = instruction.text
    match instruction.name:
        case "ENV":
            # All values of one instruction see the variables as they were before it.
            known = {**stage.arguments, **stage.environment}
            stage.environment.update(
                {name: _expanded(value, known) for name, value in _environment(text).items()}
            )
        case "WORKDIR":
            folder = text.text.strip("\"' ")
            stage.folder = folder if folder.startswith("/") else f"{stage.folder.rstrip('/')}/{folder}"
        case "COPY" | "ADD":
            copy = _copy(text, stage.folder)
            if copy:
                stage.copies.append(copy)
            if instruction.heredocs:
                stage.written.update(written.copied(instruction.text, instruction.heredocs, stage.folder))
        case "RUN":
            stage.written.update(written.by_commands(instruction.text, instruction.heredocs, stage.folder))
        case "EXPOSE":
            stage.ports += tuple(text.text.split())
        case "ENTRYPOINT":
            # An ENTRYPOINT resets the CMD that a base stage left, not the stage's own.
            stage.entrypoint = command(text)
            stage.own_entrypoint = True
            if not stage.own_command:
                stage.command = None
        case "CMD":
            stage.command = command(text)
            stage.own_command = True
        case _:
            pass


def command(text: Located) -> Command | None:
    """What the argument of CMD or ENTRYPOINT runs; None where it is empty."""
    if text.text.startswith("["):
        words = _exec_form(text)
        if words is None:
            words = _meant(text)
        if words is not None:
            return Command(words=words) if words else None
    return Command(script=text) if text.text else None


def exec_words(command: Command | None) -> tuple[Located, ...]:
    """What is appended to an exec-form ENTRYPOINT: an exec-form CMD, or the shell that a shell form means."""
    if command is None:
        return ()
    if command.script is None:
        return command.words
    place = command.script.place
    return (Located.computed("/bin/sh", place), Located.computed("-c", place), command.script)


def _exec_form(text: Located) -> tuple[Located, ...] | None:
    """The strings of a JSON array, or None where it is not one (the engine then takes it for shell form)."""
    loaded = _json(text.text, _line(text))
    if not isinstance(loaded, list) or not all(isinstance(item, str) for item in loaded):
        return None
    words: list[Located] = []
    for found, value in zip(_STRING.finditer(text.text), loaded, strict=False):
        inner = text.slice(found.start() + 1, found.end() - 1)
        words.append(inner if inner.text == value else _unescaped(inner, value))
    return tuple(words)


def _unescaped(inner: Located, value: str) -> Located:
    """What a JSON string says, each character where it stands as far as that can be told."""
    if not inner.runs:
        return inner
    parts: list[Located] = []
    for found in _ESCAPED.finditer(inner.text):
        part = inner.slice(*found.span())
        escaped = found[0].startswith("\\")
        parts.append(Located.computed(json.loads(f'"{found[0]}"'), part.place) if escaped else part)
    joined = Located.join(parts)
    return joined if joined.text == value else Located.computed(value, inner.place)


def _meant(text: Located) -> tuple[Located, ...] | None:
    """The words of what is meant for a JSON array: in single quotes, or with a comment or a comma at its end.

    The engine takes it for shell code that starts nothing; what is meant to run is plain.
    """
    words: list[Located] = []
    position = 1
    for found in _QUOTED.finditer(text.text, 1):
        if text.text[position : found.start()].strip() not in ("", ","):
            break
        words.append(text.slice(found.start() + 1, found.end() - 1))
        position = found.end()
    return tuple(words) if words and _END_OF_ARRAY.fullmatch(text.text, position) else None


def _json(text: str, line: int) -> object:
    """What a JSON text says; None where it is none. Raises `LimitError`."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > _MAX_NESTING:
            raise LimitError(f"JSON nested more than {_MAX_NESTING} levels deep", line)
    try:
        return json.loads(text)
    except ValueError:
        return None


def _environment(text: Located) -> dict[str, Located]:
    if _PAIR.match(text.text):
        return dict(_pairs(text))
    name, _, value = text.text.partition(" ")
    start = len(name) + 1
    return {name: text.slice(start, start + len(value)).strip()} if value else {}


def _pairs(text: Located) -> Iterator[tuple[str, Located]]:
    for found in _PAIR.finditer(text.text):
        start, end = found.span(2)
        value = found.group(2)
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            start, end = start + 1, end - 1
        yield found.group(1), text.slice(start, end)


def _copy(written: Located, folder: str) -> Copy | None:
    text, position = written.text, 0
    while flag := _FLAG.match(text, position):
        if flag.group().startswith("--from"):
            return None
        position = flag.end()
    text = text[position:]
    if text.startswith("["):
        loaded = _json(text, _line(written))
        words = [str(item) for item in loaded] if isinstance(loaded, list) else []
    else:
        words = text.split()
    if len(words) < 2:
        return None
    target = words[-1] if words[-1].startswith("/") else f"{folder.rstrip('/')}/{words[-1]}"
    return Copy(tuple(words[:-1]), target)


def _escape_character(text: str) -> str:
    for line in split_lines(text):
        found = _DIRECTIVE.match(line.strip())
        if found:
            return found.group(1)
        if not line.startswith("#"):
            break
    return "\\"


def _lines(text: Located) -> Iterator[Located]:
    start = 0
    while start < len(text.text):
        end = text.text.find("\n", start) + 1 or len(text.text)
        yield text.slice(start, end)
        start = end


def _continued(line: Located, lines: Iterator[Located], escape: str) -> Iterator[Located]:
    """The line and those it continues on, without the escapes, comments and blank lines between."""
    while True:
        content = line.text.rstrip()
        if not content.endswith(escape):
            yield line.slice(0, len(content))
            return
        yield line.slice(0, len(content) - 1)
        following = next(lines, None)
        while following is not None and (
            not following.text.strip() or following.text.lstrip().startswith("#")
        ):
            following = next(lines, None)
        if following is None:
            return
        line = following


def _heredocs(text: Located, lines: Iterator[Located]) -> Iterator[Located]:
    for found in _HEREDOC.finditer(text.text):
        body: list[Located] = []
        for line in lines:
            content = line.text.rstrip("\r\n")
            if (content.lstrip("\t") if found.group(1) else content) == found.group(3):
                break
            body.append(line)
        yield Located.join(body)
