"""Markup that cannot be made of text by mistake: what is not made here is escaped when it is put in."""

from __future__ import annotations

from collections.abc import Iterable

from servelint import escape


class Safe(str):
    """Markup; any other text is escaped before it becomes a part of some."""

    __slots__ = ()


_EMPTY = Safe("")


def element(name: str, /, *children: str, **attributes: str | bool | int) -> Safe:
    """An element with its children. `class_` is `class`, `data_x` is `data-x`; True has no value."""
    return Safe(f"{_opened(name, attributes)}{joined(children)}</{name}>")


def void(name: str, /, **attributes: str | bool | int) -> Safe:
    """An element that has no children and no end."""
    return Safe(_opened(name, attributes))


def _opened(name: str, attributes: dict[str, str | bool | int]) -> str:
    words = [name]
    for key, value in attributes.items():
        plain = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(plain)
        elif value is not False and value != "":
            words.append(f'{plain}="{escape.html(str(value))}"')
    return f"<{' '.join(words)}>"


def joined(parts: Iterable[str], between: str = "") -> Safe:
    """The parts one after another, those that are not markup escaped."""
    return Safe(between.join(part if isinstance(part, Safe) else escape.html(part) for part in parts))


def columns(text: str) -> Safe:
    """A piece of a line of source, a character for each character; a tab is four columns."""
    return Safe(escape.html_columns(text.replace("\t", "    ")))


def prose(text: str) -> Safe:
    """A message: what stands between backticks is code."""
    parts = text.replace("**", "").split("`")
    if len(parts) % 2 == 0:  # the last backtick has no partner
        parts[-2:] = ["`".join(parts[-2:])]
    return joined(element("code", part) if index % 2 else part for index, part in enumerate(parts) if part)


def when(condition: object, markup: Safe) -> Safe:
    """The markup if the condition holds, else nothing."""
    return markup if condition else _EMPTY
