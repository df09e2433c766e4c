"""Hostile projects, each made from a number: fixtures, mutated; the same number gives the same project."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
LARGEST = 40_000  # bytes of a fixture that is worth mutating
MARKS = (
    *("\u2028", "\u0085", "\x0c", "\x0b", "\x1c", "\x00", "\ufeff", "\u202e"),
    *("\r", "\t", "\\\n", "\U0001f525"),
    *('"""', "'", "{{", "}}", "${", "$((", "%{", "<<EOF", "&a", "*a", "<<:", "- ", ": ", "|", "---\n"),
    *("²", "1e999", "0x", "9" * 400, "await ", "async ", "lambda: ", "*", "@"),
    *("# servelint: ignore[SRV101]", "# type: ignore"),
)


@cache
def sources() -> tuple[tuple[str, bytes], ...]:
    """The name and content of each fixture, in the order of their paths."""
    paths = sorted(path for path in FIXTURES.rglob("*") if path.is_file())
    return tuple((path.name, path.read_bytes()) for path in paths if path.stat().st_size <= LARGEST)


def project(number: int) -> dict[str, bytes]:
    """The files of the project with this number, by name."""
    random = Random(number)
    files: dict[str, bytes] = {}
    for _ in range(random.randint(1, 4)):
        name, content = random.choice(sources())
        for _ in range(random.choice((0, 1, 1, 2, 5))):
            content = random.choice(MUTATIONS)(random, content)
        files[name] = content
    return files


def _flipped(random: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 8)):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _marked(random: Random, content: bytes) -> bytes:
    place = random.randint(0, len(content))
    mark = random.choice(MARKS).encode() * random.choice((1, 1, 1, 3, 50))
    return content[:place] + mark + content[place:]


def _shuffled(random: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    for _ in range(random.randint(1, 4)):
        first, second = random.randrange(len(lines)), random.randrange(len(lines))
        lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _repeated(random: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    start = random.randrange(len(lines))
    block = lines[start : start + random.randint(1, 12)]
    return b"\n".join((*lines[:start], *(block * random.choice((2, 5, 60))), *lines[start:]))


def _cut(random: Random, content: bytes) -> bytes:
    start = random.randint(0, len(content))
    return content[:start] + content[start + random.randint(0, 200) :]


def _spliced(random: Random, content: bytes) -> bytes:
    _, other = random.choice(sources())
    place, start = random.randint(0, len(content)), random.randint(0, len(other))
    return content[:place] + other[start : start + random.randint(0, 400)] + content[place:]


def _nested(random: Random, content: bytes) -> bytes:
    opening, closing = random.choice(
        (("(", ")"), ("[", "]"), ("{", "}"), ("-", ""), ("not ", ""), ("if x:\n ", ""))
    )
    depth = random.choice((20, 150, 600, 3_000))
    place = content.find(b"\n", random.randint(0, len(content))) + 1
    return content[:place] + f"{opening * depth}1{closing * depth}\n".encode() + content[place:]


def _encoded(random: Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    encoding = random.choice(("utf-16", "utf-8-sig", "latin-1", "cp932", "utf-7"))
    cookie = f"# -*- coding: {encoding} -*-\n" if random.random() < 0.5 else ""
    return (cookie + text).encode(encoding, "replace")


def _ended(random: Random, content: bytes) -> bytes:
    return content.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b"\x0c\n", b" \\\n")))


MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flipped, _marked, _marked, _shuffled, _repeated, _cut, _spliced, _nested, _encoded, _ended,
)  # fmt: skip
