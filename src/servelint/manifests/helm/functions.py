"""Helm's template functions, as far as they decide what a manifest says.

A function that passes a value on passes its place on too. What a function that is not here would return is
unknown, and unknown counts as off.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from servelint.boundary import LimitError
from servelint.manifests.documents import linear_regex
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.helm import collections as _collections
from servelint.manifests.helm.values import (
    UNKNOWN_VALUE,
    Leaf,
    Unknown,
    Value,
    bare,
    from_yaml,
    located,
    measured,
    text_of,
    to_json,
    to_yaml,
    truthy,
)
from servelint.manifests.helm.versions import satisfies

if TYPE_CHECKING:
    from servelint.manifests.helm.render import Engine

_VERB = re.compile(r"%(?:[-+# 0]*+[0-9]*+(?:\.[0-9]++)?)([a-zA-Z%])")
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_MAX_LENGTH = 1_000_000
_MAX_NUMBERS = 10_000
_PARSING = 10  # what it takes to parse a character, in characters that are copied


def _room(length: int) -> None:
    """Raise `LimitError` for a text that would be longer than any that a manifest holds."""
    if length > _MAX_LENGTH:
        raise LimitError(f"a text of more than {_MAX_LENGTH:,} characters")


def call(engine: Engine, name: str, arguments: list[Value], here: Place) -> Value:
    """What the function `name` returns; `UNKNOWN_VALUE` for one that is not known or is misused."""
    if name.startswith("must") and name != "must":
        name = name[4].lower() + name[5:]
    engine.characters.spend(sum(map(_size, arguments)))
    result = _called(engine, name, arguments, here)
    engine.characters.spend(_size(result))
    return result


def _size(value: Value) -> int:
    """What it takes to look at a value once, in characters."""
    if isinstance(value, Located):
        return value.weight
    plain = bare(value)
    return len(plain) if isinstance(plain, (str, list, dict)) else 1


def _called(engine: Engine, name: str, arguments: list[Value], here: Place) -> Value:
    try:
        special = _SPECIAL.get(name)
        if special is not None:
            return special(engine, arguments, here)
        kept = _KEEPING.get(name)
        if kept is not None:
            return kept(arguments, here)
        plain = _PLAIN.get(name)
        if plain is None:
            return UNKNOWN_VALUE
        values = [bare(argument) for argument in arguments]
        return UNKNOWN_VALUE if any(isinstance(value, Unknown) for value in values) else plain(*values)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, re.error):
        # Misused: Helm would refuse the chart. The other templates can still be read.
        return UNKNOWN_VALUE


def _include(engine: Engine, arguments: list[Value], here: Place) -> Value:
    return engine.include(text_of(arguments[0]), arguments[1] if len(arguments) > 1 else None, here)


def _tpl(engine: Engine, arguments: list[Value], here: Place) -> Value:
    return engine.evaluate_text(located(arguments[0], here), arguments[1])


def _lookup(engine: Engine, arguments: list[Value], here: Place) -> Value:
    del engine, arguments, here
    return {}


def _from_yaml(engine: Engine, values: list[Value], here: Place) -> Value:
    text = located(values[0], here)
    engine.characters.spend(_PARSING * len(text))
    return from_yaml(text)


_SPECIAL: dict[str, Callable[[Engine, list[Value], Place], Value]] = {
    "include": _include,
    "tpl": _tpl,
    "lookup": _lookup,
    "fromYaml": _from_yaml,
    "fromYamlArray": _from_yaml,
    "fromJson": _from_yaml,
    "fromJsonArray": _from_yaml,
}


def _default(values: list[Value], here: Place) -> Value:
    del here
    return values[1] if len(values) > 1 and truthy(values[1]) else values[0]


def _coalesce(values: list[Value], here: Place) -> Value:
    del here
    return next((value for value in values if truthy(value)), None)


def _ternary(values: list[Value], here: Place) -> Value:
    del here
    return values[0] if truthy(values[2]) else values[1]


def _last_argument(values: list[Value], here: Place) -> Value:
    del here
    return values[-1]


def _and(values: list[Value], here: Place) -> Value:
    del here
    return next((value for value in values if not truthy(value)), values[-1])


def _or(values: list[Value], here: Place) -> Value:
    del here
    return next((value for value in values if truthy(value)), values[-1])


def _quote(mark: str) -> Callable[[list[Value], Place], Value]:
    def quote(values: list[Value], here: Place) -> Value:
        parts: list[Located] = []
        for value in values:
            if value is None:
                continue
            text = located(value, here)
            if mark in text.text or "\\" in text.text:
                text = Located.computed(json.dumps(text.text)[1:-1], text.place if text.runs else here)
            edge = Located.computed(mark, here)
            parts.extend(([Located.computed(" ", here)] if parts else []) + [edge, text, edge])
        return Located.join(parts)

    return quote


def _number(kind: type) -> Callable[[list[Value], Place], Value]:
    def number(values: list[Value], here: Place) -> Value:
        del here
        data = bare(values[0])
        if isinstance(data, Unknown):
            return data
        try:
            converted = kind(float(data)) if data not in (None, "") else kind(0)
        except (TypeError, ValueError, OverflowError):
            converted = kind(0)
        text = (
            values[0].text
            if isinstance(values[0], Leaf)
            else values[0]
            if isinstance(values[0], Located)
            else None
        )
        return Leaf(converted, text) if text is not None and text.runs else converted

    return number


def _to_string(values: list[Value], here: Place) -> Value:
    value = values[0]
    if isinstance(value, (Leaf, Located)):
        text = located(value, here)
        return Leaf(text.text, text) if text.runs else text.text
    return text_of(value)


def _to_yaml(values: list[Value], here: Place) -> Value:
    return to_yaml(values[0], here)


def _to_json(values: list[Value], here: Place) -> Value:
    return to_json(values[0], here)


def _indent(values: list[Value], here: Place) -> Value:
    width, text = int(bare(values[0])), located(values[1], here)
    _room(width * (text.text.count("\n") + 1))
    pad = Located.computed(" " * width, here)
    parts: list[Located] = []
    position = 0
    for line in text.text.split("\n"):
        end = position + len(line)
        parts.extend((pad, text.slice(position, min(end + 1, len(text)))))
        position = end + 1
    return Located.join(parts)


def _nindent(values: list[Value], here: Place) -> Value:
    return Located.join((Located.computed("\n", here), _indent(values, here)))


def _trim(values: list[Value], here: Place) -> Value:
    return located(values[0], here).strip()


def _trim_suffix(values: list[Value], here: Place) -> Value:
    text, suffix = located(values[1], here), text_of(values[0])
    return text.slice(0, len(text) - len(suffix)) if suffix and text.text.endswith(suffix) else text


def _trim_prefix(values: list[Value], here: Place) -> Value:
    text, prefix = located(values[1], here), text_of(values[0])
    return text.slice(len(prefix), len(text)) if text.text.startswith(prefix) else text


def _trunc(values: list[Value], here: Place) -> Value:
    width, text = int(bare(values[0])), located(values[1], here)
    return (
        text.slice(0, min(width, len(text)))
        if width >= 0
        else text.slice(max(0, len(text) + width), len(text))
    )


def _join(values: list[Value], here: Place) -> Value:
    separator = Located.computed(text_of(values[0]), here)
    parts: list[Located] = []
    _room(len(separator) * len(bare(values[1]) or []))
    for item in bare(values[1]) or []:
        parts.extend(([separator] if parts else []) + [located(item, here)])
    return Located.join(parts)


def _print(values: list[Value], here: Place) -> Value:
    return Located.join(located(value, here) for value in values)


def _printf(values: list[Value], here: Place) -> Value:
    form, rest = text_of(values[0]), values[1:]
    parts: list[Located] = []
    position = 0
    for found in _VERB.finditer(form):
        parts.append(Located.computed(form[position : found.start()], here))
        position = found.end()
        if found.group(1) == "%":
            parts.append(Located.computed("%", here))
        elif rest:
            parts.append(_formatted(found.group(), found.group(1), rest.pop(0), here))
    parts.append(Located.computed(form[position:], here))
    return Located.join(part for part in parts if part.text)


def _formatted(verb: str, letter: str, value: Value, here: Place) -> Located:
    if letter == "q":
        quoted = _quote('"')([value], here)
        return quoted if isinstance(quoted, Located) else located(quoted, here)
    text = located(value, here)
    if len(verb) > 2 and letter in "df" and _DECIMAL.fullmatch(text.text):
        _room(sum(int(digits[:9]) for digits in re.findall(r"[0-9]+", verb)))
        number = float(text.text)
        return Located.computed(verb % (int(number) if letter == "d" else number), here)
    return text


_KEEPING: dict[str, Callable[[list[Value], Place], Value]] = {
    "default": _default,
    "coalesce": _coalesce,
    "ternary": _ternary,
    "required": _last_argument,
    "and": _and,
    "or": _or,
    "quote": _quote('"'),
    "squote": _quote("'"),
    "int": _number(int),
    "int64": _number(int),
    "atoi": _number(int),
    "float64": _number(float),
    "toString": _to_string,
    "toYaml": _to_yaml,
    "toYamlPretty": _to_yaml,
    "toJson": _to_json,
    "toPrettyJson": _to_json,
    "toRawJson": _to_json,
    "indent": _indent,
    "nindent": _nindent,
    "trim": _trim,
    "trimSuffix": _trim_suffix,
    "trimPrefix": _trim_prefix,
    "trunc": _trunc,
    "join": _join,
    "print": _print,
    "printf": _printf,
    **_collections.KEEPING,
}


def _replace(old: str, new: str, text: Value) -> str:
    content, part, other = text_of(text), text_of(old), text_of(new)
    _room(content.count(part) * len(other))
    return content.replace(part, other)


def _repeat(times: int, text: str) -> str:
    _room(times * len(text))
    return text * times


def _numbers(start: int, stop: int, step: int = 1) -> list[int]:
    if (stop - start) // step > _MAX_NUMBERS:
        raise LimitError(f"a list of more than {_MAX_NUMBERS:,} numbers")
    return list(range(start, stop, step))


def _regex_find(pattern: str, text: str) -> str:
    found = linear_regex.search(pattern, text)
    return text[found.start : found.end] if found else ""


def _regex_replace(pattern: str, text: str, new: str, *, literal: bool = False) -> str:
    parts: list[str] = []
    position = length = 0
    for found in linear_regex.finditer(pattern, text):
        spans = found.spans

        def group(written: re.Match[str], spans: tuple[tuple[int, int], ...] = spans) -> str:
            number = int(written[1])
            return text[slice(*spans[number])] if number < len(spans) else ""

        put = new if literal else re.sub(r"\$\{?([0-9])\}?", group, new)
        length += len(put)
        _room(length)
        parts += (text[position : found.start], put)
        position = found.end
    return "".join((*parts, text[position:]))


def _kind(value: Value) -> str:
    if value is None:
        return "invalid"
    names = {bool: "bool", int: "int", float: "float64", str: "string", list: "slice"}
    return "map" if isinstance(value, Mapping) else names.get(type(value), "ptr")


def _compared(left: Value, right: Value) -> int:
    """Below zero, zero or above, as `left` is less than, equal to or more than `right`."""
    measured(left, right)
    if isinstance(left, str) or isinstance(right, str):
        one, other = text_of(left), text_of(right)
        return (one > other) - (one < other)
    return int(left > right) - int(left < right)


def _equal(first: Value, *others: Value) -> bool:
    measured(first, *others)
    return any(first == other and isinstance(first, bool) is isinstance(other, bool) for other in others)


def _camel(text: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[-_\s]+", text))


def _dashed(mark: str) -> Callable[[str], str]:
    return lambda text: re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s_-]+", mark, text).lower()


_PLAIN: dict[str, Callable[..., Value]] = {
    "empty": lambda value: not value,
    "fail": lambda *_: None,
    "not": lambda value: not value,
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "lt": lambda left, right: _compared(left, right) < 0,
    "le": lambda left, right: _compared(left, right) <= 0,
    "gt": lambda left, right: _compared(left, right) > 0,
    "ge": lambda left, right: _compared(left, right) >= 0,
    "upper": lambda text: text_of(text).upper(),
    "lower": lambda text: text_of(text).lower(),
    "title": lambda text: text_of(text).title(),
    "untitle": lambda text: text_of(text)[:1].lower() + text_of(text)[1:],
    "camelcase": _camel,
    "kebabcase": _dashed("-"),
    "snakecase": _dashed("_"),
    "nospace": lambda text: re.sub(r"\s", "", text),
    "repeat": _repeat,
    "substr": lambda start, end, text: text[start : end if end >= 0 else None],
    "replace": _replace,
    "contains": lambda part, text: text_of(part) in text_of(text),
    "hasPrefix": lambda part, text: text_of(text).startswith(part),
    "hasSuffix": lambda part, text: text_of(text).endswith(part),
    "trimAll": lambda characters, text: text.strip(characters),
    "split": lambda mark, text: {f"_{index}": part for index, part in enumerate(text.split(mark))},
    "splitList": lambda mark, text: text_of(text).split(mark),
    "cat": lambda *values: " ".join(text_of(value) for value in values),
    "println": lambda *values: " ".join(text_of(value) for value in values) + "\n",
    "regexMatch": lambda pattern, text: linear_regex.search(pattern, text) is not None,
    "regexFind": _regex_find,
    "regexReplaceAll": _regex_replace,
    "regexReplaceAllLiteral": functools.partial(_regex_replace, literal=True),
    "kindOf": _kind,
    "kindIs": lambda kind, value: _kind(value) == kind,
    "typeOf": lambda value: {"map": "map[string]interface {}", "slice": "[]interface {}"}.get(
        _kind(value), _kind(value)
    ),
    "typeIs": lambda kind, value: (
        kind in (_kind(value), {"map": "map[string]interface {}"}.get(_kind(value)))
    ),
    "add": lambda *numbers: _wrapped(sum(_integers(numbers))),
    "add1": lambda number: _wrapped(_integers([number])[0] + 1),
    "sub": lambda left, right: _wrapped(left - right),
    "mul": lambda first, *others: _product(_integers([first, *others])),
    "div": lambda left, right: int(left) // int(right),
    "mod": lambda left, right: int(left) % int(right),
    "max": lambda *numbers: max(_integers(numbers)),
    "min": lambda *numbers: min(_integers(numbers)),
    "addf": lambda *numbers: sum(float(number) for number in numbers),
    "mulf": lambda left, right: float(left) * float(right),
    "divf": lambda left, right: float(left) / float(right),
    "floor": lambda number: float(number) // 1,
    "ceil": lambda number: -(-float(number) // 1),
    "round": lambda number, digits=0: round(float(number), int(digits)),
    "until": lambda count: _numbers(0, count),
    "untilStep": _numbers,
    "seq": lambda *bounds: " ".join(map(str, _numbers(bounds[0] if len(bounds) > 1 else 1, bounds[-1] + 1))),
    "semverCompare": satisfies,
    "b64enc": lambda text: "".join(f"{byte:02x}" for byte in text_of(text).encode())[:64],
    "sha256sum": lambda *_: "0" * 64,
    "sha1sum": lambda *_: "0" * 40,
    "adler32sum": lambda *_: "0",
    "randAlphaNum": lambda size: "x" * min(int(size), 100),
    "randAlpha": lambda size: "x" * min(int(size), 100),
    "uuidv4": lambda: "00000000-0000-4000-8000-000000000000",
    "now": lambda: "1970-01-01",
    "date": lambda *_: "1970-01-01",
    "toDecimal": lambda text: int(str(text)[:22], 8),
}


def _integers(values: object) -> list[int]:
    assert isinstance(values, (list, tuple))
    return [int(float(value)) for value in values]


def _product(numbers: list[int]) -> float:
    result: float = 1
    for number in numbers:
        result = _wrapped(result * number)
    return result


def _wrapped(number: float) -> float:
    """A number as Go has it: an integer of 64 bits."""
    return (number + 2**63) % 2**64 - 2**63 if isinstance(number, int) else number
