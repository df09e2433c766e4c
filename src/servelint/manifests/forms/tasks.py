"""Tasks by name: the scripts of pdm, poe, hatch, pipenv and pixi, the targets of make, just and Task.

A container that is started with `pdm run serve` or `make serve` starts what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from servelint.manifests.documents import toml
from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import (
    Node,
    Scalar,
    YamlError,
    YamlMapping,
    YamlSequence,
    parse,
)
from servelint.project.text.source import Source

NAMES = re.compile(
    r"pyproject\.toml|pixi\.toml|pipfile|(?:gnu)?makefile|\.?justfile|taskfile(?:\.dist)?\.ya?ml",
    re.IGNORECASE,
)
# Files that no other reader takes: they are neither scripts nor documents.
LISTS = re.compile(r"pipfile|(?:gnu)?makefile|\.?justfile", re.IGNORECASE)
# Programs that are given the name of a task.
RUNNERS = frozenset(("make", "gmake", "just", "task", "go-task", "poe", "taskipy"))
# https://pdm-project.org/latest/usage/scripts/ https://poethepoet.natn.io/tasks/index.html
# https://pipenv.pypa.io/en/latest/scripts.html https://pixi.sh/latest/workspace/advanced_tasks/
_TABLES = (
    *(("tool", "pdm", "scripts"), ("tool", "poe", "tasks"), ("tool", "taskipy", "tasks")),
    *(("tool", "rye", "scripts"), ("tool", "pixi", "tasks"), ("scripts",), ("tasks",)),
)
_KEYS = ("cmd", "shell", "composite", "sequence", "cmds", "chain")
_TARGET = re.compile(r"^@?([\w.-]++)[^\n:]*+:(?!=)[^\n]*+\n((?:[ \t][^\n]*+(?:\n|\Z))+)", re.MULTILINE)
_RECIPE = re.compile(r"^[ \t]++", re.MULTILINE)
_PREFIX = re.compile(r"[@-]{0,2}[ \t]*+")  # what make reads itself, where no line is continued
_ASSIGNED = re.compile(r"^(?:export[ \t]++)?(\w++)[ \t]*+[:?]?:?=[ \t]*+([^\n#]*+)", re.MULTILINE)
_REFERENCE = re.compile(r"\$\$|\$[({](\w++)[)}]|\{\{[ \t]*+(\w++)[ \t]*+\}\}")


def tasks(source: Source) -> dict[str, Located]:
    """What the tasks of a file run, as shell code, by their names."""
    name = source.path.name.lower()
    if name.endswith(".toml") or name == "pipfile":
        document = toml.parse(Located.of(source))
        return dict(_tables(document)) if document is not None else {}
    if name.startswith("taskfile"):
        return dict(_taskfile(source))
    return dict(_targets(source))


def _tables(document: YamlMapping) -> Iterator[tuple[str, Located]]:
    for keys in _TABLES:
        yield from _entries(document.mapping(*keys))
    # https://hatch.pypa.io/latest/config/environment/overview/#scripts
    environments = document.mapping("tool", "hatch", "envs")
    for name, (_, node) in environments.index().items() if environments is not None else ():
        found = dict(_entries(node.mapping("scripts"))) if isinstance(node, YamlMapping) else {}
        yield from ((f"{name}:{task}", code) for task, code in found.items())
        yield from found.items() if name == "default" else ()


def _entries(table: YamlMapping | None) -> Iterator[tuple[str, Located]]:
    for name, (_, node) in table.index().items() if table is not None else ():
        code = _code(node)
        if code is not None:
            yield name, code


def _taskfile(source: Source) -> Iterator[tuple[str, Located]]:
    """https://taskfile.dev/reference/schema/"""
    try:
        documents = parse(Located.of(source))
    except YamlError:
        return
    for document in documents:
        yield from _entries(document.mapping("tasks") if isinstance(document, YamlMapping) else None)


def _code(node: Node) -> Located | None:
    """What a task runs: a text, a list of them, or a mapping that says either."""
    if isinstance(node, Scalar):
        return None if node.is_null else node.text
    if isinstance(node, YamlSequence):
        parts = [part for item in node.items if (part := _code(item)) is not None]
        return Located.join(piece for part in parts for piece in (part, Located("\n"))) if parts else None
    for key in _KEYS:
        inner = node.get(key)
        if inner is not None:
            return _code(inner)
    return None


def _targets(source: Source) -> Iterator[tuple[str, Located]]:
    """The targets of a Makefile or a justfile, its own variables put in."""
    whole = Located.of(source)
    variables = {found[1]: whole.slice(*found.span(2)).strip() for found in _ASSIGNED.finditer(source.text)}
    for found in _TARGET.finditer(source.text):
        recipe = whole.slice(*found.span(2))
        yield found[1], _filled(recipe, variables)


def _filled(recipe: Located, variables: dict[str, Located]) -> Located:
    parts: list[Located] = []
    for start, end in _lines(recipe.text):
        position = start
        for found in _REFERENCE.finditer(recipe.text, start, end):
            parts.append(recipe.slice(position, found.start()))
            name = found[1] or found[2]
            if name is None:  # `$$` is a dollar
                parts.append(recipe.slice(found.start(), found.start() + 1))
            elif name in variables:
                value = variables[name]
                parts.append(_unquoted(value))
            else:
                parts.append(Located.computed(f"${{{name}}}", recipe.place_of(*found.span())))
            position = found.end()
        parts.append(recipe.slice(position, end))
    return Located.join(parts)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """The lines of a recipe without what make reads itself."""
    edges: list[tuple[int, int]] = []
    for found in _RECIPE.finditer(text):
        prefix = _PREFIX.match(text, found.end()) if not text.endswith("\\\n", 0, found.start()) else None
        edges.append((found.start(), prefix.end() if prefix is not None else found.end()))
    for (_, start), following in zip(edges, [*edges[1:], (len(text), len(text))], strict=True):
        yield start, following[0]


def _unquoted(value: Located) -> Located:
    quoted = len(value) > 1 and value.text[0] == value.text[-1] and value.text[0] in "\"'"
    return value.slice(1, len(value) - 1) if quoted else value
