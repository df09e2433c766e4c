"""OpenShift templates: objects with parameters in them, which hold unless somebody gives others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from servelint.manifests.documents.text import Located, word
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping, YamlSequence, walk

# `${{NAME}}` stands for a value that is not quoted: a number, a list.
_REFERENCE = re.compile(r"\$\{\{(\w+)\}\}|\$\{(\w+)\}")


def objects(template: YamlMapping) -> Iterator[YamlMapping]:
    """The objects of a template, with the values that its parameters have by themselves."""
    values = {
        parameter.text("name"): value.text
        for parameter in template.mappings("parameters")
        if (value := parameter.scalar("value")) is not None and value.value and not value.is_null
    }
    for name, read in _reads(template).items():
        if name in values and read > 1:
            # What several places read is not for the fix of one of them: it stands there, but not as it is.
            values[name] = Located.computed(values[name].text, values[name].place)
    substitution = _Substitution(values)
    for item in template.mappings("objects"):
        filled = substitution.filled(item) if values else item
        if isinstance(filled, YamlMapping):
            yield filled


def _reads(template: YamlMapping) -> Counter[str]:
    """How many times the objects read each parameter."""
    return Counter(
        found[1] or found[2]
        for item in template.mappings("objects")
        for node in walk(item)
        if isinstance(node, Scalar)
        for found in _REFERENCE.finditer(node.value)
    )


@dataclass(slots=True)
class _Substitution:
    """Puts values in the place of references; what aliases share is filled in once."""

    values: dict[str, Located]
    known: dict[int, Node] = field(default_factory=dict)

    def filled(self, node: Node) -> Node:
        found = self.known.get(id(node))
        if found is None:
            found = self.known[id(node)] = self.built(node)
        return found

    def built(self, node: Node) -> Node:
        if isinstance(node, Scalar):
            return self.scalar(node)
        if isinstance(node, YamlSequence):
            items = [self.filled(item) for item in node.items]
            return YamlSequence(items, node.start, node.end, node.within, node.flow, node.anchored)
        entries = [(key, self.filled(value)) for key, value in node.entries]
        return YamlMapping(entries, node.start, node.end, node.within, node.flow, node.anchored)

    def scalar(self, node: Scalar) -> Scalar:
        if "${" not in node.value:
            return node
        parts: list[Located] = []
        position = 0
        for found in _REFERENCE.finditer(node.value):
            value = self.values.get(found[1] or found[2])
            if value is not None:
                parts += (node.text.slice(position, found.start()), value)
                position = found.end()
        if not parts:
            return node
        text = word([*parts, node.text.slice(position, len(node.text))])
        return Scalar(text.text, node.tag, node.plain, 0, len(text), text)
