"""Mappings whose keys are written out: what `**options` hands to a call."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule

_MAX_NESTING = 200


def keywords(module: PythonModule, call: ast.Call, depth: int = 0) -> dict[str, ast.expr]:
    """The keyword arguments of a call, those of `**options` among them."""
    found: dict[str, ast.expr] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            found.update(mapping(module, keyword.value, depth + 1) or {})
        else:
            found[keyword.arg] = keyword.value
    return found


def mapping(module: PythonModule, node: ast.expr, depth: int = 0) -> dict[str, ast.expr] | None:
    """The entries of a mapping whose keys are written there; None where it is none."""
    if depth > _MAX_NESTING:
        return None
    match node:
        case ast.Dict(keys=keys, values=values):
            found: dict[str, ast.expr] = {}
            for key, value in zip(keys, values, strict=True):
                if key is None:
                    found.update(mapping(module, value, depth + 1) or {})
                elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found[key.value] = value
            return found
        case ast.DictComp(
            value=value, generators=[ast.comprehension(iter=ast.Call(func=ast.Attribute(value=inner)))]
        ):
            return mapping(module, inner, depth + 1)
        case ast.Call(func=ast.Name(id="dict"), args=arguments):
            outer: dict[str, ast.expr] = {}
            for argument in arguments:
                outer.update(mapping(module, argument, depth + 1) or {})
            return {**outer, **keywords(module, node, depth + 1)}
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return {
                **(mapping(module, left, depth + 1) or {}),
                **(mapping(module, right, depth + 1) or {}),
            }
        case ast.Name(id=name) if name in module.assigned or name in module.items:
            inner_node = module.assigned.get(name)
            known = (
                mapping(module, inner_node, depth + 1)
                if inner_node is not None and inner_node is not node
                else None
            )
            return None if known is None else {**known, **module.items.get(name, {})}
        case _:
            return None
