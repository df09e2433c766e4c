"""A diff is what `patch` makes the one text into the other with, and takes time in proportion."""

from __future__ import annotations

import difflib
import re
import time

from hypothesis import given
from hypothesis import strategies as st

from servelint.unified import unified

_LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"- x\n"]), max_size=40)


def _applied(before: list[bytes], diff: list[bytes]) -> list[bytes]:
    """What a patch makes of a text; it has to fit."""
    result: list[bytes] = []
    position = 0
    for line in b"".join(diff).splitlines(keepends=True)[2:]:
        if found := re.match(rb"@@ -(\d+)(?:,(\d+))? \+", line):
            start = int(found[1]) - (found[2] != b"0")
            result += before[position:start]
            position = start
        elif line[:1] == b"+":
            result.append(line[1:])
        else:
            assert before[position] == line[1:]
            result += [line[1:]] if line[:1] == b" " else []
            position += 1
    return [*result, *before[position:]]


@given(_LINES, _LINES)
def test_a_diff_makes_one_text_of_the_other(before: list[bytes], after: list[bytes]) -> None:
    assert _applied(before, list(unified(before, after, b"a", b"b"))) == after


def test_it_is_written_as_others_write_it() -> None:
    before = [b"%d\n" % number for number in range(60)]
    after = [*before[:10], b"x\n", *before[11:40], *before[42:], b"y\n"]
    other = difflib.diff_bytes(difflib.unified_diff, before, after, b"a", b"b", lineterm=b"\n")
    assert b"".join(unified(before, after, b"a", b"b")) == b"".join(other)


def test_no_change_is_no_diff() -> None:
    assert list(unified([b"a\n"], [b"a\n"], b"a", b"b")) == []


def test_a_file_of_the_same_lines_takes_time_in_proportion() -> None:
    item = [b"kind: Deployment\n", b"spec:\n", b"  workers: 4\n", b"  image: x\n", b"---\n"]
    before = item * 8_000
    after = [b"  workers: 1\n" if line == item[2] else line for line in before]
    began = time.process_time()
    assert sum(1 for _ in unified(before, after, b"a", b"b")) > len(item)
    assert time.process_time() - began < 5
