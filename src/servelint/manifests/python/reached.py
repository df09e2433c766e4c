"""Servers that a function of the project starts, with what its caller gives it.

`serve("api:app", workers=config.workers)` starts what `uvicorn.run(app, workers=workers)` in `serve` says, in
this file or in another one of the project.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from servelint.knowledge.servers import servers
from servelint.manifests.python import objects
from servelint.manifests.python.defaults import parameters

if TYPE_CHECKING:
    from servelint.manifests.python.files import ServerCall
    from servelint.manifests.python.module import PythonModule

Read: TypeAlias = "Callable[[PythonModule, ast.Call], ServerCall | None]"
_MAX_DEPTH = 3
_MAX_ENTERED = 500  # functions, from one file


def may_start(module: PythonModule, call: ast.Call) -> bool:
    """Whether a call may be of a function of the project that starts a server, told from its name."""
    root = call.func
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return False
    own = root.id in module.functions or root.id in module.classes
    imported = "" if own else module.imports.get(root.id)
    if imported is None:
        return False
    if imported not in module.starting:
        module.starting[imported] = _mentions(module.source.text) if own else _starts(module, imported)
    return module.starting[imported]


def _starts(module: PythonModule, imported: str) -> bool:
    """Whether the file of what is imported may start a server, the module or the one that it is a name in."""
    names = (imported, imported.rpartition(".")[0])
    sources = (module.find(name) for name in names if name) if module.find is not None else ()
    return any(source is not None and _mentions(source.text) for source in sources)


def _mentions(text: str) -> bool:
    """Whether a file may hand on a number of workers, or start a server."""
    return "workers" in text or any(package in text for package in servers().packages)


def calls(
    module: PythonModule,
    call: ast.Call,
    read: Read,
    *,
    runs: bool,
    elsewhere: bool = False,
    depth: int = _MAX_DEPTH,
    entered: list[ast.AST] | None = None,
) -> Iterator[ServerCall]:
    """The servers that a call of a function of the project starts; `read` is what a call starts by itself.

    What does not depend on the caller is told where it stands, unless the file that calls it is what `runs`.
    """
    known = objects.definition(module, call.func)
    entered = [] if entered is None else entered
    if known is None or isinstance(known.node, ast.ClassDef) or not depth or len(entered) >= _MAX_ENTERED:
        return
    entered.append(known.node)
    names = _handed(known.node)
    elsewhere = runs and (elsewhere or known.module is not module)
    with known.module.called(known.node, call, module):
        for inner in _own_calls(known.node):
            last = getattr(inner.func, "attr", "") or getattr(inner.func, "id", "")
            if last in servers().last_names and (elsewhere or _depends(inner, names)):
                found = read(known.module, inner)
                if found is not None:
                    yield found
                    continue
            if may_start(known.module, inner):
                deeper = depth - 1
                yield from calls(
                    known.module, inner, read, runs=runs, elsewhere=elsewhere, depth=deeper, entered=entered
                )


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls of a function, without those of functions in it."""
    waiting = list(ast.iter_child_nodes(function))
    for node in waiting:
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


def _handed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names in a function that depend on what it is called with."""
    names = {parameter.arg for parameter, _ in parameters(function)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _names(node.value) & names:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _depends(call: ast.Call, names: set[str]) -> bool:
    """Whether a number of workers that a call says may be one that it is handed."""
    counts = {entry.workers for _, entry in servers().calls.values()}
    return any(
        bool(_names(keyword.value) & names)
        for keyword in call.keywords
        if keyword.arg is None or keyword.arg in counts
    )
