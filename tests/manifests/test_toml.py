"""TOML is read as `tomllib` reads it, and every value knows where it stands."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelint.boundary import LimitError
from servelint.manifests.documents import toml
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, walk
from servelint.project.text.source import decode

from .harness import check, written

_TEXT = r'''
# One of each form.
app = "x" # y
n = 4
"a b".c = 'lit\eral'
m = """
one
  two = "three"
"""
empty = ""
arr = [ "a", 'b', # c ]
  "c,d]",
]
inl = { x = 1, y = ["z", {q = "r"}], "k l" = "w" }
[env]
WEB_CONCURRENCY = "4"
date = 1979-05-27 07:32:00
[build . "d.e" ]
dockerfile="a\u0041\t"
[[services]]
p=1
[[services.ports]]
q=2
[[services.ports]]
q=3
[[services]]
p=2
[services.x]
z = true'''


def _located(text: str) -> Located:
    return Located.of(decode(Path("/x/fly.toml"), text.encode()))


def _plain(node: Node) -> object:
    if isinstance(node, YamlMapping):
        return {key.value: _plain(value) for key, value in node.entries}
    return [_plain(item) for item in node.items] if isinstance(node, YamlSequence) else node.value


def _texts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_form_is_read_as_the_standard_library_reads_it(end: str) -> None:
    text = _TEXT.replace("\n", end)
    document = toml.parse(_located(text))
    assert document is not None
    assert _plain(document) == _texts(tomllib.loads(text))
    for node in walk(document):
        if isinstance(node, Scalar) and node.value and node.text.place.verbatim:
            assert node.text.place.written == node.value


_KEYS = st.text("ab-_1", min_size=1, max_size=3) | st.sampled_from(['"x.y"', "'z z'", "a.b"])
_VALUES = st.sampled_from(
    ['"s"', "'#'", "1", "true", '["a", {b = "]"}]', "[]", "{}", '"""\n[t]\n"""', r'"\""']
)
_LINES = st.tuples(_KEYS, _VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}") | _KEYS.flatmap(
    lambda key: st.sampled_from([f"[{key}]", f"[[{key}]]", "# c", ""])
)


@given(st.lists(_LINES, max_size=12).map("\n".join))
def test_drawn_documents_are_read_alike(text: str) -> None:
    try:
        expected = _texts(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        assert toml.parse(_located(text)) is None
        return
    document = toml.parse(_located(text))
    assert document is not None
    assert _plain(document) == expected


def test_what_is_nested_too_deeply_is_told() -> None:
    with pytest.raises(LimitError, match="nested more than 100 levels"):
        toml.parse(_located("a = " + "[" * 150 + "]" * 150))


def test_a_file_that_is_no_toml_is_a_problem(tmp_path: Path) -> None:
    root = written(tmp_path, {"fly.toml": "[processes]\nweb = uvicorn a:b --workers 4\n"})
    assert [problem.message for problem in check(root).problems] == ["not valid TOML"]
