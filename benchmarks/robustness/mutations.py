"""Cases: a project of the fixtures that something was done to, the same for the same seed and number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from random import Random

from .pieces import BOMS, DEPTHS, ENCODINGS, GLOBS, LINE_ENDS, NAMES, NUMBERS, nests_for, pieces_for
from .projects import Project, ending, is_safe

_LARGEST = 400_000
_NUMBER = re.compile(rb"\d+")
_WORD = re.compile(r"[A-Za-z_]\w*")
_BLOCK = re.compile(r"^( +)\S.*$", re.MULTILINE)
_CONFIGURATION = "servelint.toml"


@dataclass(frozen=True, slots=True)
class Case:
    """A project, whether unsafe fixes are tried, and what was done to it."""

    project: Project
    unsafe: bool
    recipe: tuple[str, ...]

    @property
    def configured(self) -> bool:
        """Whether it has a configuration: then a message and exit status 2 are an answer, too."""
        return any(PurePosixPath(name).name in {_CONFIGURATION, "pyproject.toml"} for name in self.project)


def make(seed: int, number: int, projects: tuple[Project, ...]) -> Case:
    """The case of that number."""
    rng = Random(f"{seed}:{number}")
    project = _mixed(rng, projects) if rng.random() < 0.2 else dict(rng.choice(projects))
    recipe = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
        if rng.random() < 0.1:
            change = rng.choice(PROJECT_CHANGES)
            project = change(rng, project)
            recipe.append(change.__name__)
        else:
            name = rng.choice(sorted(project))
            if rng.random() < 0.05:
                content = splice_files(rng, project[name], _donor(rng, name, projects))
                recipe.append(splice_files.__name__)
            else:
                mutate = rng.choice(FILE_CHANGES)
                content = mutate(rng, project[name], ending(name))
                recipe.append(mutate.__name__)
            if len(content) <= _LARGEST:
                project[name] = content
    return Case(project, rng.random() < 0.5, tuple(recipe))


def _mixed(rng: Random, projects: tuple[Project, ...]) -> Project:
    """Files of several projects in one folder, that were never meant to be together."""
    chosen = rng.choices(projects, k=rng.randint(2, 4))
    files = (rng.choice(sorted(project.items())) for project in chosen)
    return {PurePosixPath(name).name: content for name, content in files}


def _donor(rng: Random, name: str, projects: tuple[Project, ...]) -> bytes:
    """The content of some file of the same kind."""
    alike = [
        content for other in projects for found, content in other.items() if ending(found) == ending(name)
    ]
    return rng.choice(alike) if alike else b""


# -- the bytes of a file ---------------------------------------------------------------------------


def flip_bytes(rng: Random, data: bytes, _kind: str) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(rng: Random, data: bytes, _: str) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[start + rng.choice((1, 5, 40, 400, len(data))) :]


def add_bom(rng: Random, data: bytes, _: str) -> bytes:
    return rng.choice(BOMS) + data


def add_nul(rng: Random, data: bytes, _: str) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + b"\0" * rng.randint(1, 3) + data[start:]


def huge_number(rng: Random, data: bytes, _: str) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS).encode() + data[one.end() :]


def encode(rng: Random, data: bytes, kind: str) -> bytes:
    """In another encoding, which a Python file may declare."""
    name = rng.choice(ENCODINGS)
    text = _text(data)
    if kind == ".py" and rng.random() < 0.7:
        text = f"# coding: {name}\n{text}"
    if rng.random() < 0.3:
        text = text.replace("model", "mödél", 1)
    return text.encode(name, "replace")


def splice_files(rng: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of another, cut at lines as a rule."""
    if rng.random() < 0.7:
        first, second = data.splitlines(keepends=True), other.splitlines(keepends=True)
        return b"".join(first[: rng.randint(0, len(first))] + second[rng.randint(0, len(second)) :])
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


# -- the text of a file ----------------------------------------------------------------------------


def insert_piece(rng: Random, data: bytes, kind: str) -> bytes:
    text = _text(data)
    start = rng.randint(0, len(text))
    return _bytes(text[:start] + rng.choice(pieces_for(kind)) * rng.choice((1, 1, 1, 2, 30)) + text[start:])


def insert_line(rng: Random, data: bytes, kind: str) -> bytes:
    """A piece on a line of its own, with the indentation of the line before."""
    lines = _text(data).splitlines(keepends=True)
    place = rng.randint(0, len(lines))
    before = lines[place - 1] if place else ""
    indent = before[: len(before) - len(before.lstrip(" "))]
    lines.insert(place, indent + rng.choice(pieces_for(kind)).rstrip("\n") + "\n")
    return _bytes("".join(lines))


def shuffle_lines(rng: Random, data: bytes, _kind: str) -> bytes:
    lines = _text(data).splitlines(keepends=True)
    for _ in range(rng.randint(1, 5)):
        if len(lines) > 1:
            taken = lines.pop(rng.randrange(len(lines)))
            lines.insert(rng.randint(0, len(lines)), taken)
    return _bytes("".join(lines))


def repeat_block(rng: Random, data: bytes, _: str) -> bytes:
    lines = _text(data).splitlines(keepends=True)
    start = rng.randint(0, len(lines))
    block = lines[start : start + rng.randint(1, 12)]
    times = rng.choice((2, 2, 3, 20, 200))
    return _bytes("".join(lines[:start] + block * times + lines[start + len(block) :]))


def line_ends(rng: Random, data: bytes, _: str) -> bytes:
    """All line ends, or some, are others."""
    share = rng.choice((1.0, 0.5, 0.1))
    end = rng.choice(LINE_ENDS)
    return _bytes("".join(end if c == "\n" and rng.random() < share else c for c in _text(data)))


def indent(rng: Random, data: bytes, _: str) -> bytes:
    """Tabs or other numbers of spaces, everywhere or on one line."""
    text = _text(data)
    if rng.random() < 0.5:
        return _bytes(text.replace("    ", rng.choice(("\t", " ", "  ", "        "))))
    lines = text.splitlines(keepends=True)
    if lines:
        place = rng.randrange(len(lines))
        lines[place] = rng.choice((" ", "    ", "\t", "\x0c", "\xa0", "\u3000")) + lines[place]
    return _bytes("".join(lines))


def nest(rng: Random, data: bytes, kind: str) -> bytes:
    """Something nested deeply: as a line of its own, or in the place of a word."""
    before, middle, after = rng.choice(nests_for(kind))
    depth = rng.choice(DEPTHS)
    nested = before * depth + middle + after * depth
    text = _text(data)
    words = list(_WORD.finditer(text))
    if words and rng.random() < 0.5:
        word = rng.choice(words)
        return _bytes(text[: word.start()] + nested + text[word.end() :])
    lines = text.splitlines(keepends=True)
    lines.insert(rng.randint(0, len(lines)), nested + "\n")
    return _bytes("".join(lines))


def staircase(rng: Random, data: bytes, kind: str) -> bytes:
    """Blocks in blocks, each on a line and one step further in."""
    opening = rng.choice(
        ("if x:", "def f():", "class A:", "with x:", "for x in x:", "while x:", "async def f():")
        if kind == ".py"
        else ("a:", "-", "x: &a", "{{ if a }}", "- b:")
    )
    steps = rng.choice((5, 15, 60, 99, 300))
    stairs = "".join(" " * step + opening + "\n" for step in range(steps)) + " " * steps + "pass\n"
    return data + b"\n" + stairs.encode()


def swap_words(rng: Random, data: bytes, _: str) -> bytes:
    """A word becomes another one of the file, once or everywhere: often still valid, with another meaning."""
    text = _text(data)
    words = list(_WORD.finditer(text))
    if not words:
        return data
    one, other = rng.choice(words), rng.choice(words)[0]
    if rng.random() < 0.3:
        return _bytes(re.sub(rf"\b{one[0]}\b", other, text))
    return _bytes(text[: one.start()] + other + text[one.end() :])


def wrap_line(rng: Random, data: bytes, kind: str) -> bytes:
    """A line inside a block, with a comment, or joined to another one: mostly still valid."""
    text = _text(data)
    lines = list(_BLOCK.finditer(text))
    if not lines:
        return data
    line = rng.choice(lines)
    margin, code = line[1], line[0].strip()
    if kind == ".py":
        forms: tuple[str, ...] = (
            f"{margin}if True:\n{margin}    {code}",
            f"{margin}with lock:  # held\n{margin}\t{code}",
            f"{margin}try:\n{margin}  {code}\n{margin}finally: pass",
            f"{margin}pass; {code}; pass  # é",
            f"{margin}{code} \\\n",
            f"{margin}({code})",
            f"{margin}[{code} for _ in range(3)]",
            f"{margin}(lambda: {code})()",
            f"{margin}x = '''a\u2028b\x0c\n  c''', {code}",
            f"{margin}if (n := 1): {code}",
            f"{margin}async with lock: {code}",
            f"{margin}print(f'{{{code}}}')",
            f"{margin}while True: {code}",
        )
    else:
        forms = (
            f"{margin}{code} # é",
            f"{margin}{code}\n{margin}{code}",
            f"{margin}'{code}'",
            f'{margin}"{code}"',
        )
    return _bytes(text[: line.start()] + rng.choice(forms) + text[line.end() :])


# -- the files of a project ------------------------------------------------------------------------


def hostile_name(rng: Random, project: Project) -> Project:
    """A file or its folder has another name."""
    old = rng.choice(sorted(project))
    folder, slash, base = old.rpartition("/")
    name = rng.choice(NAMES)
    new = rng.choice(
        (f"{name}/{old}", f"{folder}{slash}{name}", f"{folder}{slash}{name}{base[base.rfind('.') :]}")
    )
    if not is_safe(new) or any(found.startswith(f"{new}/") for found in project):
        return project
    return {(new if found == old else found): content for found, content in project.items()}


def copy_file(rng: Random, project: Project) -> Project:
    """The same content under another name, of another kind even."""
    name, other = rng.choice(sorted(project)), rng.choice(sorted(project))
    folder = rng.choice(("copy/", "src/", "tests/", "templates/", "a/b/c/", ""))
    kinds = (
        "Dockerfile",
        "Chart.yaml",
        "values.yaml",
        "kustomization.yaml",
        "compose.yaml",
        "__init__.py",
        ".env",
    )
    base = rng.choice((PurePosixPath(other).name, *kinds))
    return project | {f"{folder}{base}": project[name]} if is_safe(f"{folder}{base}") else project


def ignore_file(rng: Random, project: Project) -> Project:
    """A `.gitignore` or a configuration with patterns of every shape."""
    patterns = ["".join(rng.choices(GLOBS, k=rng.choice((1, 2, 5, 40)))) for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.5:
        return project | {".gitignore": _bytes("\n".join(patterns))}
    quoted = ", ".join("'" + pattern.replace("\udcff", "") + "'" for pattern in patterns)
    return project | {_CONFIGURATION: _bytes(f"extend-exclude = [{quoted}]\n")}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    """With the bytes that were no text, and what cannot be text as UTF-8 would have it."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


PROJECT_CHANGES: tuple[Callable[[Random, Project], Project], ...] = (hostile_name, copy_file, ignore_file)
FILE_CHANGES: tuple[Callable[[Random, bytes, str], bytes], ...] = (
    *(flip_bytes, cut, add_bom, add_nul, huge_number, encode),
    *(insert_piece, insert_piece, insert_line, insert_line, shuffle_lines, repeat_block, line_ends, indent),
    *(nest, nest, staircase, swap_words, swap_words, swap_words, wrap_line, wrap_line, wrap_line),
)
