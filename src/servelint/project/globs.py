"""Patterns with the meaning they have in `.gitignore`.

Written out rather than imported: the one library that has them costs more start-up time than the rest of
the command line. The tests compare it with git itself.

Patterns come from whoever wrote the repository, so to match takes time in proportion to pattern and path:
what stands between two `*` is looked for once, from the left, and what was found is not given up again
(`(?>...)`). The first place is as good as any, because every other part of a pattern has a fixed length: in
characters between two `*`, in folders between two `**`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

LONGEST = 4096  # characters of a pattern; no path of that length can be opened
MOST = 5000  # patterns with wildcards in one list
_SPECIAL = frozenset("*?[]\\")
_ONE = "[^/]"
_STAR = "*"
_EVERYTHING = "**"
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


class PatternLimitError(ValueError):
    """Patterns that are too many, or one that is too long."""


@dataclass(slots=True)
class _Fitting:
    """What a run of patterns asks for: whole names, ends of names, whole paths, and anything else."""

    names: set[str] = field(default_factory=set)
    ends: tuple[str, ...] = ()
    paths: set[str] = field(default_factory=set)
    regexes: list[_Pattern] = field(default_factory=list)

    def fits(self, path: str, name: str) -> bool:
        if name in self.names or path in self.paths or (self.ends and name.endswith(self.ends)):
            return True
        return bool(self.regexes) and any(regex.fits(path, name) for regex in self.regexes)


class _Pattern:
    """A pattern with wildcards, compiled when it is first asked."""

    def __init__(self, text: str, *, anchored: bool) -> None:
        self.anchored = anchored
        self.text = text

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.text, re.DOTALL)

    def fits(self, path: str, name: str) -> bool:
        return self.regex.fullmatch(path if self.anchored else name) is not None


class _Run:
    """Patterns that follow each other and all ignore, or all take back: among them the order says nothing."""

    def __init__(self, *, negated: bool) -> None:
        self.negated = negated
        self.any = _Fitting()
        self.folders = _Fitting()

    def fits(self, path: str, name: str, *, folder: bool) -> bool:
        return self.any.fits(path, name) or (folder and self.folders.fits(path, name))


class Patterns:
    """An ordered list of patterns; the last one that fits decides."""

    def __init__(self, runs: Iterable[_Run]) -> None:
        self._runs = tuple(runs)[::-1]

    def decide(self, path: str, *, folder: bool) -> bool | None:
        """Whether `path` itself is ignored: True, False where a `!` pattern fits, None where none does.

        `path` is relative to where the patterns stand, with `/`. Its parent folders are not considered.
        """
        name = path.rpartition("/")[2]
        for run in self._runs:
            if run.fits(path, name, folder=folder):
                return not run.negated
        return None

    def covers(self, path: str) -> bool:
        """Whether the file `path`, or a folder on the way to it, is ignored."""
        parts = path.split("/")
        folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(self.decide(folder, folder=True) for folder in folders) or bool(
            self.decide(path, folder=False)
        )


def compile_patterns(lines: Iterable[str]) -> Patterns:
    """The patterns in the lines of a `.gitignore`; blank lines and comments are left out.

    Raises `PatternLimitError`.
    """
    runs: list[_Run] = []
    wild = 0
    for line in lines:
        rule = _rule(line.rstrip("\r\n"))
        if rule is None:
            continue
        if not runs or runs[-1].negated is not rule.negated:
            runs.append(_Run(negated=rule.negated))
        wild += _add(rule, runs[-1].folders if rule.folders_only else runs[-1].any)
        if wild > MOST:
            raise PatternLimitError(f"there are more than {MOST:,} patterns with wildcards")
    return Patterns(runs)


class _Rule(NamedTuple):
    text: str
    negated: bool
    folders_only: bool
    anchored: bool


def _rule(line: str) -> _Rule | None:
    """What a line says; None where that is nothing."""
    text = _without_trailing_blanks(line)
    if not text or text.startswith("#"):
        return None
    if len(text) > LONGEST:
        raise PatternLimitError(f"a pattern has more than {LONGEST:,} characters")
    negated = text.startswith("!")
    text = text[negated:]
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    return _Rule(text, negated, folders_only, anchored) if text else None


def _without_trailing_blanks(line: str) -> str:
    """The line without the blanks at its end; one behind a backslash belongs to the pattern."""
    text = line.rstrip(" ")
    backslashes = len(text) - len(text.rstrip("\\"))
    return f"{text} " if backslashes % 2 and len(text) < len(line) else text


def _add(rule: _Rule, fitting: _Fitting) -> bool:
    """Add a rule to what is asked for; whether it takes more than to look up a name."""
    if _SPECIAL.isdisjoint(rule.text):
        (fitting.paths if rule.anchored else fitting.names).add(rule.text)
        return False
    if not rule.anchored and rule.text[0] == "*" and _SPECIAL.isdisjoint(rule.text[1:]):
        fitting.ends += (rule.text[1:],)
        return True
    try:
        regex = _regex(list(_components(rule.text)), anchored=rule.anchored)
    except _MalformedError:  # git matches nothing with it
        return False
    fitting.regexes.append(_Pattern(regex, anchored=rule.anchored))
    return True


class _MalformedError(ValueError):
    """A pattern with a `[` that is never closed, or a backslash before nothing."""


def _components(text: str) -> Iterator[list[str]]:
    """The pattern of each folder and of the name: what stands for one character each, and `_STAR`."""
    atoms: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            if position == len(text):
                raise _MalformedError(text)
            character = text[position]
            position += 1
            atom = re.escape(character)
        elif character == "[":
            atom, position = _character_class(text, position)
        elif character == "?":
            atom = _ONE
        elif character == "*":
            atom = _STAR
        else:
            atom = re.escape(character)
        if character == "/" and atom == "/":
            yield atoms
            atoms = []
        else:
            atoms.append(atom)
    yield atoms


def _character_class(text: str, position: int) -> tuple[str, int]:
    """The class that begins behind the `[` before `position`, and where it ends."""
    negated = text[position : position + 1] in ("!", "^")
    position += negated
    members: list[str] = []
    before = ""  # the character that a range can begin with
    first = True
    while first or text[position : position + 1] != "]":
        first = False
        character = text[position : position + 1]
        if character == "-" and before and text[position + 1 : position + 2] not in ("", "]"):
            character, position = _member(text, position + 1)
            members.append(f"{re.escape(before)}-{re.escape(character)}" if before <= character else "")
            before = ""
        elif character == "[" and (named := re.compile(r":([^\]]*):\]").match(text, position + 1)):
            if named[1] not in _CLASSES:
                raise _MalformedError(text)
            members.append(_CLASSES[named[1]])
            before, position = "", named.end()
        else:
            before, position = _member(text, position)
            members.append(re.escape(before))
    inside = "".join(members)
    if negated:
        return f"[^/{inside}]", position + 1
    return (f"(?!/)[{inside}]" if inside else "(?!)"), position + 1


def _member(text: str, position: int) -> tuple[str, int]:
    """The character at `position` of a class, and the position behind it."""
    if text[position : position + 1] == "\\":
        position += 1
    if position >= len(text):
        raise _MalformedError(text)
    return text[position], position + 1


def _regex(components: list[list[str]], *, anchored: bool) -> str:
    """What fits the whole path, or without `anchored` the name."""
    if not anchored:
        return _component(components[0])
    segments: list[list[str]] = [[]]  # what stands between two `**`
    for atoms in components:
        if len(atoms) > 1 and all(atom == _STAR for atom in atoms):
            if segments[-1] or len(segments) == 1:
                segments.append([])
        else:
            segments[-1].append(_component(atoms))
    regex = "/".join(segments[0])
    for number, segment in enumerate(segments[1:], start=1):
        if segments[0] or number > 1:
            regex += "/"
        inside = "/".join(segment)
        if number < len(segments) - 1:
            regex += rf"(?>(?:[^/]++/)*?{inside}(?=/))"
        else:
            regex += rf"(?:[^/]++/)*?{inside}" if segment else ".+"
    return regex


def _component(atoms: list[str]) -> str:
    """What fits one folder's name, or the file's."""
    parts = [""]
    for atom in atoms:
        if atom != _STAR:
            parts[-1] += atom
        elif len(parts) == 1 or parts[-1]:
            parts.append("")
    if len(parts) == 1:
        return parts[0]
    first, *inner, last = parts
    found = "".join(f"(?>[^/]*?{part})" for part in inner)
    return rf"{first}{found}(?>[^/]*{last}(?=/|\Z))"
