"""Which commands of a program do not run, where its command line names another.

https://click.palletsprojects.com/en/stable/commands/ https://typer.tiangolo.com/tutorial/commands/
"""

from __future__ import annotations

import ast

from servelint.manifests.python.values import last_name, texts
from servelint.manifests.shell.commandline import Words


def others(tree: ast.Module, parameters: Words) -> frozenset[ast.AST]:
    """The functions that are commands of a program, but for the one that its parameters name."""
    found = {
        function: name
        for function in tree.body
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for decorator in function.decorator_list
        if (name := _name(function.name, decorator))
    }
    if len(found) < 2:  # one alone is run without being named
        return frozenset()
    named = [word.text for word in parameters if word.text in found.values()]
    return frozenset(function for function, name in found.items() if named and name != named[0])


def _name(function: str, decorator: ast.expr) -> str:
    """What a decorator calls its function as a command; empty where it makes no command of it."""
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    if last_name(call) != "command":
        return ""
    given: list[ast.expr] = []
    if isinstance(decorator, ast.Call):
        given = [*decorator.args[:1], *(k.value for k in decorator.keywords if k.arg == "name")]
    return next(iter(texts(given)), function.replace("_", "-"))
