"""A load of what the file has loaded already when it was imported.

scaler = joblib.load("scaler.pkl")


async def predict(row):
    scaler = joblib.load("scaler.pkl")

The second line wants to go, and not to be awaited.
"""

from __future__ import annotations

import ast

from servelint.code.fixes.text import variables
from servelint.code.fixes.text.syntax import Function, Syntax
from servelint.project.text.parsing import unparsed


def loaded_already(syntax: Syntax, node: ast.Call, function: Function) -> str:
    """What is there already that the call in the function loads again; empty where there is no such."""
    found = syntax.worked_out(_made_at_import, syntax.tree).get(unparsed(node))
    if found is None or variables.reads([node]) & syntax.worked_out(_own_names, function):
        return ""
    if not _is_for_itself(syntax, node, function):
        return ""
    name, line = found
    return f"line {line} loads the same into `{name}` when the file is imported: use that"


def _is_for_itself(syntax: Syntax, node: ast.Call, function: Function) -> bool:
    """Whether the function does not put what it loads anywhere: who does that wants it to be new."""
    statement = syntax.statement(node)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is not node:
        return True
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    declared = (n for n in syntax.own_nodes(function) if isinstance(n, ast.Global | ast.Nonlocal))
    outside = {name for one in declared for name in one.names}
    return all(isinstance(target, ast.Name) and target.id not in outside for target in targets)


def _made_at_import(_: Syntax, tree: ast.Module) -> dict[str, tuple[str, int]]:
    """The calls whose results the file gives to globals, as text: the first of these, and its line."""
    found: dict[str, tuple[str, int]] = {}
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as made)
            ):
                found.setdefault(unparsed(made), (name, statement.lineno))
    return found


def _own_names(_: Syntax, function: Function) -> frozenset[str]:
    """What the function is given and what it sets."""
    given = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    return frozenset(given | variables.writes(function.body))
