"""Settings that a program takes from a YAML file of the project: `settings["server"]["workers"]`."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from servelint.manifests.documents.text import Located
from servelint.manifests.documents.yaml_document import Node, Scalar, YamlError, YamlMapping, parse
from servelint.manifests.python import objects, results
from servelint.manifests.python.values import Value, said
from servelint.project.text.source import Source

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule

# https://pyyaml.org/wiki/PyYAMLDocumentation https://omegaconf.readthedocs.io/en/latest/usage.html
LOADS = frozenset(("yaml.safe_load", "yaml.load", "yaml.full_load", "omegaconf.OmegaConf.load"))
SUFFIXES = (".yaml", ".yml")
_MAX_DEPTH = 12


def setting(module: PythonModule, node: ast.expr) -> Value | None:
    """What a file says under the keys that an expression asks for; others may read it, too."""
    found = _read(module, node, _MAX_DEPTH)
    if not isinstance(found, Scalar) or found.is_null:
        return None
    return replace(said(found.text), shared=True)


def _read(module: PythonModule, node: ast.expr, depth: int) -> Node | None:
    """What of a file an expression is."""
    if not depth:
        return None
    match node:
        case ast.Name(id=name) if name in module.assigned:
            return _read(module, module.assigned[name], depth - 1)
        case ast.Name(id=name):
            home = module.home(name)
            return _read(home[0], ast.Name(home[1]), depth - 1) if home is not None else None
        case (
            ast.Subscript(value=inner, slice=ast.Constant(value=str(key)))
            | ast.Call(func=ast.Attribute(value=inner, attr="get"), args=[ast.Constant(value=str(key)), *_])
        ):
            below = _read(module, inner, depth - 1)
            return below.get(key) if isinstance(below, YamlMapping) else None
        case ast.Call(args=[first, *_]) if module.qualified(node.func) in LOADS:
            path = _path(module, first, set())
            return _document(module, path) if path else None
        case ast.Call():
            known = objects.definition(module, node.func)
            if known is None or isinstance(known.node, ast.ClassDef) or known.owner is not None:
                return None
            home_module, function = known.module, known.node

            def read(returned: ast.expr) -> Node | None:
                return _read(home_module, returned, depth - 1)

            found: list[Node] = results.run(
                home_module, function, lambda: home_module.called(function, node, module), read
            )
            return found[-1] if found else None
        case _:
            return None


def _path(module: PythonModule, node: ast.expr, seen: set[str]) -> str:
    """The path of a file that an expression opens, joins or reads; empty where there is none."""
    for part in ast.walk(node):
        text = ""
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            text = part.value
        elif isinstance(part, ast.Name) and part.id not in seen and len(seen) < _MAX_DEPTH:
            seen.add(part.id)
            value = module.value(part)
            text = value.data if value is not None and isinstance(value.data, str) else ""
            if not text and (made := module.assigned.get(part.id)) is not None:
                text = _path(module, made, seen)
        if text.endswith(SUFFIXES):
            return text
    return ""


def _document(module: PythonModule, path: str) -> Node | None:
    """The first document of a file, which is parsed once."""
    if path not in module.documents:
        source = module.find(path) if module.find is not None else None
        module.documents[path] = _first(source) if source is not None else None
    return module.documents[path]


def _first(source: Source) -> Node | None:
    try:
        return next(iter(parse(Located.of(source))), None)
    except YamlError:
        return None
