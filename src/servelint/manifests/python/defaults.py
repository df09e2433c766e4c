"""Defaults that a file gives: options of the command line, parameters of commands, fields of classes.

What `args.workers` or `settings.workers` is if nobody says; a variable or an option says it before.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located
from servelint.manifests.python.values import ALIASES, Value, declared, last_name, said, texts
from servelint.manifests.shell.commandline import Words, last_option

Worth = Callable[[ast.expr], Value | None]
Defining: TypeAlias = ast.Call | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_DEFINING = (ast.Call, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_MAX_CLASSES = 50  # that are looked through for how one is read
TREES = 32  # files that are kept parsed: what one imports, the next one imports too


@dataclass(slots=True)
class Defaults:
    """Collects the defaults of a file; `worth` is what an expression in it is worth."""

    environment: Environment
    parameters: Words
    worth: Worth
    classes: Mapping[str, ast.ClassDef]
    found: dict[str, Value]

    def find(self, tree: ast.Module) -> None:
        """All that are in the file."""
        for node in with_defaults(tree):
            if isinstance(node, ast.Call):
                self.option_default(node)
            elif isinstance(node, ast.ClassDef):
                self.class_defaults(node)
            else:
                self.parameter_defaults(node)

    def class_defaults(self, node: ast.ClassDef) -> None:
        """`workers: int = 4` in a class of settings, which a variable of that name overrides."""
        settings = Settings.of(node, self.classes)
        annotations = {
            item.target.id: item.annotation
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        }
        for name, value in fields(node):
            outside = settings.said(name, value, self.environment) if settings is not None else None
            if outside is not None:
                self.found[name] = declared(outside, annotations.get(name))
            elif (default := default_of(value)) is not None:
                unless = settings.variables(name, value) if settings is not None else ()
                self.default(name, default, unless)

    def option_default(self, call: ast.Call) -> None:
        """`parser.add_argument("--workers", default=4)`, `@click.option("--workers", default=4)`."""
        options = texts(call.args)
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        dest = texts([keywords["dest"]]) if "dest" in keywords else []
        long = [name for name in options if name.startswith("--")]
        plain = [name for name in options if name.isidentifier()]
        action = keywords.get("action", ast.Constant("store_true" if "is_flag" in keywords else ""))
        for chosen in [*dest, *plain, *long][:1]:
            name = chosen.lstrip("-").replace("-", "_")
            for flag in {"store_true", "store_false"}.intersection(texts([action])):
                given = any(word.text in options for word in self.parameters)
                self.found.setdefault(name, Value(given is (flag == "store_true")))
            self.option(name, options, keywords.get("default"), envvars(call))

    def parameter_defaults(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """The parameters of a function that a framework makes a command of."""
        for parameter, default in parameters(function):
            if default is None:
                continue
            options = [f"--{parameter.arg.replace('_', '-')}"]
            variables: list[str] = []
            for node in ast.walk(parameter.annotation) if parameter.annotation is not None else ():
                options += texts([node]) if isinstance(node, ast.Constant) else []
                variables += envvars(node) if isinstance(node, ast.Call) else []
            if isinstance(default, ast.Call):
                options += texts(default.args)
                keywords = {keyword.arg: keyword.value for keyword in default.keywords}
                first = default.args[0] if default.args and not texts(default.args[:1]) else None
                self.option(parameter.arg, options, keywords.get("default", first), envvars(default))
            else:
                self.option(parameter.arg, options, default, variables)

    def option(
        self, name: str, options: Sequence[str], default: ast.expr | None, variables: Sequence[str] = ()
    ) -> None:
        """Note what an option is worth: as the command line has it, else its variable, else its default."""
        given = self.given(tuple(option for option in options if option.startswith("-")))
        outside = (self.environment.get(variable) for variable in variables)
        given = given or next(filter(None, outside), None)
        if given is not None:
            self.found[name] = said(given)
        elif default is not None:
            self.default(name, default, tuple(variables))

    def given(self, options: tuple[str, ...]) -> Located | None:
        """The value that the command line gives one of these options."""
        value = last_option(self.parameters, options) if self.parameters and options else None
        return value if value is not None and value.runs else None

    def default(self, name: str, node: ast.expr, unless: tuple[str, ...] = ()) -> None:
        """Note a default; the first of a name counts. Variables would say it before."""
        value = self.worth(node)
        if value is not None:
            value = replace(value, unless=(*value.unless, *unless)) if unless else value
            self.found.setdefault(name, value)


@lru_cache(maxsize=TREES)
def with_defaults(tree: ast.Module) -> tuple[Defining, ...]:
    """What in a file may give defaults: calls that declare options, classes, functions made commands."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, _DEFINING)]
    handed = {
        argument.id
        for node in nodes
        if isinstance(node, ast.Call)
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    return tuple(node for node in nodes if _may_define(node, handed))


@lru_cache(maxsize=TREES)
def uses(function: ast.AST) -> Counter[str]:
    """How many times a function reads each name."""
    return Counter(
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


def _may_define(node: Defining, handed: set[str]) -> bool:
    match node:
        case ast.Call():
            return last_name(node.func) in ("add_argument", "option")
        case ast.ClassDef():
            return True
        case _:
            return bool(node.decorator_list) or node.name in handed


@dataclass(frozen=True, slots=True)
class Settings:
    """How a class of settings is read from variables.

    https://docs.pydantic.dev/latest/concepts/pydantic_settings/
    """

    prefix: str = ""
    delimiter: str = ""

    @classmethod
    def of(
        cls, node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], seen: set[ast.ClassDef] | None = None
    ) -> Settings | None:
        """How this class is; None where it is not read from variables. `seen` are those that led to it."""
        seen = set() if seen is None else seen
        seen.add(node)
        own = dict(_configured(node))
        above: Settings | None = None
        parts = (part for base in node.bases for part in ast.walk(base) if isinstance(part, ast.expr))
        known = any("Settings" in last_name(part) for part in parts)
        for base in node.bases:
            parent = classes.get(base.id) if isinstance(base, ast.Name) else None
            if parent is not None and parent not in seen and above is None and len(seen) < _MAX_CLASSES:
                above = cls.of(parent, classes, seen)
        if above is None and not known:
            return None
        above = above or cls()
        return cls(own.get("env_prefix", above.prefix), own.get("env_nested_delimiter", above.delimiter))

    def variables(self, name: str, value: ast.expr | None) -> tuple[str, ...]:
        """The variables that say a field; one of its own has no prefix."""
        keywords = {k.arg: k.value for k in value.keywords} if isinstance(value, ast.Call) else {}
        nodes = [keywords[key] for key in ALIASES if key in keywords]
        own = [text for node in nodes for text in texts(list(ast.walk(node)))]
        return tuple(own or [f"{self.prefix}{name}".upper()])

    def said(self, name: str, value: ast.expr | None, environment: Environment) -> Value | None:
        """What a variable says of a field."""
        for variable in self.variables(name, value):
            # Names are read in any case.
            found = environment.get(variable) or environment.get(variable.lower())
            if found is not None:
                return said(found)
        return None


def _configured(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The settings of a class of settings that are texts."""
    named: list[tuple[str | None, ast.expr | None]] = [(k.arg, k.value) for k in node.keywords]
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="model_config")], value=value)
                | ast.AnnAssign(target=ast.Name(id="model_config"), value=ast.expr() as value)
            ):
                if isinstance(value, ast.Call):
                    named += [(k.arg, k.value) for k in value.keywords]
                elif isinstance(value, ast.Dict):
                    keys = (texts([key])[:1] if key is not None else [] for key in value.keys)
                    named += [(k[0], v) for k, v in zip(keys, value.values, strict=True) if k]
            case ast.ClassDef(name="Config"):
                named += fields(statement)
    for name, node_of in named:
        if name is not None and isinstance(node_of, ast.Constant) and isinstance(node_of.value, str):
            yield name, node_of.value


def fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    """The fields of a class, each with what it is made of."""
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.Assign(targets=[ast.Name(id=name), *_], value=value):
                yield name, value


def default_of(value: ast.expr | None) -> ast.expr | None:
    """What a field is if nobody says: the default that `Field` is given, else the value itself."""
    if isinstance(value, ast.Call) and last_name(value.func) in ("Field", "field"):
        keywords = {keyword.arg: keyword.value for keyword in value.keywords}
        made = keywords.get("default_factory")
        given = made.body if isinstance(made, ast.Lambda) else None
        return keywords.get("default", value.args[0] if value.args else given)
    return value


def parameters(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """The parameters of a function, each with its default, those that are given by position first."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    bare: list[ast.expr | None] = [None] * (len(named) - len(arguments.defaults))
    yield from zip(named, [*bare, *arguments.defaults], strict=True)
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def envvars(call: ast.Call) -> list[str]:
    """The variables that an option is read from: `envvar="WORKERS"` of click and typer."""
    given = [keyword.value for keyword in call.keywords if keyword.arg in ("envvar", "env_var")]
    return [text for node in given for text in texts(list(ast.walk(node)))]
