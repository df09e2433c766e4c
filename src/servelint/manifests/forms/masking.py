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

_OPEN = re.compile(r"(?<!\$)\$\{(?=\w)|\{[{%#]|<%|%\{")
_CLOSE = {"{{": "}}", "{%": "%}", "{#": "#}", "<%": "%>"}
# Terraform: what is doubled is meant as it stands, and what is between may hold braces and strings.
_TERRAFORM = re.compile(r"(?<![$%])[$%]\{|\{[{%#]|<%")
_WITHIN = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[{}]')
_TERRAFORM_TEMPLATES = (".tftpl", ".tpl", ".tmpl")
_TERRAFORM_FILES = (*_TERRAFORM_TEMPLATES, ".tf", ".tofu")
_TEMPLATES = (*_TERRAFORM_TEMPLATES, ".j2", ".jinja", ".jinja2", ".gotmpl", ".template")


def suffix(path: Path) -> str:
    """The suffix of what a file is, or of what it is a template for; its own where its name does not say."""
    return path.with_suffix("").suffix or path.suffix if is_template(path) else path.suffix


def is_template(path: Path) -> bool:
    """Whether a file's name says that something is made of it."""
    return path.suffix in _TEMPLATES


def masked(text: Located) -> Located | None:
    """The text with template tags masked, or None where there are none.

    A tag alone on its line vanishes; any other becomes a run of a character that no manifest means.
    """
    content = text.text
    terraform = bool(text.runs) and text.place.source.path.suffix in _TERRAFORM_FILES
    tags = list(_tags(content, _TERRAFORM if terraform else _OPEN))
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


def _tags(content: str, opening: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Where tags begin and end. One that is never closed is none, and its kind is not looked for again."""
    unclosed: set[str] = set()
    position = 0
    while found := opening.search(content, position):
        close = _closed(content, found) if found[0] not in unclosed else -1
        if close < 0:
            unclosed.add(found[0])
            position = found.start() + 1
        else:
            position = close
            yield found.start(), position


def _closed(content: str, found: re.Match[str]) -> int:
    """Where a tag ends that begins here; -1 where it does not."""
    close = _CLOSE.get(found[0])
    if close is not None:
        end = content.find(close, found.end())
        return end + len(close) if end >= 0 else -1
    depth = 1
    for part in _WITHIN.finditer(content, found.end()):
        depth += (part[0] == "{") - (part[0] == "}")
        if not depth:
            return part.end()
    return -1


def _mask(content: str, start: int, end: int) -> str:
    tag = content[start:end]
    if not tag.startswith(("{{", "${")) or (_blank(content, start, -1) and _blank(content, end, 1)):
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
