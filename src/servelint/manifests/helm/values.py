"""Values that templates compute with, and YAML written from them with the place of every scalar."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from servelint.boundary import LimitError
from servelint.manifests.documents.text import Located, Place
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlSequence
from servelint.manifests.shell.commandline import UNKNOWN

Value: TypeAlias = Any
_DEEPEST_PATH = 20
_PLAIN = re.compile(
    r"[A-Za-z/_.][A-Za-z0-9/_.+@=:-]*(?: [A-Za-z0-9/_.+@=(<>\$-][A-Za-z0-9/_.+@=:()<>\$,-]*)*\Z"
)
_AMBIGUOUS = re.compile(
    r"(?i)\A(?:y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan|[-+]?\.?[0-9][0-9_.eE+-]*)\Z|:\Z|: "
)
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]{0,24}\Z")
_MAX_NODES = 100_000
_MAX_DEPTH = 110  # more than a file can have


class Unknown:
    """A value that cannot be known: a cluster's answer, a secret, a function that is not read."""

    def __repr__(self) -> str:
        return UNKNOWN


UNKNOWN_VALUE: Final = Unknown()


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A scalar of a values file."""

    data: Value
    written: Located | Scalar

    @property
    def text(self) -> Located:
        """What is written, each character with its place: worked out when it is asked for."""
        return self.written if isinstance(self.written, Located) else self.written.text


def bare(value: Value) -> Value:
    """The value without its place."""
    if isinstance(value, Leaf):
        return value.data
    if isinstance(value, Located):
        return value.text
    return value


def from_node(node: Node | None) -> Value:
    """A YAML node as a template sees it."""
    if node is None:
        return None
    if isinstance(node, Scalar):
        data = scalar_data(node)
        return None if data is None else Leaf(data, node)
    if isinstance(node, YamlSequence):
        return [from_node(item) for item in node.items]
    return {key: from_node(value) for key, (_, value) in node.index().items()}


def measured(*values: Value) -> None:
    """Make sure that what looks into all of a value ends; raises `LimitError`.

    Templates build lists and mappings that hold the same one many times over, or themselves.
    """
    count = 0
    waiting = [(bare(value), 0) for value in values]
    while waiting:
        value, depth = waiting.pop()
        if not isinstance(value, (dict, list)):
            continue
        count += len(value) + 1
        if count > _MAX_NODES:
            raise LimitError(f"a value of more than {_MAX_NODES:,} parts")
        if depth > _MAX_DEPTH:
            raise LimitError(f"a value of more than {_MAX_DEPTH} levels")
        waiting.extend(
            (bare(item), depth + 1) for item in (value.values() if isinstance(value, dict) else value)
        )


def scalar_data(node: Scalar) -> Value:
    """The Python value of a scalar."""
    if not node.plain or node.tag.endswith(":str"):
        return node.value
    if node.is_null:
        return None
    if node.tag.endswith(":bool"):
        return node.value.lower() in ("true", "yes", "on", "y")
    if node.tag.endswith(":int") and _INTEGER.match(node.value):
        return (
            int(node.value.replace("_", ""))
            if not node.value.startswith("0") or node.value == "0"
            else node.value
        )
    if node.tag.endswith(":float"):
        try:
            return float(node.value)
        except ValueError:
            return node.value
    return node.value


def merged(base: Value, over: Value) -> Value:
    """`over` laid on `base` as Helm does it: mappings merge, anything else replaces, null removes."""
    measured(over)
    return _merged(base, over)


def nested(keys: Sequence[str], value: Value) -> Value:
    """The mapping that a path of keys and the value below it mean."""
    for key in reversed(keys[:_DEEPEST_PATH]):
        value = {key: value}
    return value


def below(value: Value, keys: Sequence[str]) -> Value:
    """What stands below a path of keys; None where nothing does."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _merged(base: Value, over: Value) -> Value:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    result = dict(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def text_of(value: Value) -> str:
    """How a template prints a value; raises `LimitError`."""
    value = bare(value)
    if isinstance(value, (dict, list)):
        measured(value)
    return _printed(value)


def _printed(value: Value) -> str:
    value = bare(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_printed(item) for item in value) + "]"
    if callable(value):
        return UNKNOWN
    return str(value)


def located(value: Value, here: Place) -> Located:
    """A value as printed: where it is written in a values file, else standing for the expression `here`."""
    if isinstance(value, Located):
        return value
    text = text_of(value)
    if isinstance(value, Leaf):
        return value.text if value.text.text == text else Located.computed(text, value.text.place)
    return Located.computed(text, here)


def truthy(value: Value) -> bool:
    """Whether `if` takes the branch; what is unknown is taken as off, as a default would be."""
    value = bare(value)
    return not isinstance(value, Unknown) and bool(value)


def to_yaml(value: Value, here: Place) -> Located:
    """A value as YAML, without a line end; raises `LimitError`."""
    measured(value)
    lines: list[list[Located]] = []
    _write(value, here, 0, lines, [])
    parts: list[Located] = []
    for number, line in enumerate(lines):
        if number:
            parts.append(Located.computed("\n", here))
        parts.extend(line)
    return Located.join(parts)


def _write(value: Value, here: Place, depth: int, lines: list[list[Located]], lead: list[Located]) -> None:
    """Append the lines of a value; `lead` is what stands before it on its first line."""
    plain = bare(value)

    def literal(text: str) -> Located:
        return Located.computed(text, here)

    if isinstance(plain, dict) and plain:
        for number, key in enumerate(sorted(plain, key=str)):
            start = lead if number == 0 and lead else [literal(" " * depth)]
            item = plain[key]
            name = str(key)
            start = [
                *start,
                literal(
                    (name if _PLAIN.match(name) and not _AMBIGUOUS.search(name) else json.dumps(name)) + ":"
                ),
            ]
            _nested(item, here, depth, lines, start)
    elif isinstance(plain, list) and plain:
        for number, item in enumerate(plain):
            start = lead if number == 0 and lead else [literal(" " * depth)]
            _write(item, here, depth + 2, lines, [*start, literal("- ")])
    else:
        head = lead or [literal(" " * depth)]
        _scalar(value, here, depth, lines, head)


def _nested(item: Value, here: Place, depth: int, lines: list[list[Located]], start: list[Located]) -> None:
    plain = bare(item)
    if isinstance(plain, dict) and plain:
        lines.append(start)
        _write(item, here, depth + 2, lines, [])
    elif isinstance(plain, list) and plain:
        lines.append(start)
        _write(item, here, depth, lines, [])
    else:
        _scalar(item, here, depth + 2, lines, [*start, Located.computed(" ", here)])


def _scalar(value: Value, here: Place, depth: int, lines: list[list[Located]], head: list[Located]) -> None:
    plain = bare(value)
    text = located(value, here)
    if plain is None or isinstance(plain, (dict, list)):
        empty = "{}" if isinstance(plain, dict) else "[]" if isinstance(plain, list) else "null"
        lines.append([*head, Located.computed(empty, here)])
    elif not isinstance(plain, str) or isinstance(plain, Unknown):
        lines.append([*head, text])
    elif "\n" in plain and not plain.startswith((" ", "\n", "\t")):
        _block(text, here, depth, lines, head)
    elif _PLAIN.match(plain) and not _AMBIGUOUS.search(plain):
        lines.append([*head, text])
    elif re.search(r'["\\\x00-\x1f]', plain):
        place = text.place if text.runs else here
        if "'" not in plain and "\n" not in plain:
            quote = Located.computed("'", place)
            lines.append([*head, quote, text, quote])
        else:
            lines.append([*head, Located.computed(json.dumps(plain), place)])
    else:
        quote = Located.computed('"', text.place if text.runs else here)
        lines.append([*head, quote, text, quote])


def _block(text: Located, here: Place, depth: int, lines: list[list[Located]], head: list[Located]) -> None:
    """A literal block."""
    content = text.text
    body = content.rstrip("\n")
    chomping = "-" if body == content else "" if content == body + "\n" else "+"
    lines.append([*head, Located.computed("|" + chomping, here)])
    position = 0
    for line in body.split("\n"):
        indent = [Located.computed(" " * max(depth, 2), here)] if line else []
        lines.append([*indent, text.slice(position, position + len(line))])
        position += len(line) + 1
    lines.extend([[] for _ in range(len(content) - len(body) - 1)] if chomping == "+" else [])


def to_json(value: Value, here: Place) -> Located:
    """A value as JSON, which is YAML on one line; raises `LimitError`."""
    measured(value)
    return _json(value, here)


def _json(value: Value, here: Place) -> Located:
    plain = bare(value)

    def literal(text: str) -> Located:
        return Located.computed(text, here)

    if isinstance(plain, dict):
        parts = [
            part
            for number, key in enumerate(sorted(plain, key=str))
            for part in (
                literal((", " if number else "") + json.dumps(str(key)) + ": "),
                _json(plain[key], here),
            )
        ]
        return Located.join((literal("{"), *parts, literal("}")))
    if isinstance(plain, list):
        parts = [
            part
            for number, item in enumerate(plain)
            for part in (literal(", " if number else ""), _json(item, here))
            if part.text
        ]
        return Located.join((literal("["), *parts, literal("]")))
    text = located(value, here)
    if plain is None:
        return literal("null")
    if not isinstance(plain, str):
        return text
    if json.dumps(plain) != f'"{plain}"':
        return Located.computed(json.dumps(plain), text.place if text.runs else here)
    return Located.join((literal('"'), text, literal('"')))


def from_yaml(text: Located) -> Value:
    """What `fromYaml` makes of a text; an empty mapping where it is not YAML."""
    from servelint.manifests.documents.yaml_document import YamlError, parse

    try:
        documents = parse(text)
    except YamlError:
        return {}
    return from_node(documents[0]) if documents else {}
