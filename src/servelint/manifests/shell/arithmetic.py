"""Shell arithmetic on known numbers: `+ - * / %`, signs and parentheses, in 64 bits as shells compute."""

from __future__ import annotations

import re

from servelint.boundary import LimitError

_TOKEN = re.compile(r"\s*+(?:(0|[1-9][0-9]*+)|([-+*/%()]))")
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "negative": 3}
_LARGEST = 2**63


def evaluate(expression: str) -> int | None:
    """The value of an expression, None where it holds anything else; raises `LimitError` past 64 bits.

    With stacks of its own instead of recursion: no depth of parentheses is too much.
    """
    values: list[int] = []
    operators: list[str] = []
    wanted = True  # an operand comes next
    for number, symbol in _tokens(expression.strip()):
        if number:
            if not wanted:
                return None
            values.append(_bounded(int(number[:20])))
            wanted = False
        elif symbol == "(" and wanted:
            operators.append("(")
        elif symbol in ("-", "+") and wanted:
            if symbol == "-":
                operators.append("negative")
        elif wanted or not _reduced(symbol, values, operators):
            return None
        elif symbol != ")":
            operators.append(symbol)
            wanted = True
    return values[0] if not wanted and _reduced("", values, operators) else None


def _tokens(text: str) -> list[tuple[str, str]]:
    """Numbers and symbols; `("", "")` ends a text that holds something else."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            return [("", "")]
        tokens.append((found[1] or "", found[2] or ""))
        position = found.end()
    return tokens


def _reduced(symbol: str, values: list[int], operators: list[str]) -> bool:
    """Apply what binds at least as strongly as `symbol`, to the parenthesis for `)`, all for nothing.

    False where a parenthesis is missing, or a division by zero.
    """
    binding = _PRECEDENCE.get(symbol, 0)
    while operators and operators[-1] != "(" and _PRECEDENCE[operators[-1]] >= binding:
        if not _apply(operators.pop(), values):
            return False
    if symbol == ")":
        return bool(operators) and operators.pop() == "("
    return symbol != "" or not operators


def _apply(operator: str, values: list[int]) -> bool:
    right = values.pop()
    if operator == "negative":
        values.append(-right)
        return True
    left = values.pop()
    if operator in "/%" and not right:
        return False
    if operator == "/":
        quotient = abs(left) // abs(right)
        values.append(quotient if (left < 0) is (right < 0) else -quotient)
    elif operator == "%":
        values.append(abs(left) % abs(right) * (-1 if left < 0 else 1))
    else:
        values.append(_bounded({"+": left + right, "-": left - right, "*": left * right}[operator]))
    return True


def _bounded(value: int) -> int:
    if not -_LARGEST <= value < _LARGEST:
        raise LimitError("arithmetic beyond 64 bits")
    return value
