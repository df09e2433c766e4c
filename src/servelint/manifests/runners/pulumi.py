"""Pulumi's YAML: resources of Kubernetes as the documents that they mean.

https://www.pulumi.com/docs/iac/languages-sdks/yaml/yaml-language-reference/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlMapping

_NAME = re.compile(r"Pulumi(?:\.[\w-]+)?\.ya?ml|Main\.ya?ml")
_TYPE = re.compile(r"kubernetes:[\w./]+:([A-Z]\w*?)(?:Patch)?")
_STRING = "tag:yaml.org,2002:str"


def may_be(path: Path) -> bool:
    """Whether a file may be a program of Pulumi's in YAML, by its name."""
    return _NAME.fullmatch(path.name) is not None


def is_program(path: Path, data: bytes) -> bool:
    """Whether a file is a program of Pulumi's in YAML."""
    return may_be(path) and b"resources:" in data


def documents(node: YamlMapping) -> Iterator[YamlMapping]:
    """The Kubernetes documents that the resources of a program mean."""
    resources = node.mapping("resources")
    for name, resource in resources.index().values() if resources is not None else ():
        if not isinstance(resource, YamlMapping):
            continue
        found = _TYPE.fullmatch(resource.text("type"))
        properties = resource.mapping("properties")
        if found is None or properties is None:
            continue
        entries: list[tuple[Scalar, Node]] = [(_word("kind", name), _word(found[1], name))]
        if properties.get("metadata", "name") is None:
            metadata = YamlMapping([(_word("name", name), name)], name.start, name.end, name.within)
            entries.append((_word("metadata", name), metadata))
        others = [(key, value) for key, value in properties.entries if key.value != "metadata"]
        if properties.get("metadata", "name") is not None:
            others = properties.entries
        yield YamlMapping([*entries, *others], properties.start, properties.end, properties.within)


def _word(text: str, near: Scalar) -> Scalar:
    return Scalar(text, _STRING, False, 0, len(text), Located.computed(text, near.place))
