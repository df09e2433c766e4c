"""Patterns with the meaning they have in `.gitignore`.

Written out rather than imported: the one library that has them costs more start-up time than the rest of
the command line. The tests compare it with git itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<inside>/\*\*$)               # everything below
    | (?P<between>/\*\*/)            # any number of folders, none included
    | (?P<leading>^\*\*/)            # at any depth
    | (?P<star>\*+)
    | (?P<one>\?)
    | \[(?P<negated>[!^]?+)(?P<members>\]?+(?:\\.|\[:\w+:\]|[^\]])*)\]
    | \\(?P<escaped>.)
    | (?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
}


class _Rule(NamedTuple):
    regex: re.Pattern[str]
    negated: bool
    folders_only: bool


class Patterns:
    """An ordered list of patterns; the last one that fits decides."""

    def __init__(self, rules: Iterable[str | _Rule]) -> None:
        # From the last to the first; plain names that follow each other are looked up in one step.
        self._rules: list[set[str] | _Rule] = []
        for rule in reversed(list(rules)):
            if isinstance(rule, _Rule):
                self._rules.append(rule)
            elif self._rules and isinstance(self._rules[-1], set):
                self._rules[-1].add(rule)
            else:
                self._rules.append({rule})

    def decide(self, path: str, *, folder: bool) -> bool | None:
        """Whether `path` itself is ignored: True, False where a `!` pattern fits, None where none does.

        `path` is relative to where the patterns stand, with `/`. Its parent folders are not considered.
        """
        for rule in self._rules:
            if isinstance(rule, set):
                if path.rpartition("/")[2] in rule:
                    return True
            elif (folder or not rule.folders_only) and rule.regex.match(path):
                return not rule.negated
        return None

    def covers(self, path: str) -> bool:
        """Whether the file `path`, or a folder on the way to it, is ignored."""
        parts = path.split("/")
        folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(self.decide(folder, folder=True) for folder in folders) or bool(
            self.decide(path, folder=False)
        )


def compile_patterns(lines: Iterable[str]) -> Patterns:
    """The patterns in the lines of a `.gitignore`; blank lines and comments are left out."""
    rules = (_rule(line.rstrip("\r\n")) for line in lines)
    return Patterns(rule for rule in rules if rule is not None)


class _MalformedError(ValueError):
    """A pattern with a `[` that is never closed, or a backslash before nothing."""


def _rule(line: str) -> str | _Rule | None:
    """What a line says: the plain name that it is, for files and folders at any depth, or a rule."""
    text = re.sub(r"(?<!\\) +$", "", line)
    if not text or text.startswith("#"):
        return None
    if not any(character in text for character in "*?[]\\/!"):
        return text
    negated = text.startswith("!")
    text = text[negated:]
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    prefix = "" if anchored else r"(?:.*/)?"
    try:
        regex = re.compile(prefix + _translate(text) + r"\Z", re.DOTALL)
    except (re.error, _MalformedError):  # git matches nothing with it
        return None
    return _Rule(regex, negated, folders_only)


def _translate(text: str) -> str:
    out: list[str] = []
    text = re.sub(r"(^|/)(?:\*\*/)+", r"\1**/", text)  # several are one
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "inside":
                out.append("/.+")
            case "between":
                out.append("/(?:.*/)?")
            case "leading":
                out.append("(?:.*/)?")
            case "star":
                out.append("[^/]*")
            case "one":
                out.append("[^/]")
            case "members":
                out.append(_character_class(token["negated"], token["members"]))
            case "plain" if token["plain"] in ("[", "\\"):
                raise _MalformedError(text)
            case _:
                out.append(re.escape(token["escaped"] or token["plain"]))
    return "".join(out)


def _character_class(negated: str, members: str) -> str:
    members = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], ""), members)
    members = re.sub(r"\\(.)", lambda found: re.escape(found[1]), members)
    members = members.replace("[", r"\[").replace("&&", r"&\&").replace("||", r"|\|").replace("~~", r"~\~")
    if members.startswith("]"):
        members = "\\" + members
    return f"(?!/)[{'^' if negated else ''}{members}]"
