"""Templates read as YAML by masking: expressions become placeholders of the same length, in place.

For templates that servelint does not evaluate (Jinja, Terraform, Go templates outside a chart). Every other
character keeps its position, so that findings stand where they should.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from servelint.manifests.documents.text import Located, Run
from servelint.manifests.shell.commandline import UNKNOWN

_OPEN = re.compile(r"\{[{%#]|<%|%\{")
_CLOSE = {"{{": "}}", "{%": "%}", "{#": "#}", "<%": "%>", "%{": "}"}
_TEMPLATES = (".j2", ".jinja", ".jinja2", ".gotmpl", ".tmpl", ".template")


def suffix(path: Path) -> str:
    """The suffix of what a file is, or of what it is a template for."""
    return path.with_suffix("").suffix if path.suffix in _TEMPLATES else path.suffix


def masked(text: Located) -> Located | None:
    """The text with template tags masked, or None where there are none.

    A tag alone on its line vanishes; any other becomes a run of a character that no manifest means.
    """
    content = text.text
    tags = list(_tags(content))
    if not tags:
        return None
    out: list[str] = []
    position = 0
    for start, end in tags:
        out.append(content[position:start])
        out.append(_mask(content, start, end))
        position = end
    out.append(content[position:])
    result = "".join(out)
    assert len(result) == len(content)
    return Located(result, tuple(Run(r.start, r.end, r.source, r.offset, r.stop, True) for r in text.runs))


def _tags(content: str) -> Iterator[tuple[int, int]]:
    """Where tags begin and end. One that is never closed is none, and its kind is not looked for again."""
    unclosed: set[str] = set()
    position = 0
    while found := _OPEN.search(content, position):
        close = content.find(_CLOSE[found[0]], found.end()) if found[0] not in unclosed else -1
        if close < 0:
            unclosed.add(found[0])
            position = found.start() + 1
        else:
            position = close + len(_CLOSE[found[0]])
            yield found.start(), position


def _mask(content: str, start: int, end: int) -> str:
    tag = content[start:end]
    if not tag.startswith("{{") or (_blank(content, start, -1) and _blank(content, end, 1)):
        return re.sub(r"[^\r\n]", " ", tag)
    return re.sub(r"[\s\S]", UNKNOWN, tag)


def _blank(content: str, position: int, step: int) -> bool:
    """Whether there is nothing but white space from a position to the end or the beginning of its line."""
    position -= step < 0
    while 0 <= position < len(content) and content[position] != "\n":
        if not content[position].isspace():
            return False
        position += step
    return True
