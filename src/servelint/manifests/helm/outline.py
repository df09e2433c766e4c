"""Whether a template prints nothing with the values at hand, told without parsing the values.

Charts by the hundred carry an autoscaler behind `if .Values.autoscaling.enabled`. Looking that one key up in
the text of the values is a thousand times cheaper than reading them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from servelint.manifests.helm import syntax

_OFF = frozenset((b"", b"false", b"null", b"~", b'""', b"''", b"0", b"{}", b"[]"))

_SWITCHES = frozenset(("enabled", "enable", "install", "deploy"))
_DEVELOPMENT = frozenset(("debug", "dev", "development", "local", "test", "tests", "testing"))


def switched_off(template: syntax.Template, values: Sequence[bytes]) -> bool:
    """Whether all that a template prints is behind a value that is off in all `values`."""
    return all(_silent(piece, values) for piece in template.pieces)


def guards(template: syntax.Template) -> Iterator[tuple[str, ...]]:
    """The values that turn on what a whole template prints: `if .Values.batch.enabled`."""
    for piece in template.pieces:
        match piece:
            case syntax.Block(kind="if", branches=[(syntax.Pipeline() as condition, _)]):
                yield from filter(_is_switch, _required(condition))


def choices(template: syntax.Template, words: Sequence[str]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The switches that choose between texts, one of the words in them, and how they stand then."""
    waiting: list[syntax.Piece] = list(template.pieces)
    for piece in waiting:
        branches = piece.branches if isinstance(piece, syntax.Block) else []
        for condition, body in branches:
            waiting += body
            if len(branches) > 1 and condition is not None and any(_says(part, words) for part in body):
                turned = _turned(condition)
                for keys in filter(_is_switch, _required(turned or condition)):
                    yield keys, turned is None


def _says(piece: syntax.Piece, words: Sequence[str]) -> bool:
    return isinstance(piece, syntax.Text) and any(word in piece.text.text for word in words)


def _turned(condition: syntax.Pipeline) -> syntax.Pipeline | None:
    """What a condition of the form `not .Values.proxy.enabled` asks of."""
    if len(condition.commands) != 1:
        return None
    words = condition.commands[0].words
    if len(words) != 2 or not isinstance(words[0], syntax.Name) or words[0].name != "not":
        return None
    inner = words[1]
    return inner if isinstance(inner, syntax.Pipeline) else syntax.Pipeline((syntax.Command((inner,)),))


def _is_switch(keys: tuple[str, ...]) -> bool:
    return bool(keys) and keys[-1] in _SWITCHES and _DEVELOPMENT.isdisjoint(key.lower() for key in keys)


def _silent(piece: syntax.Piece, values: Sequence[bytes]) -> bool:
    match piece:
        case syntax.Text(text=text):
            return not text.text.strip().strip("-") or all(
                line.strip() in ("", "---") or line.lstrip().startswith("#") for line in text.text.split("\n")
            )
        case syntax.Assign():
            return True
        case syntax.Block(kind="if" | "with", branches=[(condition, _)]):
            return condition is not None and any(_off(keys, values) for keys in _required(condition))
        case _:
            return False


def _required(condition: syntax.Pipeline) -> Iterator[tuple[str, ...]]:
    """Paths of values without which a condition cannot hold."""
    if len(condition.commands) != 1:
        return
    words = condition.commands[0].words
    if isinstance(words[0], syntax.Name) and words[0].name == "and":
        words = words[1:]
    elif len(words) != 1:
        return
    for word in words:
        if isinstance(word, syntax.Pipeline):
            yield from _required(word)
        elif isinstance(word, syntax.Field) and word.names[0] == "Values" and _is_root(word.base):
            yield word.names[1:]


def _is_root(expression: syntax.Expression) -> bool:
    return isinstance(expression, syntax.Dot) or expression == syntax.Variable("")


def _off(keys: tuple[str, ...], values: Sequence[bytes]) -> bool:
    return bool(keys) and all(_value(text, keys) in _OFF for text in values)


def _value(text: bytes, keys: Sequence[str]) -> bytes:
    """What stands after a path of keys: empty where it is not there, `?` where it is not plain."""
    if b"<<:" in text:
        return b"?"
    indent = 0
    for position, key in enumerate(keys):
        start = _after_key(text, indent, key.encode())
        if start < 0:
            return b""
        stop = text.find(b"\n", start)
        line, rest = (text[start:stop], text[stop:]) if stop >= 0 else (text[start:], b"")
        value = re.sub(rb"(?:^|\s)#.*", b"", line).strip()
        end = re.search(rb"(?m)^ {0,%d}[^\s#-]" % indent, rest)
        text = rest[: end.start()] if end else rest
        child = re.search(rb"(?m)^( +)[^\s#]", text)
        if value and position + 1 < len(keys):
            return b"" if value in _OFF else b"?"
        if position + 1 == len(keys):
            nested = child is not None or re.match(rb"\s*-", text) is not None
            return b"?" if nested and not value else value
        indent = len(child.group(1)) if child else 0
        if child is None:
            return b""
    return b"?"


def _after_key(text: bytes, indent: int, key: bytes) -> int:
    """Where the value begins on the first line with the key, so far indented; negative if there is none."""
    text = b"\n" + text
    forms = [b"\n" + b" " * indent + written + b":" for written in (key, b"'%s'" % key, b'"%s"' % key)]
    places = [place + len(form) - 1 for form in forms if (place := text.find(form)) >= 0]
    return min(places, default=-1)
