"""The YAML files of `rules/`, as tables that refuse what does not fit, naming file and key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_LONGEST_QUOTE = 80  # characters
_KINDS = {str: "text", dict: "a mapping", list: "a list", bool: "true or false", int: "a whole number"}
# The content of data files by their paths below `rules/`, with `/`.
Contents: TypeAlias = dict[str, Any]


class KnowledgeError(ValueError):
    """A data file does not have the form that its reader documents. `line` is 0 where it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class Key(str):
    """A key of a mapping, and the line on which it stands in its file."""

    __slots__ = ("line",)
    line: int

    @classmethod
    def on(cls, text: str, line: int) -> Key:
        """The key `text` on a 1-based line."""
        key = cls(text)
        key.line = line
        return key


def line_of(key: object) -> int:
    """The line of a key, 0 where nobody has noted it."""
    return key.line if isinstance(key, Key) else 0


class Table:
    """A mapping of a data file that says which keys were never asked for.

    `line` is where the mapping begins, if that is known.
    """

    def __init__(self, data: object, where: str, line: int = 0) -> None:
        if not isinstance(data, dict):
            raise KnowledgeError(f"{where}: a mapping is needed, not {shown(data)}", line)
        self._data = data
        self._asked: set[str] = set()
        self.where = where
        self.line = line

    def get(self, key: str, kind: type[T], default: T) -> T:
        """The value of `key`, which has to be of this kind, or the default."""
        self._asked.add(key)
        value: object = self._data.get(key, default)
        if value is None:
            return default
        if not isinstance(value, kind):
            named = _KINDS.get(kind, kind.__name__)
            raise self.error(f"`{key}` has to be {named}, not {shown(value)}", key)
        return value

    def need(self, key: str, kind: type[T]) -> T:
        """The value of `key`, which has to be there."""
        if key not in self._data:
            raise self.error(f"`{key}` is missing")
        default: T = self._data[key]
        return self.get(key, kind, default)

    def error(self, message: str, key: str = "") -> KnowledgeError:
        """What is wrong in the mapping, and where: on the line of the key, else where the mapping begins."""
        return KnowledgeError(f"{self.where}: {message}", self._line_of(key))

    def _line_of(self, key: str) -> int:
        return next((line_of(known) for known in self._data if known == key), 0) or self.line

    def inside(self, key: str, value: object) -> Table:
        """The mapping `value` that stands under the key."""
        return Table(value, f"{self.where}: {key}", line_of(key) or self.line)

    def names(self, key: str) -> tuple[str, ...]:
        """The list under `key`, as text."""
        return tuple(str(item) for item in self.get(key, list, []))

    def table(self, key: str) -> Table:
        """The mapping under `key`."""
        return Table(self.get(key, dict, {}), f"{self.where}: {key}", self._line_of(key))

    def tables(self, key: str) -> Iterator[Table]:
        """The list of mappings under `key`."""
        for number, item in enumerate(self.get(key, list, []), 1):
            yield Table(item, f"{self.where}: {key}[{number}]", self._line_of(key))

    def items(self) -> Iterator[tuple[str, object]]:
        """All keys and values."""
        for key, value in self._data.items():
            self._asked.add(key)
            yield key if isinstance(key, str) else str(key), value

    def inner(self) -> Iterator[tuple[str, Table]]:
        """All keys and the mappings under them."""
        for key, value in self.items():
            yield key, self.inside(key, value)

    def strings(self) -> dict[str, str]:
        """All keys and values, as text."""
        return {key: str(value) for key, value in self.items()}

    def done(self) -> None:
        """Raise for a key that was never asked for."""
        if unknown := sorted(set(map(str, self._data)) - self._asked):
            raise self.error(f"unknown key `{unknown[0]}`{_near(unknown[0], self._asked)}", unknown[0])


def shown(value: object) -> str:
    """A value as a message quotes it."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def _near(key: str, known: set[str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def read(folder: Path) -> Contents:
    """All data files below the folder, in the order of their names; raises `KnowledgeError`."""
    return {path.relative_to(folder).as_posix(): _parsed(path) for path in sorted(folder.rglob("*.yaml"))}


def _parsed(path: Path) -> object:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise KnowledgeError(f"{path}: {error}") from error
