"""Values of shell words: variables, defaults, arithmetic, and the few substitutions that say a number.

`$WORKERS` is the text of its value, standing where the expansion is written when the same script set the
variable (the value is then its `definition`), and where the value is written when it came from outside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from servelint.boundary import LimitError
from servelint.manifests.documents.budget import Budget
from servelint.manifests.documents.environment import Environment
from servelint.manifests.documents.text import Located, word
from servelint.manifests.shell.arithmetic import evaluate
from servelint.manifests.shell.commandline import ASSUMED_CORES, PER_CORE, UNKNOWN, Words, split
from servelint.manifests.shell.syntax import Syntax

if TYPE_CHECKING:
    from tree_sitter import Node

_EXPANSION = re.compile(r"\$\{([A-Za-z_]\w*|[0-9@*])(\[[@*]\])?(?:(:?[-=+?])|([^}]))?", re.DOTALL)
_CORES = re.compile(
    r"\b(?:nproc|_NPROCESSORS_ONLN|cpu_count|sched_getaffinity|hw\.ncpu|lscpu)\b|/proc/cpuinfo\b"
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_DIGITS = re.compile(r"[0-9]{1,20}")
# A parameter of a script by its number: nobody passes more of them.
_PARAMETER = re.compile(r"[0-9]{1,9}")
_MAX_NESTING = 50
_MAX_LENGTH = 5_000_000


@dataclass(slots=True)
class Scope:
    """Variables of a running script. A value of None is unknown; `exported` is what commands see.

    `name` is `$0`, where the words that code is given begin with it.
    """

    environment: Environment
    parameters: Words = ()
    variables: dict[str, Words | None] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    name: Located | None = None

    def copy(self) -> Scope:
        """The same variables, to be changed without effect on these."""
        return Scope(self.environment, self.parameters, dict(self.variables), set(self.exported), self.name)

    def known(self, name: str) -> bool:
        """Whether the variable is set, to a value known or not."""
        return name in self.variables or not self.environment.unset(name)

    def visible(self) -> Environment:
        """The environment of a command started now."""
        values = dict(self.environment.values)
        for name in self.variables:
            if name in self.exported or name in values:
                words = self.variables[name]
                values[name] = words[0] if words and len(words) == 1 else None
        return Environment(values, self.environment.open_ended)


def characters() -> Budget:
    """What the values of one script may come to."""
    return Budget(_MAX_LENGTH, "characters in the values of one script")


@dataclass(slots=True)
class Evaluator:
    """Evaluates the words of one parsed script."""

    syntax: Syntax
    budget: Budget = field(default_factory=characters)
    nesting: int = 0

    def words(self, node: Node, scope: Scope) -> Words:
        """The words that one argument becomes: an unquoted variable may hold several, or none."""
        words = self._words(node, scope)
        self.budget.spend(1 + sum(word.weight for word in words))
        return words

    def _words(self, node: Node, scope: Scope) -> Words:
        if node.type in ("simple_expansion", "expansion"):
            values = self._variable(node, scope)
            if len(values) == 1:
                return tuple(split(values[0])) if " " in values[0].text else values if values[0].text else ()
            return values
        if node.type == "string":
            inner = [child for child in node.children if child.is_named]
            if (
                len(inner) == 1
                and self.syntax.raw(inner[0]) in ("$@", "${@}")
                and len(self.syntax.raw(node)) < 7
            ):
                return scope.parameters
            if len(inner) == 1 and "[@]" in self.syntax.raw(inner[0]):
                return self._variable(inner[0], scope)
        return (self.value(node, scope),)

    def value(self, node: Node, scope: Scope) -> Located:
        """The text that a node becomes."""
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise LimitError(f"expansions nested more than {_MAX_NESTING} levels deep")
        text = self._value(node, scope)
        self.nesting -= 1
        self.budget.spend(1 + text.weight)
        return text

    def _value(self, node: Node, scope: Scope) -> Located:
        match node.type:
            case "string":
                return self._joined(node, scope, 1)
            case "raw_string" | "ansi_c_string":
                skip = 1 if node.type == "raw_string" else 2
                return self.syntax.code.slice(self.syntax.start(node) + skip, self.syntax.end(node) - 1)
            case "concatenation" | "command_name":
                return word([self.value(child, scope) for child in node.children])
            case "simple_expansion" | "expansion":
                return self._one(self._variable(node, scope), node)
            case "arithmetic_expansion":
                return self._arithmetic(node, scope)
            case "command_substitution":
                # Arithmetic as a default (`${W:-$((2 * CPUS))}`) is parsed as a command in brackets.
                arithmetic = self.syntax.raw(node).startswith("$((") and self.syntax.raw(node).endswith("))")
                return self._arithmetic(node, scope) if arithmetic else self._substitution(node, scope)
            case _:
                return self._unescaped(node)

    def _joined(self, node: Node, scope: Scope, skip: int) -> Located:
        """The children's values and what is written between them."""
        parts: list[Located] = []
        position, end = self.syntax.start(node) + skip, self.syntax.end(node) - skip
        for child in node.children:
            if not child.is_named:
                continue
            start = self.syntax.start(child)
            if start > position:
                parts.append(self.syntax.code.slice(position, start))
            parts.append(self.value(child, scope))
            position = self.syntax.end(child)
        if position < end:
            parts.append(self.syntax.code.slice(position, end))
        return word(parts) if parts else self.syntax.code.slice(position, position)

    def _unescaped(self, node: Node) -> Located:
        text = self.syntax.text(node)
        if "\\" not in text.text:
            return text
        pieces = re.finditer(r"\\\r?\n|\\(.)|[^\\]+", text.text, re.DOTALL)
        return Located.join(
            text.slice(*piece.span(1 if piece.group(1) else 0))
            for piece in pieces
            if not piece.group().endswith("\n")
        )

    def _one(self, values: Words, node: Node) -> Located:
        if len(values) == 1:
            return values[0]
        return Located.computed(" ".join(value.text for value in values), self.syntax.text(node).place)

    def _unknown(self, node: Node) -> Located:
        return Located.computed(UNKNOWN, self.syntax.text(node).place)

    def _variable(self, node: Node, scope: Scope) -> Words:
        """The value of `$X` or `${X...}` as words: several for an array or the parameters."""
        raw = self.syntax.raw(node)
        found = _EXPANSION.match(raw)
        if found is None:
            name, operator, other = raw[1:], "", ""
        else:
            name, operator, other = found.group(1), found.group(3) or "", found.group(4) or ""
        if other and not raw.startswith("${" + name + "[@]") and other != "[":
            return (self._unknown(node),)
        current = self._current(name, scope, node)
        empty = current is not None and not any(word.text for word in current)
        missing = not self._is_set(name, scope) or (operator.startswith(":") and empty)
        if operator in ("-", ":-", "=", ":=") and missing:
            default = self._default(node, found.end() if found else 0, scope)
            if operator.endswith("="):
                scope.variables[name] = (default,)
            return (default,)
        if operator in ("+", ":+"):
            return () if missing else (self._default(node, found.end() if found else 0, scope),)
        return (self._unknown(node),) if current is None else current

    def _is_set(self, name: str, scope: Scope) -> bool:
        if name.isdigit():
            return _PARAMETER.fullmatch(name) is not None and int(name) <= len(scope.parameters)
        return name in "@*" or scope.known(name)

    def _current(self, name: str, scope: Scope, node: Node) -> Words | None:
        if name in ("@", "*"):
            return scope.parameters
        if name == "0" and scope.name is not None:
            return (scope.name,)
        if name.isdigit():
            index = int(name) - 1 if _PARAMETER.fullmatch(name) else -1
            return (scope.parameters[index],) if 0 <= index < len(scope.parameters) else ()
        if name in scope.variables:
            values = scope.variables[name]
            here = self.syntax.text(node).place
            if values is None or len(values) != 1:
                return values
            return (Located.computed(values[0].text, here, values[0]),)
        if scope.environment.unset(name):
            return None if scope.environment.open_ended else ()
        value = scope.environment.get(name)
        return None if value is None else (value,)

    def _default(self, node: Node, offset: int, scope: Scope) -> Located:
        """What stands after the operator of `${X:-...}`."""
        start, end = self.syntax.start(node) + offset, self.syntax.end(node) - 1
        parts: list[Located] = []
        position = start
        for child in node.children:
            at = self.syntax.start(child)
            if not child.is_named or at < start:
                continue
            parts.append(self.syntax.code.slice(position, at))
            parts.append(self.value(child, scope))
            position = self.syntax.end(child)
        parts.append(self.syntax.code.slice(position, end))
        return word([part for part in parts if part.text]) if any(p.text for p in parts) else parts[0]

    def _substitution(self, node: Node, scope: Scope) -> Located:
        raw = self.syntax.raw(node)
        if _CORES.search(raw):
            return Located.computed(f"{PER_CORE}{ASSUMED_CORES}", self.syntax.text(node).place)
        commands = [child for child in node.children if child.type == "command"]
        if len(commands) == 1:
            name, *arguments = [child for child in commands[0].children if child.is_named]
            if self.syntax.raw(name) in ("echo", "printf") and len(arguments) == 1:
                return self.value(arguments[0], scope)
        return self._unknown(node)

    def _arithmetic(self, node: Node, scope: Scope) -> Located:
        expression = self.syntax.raw(node).removeprefix("$((").removesuffix("))")
        per_core = False

        def number(found: re.Match[str]) -> str:
            nonlocal per_core
            value = self._current(found.group(), scope, node)
            text = value[0].text if value else ""
            per_core = per_core or text.startswith(PER_CORE)
            text = text.removeprefix(PER_CORE)
            return text if _DIGITS.fullmatch(text) else "unknown"

        if _CORES.search(expression):
            per_core = True
            expression = re.sub(r"\$\([^()]*\)", str(ASSUMED_CORES), expression)
        expression = re.sub(r"\$\{?([A-Za-z_]\w*)(?::?-(\d+))?\}?", _plain_variable(scope), expression)
        result = evaluate(_NAME.sub(number, expression))
        if result is None:
            return self._unknown(node)
        return Located.computed(f"{PER_CORE if per_core else ''}{result}", self.syntax.text(node).place)


class _plain_variable:  # noqa: N801
    """Replaces `$X`, `${X}` by `X` and `${X:-2}` by 2 where X is not set."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, found: re.Match[str]) -> str:
        name, default = found.group(1), found.group(2)
        return default if default and not self.scope.known(name) else name
