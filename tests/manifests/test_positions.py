"""Positions hold whatever the text: properties of located text, YAML scalars, masking and shell words."""

from __future__ import annotations

import itertools
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Scalar, YamlMapping, parse, walk
from servelint.manifests.forms import masking
from servelint.manifests.helm import syntax
from servelint.manifests.shell import script as shell
from servelint.project.text.source import Source, decode

_WORD = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cc", "Cf", "Zs")),
    min_size=1,
    max_size=8,
)
_VALUE = st.lists(_WORD, min_size=1, max_size=6).map(" ".join)
_STYLES = st.sampled_from(["'", '"', "|", ">", None])


def _source(text: str, name: str = "x.yaml") -> Source:
    return decode(Path("/x") / name, text.encode())


def _stands_there(text: Located) -> bool:
    """Whether every verbatim run is what its file holds there."""
    position = 0
    for run in text.runs:
        assert run.start == position
        position = run.end
        if run.verbatim and run.source.text[run.offset : run.stop] != text.text[run.start : run.end]:
            return False
    return position == len(text.text)


@given(
    st.lists(st.tuples(_VALUE, _STYLES), min_size=1, max_size=5),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(20, 80),
)
def test_scalars_know_where_each_character_stands(
    values: list[tuple[str, str | None]], newline: str, width: int
) -> None:
    parts = [
        yaml.dump({f"k{n}": value}, default_style=style, width=width, allow_unicode=True)
        for n, (value, style) in enumerate(values)
    ]
    text = "".join(parts).replace("\n", newline)
    [document] = parse(Located.of(_source(text)))
    for node in walk(document):
        if isinstance(node, Scalar):
            assert node.text.text == node.value
            assert _stands_there(node.text)
            for start, word in _words(node.value):
                place = node.text.slice(start, start + len(word)).place
                if place.verbatim:
                    assert place.written == word


def _words(text: str) -> list[tuple[int, str]]:
    found, position = [], 0
    for word in text.split():
        position = text.index(word, position)
        found.append((position, word))
        position += len(word)
    return found


@given(st.text(max_size=60), st.data())
def test_slicing_and_joining_keep_places(text: str, data: st.DataObject) -> None:
    whole = Located.of(_source(text.replace("\x00", ""), "x.sh"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    edges = [0, *cuts, len(whole)]
    joined = Located.join(whole.slice(a, b) for a, b in itertools.pairwise(edges))
    assert joined.text == whole.text
    assert _stands_there(joined) or not whole.text
    if whole.text:
        assert joined.place.span == whole.place.span


_TAGS = st.sampled_from(
    [
        "{{ x }}",
        "{% if a %}",
        "{% endif %}",
        "{{- y | z -}}",
        "{{ `}}` }}",
        "{# note\nmore #}",
        "a: ",
        "b",
        "\n",
        "  ",
        "- ",
    ]
)


@given(st.lists(_TAGS, max_size=12).map("".join))
def test_masking_moves_nothing(text: str) -> None:
    located = Located.of(_source(text))
    masked = masking.masked(located)
    if masked is None:
        assert "{{" not in text
        return
    assert len(masked.text) == len(text)
    assert masked.text.count("\n") == text.count("\n") or "{{" in text
    for before, after in zip(text, masked.text, strict=True):
        assert after in (before, " ", "\ue000")


@given(st.text(st.sampled_from("{}-% a.$\"`'|()\n:=if end with range"), max_size=40))
def test_any_template_is_read_or_refused(text: str) -> None:
    source = _source(text)
    try:
        syntax.parse(Located.of(source))
    except syntax.TemplateError:
        return


@given(st.text(st.sampled_from("abcé $\"'`\\{}()<>|&;\n=#-X+:123[]!"), max_size=60))
@settings(max_examples=60)
def test_any_shell_text_gives_words_that_stand_somewhere(text: str) -> None:
    source = _source(text, "x.sh")
    for command in shell.read(Located.of(source), Environment()).commands:
        for word in command.words:
            assert _stands_there(word)


@given(st.text(st.sampled_from("ab: -[]{}&*x!|>'\"#\n,?%@\t"), max_size=60))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    from servelint.manifests.documents.yaml_document import YamlError

    try:
        documents = parse(Located.of(_source(text)))
    except YamlError:
        return
    for document in documents:
        for node in walk(document):
            if isinstance(node, Scalar):
                assert node.text.text == node.value


def test_merge_keys_aliases_and_duplicates() -> None:
    text = "base: &b {x: 1, y: 2}\nlist: [{<<: *b, y: 3}, {<<: [*b, {z: 4}]}]\ndup: 1\ndup: 2\n"
    [document] = parse(Located.of(_source(text)))
    assert isinstance(document, YamlMapping)
    first, second = document.mappings("list")
    assert (first.text("x"), first.text("y"), second.text("z"), document.text("dup")) == ("1", "3", "4", "2")
