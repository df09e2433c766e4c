"""The catalogue files of a project: `libraries = ["servelint-libraries/*.yaml"]` in its configuration.

They have the form of `rules/libraries`. Somebody else's commit may have brought them, so they are files of
the project, regular and small, without aliases and flat; what does not fit is an error with file, line and
key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servelint.knowledge.tables import Key, KnowledgeError, Table, line_of
from servelint.project import disk
from servelint.project.config import Config, ConfigError

if TYPE_CHECKING:
    from servelint.knowledge.types import Catalogue, Claim, Entry, Library

MOST_FILES = 200
_DEEPEST = 12
_DOTTED = re.compile(r"\w+(?:\.\w+)*")
_PATTERN = re.compile(r"[\w.*,{}]+")
_VERDICTS = {
    "thread_safe": ("yes", "no", "unknown"),
    "thread_safe_remote": ("yes", "no", "unknown"),
    "gil": ("releases", "holds", "mixed", "unknown"),
    "context": ("read", "unread", "unknown"),
}


def files(config: Config) -> tuple[Path, ...]:
    """The files that the configuration names, sorted; raises `ConfigError`."""
    found: dict[Path, None] = {}
    for pattern in config.libraries:
        named = sorted(_matching(config, pattern))
        if not named:
            raise _error(config, f"`{pattern}` fits no file in {config.root}")
        found |= dict.fromkeys(named)
    if len(found) > MOST_FILES:
        raise _error(config, f"names {len(found):,} files; at most {MOST_FILES} are read")
    return tuple(sorted(found))


def extended(catalogue: Catalogue, config: Config) -> Catalogue:
    """The catalogue with the project's files laid over it; raises `ConfigError`."""
    if not config.libraries:
        return catalogue
    from servelint.knowledge.layers import over

    read = [(path, *_library(path)) for path in files(config)]
    known = over(catalogue, [library for _, library, _ in read])
    for path, library, lines in read:
        try:
            _check(library, known, lines)
        except KnowledgeError as error:
            raise ConfigError(str(error), path, error.line) from error
    return known


def _error(config: Config, message: str) -> ConfigError:
    path, _, line = config.provenance.get("libraries", "").rpartition(":")
    if path and line.isdecimal():
        return ConfigError(f"`libraries` {message}", Path(path), int(line))
    return ConfigError(f"`libraries` {message}", config.source)


def _matching(config: Config, pattern: str) -> Iterator[Path]:
    """The files of the project that fit a pattern: `*` and `?` stand for anything inside one segment."""
    parts = pattern.split("/")
    if Path(pattern).is_absolute() or ".." in parts or "**" in parts:
        raise _error(config, f"has `{pattern}`: a path inside the project is needed, without `..` and `**`")
    folders = [str(config.root)]
    for part in parts[:-1]:
        folders = [path for folder in folders for path in _inside(folder, part, folders=True)][:MOST_FILES]
    root = os.path.realpath(config.root)
    for path in (path for folder in folders for path in _inside(folder, parts[-1], folders=False)):
        if not Path(os.path.realpath(path)).is_relative_to(root):
            raise _error(config, f"fits {path}, which leads out of the project")
        yield Path(path)


def _inside(folder: str, pattern: str, *, folders: bool) -> list[str]:
    """What is in the folder and fits: folders, or all else."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.path
                for entry in entries
                if fnmatchcase(entry.name, pattern or "*") and entry.is_dir(follow_symlinks=False) == folders
            )
    except OSError:
        return []


def _library(path: Path) -> tuple[Library, Mapping[str, int]]:
    """The library that a file describes, and the lines of the file's own keys."""
    from servelint.knowledge.catalogue import read_library

    try:
        text = disk.read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8", path) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from error
    try:
        parsed = _parsed(text)
        library = read_library(Table(parsed, "library", 1))
    except KnowledgeError as error:
        raise ConfigError(str(error), path, error.line) from error
    return library, {key: line_of(key) for key in parsed} if isinstance(parsed, dict) else {}


# -- YAML, with lines --------------------------------------------------------------------------------


def _parsed(text: str) -> object:
    """What YAML says, its keys knowing their lines; raises `KnowledgeError`."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_unless_flat(yaml.parse(text, Loader=loader))
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise KnowledgeError(f"is not valid YAML: {error.problem}", mark.line + 1 if mark else 0) from error
    except yaml.YAMLError as error:
        raise KnowledgeError(f"is not valid YAML: {error}") from error
    return None if node is None else _value(node)


def _refuse_unless_flat(events: Iterable[Any]) -> None:
    """Refuse what is nested deeper than any catalogue file, and aliases, by which a small text says much."""
    depth = 0
    for event in events:
        name = type(event).__name__
        depth += name in ("MappingStartEvent", "SequenceStartEvent")
        depth -= name in ("MappingEndEvent", "SequenceEndEvent")
        if depth > _DEEPEST or name == "AliasEvent":
            told = "aliases are not read here" if name == "AliasEvent" else "is nested too deeply"
            raise KnowledgeError(told, event.start_mark.line + 1)


def _value(node: Any) -> object:
    line = node.start_mark.line + 1
    if isinstance(node.value, str):
        return _scalar(node.tag.rpartition(":")[2], node.value, line)
    if node.tag.endswith(":seq"):
        return [_value(item) for item in node.value]
    found: dict[Key, object] = {}
    for key, value in node.value:
        if not isinstance(key.value, str):
            raise KnowledgeError("a key has to be text", line)
        known = Key.on(key.value, key.start_mark.line + 1)
        if known in found:
            raise KnowledgeError(f"`{known}` stands here twice", known.line)
        found[known] = _value(value)
    return found


def _scalar(kind: str, text: str, line: int) -> object:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if kind == "int" and text.isdecimal() and len(text) < 19:
        return int(text)
    if kind in ("str", "int", "float", "timestamp", "value"):
        return text
    raise KnowledgeError(f"the tag `{kind[:40]}` is not read here", line)


# -- what the form alone does not say ----------------------------------------------------------------


def _check(library: Library, catalogue: Catalogue, lines: Mapping[str, int]) -> None:
    """Raise `KnowledgeError` for names that nothing can have, and for types that do not exist."""
    for aspect, verdicts in _VERDICTS.items():
        claim: Claim = getattr(library, aspect)
        if claim.verdict not in verdicts:
            key = aspect.replace("_", "-")
            told = f"`{key}`: the verdict has to be one of {', '.join(verdicts)}"
            raise KnowledgeError(told, lines.get(key, 0))
    for module in library.modules:
        if not _DOTTED.fullmatch(module):
            raise KnowledgeError(
                f"`modules`: `{module[:80]}` is no name of a module", lines.get("modules", 0)
            )
    for name, entry in library.functions.items():
        _check_pattern(name, line_of(name))
        _check_type(entry.returns, catalogue.types, line_of(name), ("",))
    for name, known in library.types.items():
        line = line_of(name)
        for text in known.classes:
            _check_pattern(text, line)
        for key, method in _methods(known.methods, known.construct, name):
            _check_type(method.returns, catalogue.types, line_of(key), ("", "self"))
        for other in (*known.inherits, *known.attributes.values(), *known.items):
            _check_type(other, catalogue.types, line, ("",))
        if any(name in above.inherits for above in catalogue.lineage(str(name))):
            raise KnowledgeError(f"`{name}` inherits from itself", line)


def _methods(methods: Mapping[str, Entry], construct: Entry | None, name: str) -> Iterator[tuple[str, Entry]]:
    yield from methods.items()
    if construct is not None:
        yield name, construct


def _check_pattern(text: str, line: int) -> None:
    from servelint.knowledge.types import unfit

    reason = (
        "has other characters than those of dotted names" if not _PATTERN.fullmatch(text) else unfit(text)
    )
    if reason:
        raise KnowledgeError(f"`{text[:80]}` {reason}", line)


def _check_type(name: str, types: Collection[str], line: int, allowed: Collection[str]) -> None:
    if name not in allowed and name not in types:
        raise KnowledgeError(f"there is no type `{name[:80]}`, here or in servelint's own files", line)
