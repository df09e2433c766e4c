"""Values of Python expressions, and what operators make of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from servelint.manifests.documents.text import Located

LARGEST = 2**63
CORES = frozenset(("cpu_count", "process_cpu_count", "sched_getaffinity"))
# What reads a variable: a name, then what it is where it is not set.
GETTERS = frozenset(
    (
        *("os.getenv", "os.environ.get", "os.environ.setdefault", "os.environ.pop", "getenv", "environ.get"),
        *("config", "env", "env.int", "env.str", "env.float", "decouple.config"),
    )
)
# Classes whose objects do, when they are called or by a method for each kind of value, and the argument that
# they put before each name. https://github.com/sloria/environs https://github.com/HBNetwork/python-decouple
# https://www.starlette.io/config/ https://django-environ.readthedocs.io
READERS = {
    "environs.Env": "prefix",
    "environs.FileAwareEnv": "prefix",
    "environs.env": "",
    "environ.Env": "",
    "environ.FileAwareEnv": "",
    "starlette.config.Config": "env_prefix",
    "starlette.config.environ.get": "",
    "decouple.Config": "",
    "decouple.AutoConfig": "",
}
# Classes whose objects take every setting from a variable, and the argument that these begin with.
SETTINGS = {"dynaconf.Dynaconf": "envvar_prefix", "dynaconf.LazySettings": "envvar_prefix"}
READ_AS = frozenset(("int", "str", "float", "decimal", "json", "get", "get_value"))
CONVERSIONS = {"int": int, "float": float, "str": str, "bool": bool}
ALIASES = ("validation_alias", "alias", "env")  # of pydantic's `Field`: the variable that it is read from


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression is worth; `per_core` says that it grows with the machine.

    `text` is where a manifest says it: a variable, an option on the command line. `unless` are variables that
    would say something else. `names` are what it is called on its way: variables (`WORKERS`) and attributes
    (`.workers`); `shared` says that a function does something else with it, too.
    """

    data: object
    per_core: bool = False
    text: Located | None = None
    unless: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    shared: bool = False


def extreme(name: str, values: Sequence[Value]) -> Value | None:
    """`min`, `max`, and what rounds one number."""
    numbers = [(value.data, value.per_core) for value in values if isinstance(value.data, (int, float))]
    if len(numbers) != len(values):
        return None
    if name in ("min", "max"):
        chosen = (min if name == "min" else max)(numbers, key=lambda pair: pair[0])
        return Value(chosen[0], chosen[1])
    import math

    number = {"ceil": math.ceil, "floor": math.floor}.get(name, round)(numbers[0][0])
    return Value(number, numbers[0][1])


def arithmetic(operator: ast.operator, left: Value | None, right: Value | None) -> Value | None:
    """What an operator makes of two numbers."""
    if left is None or right is None:
        return None
    first, second = left.data, right.data
    if not isinstance(first, (int, float)) or not isinstance(second, (int, float)):
        return None
    if not (abs(first) < LARGEST and abs(second) < LARGEST):
        return None
    result: float
    match operator:
        case ast.Add():
            result = first + second
        case ast.Sub():
            result = first - second
        case ast.Mult():
            result = first * second
        case ast.Div() if second:
            result = first / second
        case ast.FloorDiv() if second:
            result = first // second
        case _:
            return None
    return Value(result, left.per_core or right.per_core) if abs(result) < LARGEST else None


def comparison(operator: ast.cmpop, left: Value | None, right: Value | None) -> Value | None:
    """Whether a comparison holds."""
    if left is None or right is None:
        return None
    first, second = left.data, right.data
    match operator:
        case ast.Eq():
            return Value(first == second)
        case ast.NotEq():
            return Value(first != second)
        case ast.Is():
            return Value(first is second)
        case ast.IsNot():
            return Value(first is not second)
        case _:
            if not isinstance(first, (int, float)) or not isinstance(second, (int, float)):
                return None
            return _ordering(operator, first, second)


def _ordering(operator: ast.cmpop, first: float, second: float) -> Value | None:
    match operator:
        case ast.Lt():
            return Value(first < second)
        case ast.LtE():
            return Value(first <= second)
        case ast.Gt():
            return Value(first > second)
        case ast.GtE():
            return Value(first >= second)
        case _:
            return None


def last_name(node: ast.expr) -> str:
    """The last part of a callee's name."""
    return str(getattr(node, "attr", getattr(node, "id", "")))


def said(text: Located) -> Value:
    """The value that a manifest says in a text."""
    return Value(int(text.text) if text.text.isdecimal() else text.text, text=text)


def texts(nodes: Sequence[ast.AST]) -> list[str]:
    """The texts among the nodes."""
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def dotted(parts: Sequence[str]) -> ast.expr:
    """A dotted name."""
    node: ast.expr = ast.Name(parts[0])
    for part in parts[1:]:
        node = ast.Attribute(node, part)
    return node
