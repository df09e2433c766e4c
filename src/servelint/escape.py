"""How text that others wrote stands in what servelint writes: one function for each kind of reader.

The names of files, keys of manifests and whatever is quoted in a message can hold anything: escape sequences,
line ends, characters that turn the direction of writing, and bytes that are not text, which Python has as
lone surrogates. None of it may speak to a terminal, to a CI system that reads commands from the output, or
to the reader of a format.
"""

from __future__ import annotations

import re
from typing import Any

# `::name` at the beginning of a line, and these anywhere in one, are commands to GitHub, Azure and TeamCity.
_COMMAND = re.compile(r"(?<=#)#(?=\[|vso\[|teamcity\[)", re.IGNORECASE)
_BEYOND_ASCII = re.compile(r"[^\n\x20-\x7e]")
_WORKFLOW = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_MARKUP = re.compile(r'[\\`*_{}\[\]<>&|~!@#$^"]|:(?=//)')
_PING = re.compile(r"&#(?:35|64);")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\r|\n")


def visible(text: str) -> str:
    r"""`text` on one line for a terminal or a log: what is not printable as `\n`, `\x1b`, `\u202e`.

    A byte that is not text is `\xff`. What a CI system would take for a command is told apart by `\x23`.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return _COMMAND.sub(r"\\x23", text) if "##" in text else text


def in_columns(text: str) -> str:
    """`text` as `visible` has it, but a character for each character, so that an underline fits below it."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return _COMMAND.sub("\N{REPLACEMENT CHARACTER}", text) if "##" in text else text


def output_line(line: str) -> str:
    """A finished line of visible text that does not begin as a workflow command does."""
    if line.lstrip().startswith("::"):
        return line.replace(":", "\\x3a", 1)
    return line


def unicode_text(text: str) -> str:
    r"""`text` as it can be encoded: a byte that is not text becomes the four characters `\xff`."""
    return _SURROGATE.sub(lambda found: _escaped(found[0]), text)


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""`value` as JSON that is valid Unicode and ASCII where it is not printable, and holds no command.

    Strings are kept as they are, but for what `unicode_text` does to them.
    """
    import json

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if character.isprintable():
            return character
        return json.dumps(unicode_text(character))[1:-1]

    dumped = json.dumps(value, indent=indent, ensure_ascii=False)
    if not dumped.isascii() or "\x7f" in dumped:
        dumped = _BEYOND_ASCII.sub(escaped, dumped)
    return _COMMAND.sub(r"\\u0023", dumped) if "##" in dumped else dumped


def workflow_data(text: str) -> str:
    """The message of a GitHub workflow command: line ends are kept, encoded, the rest is made visible."""
    text = "".join(_WORKFLOW.get(c) or (c if c.isprintable() else _escaped(c)) for c in text)
    return _COMMAND.sub(r"\\x23", text)


def workflow_property(text: str) -> str:
    """The value of a property of a GitHub workflow command, such as `file`."""
    return workflow_data(text).replace(":", "%3A").replace(",", "%2C")


def xml(text: str) -> str:
    """Text of an XML element, or of an attribute in double quotes; the lines of a message are kept."""
    lines = (visible(line) for line in _LINE_END.split(text))
    joined = "&#10;".join(line.replace("&", "&amp;") for line in lines)
    return joined.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def html(text: str) -> str:
    """`text` on one line of an element, or of an attribute in quotes."""
    return visible(text).translate(_HTML)


def html_columns(text: str) -> str:
    """`text` as `html` has it, but a character for each character, as lines of source are shown."""
    return in_columns(text).translate(_HTML)


def markdown(text: str) -> str:
    """`text` in a line or a cell of Markdown: what is between backticks is code, all else stands literally.

    It can neither end the cell, nor hold HTML, a link or an image, nor notify a person or an issue.
    """
    parts = visible(" ".join(text.split())).split("`")
    if len(parts) % 2 == 0:  # the last backtick has no partner
        parts[-2:] = ["`".join(parts[-2:])]
    made = [markdown_code(part) if index % 2 else _literal(part) for index, part in enumerate(parts)]
    if "``" not in "".join(made):
        return "".join(made)
    return "".join(_tagged(part) if index % 2 else _literal(part) for index, part in enumerate(parts))


def markdown_code(text: str) -> str:
    """`text` as code in a line or a cell of Markdown."""
    shown = visible(text)
    return f"`{shown}`" if shown.strip() and not re.search(r"[`|]", shown) else _tagged(shown)


def sarif_message(text: str) -> str:
    """Text of a SARIF message, in which `[words](target)` would be a link."""
    return text.replace("](", "\\](")


def uri(name: str) -> str:
    """The relative reference to a file, with the very bytes of its name."""
    from urllib.parse import quote

    return quote(name.encode("utf-8", "surrogateescape"))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python names a byte that is not text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _literal(text: str) -> str:
    # A space of no width keeps `@name` and `#12` from being found after the entities are resolved.
    return _PING.sub(r"\g<0>&#8203;", _entities(text))


def _tagged(text: str) -> str:
    return f"<code>{_entities(text)}</code>"


def _entities(text: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)
