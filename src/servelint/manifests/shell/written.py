"""Files that a Dockerfile writes itself: by `COPY <<EOF /start.sh`, by `cat`, `echo` and `printf` in RUN."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from servelint.manifests.documents.text import Located

_MAX_NESTED = 100
_NAME = r"[\"']?(?P<path>[\w./-]++)[\"']?"
_CAT = re.compile(rf"\b(?:cat|tee)\b[^|&;\n]{0, 200}?(?:>>?\s*+|\btee\s++(?:-a\s++)?){_NAME}")
_NESTED = re.compile(
    r"^[ \t]*+(?:cat|tee)\b(?P<command>[^|&;\n]{0,200}?<<-?\s*+[\"']?(?P<end>\w++)[\"']?[^|&;\n]{0,200}+)\n",
    re.MULTILINE,
)
_TARGET = re.compile(rf"(?:>>?\s*+|^\s*+(?:-a\s++)?){_NAME}")
_ECHO = re.compile(
    rf"""\b(?:echo(?:\s++-[neE]++)*+|printf(?:\s++["']%[sb](?:\\n)?["'])?)\s++
    (?P<words>(?:(?:"(?:[^"\\]|\\.)*+"|'[^']*+')\s*+(?:\\\s*+)?)++)
    (?P<append>>>?)\s*+{_NAME}""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"|'([^']*+)'", re.DOTALL)
_LINE_END = re.compile(r"\\n(?:\\\s*+\n)?")


def copied(text: Located, heredocs: Sequence[Located], folder: str) -> Iterator[tuple[str, Located]]:
    """The files of `COPY <<one <<two /folder/`."""
    words = text.text.split()
    names = [word.lstrip("<-").strip("\"'") for word in words if word.startswith("<<")]
    target = words[-1].strip("\"'")
    for name, body in zip(names, heredocs, strict=False):
        yield path_in(folder, f"{target}{name}" if target.endswith("/") else target), body


def by_commands(text: Located, heredocs: Sequence[Located], folder: str) -> Iterator[tuple[str, Located]]:
    """The files that the commands of RUN write."""
    for body, found in zip(heredocs, _CAT.finditer(text.text), strict=False):
        yield path_in(folder, found["path"]), body
    contents: dict[str, list[Located]] = {}
    for found in _ECHO.finditer(text.text):
        path = path_in(folder, found["path"])
        lines = [text.slice(*span) for span in _lines(text, *found.span("words"))]
        before = contents.setdefault(path, [])
        if found["append"] == ">":
            before.clear()
        before.extend(lines)
    for path, lines in contents.items():
        yield path, _joined(lines)
    for body in heredocs:
        yield from _nested(body, folder)


def _nested(script: Located, folder: str) -> Iterator[tuple[str, Located]]:
    """The files that a script in a here-document writes by here-documents of its own."""
    for found in itertools.islice(_NESTED.finditer(script.text), _MAX_NESTED):
        target = _TARGET.search(re.sub(r"<<-?\s*+\S++", "", found["command"]))
        close = re.compile(rf"^\t*+{found['end']}$", re.MULTILINE).search(script.text, found.end())
        if target is not None and close is not None:
            yield path_in(folder, target["path"]), script.slice(found.end(), close.start())


def _lines(text: Located, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines of quoted words, cut where `\\n` ends one."""
    for quoted in _QUOTED.finditer(text.text, start, end):
        begin, stop = quoted.span(1 if quoted.group(1) is not None else 2)
        for cut in _LINE_END.finditer(text.text, begin, stop):
            yield begin, cut.start()
            begin = cut.end()
        yield begin, stop


def _joined(lines: Sequence[Located]) -> Located:
    parts: list[Located] = []
    for line in lines:
        if line.runs:
            parts += (line, Located.computed("\n", line.place))
    return Located.join(parts)


def path_in(folder: str, path: str) -> str:
    """A path of an image, absolute; `folder` is the working directory."""
    if not path.startswith("/"):
        path = f"{folder.rstrip('/')}/{path}"
    return re.sub(r"/(?:\./)+", "/", path)
