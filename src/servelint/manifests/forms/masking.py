"""Templates read as YAML by masking: expressions become placeholders of the same length, in place.

For templates that servelint does not evaluate (Jinja, Go templates outside a chart). Every other character
keeps its position, so that findings stand where they should.
"""

from __future__ import annotations

import re
from pathlib import Path

from servelint.manifests.documents.text import Located, Run
from servelint.manifests.shell.commandline import UNKNOWN

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<%.*?%>", re.DOTALL)


_TEMPLATES = (".j2", ".jinja", ".jinja2", ".gotmpl", ".tmpl", ".template")


def suffix(path: Path) -> str:
    """The suffix of what a file is, or of what it is a template for."""
    return path.with_suffix("").suffix if path.suffix in _TEMPLATES else path.suffix


def masked(text: Located) -> Located | None:
    """The text with template tags masked, or None where there are none.

    A tag alone on its line vanishes; any other becomes a run of a character that no manifest means.
    """
    content = text.text
    if not _TAG.search(content):
        return None
    out: list[str] = []
    position = 0
    for found in _TAG.finditer(content):
        out.append(content[position : found.start()])
        out.append(_mask(content, found))
        position = found.end()
    out.append(content[position:])
    result = "".join(out)
    assert len(result) == len(content)
    return Located(result, tuple(Run(r.start, r.end, r.source, r.offset, r.stop, True) for r in text.runs))


def _mask(content: str, found: re.Match[str]) -> str:
    start = content.rfind("\n", 0, found.start()) + 1
    end = content.find("\n", found.end())
    rest = content[found.end() : end if end >= 0 else len(content)]
    alone = not content[start : found.start()].strip() and not rest.strip()
    if alone or not found.group().startswith("{{"):
        return re.sub(r"[^\r\n]", " ", found.group())
    return re.sub(r"[\s\S]", UNKNOWN, found.group())
