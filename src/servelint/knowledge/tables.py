"""The YAML files of `rules/`, as tables that refuse what does not fit, naming file and key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
# The content of data files by their paths below `rules/`, with `/`.
Contents: TypeAlias = dict[str, Any]


class KnowledgeError(ValueError):
    """A file in `rules/` does not have the form that its reader documents."""


class Table:
    """A mapping of a data file that says which keys were never asked for."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise KnowledgeError(f"{where}: a mapping is needed, not {data!r}")
        self._data = data
        self._asked: set[str] = set()
        self.where = where

    def get(self, key: str, kind: type[T], default: T) -> T:
        """The value of `key`, which has to be of this kind, or the default."""
        self._asked.add(key)
        value: object = self._data.get(key, default)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise KnowledgeError(f"{self.where}: `{key}` has to be {kind.__name__}, not {value!r}")
        return value

    def need(self, key: str, kind: type[T]) -> T:
        """The value of `key`, which has to be there."""
        if key not in self._data:
            raise KnowledgeError(f"{self.where}: `{key}` is missing")
        default: T = self._data[key]
        return self.get(key, kind, default)

    def names(self, key: str) -> tuple[str, ...]:
        """The list under `key`, as text."""
        return tuple(str(item) for item in self.get(key, list, []))

    def table(self, key: str) -> Table:
        """The mapping under `key`."""
        return Table(self.get(key, dict, {}), f"{self.where}: {key}")

    def tables(self, key: str) -> Iterator[Table]:
        """The list of mappings under `key`."""
        for number, item in enumerate(self.get(key, list, []), 1):
            yield Table(item, f"{self.where}: {key}[{number}]")

    def items(self) -> Iterator[tuple[str, object]]:
        """All keys and values."""
        for key, value in self._data.items():
            self._asked.add(key)
            yield str(key), value

    def strings(self) -> dict[str, str]:
        """All keys and values, as text."""
        return {key: str(value) for key, value in self.items()}

    def done(self) -> None:
        """Raise for a key that was never asked for."""
        if unknown := sorted(set(map(str, self._data)) - self._asked):
            raise KnowledgeError(f"{self.where}: unknown key `{unknown[0]}`")


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
