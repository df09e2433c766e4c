"""Values of Python expressions, and what operators make of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
SPELLINGS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "casefold": str.casefold,
    "strip": str.strip,
}
# https://docs.pydantic.dev/latest/api/standard_library_types/#booleans
_FALSE = frozenset(("", "0", "off", "f", "false", "n", "no"))
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
    """`min`, `max`, and what rounds one number.

    The chosen one keeps its place; a limit from above stands where a manifest asks for more.
    """
    numbers = [value.data for value in values if isinstance(value.data, (int, float))]
    if len(numbers) != len(values):
        return None
    if name in ("min", "max"):
        index = numbers.index((min if name == "min" else max)(numbers))
        unless = tuple(variable for value in values for variable in value.unless)
        chosen = replace(values[index], unless=unless)
        asked = next((value for value in values if value.text is not None), None)
        if name == "min" and chosen.text is None and asked is not None and asked.text is not None:
            text = Located.computed(str(numbers[index]), asked.text.place)
            return replace(chosen, text=text, names=asked.names, shared=asked.shared)
        return chosen
    import math

    number = {"ceil": math.ceil, "floor": math.floor}.get(name, round)(numbers[0])
    return Value(number, values[0].per_core)


def larger(first: Value | None, second: Value | None) -> Value | None:
    """The larger of two numbers, where it is not known which is taken."""
    return extreme("max", [first, second]) if first is not None and second is not None else None


def respelled(value: Value | None, method: str) -> Value | None:
    """What a method of a text makes of it that changes how it is spelled."""
    if value is None or not isinstance(value.data, str):
        return None
    return Value(SPELLINGS[method](value.data), unless=value.unless)


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
        case ast.In() | ast.NotIn():
            if not isinstance(second, tuple):
                return None
            return Value((first in second) is isinstance(operator, ast.In))
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


def said_twice(text: str, attribute: str) -> bool:
    """Whether a file reads an attribute of this name more than once."""
    return len(re.findall(rf"\.{re.escape(attribute)}\b", text)) > 1


# Python converts no text of thousands of digits (https://docs.python.org/3/library/stdtypes.html#int-max-str-digits).
_MOST_DIGITS = 18


def said(text: Located) -> Value:
    """The value that a manifest says in a text; a number of more digits than anybody means stays a text."""
    is_number = text.text.isdecimal() and len(text.text) <= _MOST_DIGITS
    return Value(int(text.text) if is_number else text.text, text=text)


def declared(value: Value, annotation: ast.expr | None) -> Value:
    """What a variable says of a field that is declared to be a truth."""
    if isinstance(annotation, ast.Name) and annotation.id == "bool":
        return replace(value, data=str(value.data).lower() not in _FALSE)
    return value


def texts(nodes: Sequence[ast.AST]) -> list[str]:
    """The texts among the nodes."""
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def dotted(parts: Sequence[str]) -> ast.expr:
    """A dotted name."""
    node: ast.expr = ast.Name(parts[0])
    for part in parts[1:]:
        node = ast.Attribute(node, part)
    return node
