"""A fix may change what it says that it changes; a name that it brings must be bound, once, before it is used."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from servelint.code.fixes.verification.check import fault
from servelint.finding import Edit, Span
from servelint.project.text.source import decode

PATH = Path("/x/app.py")
FILE = '''"""About."""
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import queue


def answer(row, *, model):
    """What it does."""
    with model.lock:
        text = """one
        two"""
        found = model.predict(row, text)
    print(found)
    return found[0]


class Service:
    def close(self):
        global opened
        opened = os.getpid() - 1.0
'''


def edits(*pairs: tuple[str, str]) -> list[Edit]:
    """Replace each text, which is there once, by the other."""
    source = decode(PATH, FILE.encode())
    assert all(FILE.count(old) == 1 for old, _ in pairs)
    return [Edit(source.span(FILE.index(old), FILE.index(old) + len(old)), new) for old, new in pairs]


def span(text: str) -> Span:
    source = decode(PATH, FILE.encode())
    return source.span(FILE.index(text), FILE.index(text) + len(text))


MEANT = [
    [
        ("model.predict(row, text)", "await_(lambda: model.predict(row, text))"),
        ("import os\n", "import os\nfrom x import await_\n"),
    ],
    [("model.predict(row, text)", "print(os, model.predict, row, text)")],
    [
        ("import os\n", "import asyncio\nimport os\n"),
        ("    print(found)", "    print(asyncio)\n    print(found)"),
    ],
    [("def answer", "_pool = os.cpu_count()\n\n\ndef answer"), ("print(found)", "print(found, _pool)")],
    [("    print(found)\n", "    def shown():\n        print(found)\n\n    shown()\n")],
    [("found[0]", "found[  0]  # said")],
]


@pytest.mark.parametrize("pairs", MEANT, ids=range(len(MEANT)))
def test_what_is_meant(pairs: list[tuple[str, str]]) -> None:
    assert fault(PATH, FILE.encode(), edits(*pairs), ()) == ""


CHANGED = [
    ("        two", "            two", 10),
    ("        found = model", "    found = model", 10),
    ("model.predict(row, text)", "model.predict(text, row)", 10),
    ("model.predict(row, text)", "model.predict(row)", 10),
    ("model.predict(row, text)", "model.score(row, text)", 10),
    ("1.0", "1", 19),
    ("    print(found)\n", "", 15),
    ("print(found)", "return found", 15),
    ('"""About."""\n', 'ready = True\n"""About."""\n', 1),
    ('    """What', '    ready = True\n    """What', 9),
    ("*, model", "model", 9),
    ("class Service:", "class Service(object):", 19),
    ("global opened", "pass", 19),
]


@pytest.mark.parametrize(("old", "new", "line"), CHANGED, ids=range(len(CHANGED)))
def test_what_is_not_meant(old: str, new: str, line: int) -> None:
    assert re.fullmatch(
        r"something else would change in line \d+", fault(PATH, FILE.encode(), edits((old, new)), ())
    )
    assert line


def test_what_is_replaced_has_to_be_said() -> None:
    changed = edits(("model.predict(row, text)", "os.name"))
    assert fault(PATH, FILE.encode(), changed, ())
    assert fault(PATH, FILE.encode(), changed, [span("model.predict(row, text)")]) == ""
    assert fault(PATH, FILE.encode(), changed, [span("row, text")]), "that is no expression"


NAMES = [
    ([("print(found)", "print(found, asyncio)")], "`asyncio` would not be bound"),
    ([("print(found)", "print(found, queue)")], "`queue` would not be bound"),
    ([('About."""\n', 'About."""\n_pool = os.cpu_count()\n')], "`os` would be used before it is bound"),
    (
        [("import os\n", "import os\n_pool = Pool()\nfrom x import Pool\n")],
        "`Pool` would be used before it is bound",
    ),
    ([("import os\n", "import os\nopened = 1\n")], "`opened` would be bound to several things"),
    (
        [("import os\n", "import os\nfrom x import TYPE_CHECKING\n")],
        "`TYPE_CHECKING` would be bound to several things",
    ),
    ([("import os\n", "import os\nprint = 1\n")], "`print` would hide the builtin"),
    (
        [("    print(found)\n", "    def model():\n        pass\n    print(found)\n")],
        "`model` would hide another",
    ),
    (
        [
            (
                "    print(found)\n",
                "    def a():\n        pass\n    def a():\n        pass\n    print(found)\n",
            )
        ],
        "`a` would be bound twice",
    ),
    (
        [("    print(found)\n", "    print(b)\n    b = 1\n    print(found)\n")],
        "`b` would be used before it is bound",
    ),
    (
        [("def answer(row", "def answer(row, other=late"), ("class Service", "late = 1\n\n\nclass Service")],
        "something else would change in line 9",
    ),
]


@pytest.mark.parametrize(("pairs", "reason"), NAMES, ids=range(len(NAMES)))
def test_names(pairs: list[tuple[str, str]], reason: str) -> None:
    assert fault(PATH, FILE.encode(), edits(*pairs), ()) == reason


def test_a_name_that_a_star_may_bring() -> None:
    text = "from x import *\n\n\ndef f():\n    return pool\n"
    source = decode(PATH, text.encode())
    edit = Edit(source.span(0, 0), "pool = 1\n")
    assert fault(PATH, text.encode(), [edit], ()) == "`pool` would hide what the file takes for it"
    assert fault(PATH, text.encode(), [edit._replace(content="import pool\n")], ()) == ""


def test_a_new_file_is_looked_at_too() -> None:
    def new(content: str) -> str:
        return fault(PATH, None, [Edit(Span(PATH, 1, 1, 1, 1), content)], ())

    assert new('"""Pools."""\n\nfrom x import Pool\n\npool = Pool()\n') == ""
    assert new("pool = Pool()\nfrom x import Pool\n") == "`Pool` would be used before it is bound"
    assert new("pool = = 1\n").startswith("the result would not compile")


def test_a_file_that_was_broken_before_is_not_judged() -> None:
    assert fault(PATH, b"x = = 1\n", [Edit(Span(PATH, 1, 1, 1, 1), "# said\n")], ()) == ""
    assert fault(PATH, b"return\n", [Edit(Span(PATH, 1, 1, 1, 1), "# said\n")], ()) == ""


@pytest.mark.parametrize("depth", [20, 300])
def test_what_is_nested_deeply_ends(depth: int) -> None:
    text = f"x = {'f(' * 50}{'1 + ' * depth}g(2){')' * 50}\n"
    ast.parse(text)
    start = text.index("g(2)")
    edit = Edit(decode(PATH, text.encode()).span(start, start + 4), "h(g, 2)")
    reason = fault(PATH, text.encode(), [edit, Edit(Span(PATH, 1, 1, 1, 1), "from x import h\n")], ())
    assert reason in ("", "the file is nested too deeply to tell whether only what is meant would change")
