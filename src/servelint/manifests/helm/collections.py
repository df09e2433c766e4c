"""Helm's functions on lists and mappings. Elements keep their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Place
from servelint.manifests.helm.values import Value, bare, measured, merged, text_of, truthy

_MAX_COMPARED = 200


def _items(value: Value) -> list[Value]:
    plain = bare(value)
    if isinstance(plain, list):
        return plain
    if isinstance(plain, str):
        return list(plain)
    return [] if plain is None else [plain]


def _entries(value: Value) -> dict[Any, Value]:
    plain = bare(value)
    return plain if isinstance(plain, dict) else {}


def _dict(values: list[Value], here: Place) -> Value:
    del here
    return {text_of(key): value for key, value in zip(values[::2], values[1::2], strict=False)}


def _set(values: list[Value], here: Place) -> Value:
    del here
    target = _entries(values[0])
    target[text_of(values[1])] = values[2]
    return target


def _unset(values: list[Value], here: Place) -> Value:
    del here
    target = _entries(values[0])
    target.pop(text_of(values[1]), None)
    return target


def _get(values: list[Value], here: Place) -> Value:
    del here
    return _entries(values[0]).get(text_of(values[1]), "")


def _dig(values: list[Value], here: Place) -> Value:
    del here
    *path, default, target = values
    for key in path:
        entries = _entries(target)
        if text_of(key) not in entries:
            return default
        target = entries[text_of(key)]
    return target


def _index(values: list[Value], here: Place) -> Value:
    del here
    target = values[0]
    for key in values[1:]:
        plain = bare(target)
        if isinstance(plain, dict):
            target = plain.get(text_of(key))
        else:
            target = plain[int(bare(key))] if plain is not None else None
    return target


def _slice(values: list[Value], here: Place) -> Value:
    del here
    bounds = [int(bare(value)) for value in values[1:]]
    plain = bare(values[0])
    return plain[bounds[0] if bounds else 0 : bounds[1] if len(bounds) > 1 else None]


def _merge(values: list[Value], here: Place) -> Value:
    """`merge dest src...`: the first that has a key wins; the destination itself is changed, as in Helm."""
    del here
    result = _entries(values[0])
    for source in values[1:]:
        combined = merged(_entries(source), result)
        result.update(combined)
    return result


def _merge_overwrite(values: list[Value], here: Place) -> Value:
    del here
    result = _entries(values[0])
    for source in values[1:]:
        result.update(merged(result, _entries(source)))
    return result


def _copy(value: Value) -> Value:
    measured(value)
    return _copied(value)


def _copied(value: Value) -> Value:
    plain = bare(value)
    if isinstance(plain, dict):
        return {key: _copied(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_copied(item) for item in plain]
    return value


def _deep_copy(values: list[Value], here: Place) -> Value:
    del here
    return _copy(values[0])


def _concat(values: list[Value], here: Place) -> Value:
    del here
    return [item for value in values for item in _items(value)]


def _has(values: list[Value], here: Place) -> Value:
    del here
    measured(*values)
    return any(bare(item) == bare(values[0]) for item in _items(values[1]))


def _without(values: list[Value], here: Place) -> Value:
    del here
    measured(*values)
    drop = [bare(value) for value in values[1:]]
    return [item for item in _items(values[0]) if bare(item) not in drop]


def _unique(values: list[Value], here: Place) -> Value:
    del here
    measured(*values)
    known: set[Value] = set()
    others: list[Value] = []
    result: list[Value] = []
    for item in _items(values[0]):
        plain = bare(item)
        if isinstance(plain, (dict, list)):
            if len(others) > _MAX_COMPARED:
                raise LimitError(f"more than {_MAX_COMPARED} lists and mappings to be told apart")
            new = plain not in others
            others += [plain] if new else []
        else:
            new = plain not in known
            known.add(plain)
        if new:
            result.append(item)
    return result


def _pick(values: list[Value], here: Place) -> Value:
    del here
    wanted = {text_of(value) for value in values[1:]}
    return {key: value for key, value in _entries(values[0]).items() if key in wanted}


def _omit(values: list[Value], here: Place) -> Value:
    del here
    unwanted = {text_of(value) for value in values[1:]}
    return {key: value for key, value in _entries(values[0]).items() if key not in unwanted}


def _length(values: list[Value], here: Place) -> Value:
    del here
    plain = bare(values[0])
    return len(plain) if plain is not None else 0


def _of(function: Callable[[list[Value]], Value]) -> Callable[[list[Value], Place], Value]:
    """A function of one list."""

    def apply(values: list[Value], here: Place) -> Value:
        del here
        return function(_items(values[0]))

    return apply


def _list(values: list[Value], here: Place) -> Value:
    del here
    return list(values)


def _keys(values: list[Value], here: Place) -> Value:
    del here
    return [key for value in values for key in _entries(value)]


def _values(values: list[Value], here: Place) -> Value:
    del here
    return [item for value in values for item in _entries(value).values()]


def _has_key(values: list[Value], here: Place) -> Value:
    del here
    return text_of(values[1]) in _entries(values[0])


def _pluck(values: list[Value], here: Place) -> Value:
    del here
    key = text_of(values[0])
    return [_entries(value)[key] for value in values[1:] if key in _entries(value)]


def _append(values: list[Value], here: Place) -> Value:
    del here
    return [*_items(values[0]), values[1]]


def _prepend(values: list[Value], here: Place) -> Value:
    del here
    return [values[1], *_items(values[0])]


KEEPING: dict[str, Callable[[list[Value], Place], Value]] = {
    "list": _list,
    "tuple": _list,
    "dict": _dict,
    "set": _set,
    "unset": _unset,
    "get": _get,
    "dig": _dig,
    "index": _index,
    "slice": _slice,
    "merge": _merge,
    "mergeOverwrite": _merge_overwrite,
    "deepCopy": _deep_copy,
    "concat": _concat,
    "has": _has,
    "without": _without,
    "uniq": _unique,
    "pick": _pick,
    "omit": _omit,
    "len": _length,
    "keys": _keys,
    "values": _values,
    "hasKey": _has_key,
    "pluck": _pluck,
    "append": _append,
    "push": _append,
    "prepend": _prepend,
    "first": _of(lambda items: items[0] if items else None),
    "last": _of(lambda items: items[-1] if items else None),
    "rest": _of(lambda items: items[1:]),
    "initial": _of(lambda items: items[:-1]),
    "reverse": _of(lambda items: items[::-1]),
    "compact": _of(lambda items: [item for item in items if truthy(item)]),
    "sortAlpha": _of(lambda items: sorted(items, key=text_of)),
    "toStrings": _of(lambda items: [text_of(item) for item in items]),
}
