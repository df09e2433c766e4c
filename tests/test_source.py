"""Positions in text, and bytes that come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelint.finding import Edit, Span
from servelint.project.text.source import SourceError, decode, decode_leniently, encode_buffer
from servelint.project.text.splice import splice

PATH = Path("/x/a.py")
TEXT = st.text(st.sampled_from("ab \t\n\r\x0c\u2028é日🐍"), max_size=40)


@given(text=TEXT, bom=st.booleans())
def test_bytes_come_back(text: str, bom: bool) -> None:
    data = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    source = decode(PATH, data)
    assert source.encode(source.text) == data


@given(text=TEXT, data=st.data())
def test_positions_come_back(text: str, data: st.DataObject) -> None:
    source = decode(PATH, text.encode())
    offset = data.draw(st.integers(0, len(source.text)))
    line, column = source.position(offset)
    if column <= len(source.line(line)) + 1:  # else: inside a line ending, which no position names
        assert source.offset(line, column) == offset


@given(text=TEXT, content=st.text(st.sampled_from("xyé\n"), max_size=5), data=st.data())
def test_an_edit_touches_nothing_else(text: str, content: str, data: st.DataObject) -> None:
    source = decode(PATH, text.encode())
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    positions = (*source.position(start), *source.position(end))
    try:
        edited = splice(source, [Edit(Span(PATH, *positions), content)])
    except SourceError:
        return  # inside a line ending
    written = content.replace("\n", source.newline)
    assert edited.decode() == text[:start] + written + text[end:]


def test_lines_end_where_python_and_yaml_say() -> None:
    source = decode(PATH, "a\x0cb\u2028c\r\nd\re\nf".encode())
    assert [source.line(number) for number in range(1, source.line_count + 1)] == [
        "a\x0cb\u2028c",
        "d",
        "e",
        "f",
    ]
    assert source.newline == "\r\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"# coding: latin-1\nx = '\xe9'\n", "é"),
        (b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\nx = '\xe9'\n", "é"),
        ("x = 'é'".encode(), "é"),
        (b"\xef\xbb\xbfx = '\xc3\xa9'\n", "é"),
    ],
)
def test_the_declared_encoding_counts(data: bytes, text: str) -> None:
    source = decode(PATH, data)
    assert text in source.text
    assert source.encode(source.text) == data


def test_utf16_manifests_are_text() -> None:
    data = "\ufeffkind: Pod\n".encode("utf-16-le")
    source = decode(Path("/x/pod.yaml"), data)
    assert source.line(1) == "kind: Pod"
    assert source.encode(source.text) == data


@pytest.mark.parametrize("data", [b"\xff\xfe\xff", b"x = '\xe9'", b"# coding: klingon\n"])
def test_what_is_not_text_is_refused_but_can_be_shown(data: bytes) -> None:
    with pytest.raises(SourceError):
        decode(PATH, data)
    assert decode_leniently(PATH, data).line_count >= 1


def test_text_that_the_encoding_does_not_have_is_refused() -> None:
    source = decode(PATH, b"# coding: latin-1\nx\n")
    with pytest.raises(SourceError, match="does not exist in"):
        splice(source, [Edit(Span(PATH, 2, 1, 2, 2), "日")])


def test_a_buffer_is_encoded_as_it_would_be_saved() -> None:
    assert encode_buffer(PATH, "# coding: latin-1\né") == b"# coding: latin-1\n\xe9"
    assert encode_buffer(PATH, "# coding: klingon\né") == "# coding: klingon\né".encode()
