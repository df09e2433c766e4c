"""Objects that hold settings: of which class, made with what, which variables say their fields.

`settings.server.workers` is what the object was given, else what a variable says, else what its class does.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from servelint.manifests.python.defaults import Settings, default_of, fields
from servelint.manifests.python.values import SETTINGS, Value, said, texts
from servelint.manifests.python.values import declared as as_declared

if TYPE_CHECKING:
    from servelint.manifests.python.module import PythonModule

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_MAX_DEPTH = 20
_MAX_BASES = 5


class Definition(NamedTuple):
    """A class or a function and its module; `owner` is the class that a function is a method of."""

    module: PythonModule
    node: ast.ClassDef | Function
    owner: ast.ClassDef | None = None


class Field(NamedTuple):
    """That an object has a field, and what it is worth where that is known."""

    value: Value | None


@dataclass(frozen=True, slots=True)
class Made:
    """An object of a class of `module`.

    `given` are the arguments that it is made with, in the function `scope` of `where`; `prefix` is what
    variables that say its fields begin with, where it is part of settings, `delimiter` what parts them.
    """

    module: PythonModule
    kind: ast.ClassDef
    given: Mapping[str, ast.expr]
    where: PythonModule
    scope: Function | None = None
    prefix: str | None = None
    delimiter: str = ""

    def declared(self, name: str) -> tuple[ast.expr | None, ast.expr | None]:
        """The annotation of a field and what it is made of, of the class or of one that it is made of."""
        kind: ast.ClassDef | None = self.kind
        for _ in range(_MAX_BASES):
            for statement in kind.body if kind is not None else ():
                if isinstance(statement, ast.AnnAssign) and _is_name(statement.target, name):
                    return statement.annotation, statement.value
            if kind is None:
                break
            plain = dict(fields(kind))
            if name in plain:
                return None, plain[name]
            above = (base.id for base in kind.bases if isinstance(base, ast.Name))
            kind = next((self.module.classes[base] for base in above if base in self.module.classes), None)
        return None, None

    def field(self, name: str) -> Field | None:
        """A field; None where the object has none of the name."""
        if name in self.given:
            with self.where.within(self.scope):
                return Field(once(self.where, self.given[name]))
        annotation, value = self.declared(name)
        if annotation is None and value is None:
            return None
        settings = Settings.of(self.kind, self.module.classes)
        variables: tuple[str, ...] = ()
        if self.prefix is not None:
            variables = (f"{self.prefix}{name}".upper(),)
        elif settings is not None:
            variables = settings.variables(name, value)
        for variable in variables:
            text = self.module.environment.get(variable) or self.module.environment.get(variable.lower())
            if text is not None:
                return Field(as_declared(said(text), annotation))
        default = default_of(value)
        found = once(self.module, default) if default is not None else None
        return Field(replace(found, unless=(*found.unless, *variables)) if found is not None else None)

    def part(self, name: str, depth: int) -> Made | None:
        """The object that a field is."""
        if name in self.given:
            with self.where.within(self.scope):
                return instance(self.where, self.given[name], depth)
        annotation, value = self.declared(name)
        found = instance(self.module, value, depth) if value is not None else None
        if found is None and annotation is not None:
            known = definition(self.module, annotation, depth)
            if known is not None and isinstance(known.node, ast.ClassDef):
                found = Made(known.module, known.node, {}, self.module)
        settings = Settings.of(self.kind, self.module.classes)
        prefix = self.prefix if settings is None or self.prefix is not None else settings.prefix
        delimiter = self.delimiter or (settings.delimiter if settings is not None else "")
        if found is None or prefix is None or not delimiter:
            return found
        return replace(found, prefix=f"{prefix}{name}{delimiter}", delimiter=delimiter)


def field(module: PythonModule, node: ast.Attribute) -> Field | None:
    """The field of an object that an attribute is; None where the object is not known."""
    lazy = _lazy(module, node)
    if lazy is not None:
        return lazy
    made = instance(module, node.value, _MAX_DEPTH)
    return made.field(node.attr) if made is not None else None


def instance(module: PythonModule, node: ast.expr, depth: int = _MAX_DEPTH) -> Made | None:
    """The object that an expression is."""
    if not depth:
        return None
    match node:
        case ast.Name(id=name) if name in module.made:
            return module.made[name]
        case ast.Name(id=name) if name in module.assigned:
            return instance(module, module.assigned[name], depth - 1)
        case ast.Name(id=name):
            home = module.home(name)
            return instance(home[0], ast.Name(home[1]), depth - 1) if home is not None else None
        case ast.Call():
            return _called(module, node, depth - 1)
        case ast.Attribute(value=ast.Name(id=name), attr=own) if (other := module.named(name)) is not None:
            return instance(other, ast.Name(own), depth - 1)
        case ast.Attribute(value=inner, attr=own):
            made = instance(module, inner, depth - 1)
            return made.part(own, depth - 1) if made is not None else None
    return None


def _called(module: PythonModule, call: ast.Call, depth: int) -> Made | None:
    """The object that a call makes: of a class, or what a function returns."""
    known = definition(module, call.func, depth)
    if known is None:
        return None
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    if isinstance(known.node, ast.ClassDef):
        names = (name for name, _ in fields(known.node))
        given = {**dict(zip(names, call.args, strict=False)), **given}
        return Made(known.module, known.node, given, module)
    value = _first_returned(known.node)
    if value is not None:
        with known.module.within(known.node):
            if known.owner is not None and isinstance(value, ast.Call) and _is_name(value.func, "cls"):
                given = {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg is not None}
                return Made(known.module, known.owner, given, known.module, known.node)
            found = instance(known.module, value, depth)
            if found is not None and found.where is known.module and found.scope is None:
                return replace(found, scope=known.node)
            return found
    return None


def _first_returned(function: Function) -> ast.expr | None:
    """What a function returns first, which most do near the top of their trees: the rest is not walked."""
    returned = (item.value for item in ast.walk(function) if isinstance(item, ast.Return))
    return next((value for value in returned if value is not None), None)


def definition(module: PythonModule, node: ast.expr, depth: int = _MAX_DEPTH) -> Definition | None:
    """The class or the function of the project that a name is."""
    if not depth:
        return None
    match node:
        case ast.Name(id=name):
            own = module.classes.get(name) or module.functions.get(name)
            if own is not None:
                return Definition(module, own)
            home = module.home(name)
            return definition(home[0], ast.Name(home[1]), depth - 1) if home is not None else None
        case ast.Attribute(value=ast.Name(id=name), attr=own_name) if (
            other := module.named(name)
        ) is not None:
            return definition(other, ast.Name(own_name), depth - 1)
        case ast.Attribute(value=inner, attr=method):
            known = definition(module, inner, depth - 1)
            for statement in known.node.body if known is not None else ():
                if (
                    known is not None
                    and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
                    and statement.name == method
                ):
                    owner = known.node if isinstance(known.node, ast.ClassDef) else None
                    return Definition(known.module, statement, owner)
    return None


def _lazy(module: PythonModule, node: ast.Attribute) -> Field | None:
    """A setting of an object that takes every one from a variable: `settings.server.workers`.

    https://www.dynaconf.com/envvars/
    """
    parts = [node.attr]
    inner = node.value
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    made = module.maker(inner.id) if isinstance(inner, ast.Name) else None
    keyword = SETTINGS.get(made[0].qualified(made[1].func)) if made is not None else None
    if made is None or keyword is None:
        return None
    name = lazy_name(made[1], keyword, parts)
    text = module.environment.get(name)
    return Field(said(text) if text is not None else None)


def lazy_name(made: ast.Call, keyword: str, parts: list[str]) -> str:
    """The variable that says a setting; its parts are given from the last to the first."""
    given = texts([k.value for k in made.keywords if k.arg == keyword])
    off = any(
        k.arg == keyword and isinstance(k.value, ast.Constant) and k.value.value is False
        for k in made.keywords
    )
    name = "__".join(reversed(parts)).upper()
    prefix = given[0] if given else "DYNACONF"
    return name if off else f"{prefix}_{name}".upper()


def once(module: PythonModule, node: ast.expr) -> Value | None:
    """What an entry or a field is worth, worked out once for all that asks for it on the way to one value.

    One that asks for itself is not known. A function that is run anew may give another answer.
    """
    known, key = module.known, (node, module.calls, module.entered)
    if key in known:
        return known[key]
    outermost = not known
    known[key] = None
    try:
        known[key] = value = module.value(node)
        return value
    finally:
        if outermost:
            known.clear()


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
