"""What is looked up by a name: variables, and entries of mappings whose keys are written out."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from servelint.manifests.python import mappings, objects, read_files
from servelint.manifests.python.objects import once
from servelint.manifests.python.values import READ_AS, READERS, SETTINGS, Value, texts

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule


def item(module: PythonModule, node: ast.Subscript) -> Value | None:
    """`os.environ["NAME"]`, `PROCESSES["live"]`."""
    if isinstance(node.value, ast.Attribute) and node.value.attr == "environ":
        name = module.value(node.slice)
        if name is None or not isinstance(name.data, str) or module.environment.unset(name.data):
            return None
        return module.said(name.data)
    return _entry(module, node.value, node.slice, None) or read_files.setting(module, node)


def entry(module: PythonModule, call: ast.Call) -> Value | None:
    """`PROCESSES.get(stage, 1)`."""
    match call:
        case ast.Call(func=ast.Attribute(value=inner, attr="get"), args=[key, *others], keywords=[]):
            found = read_files.setting(module, call)
            return found or _entry(module, inner, key, others[0] if others else ast.Constant(None))
        case _:
            return None


def _entry(module: PythonModule, node: ast.expr, key: ast.expr, default: ast.expr | None) -> Value | None:
    """The entry of a mapping, where it is known which; else what it is worth where it has no such key."""
    known = mappings.mapping(module, node)
    asked = module.value(key) if known is not None else None
    if known is None or asked is None or not isinstance(asked.data, str | None):
        return None
    found = known.get(asked.data, default) if asked.data is not None else default
    value = once(module, found) if found is not None else None
    return replace(value, unless=(*value.unless, *asked.unless)) if value is not None else None


def prefix(module: PythonModule, call: ast.Call) -> str | None:
    """What an object that reads variables puts before a name; None where a call asks no such object."""
    func = call.func
    if isinstance(func, ast.Attribute) and (func.attr in READ_AS or func.attr == "get"):
        func = func.value
    made = module.maker(func.id) if isinstance(func, ast.Name) else None
    kind = made[0].qualified(made[1].func) if made is not None else ""
    if made is None or kind not in (*READERS, *SETTINGS):
        return None
    if kind in SETTINGS:
        return objects.lazy_name(made[1], SETTINGS[kind], [""])
    own = texts([k.value for k in made[1].keywords if k.arg == READERS[kind]])
    return f"{own[0] if own else ''}{module.prefixes.get(call, '')}"


def variable(module: PythonModule, node: ast.Call, prefix: str) -> Value | None:
    """`os.getenv("NAME", default)`: the container's value, else the default."""
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    asked = node.args[0] if node.args else keywords.get("name") or keywords.get("key")
    given = module.value(asked) if asked is not None else None
    if given is None or not isinstance(given.data, str):
        return None
    name = f"{prefix}{given.data}"
    if not module.environment.unset(name):
        return module.said(name)
    default = keywords.get("default", node.args[1] if len(node.args) > 1 else None)
    value = Value(None) if default is None else module.value(default)
    return replace(value, unless=(*value.unless, name)) if value is not None else None
