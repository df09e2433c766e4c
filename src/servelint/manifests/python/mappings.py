"""Mappings whose keys are written out: what `**options` hands to a call."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule

_MAX_NESTING = 200


def keywords(module: PythonModule, call: ast.Call) -> dict[str, ast.expr]:
    """The keyword arguments of a call, those of `**options` among them."""
    return _Reading(module).keywords(call, 0)


def mapping(module: PythonModule, node: ast.expr) -> dict[str, ast.expr] | None:
    """The entries of a mapping whose keys are written there; None where it is none."""
    return _Reading(module).mapping(node, 0)


class _Reading:
    """One look at a mapping. A name is followed once: `a = {**a, **a}` names itself twice."""

    def __init__(self, module: PythonModule) -> None:
        self._module = module
        self._named: dict[str, dict[str, ast.expr] | None] = {}

    def keywords(self, call: ast.Call, depth: int) -> dict[str, ast.expr]:
        found: dict[str, ast.expr] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                found.update(self.mapping(keyword.value, depth + 1) or {})
            else:
                found[keyword.arg] = keyword.value
        return found

    def mapping(self, node: ast.expr, depth: int) -> dict[str, ast.expr] | None:
        if depth > _MAX_NESTING:
            return None
        match node:
            case ast.Dict(keys=keys, values=values):
                found: dict[str, ast.expr] = {}
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        found.update(self.mapping(value, depth + 1) or {})
                    elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                        found[key.value] = value
                return found
            case ast.DictComp(
                value=value, generators=[ast.comprehension(iter=ast.Call(func=ast.Attribute(value=inner)))]
            ):
                return self.mapping(inner, depth + 1)
            case ast.Call(func=ast.Name(id="dict"), args=arguments):
                outer: dict[str, ast.expr] = {}
                for argument in arguments:
                    outer.update(self.mapping(argument, depth + 1) or {})
                return {**outer, **self.keywords(node, depth + 1)}
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return {
                    **(self.mapping(left, depth + 1) or {}),
                    **(self.mapping(right, depth + 1) or {}),
                }
            case ast.Name(id=name):
                return self._of_name(node, name, depth)
            case _:
                return None

    def _of_name(self, node: ast.Name, name: str, depth: int) -> dict[str, ast.expr] | None:
        """What a name holds; nothing more where it is asked for while that is worked out."""
        if name not in self._named:
            self._named[name] = None
            assigned = self._module.assigned.get(name)
            if assigned is not None and assigned is not node:
                known = self.mapping(assigned, depth + 1)
                self._named[name] = None if known is None else {**known, **self._module.items.get(name, {})}
        return self._named[name]
