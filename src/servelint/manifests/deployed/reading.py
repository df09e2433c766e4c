"""Reads files as documents: YAML, templates for it, JSON and TOML."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from servelint.boundary import LimitError, problem
from servelint.manifests.documents import toml
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, YamlError, parse
from servelint.manifests.forms import masking
from servelint.manifests.forms.sources import Sources
from servelint.project.text.source import Source

_DEFINITION = re.compile(r"^kind: *[\"']?CustomResourceDefinition\b", re.MULTILINE)
_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)


class Reader:
    """The documents of files; what cannot be read is a problem of its file."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def documents(self, path: Path) -> list[Node]:
        """The documents of a file, its template tags masked where it is not YAML as it stands.

        Documents that say how a resource is defined are not read: they are long and describe nothing.
        """
        source = self.sources.source(path)
        if source is None:
            return []
        if path.suffix == ".toml":
            table = toml.parse(Located.of(source))
            if table is None:
                self.sources.problem(path, "not valid TOML")
            return [table] if table is not None else []
        found: list[Node] = []
        for part in _parts(source):
            try:
                found.extend(self.part(part))
            except YamlError as error:
                line = source.position(part.place.start)[0] + error.line - 1
                self.sources.problem(path, f"not valid YAML: {error}", line)
        return found

    def part(self, text: Located) -> list[Node]:
        """The documents of a text, its template tags masked where it needs that; raises `YamlError`."""

        def beyond(error: LimitError) -> None:
            self.sources.note(problem(error, text.place.source.path, "reading YAML"))

        try:
            return parse(text, beyond)
        except YamlError:
            masked = masking.masked(text)
            if masked is None and masking.is_template(text.place.source.path):
                return []  # made for an engine whose tags are not known
            if masked is None:
                raise
        try:
            return parse(masked, beyond)
        except YamlError:
            # A template that only its own engine can read, and no chart of ours: it is no manifest yet.
            return []

    def written(self, text: Located) -> list[Node]:
        """The documents of a text that stands in a file of another kind; none where it is no YAML."""
        try:
            return self.part(text)
        except YamlError:
            return []


def _parts(source: Source) -> Iterator[Located]:
    """A file, cut at the document markers of the definitions in it."""
    text = source.text
    if not _DEFINITION.search(text):
        yield Located.of(source)
        return
    edges = [0, *(found.start() for found in _MARKER.finditer(text)), len(text)]
    for start, end in itertools.pairwise(edges):
        if start < end and not _DEFINITION.search(text, start, end):
            yield Located.of(source, start, end)
